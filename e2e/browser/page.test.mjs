// The page's files as they are served: what the Content-Security-Policy, the house and the budget ask of them.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { serverFrom } from '../../wwwroot/config.js';

const ROOT = new URL('../../wwwroot/', import.meta.url);
const PURE = ['state', 'answers', 'entrance', 'session', 'conversation', 'link', 'words'].map((name) => `${name}.js`);
const IMPURE = 'document window navigator location localStorage sessionStorage WebSocket fetch setTimeout setInterval'
  .split(' ')
  .concat('requestAnimationFrame', 'performance', 'Date', 'Math.random');
const BYTES_MAX = 30 * 1024;

const files = readdirSync(ROOT);
const read = (file) => readFileSync(new URL(file, ROOT), 'utf8');
const modules = files.filter((file) => file.endsWith('.js'));
const html = read('index.html');
const importsOf = (module) => [...read(module).matchAll(/from '\.\/([\w-]+\.js)'/g)].map(([, file]) => file);
/** A module without its comments and strings. */
const code = (module) =>
  read(module).replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, '').replaceAll(/'[^'\n]*'|`[^`]*`/g, "''");

test('the markup has no inline script, style or handler, which the policy would refuse', () => {
  assert.doesNotMatch(html, /<style|\sstyle=|\son[a-z]+=|javascript:/i);
  for (const [, body] of html.matchAll(/<script[^>]*>([\s\S]*?)<\/script>/g)) assert.equal(body, '');
});

test('nothing comes from elsewhere', () => {
  for (const file of files) {
    const addresses = read(file).match(/(https?|wss?):\/\/[\w.]+/g) ?? [];
    assert.deepEqual(addresses.filter((address) => address !== 'http://www.w3.org'), [], file);
  }
});

test('every module is preloaded, and every file that is named exists', () => {
  const preloaded = [...html.matchAll(/rel="modulepreload" href="([^"]+)"/g)].map(([, file]) => file);
  assert.deepEqual(preloaded, modules.filter((file) => file !== 'main.js').sort());
  const named = [...html.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, file]) => file);
  for (const file of [...named, ...modules.flatMap(importsOf)]) assert.ok(files.includes(file), file);
});

test('the pure modules name neither DOM, socket, clock, chance nor storage, and import only each other', () => {
  for (const module of PURE) {
    for (const name of IMPURE) assert.ok(!new RegExp(`\\b${name}\\b`).test(code(module)), `${module} names ${name}`);
    assert.deepEqual(importsOf(module).filter((file) => !PURE.includes(file)), [], module);
  }
});

test('only `connection.js` names the socket', () => {
  assert.deepEqual(modules.filter((module) => /\bWebSocket\b/.test(code(module))), ['connection.js']);
});

test('text reaches the page through `textContent` alone', () => {
  for (const module of modules) {
    const markup = /innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|eval\(/;
    assert.doesNotMatch(code(module), markup, module);
  }
});

test('each file says on its first line what it is', () => {
  for (const module of modules) assert.match(read(module), /^\/\/ [A-Z].+\n/, module);
});

test(`all of it is at most ${BYTES_MAX} bytes compressed`, (t) => {
  const bytes = files.reduce((sum, file) => sum + gzipSync(read(file), { level: 9 }).length, 0);
  t.diagnostic(`${files.length} files, ${bytes} bytes`);
  assert.ok(bytes <= BYTES_MAX, `${bytes} bytes`);
});

test('config.json gives the address of the server', () => {
  assert.equal(serverFrom('{"server":"ws://127.0.0.1:1/dev","later":1}', 'http:'), 'ws://127.0.0.1:1/dev');
  assert.equal(serverFrom('{"server":"wss://x.example/prod"}', 'https:'), 'wss://x.example/prod');
});

for (const [text, reason] of [
  ['<!doctype html>', /not JSON/],
  ['null', /no “server”/],
  ['{"server":7}', /no “server”/],
  ['{"server":"somewhere"}', /not a WebSocket address/],
  ['{"server":"https://x.example"}', /not a WebSocket address/],
  ['{"server":"ws://x.example"}', /needs wss/],
]) {
  test(`config.json with ${text} is refused in words`, () => {
    assert.throws(() => serverFrom(text, 'https:'), reason);
  });
}
