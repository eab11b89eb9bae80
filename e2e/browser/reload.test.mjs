// The page of `chatctl dev --watch` (`SITE`) in Chromium, while its files (`WWWROOT`) change.

import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { launch, Person } from './browser.mjs';

const { SITE: site, WWWROOT: wwwroot } = process.env;
const TEST_MS = 2 * 60_000;

if (!site) throw new Error('`SITE` is not set; hint: `cargo test -p e2e --test watch` starts the stack and sets it');

test('a changed page is loaded again, and whoever is in a room is still in it', { timeout: TEST_MS }, async () => {
  const browser = await launch();
  try {
    const ann = await Person.arrive(browser, site);
    const code = await ann.createRoom('ann');
    await ann.says('before');
    await ann.hears('before');
    const old = await ann.page.evaluate(() => {
      window.isOld = true;
      return getComputedStyle(document.documentElement).outlineStyle;
    });
    assert.equal(old, 'none');
    appendFileSync(join(wwwroot, 'style.css'), '\n:root { outline: 1px dotted; }\n');
    await ann.page.waitForFunction(() => getComputedStyle(document.documentElement).outlineStyle === 'dotted');
    assert.equal(await ann.page.evaluate(() => window.isOld), undefined);
    await ann.hears('before');
    assert.equal(await ann.one('room-code').textContent(), code);
    assert.deepEqual(ann.complaints, [], 'the policy allows the script');
  } finally {
    await browser.close();
  }
});
