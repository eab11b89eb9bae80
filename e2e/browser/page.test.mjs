// The page's files as they are served: what the Content-Security-Policy, the house and the budget ask of them.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { serverFrom } from '../../wwwroot/device.js';
import * as words from '../../wwwroot/words.js';

const ROOT = new URL('../../wwwroot/', import.meta.url);
const PURE = ['state.js', 'room.js', 'words.js'];
const IMPURE = 'document window navigator location localStorage sessionStorage WebSocket fetch setTimeout setInterval'
  .split(' ')
  .concat('requestAnimationFrame', 'performance', 'Date', 'Math.random');
const BYTES_MAX = 30 * 1024;
const SIGN_IN_BYTES_MAX = 6 * 1024;

const files = readdirSync(ROOT);
const read = (file) => readFileSync(new URL(file, ROOT), 'utf8');
const modules = files.filter((file) => file.endsWith('.js'));
const html = read('index.html');
const importsOf = (module) => [...read(module).matchAll(/from '\.\/([\w-]+\.js)'/g)].map(([, file]) => file);
/** What a page loads where nobody signs in: all that `main.js` leads to without asking at run time. */
const loaded = new Set(['main.js']);
for (const module of loaded) for (const file of importsOf(module)) loaded.add(file);
const first = files.filter((file) => !file.endsWith('.js') || loaded.has(file));
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

test('every module is preloaded but those of signing in, and every file that is named exists', () => {
  const preloaded = [...html.matchAll(/rel="modulepreload" href="([^"]+)"/g)].map(([, file]) => file);
  assert.deepEqual(preloaded, [...loaded].filter((file) => file !== 'main.js').sort());
  assert.deepEqual(modules.filter((file) => !loaded.has(file)), ['sign-in-view.js', 'sign-in.js']);
  const named = [...html.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, file]) => file);
  for (const file of [...named, ...modules.flatMap(importsOf)]) assert.ok(files.includes(file), file);
});

test('the pure modules name neither DOM, socket, clock, chance nor storage, and import only each other', () => {
  for (const module of PURE) {
    for (const name of IMPURE) assert.ok(!new RegExp(`\\b${name}\\b`).test(code(module)), `${module} names ${name}`);
    assert.deepEqual(importsOf(module).filter((file) => !PURE.includes(file)), [], module);
  }
});

