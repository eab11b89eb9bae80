// The page where it is deployed (`SITE`), in Chromium as on anybody's machine: by its own address, through a
// proxy (`PROXY`), with one certificate (`CERTIFICATE`, a file) that this machine does not know trusted.

import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { DESKTOP, launch, Person, PHONE, screenshot } from './browser.mjs';

const { SITE: site, PROXY: proxy, CERTIFICATE: certificate, NAME: name } = process.env;
const TEST_MS = 4 * 60_000;

if (!site) throw new Error('`SITE` is not set; hint: `cargo test -p e2e --test site` deploys the page and sets it');

/** Chromium's word for a certificate: the SHA-256 of its public key. */
function fingerprint(file) {
  const key = new X509Certificate(readFileSync(file)).publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(key).digest('base64');
}

test('two windows create a room, join it by its code and talk both ways', { timeout: TEST_MS }, async () => {
  const browser = await launch([
    `--proxy-server=${proxy}`,
    `--ignore-certificate-errors-spki-list=${fingerprint(certificate)}`,
  ]);
  try {
    const sockets = [];
    const prepare = (page) => page.on('websocket', (socket) => sockets.push(new URL(socket.url()).host));
    const ann = await Person.arrive(browser, site, { viewport: PHONE, prepare });
    await screenshot(ann, `${name}-welcome-phone`);
    const code = await ann.createRoom('ann');
    const bob = await Person.arrive(browser, site, { viewport: DESKTOP });
    await bob.joinRoom(code, 'bob');
    await bob.sees('notice="here"', '2 are here');
    await ann.says('hello bob');
    await bob.hears('hello bob', { from: 'ann' });
    await bob.says('hello ann');
    await ann.hears('hello ann', { from: 'bob' });
    await ann.hears('hello bob');
    await screenshot(ann, `${name}-room-phone`);
    await screenshot(bob, `${name}-room-desktop`);
    assert.equal(new URL(ann.page.url()).origin, new URL(site).origin);
    // Of one origin through CloudFront; a bucket's website has no sockets.
    const isOwn = site.startsWith('https:');
    assert.deepEqual(sockets.map((host) => host === new URL(site).host), [isOwn], sockets.join());
    assert.deepEqual([...ann.complaints, ...bob.complaints], [], 'the console must stay clean');
    assert.equal(await policyOf(ann), 'kept', 'what the policy does not name is refused');
  } finally {
    await browser.close();
  }
});

/** Whether a script of the page may go to another host, and one in the page's text may run. */
async function policyOf({ page, complaints }) {
  const outcome = await page.evaluate(async () => {
    const script = document.createElement('script');
    script.textContent = 'window.ran = true';
    document.head.append(script);
    const went = await fetch('https://elsewhere.example/').then(
      () => true,
      () => false,
    );
    const opened = await new Promise((resolve) => {
      try {
        const socket = new WebSocket('wss://elsewhere.example/');
        socket.onopen = () => resolve(true);
        socket.onerror = () => resolve(false);
      } catch {
        resolve(false);
      }
    });
    return window.ran || went || opened ? 'broken' : 'kept';
  });
  const refused = complaints.filter((complaint) => /policy violated: (script-src|connect-src)/.test(complaint));
  assert.equal(refused.length, 3, complaints.join('\n'));
  return outcome;
}