test('only `socket.js` names the socket', () => {
  assert.deepEqual(modules.filter((module) => /\bWebSocket\b/.test(code(module))), ['socket.js']);
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

test(`all of it is at most ${BYTES_MAX} bytes compressed where nobody signs in, and signing in ${SIGN_IN_BYTES_MAX} more`, (t) => {
  const size = (some) => some.reduce((sum, file) => sum + gzipSync(read(file), { level: 9 }).length, 0);
  const bytes = size(first);
  const more = size(files) - bytes;
  t.diagnostic(`${first.length} files, ${bytes} bytes; ${more} more to sign in`);
  assert.ok(bytes <= BYTES_MAX, `${bytes} bytes`);
  assert.ok(more <= SIGN_IN_BYTES_MAX, `${more} bytes`);
});

test('config.json gives the address of the server', () => {
  const http = 'http://127.0.0.1:8765';
  assert.equal(serverFrom('{"server":"ws://127.0.0.1:1/dev","later":1}', http), 'ws://127.0.0.1:1/dev');
  assert.equal(serverFrom('{"server":"wss://x.example/prod"}', 'https://y.example'), 'wss://x.example/prod');
  assert.equal(serverFrom('{"server":"/dev"}', http), 'ws://127.0.0.1:8765/dev');
  assert.equal(serverFrom('{"server":"/prod"}', 'https://http.example'), 'wss://http.example/prod');
});

for (const [text, reason] of [
  ['<!doctype html>', /not JSON/],
  ['null', /no “server”/],
  ['{"server":7}', /no “server”/],
  ['{"server":"somewhere"}', /no “server” that is a WebSocket address/],
  ['{"server":"https://x.example"}', /no “server” that is a WebSocket address/],
  ['{"server":"ws://x.example"}', /no “server” that is a WebSocket address .*ws:… for a page over http/],
]) {
  test(`config.json with ${text} is refused in words`, () => {
    assert.throws(() => serverFrom(text, 'https://y.example'), reason);
  });
}

test('codes mean the same room whatever their case, spaces, hyphens and look-alikes', () => {
  const same = (one, other) => words.canonical(one) === words.canonical(other);
  assert.ok(same('7K3M9-QX2TB', ' 7k3m9 qx2tb'));
  assert.ok(same('01100-00000', 'OIL00ooooo'));
  assert.ok(!same('7K3M9-QX2TB', '7K3M9-QX2TC'));
});

for (const [typed, code] of [
  ['https://chat.example/page#room=7K3M9-QX2TB ', '7K3M9-QX2TB'],
  ['https://chat.example/#7K3M9-QX2TB', '7K3M9-QX2TB'],
  [' 7K3M9-QX2TB', '7K3M9-QX2TB'],
  ['', ''],
]) {
  test(`the code in “${typed}” is “${code}”`, () => assert.equal(words.codeFrom(typed), code));
}

test('a message of the server becomes a sentence, a missing one too', () => {
  assert.equal(words.sentence('`ann` is taken'), '“ann” is taken.');
  assert.equal(words.sentence('Really?'), 'Really?');
  assert.equal(words.sentence(undefined), 'The server refused this without a reason.');
});

for (const [text, addresses] of [
  ['see https://example.org/a.', ['https://example.org/a']],
  ['(https://example.org/a_(b)), HTTPS://EXAMPLE.NET/?q=1#x!', ['https://example.org/a_(b)', 'https://example.net/?q=1#x']],
  ['https://example.org/\u202egnp.exe', ['https://example.org/']],
  ['https://a\u200bb.example', ['https://a/']],
  ['javascript:alert(1) data:text/html,x //example.org www.example.org', []],
  ['https:// http://', []],
  ['https://exa<b>mple', ['https://exa/']],
  [`https://${'x'.repeat(3_000)}`, [`https://${'x'.repeat(3_000)}/`]],
  [`https://example.org/${')'.repeat(3_000)}`, ['https://example.org/']],
]) {
  test(`links in ${JSON.stringify(text.slice(0, 60))} are ${addresses.length}, and the text stays as it is`, () => {
    const pieces = words.piecesOf(text);
    assert.deepEqual(pieces.filter(({ href }) => href).map(({ href }) => href), addresses);
    assert.equal(pieces.map((piece) => piece.text ?? piece).join(''), text);
  });
}

for (const [text, isBig] of [
  ['🎉', true],
  ['👩‍👩‍👧 👍🏽', true],
  ['🇩🇪', true],
  ['❤️', true],
  ['🦀'.repeat(4_000), false],
  ['hi 🎉', false],
  ['7', false],
  ['', false],
]) {
  test(`“${text.slice(0, 20)}” is ${isBig ? '' : 'not '}a few emoji alone`, () => assert.equal(words.isBig(text), isBig));
}

test('a name has the same tone at everyone, and an initial, whatever it is', () => {
  assert.equal(words.toneOf('Ann'), words.toneOf('ANN'));
  for (const name of ['Ann', '🦀', 'عمر', '\u0301x', '<b>']) {
    assert.match(words.toneOf(name), /^tone-[0-5]$/);
    assert.ok(words.initialOf(name).length > 0);
  }
});

test('messages go on in a group: the same speaker, soon after', () => {
  const entry = { kind: 'message', from: 'ann', at: 1_000_000 };
  assert.ok(words.isGrouped(entry, { ...entry, at: 900_000 }));
  assert.ok(!words.isGrouped(entry, { ...entry, at: 100_000 }));
  assert.ok(!words.isGrouped(entry, { ...entry, from: 'bob' }));
  assert.ok(!words.isGrouped(entry, { kind: 'presence', at: 1_000_000 }));
  assert.ok(!words.isGrouped(entry, undefined));
});

test('notices and typing are said in words, with names as pieces of their own', () => {
  const said = (pieces) => pieces.map((piece) => piece.name ?? piece).join('');
  const notice = (fields) => said(words.noticeWords(fields));
  const events = [{ event: 'join', name: 'bob' }, { event: 'leave', name: 'cat' }, { event: 'rename', name: 'rob', was: 'bob' }];
  assert.equal(notice({ kind: 'presence', events }), 'bob came · cat left · bob is rob now');
  assert.equal(notice({ kind: 'presence', events: [{ event: 'rename', name: 'a', was: 'b', own: true }] }), 'You are a now');
  assert.match(notice({ kind: 'here', name: 'ann', asked: 'ann', count: 1, code: 'X' }), /^You are the first one here\. Read the code/);
  assert.match(notice({ kind: 'here', name: 'ann-2', asked: 'ann', count: 3, code: 'lobby' }), /called ann already.*ann-2.*3 are here/);
  const typing = (...names) => said(words.typingWords({ typing: names.map((name) => ({ name })) }));
  assert.deepEqual(
    [typing(), typing('a'), typing('a', 'b'), typing('a', 'b', 'c', 'd')],
    ['', 'a is typing…', 'a and b are typing…', 'Several people are typing…'],
  );
});
