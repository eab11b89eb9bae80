// The page in Chromium, against a running stack, used as people use it.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { DESKTOP, launch, Person, PHONE, screenshot, Wire } from './browser.mjs';
import { startStack } from './stack.mjs';

const TEST_MS = 4 * 60_000;
const START_MS = 11 * 60_000;
const CONNECTED = 'connection="connected"';

describe('the page', { timeout: 30 * 60_000 }, () => {
  let stack;
  let browser;
  let people = [];

  before(
    async () => {
      stack = await startStack();
      browser = await launch();
    },
    { timeout: START_MS },
  );

  after(
    async () => {
      await browser?.close();
      await stack?.stop();
    },
    { timeout: TEST_MS },
  );

  afterEach(
    async () => {
      const complaints = people.flatMap((person) => person.complaints);
      await Promise.all(people.map((person) => person.goAway()));
      people = [];
      assert.deepEqual(complaints, [], 'the console must stay clean and the policy unbroken');
    },
    { timeout: TEST_MS },
  );

  const arrive = async (options) => {
    const person = await Person.arrive(browser, stack.site, options);
    people.push(person);
    return person;
  };

  const behaviour = (name, steps) => test(name, { timeout: TEST_MS }, steps);

  /** A name that no other test, and nobody else on this site, has. */
  let names = 0;
  const unique = (name) => `${name}-${process.pid.toString(36)}${Date.now().toString(36)}${(names += 1)}`;

  async function twoInARoom(options) {
    const ann = await arrive(options);
    const bob = await arrive();
    const code = await ann.createRoom('ann');
    await bob.joinRoom(code, 'bob');
    return { ann, bob, code };
  }

  behaviour('two windows create a room, join it by its code and talk both ways', async () => {
    const { ann, bob, code } = await twoInARoom();
    await bob.sees('notice="here"', 'Here when you came: ann.');
    await ann.says('hello bob');
    await bob.hears('hello bob', { from: 'ann' });
    await bob.says('hello ann');
    await ann.hears('hello ann', { from: 'bob' });
    await ann.hears('hello bob');
    const expected = [
      ['ann', 'hello bob'],
      ['bob', 'hello ann'],
    ];
    assert.deepEqual(await ann.conversation(), expected);
    assert.deepEqual(await bob.conversation(), expected);
    assert.equal(await ann.message('hello bob').getAttribute('data-own'), 'true');
    assert.equal(await ann.message('hello ann').getAttribute('data-own'), 'false');
    assert.equal(await bob.one('room-code').textContent(), code);
    assert.equal(await ann.read('draft'), '');
    const time = ann.message('hello bob').locator('time');
    assert.ok(Math.abs(Date.parse(await time.getAttribute('datetime')) - Date.now()) < TEST_MS);
    assert.match(await time.getAttribute('title'), /\d{4}/);
  });

  behaviour('a room is joined with a code in small letters, without its hyphen', async () => {
    const ann = await arrive();
    const bob = await arrive();
    const code = await ann.createRoom('ann');
    await bob.joinRoom(` ${code.toLowerCase().replaceAll('-', ' ')} `, 'bob');
    assert.equal(await bob.one('room-code').textContent(), code);
  });

  behaviour('a shared link fills in the code, and its room shows in the address until one leaves', async () => {
    const ann = await arrive();
    const code = await ann.createRoom('ann');
    assert.equal(new URL(ann.page.url()).hash, `#${code}`);
    const bob = await arrive({ path: `#${code}` });
    await bob.sees('view="welcome"');
    assert.equal(await bob.read('code'), code);
    await bob.type('name', 'bob');
    await bob.one('field="name"').press('Enter');
    await bob.sees('notice="here"', 'ann');
    await bob.press('leave');
    await bob.sees('view="welcome"');
    assert.equal(new URL(bob.page.url()).hash, '');
    assert.equal(await bob.read('name'), 'bob');
  });

  behaviour('code and link are copied by their buttons', async () => {
    const allow = (page) => page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    const ann = await arrive({ prepare: allow });
    const code = await ann.createRoom('ann');
    const copied = async (what, expected) => {
      await ann.one(`what="${what}"`).click();
      await ann.sees(`what="${what}"`, 'Copied');
      assert.equal(await ann.page.evaluate(() => navigator.clipboard.readText()), expected);
    };
    await copied('code', code);
    await copied('link', `${stack.site}#${code}`);
  });

  behaviour('in the lobby a taken name gets a number and both are heard', async () => {
    const name = unique('ann');
    const first = await arrive();
    const second = await arrive();
    await first.enterLobby(name);
    await second.enterLobby(name);
    await second.sees('own-name', `${name}-2`);
    await second.sees('notice="here"', `Someone here is called ${name} already`);
    const hello = unique('hello');
    await second.says(hello);
    await first.hears(hello, { from: `${name}-2` });
    await first.says(`${hello}!`);
    await second.hears(`${hello}!`, { from: name });
  });

  behaviour('what is said in a room is not heard in the lobby, nor in the room after leaving', async () => {
    const { ann, bob } = await twoInARoom();
    const eve = await arrive();
    await eve.enterLobby(unique('eve'));
    await ann.says('secret');
    await bob.hears('secret');
    await bob.press('leave');
    await bob.enterLobby(unique('bob'));
    const marker = unique('marker');
    await bob.says(marker);
    await eve.hears(marker);
    await ann.says('gone');
    await ann.hears('gone');
    assert.ok(!(await eve.conversation()).flat().includes('secret'));
    assert.ok(!(await bob.conversation()).flat().includes('secret'));
    assert.ok(!(await ann.conversation()).flat().includes(marker));
  });

  behaviour('a wrong code is told at the code, and what was typed stays', async () => {
    const ann = await arrive();
    await ann.type('name', 'ann');
    await ann.type('code', 'ZZZZZ-ZZZZZ');
    await ann.press('join');
    await ann.sees('error="code"', /\w/);
    assert.deepEqual([await ann.read('name'), await ann.read('code')], ['ann', 'ZZZZZ-ZZZZZ']);
    assert.equal(await ann.one('field="code"').getAttribute('aria-invalid'), 'true');
    await ann.sees('view="welcome"');
  });

  behaviour('a name taken in the room is told at the name, and another one gets in', async () => {
    const ann = await arrive();
    const other = await arrive();
    const code = await ann.createRoom('ann');
    await other.type('name', 'ANN');
    await other.type('code', code);
    await other.press('join');
    await other.sees('error="name"', /ann/i);
    assert.deepEqual([await other.read('name'), await other.read('code')], ['ANN', code]);
    await other.joinRoom(code, 'anna');
    await other.sees('own-name', 'anna');
  });

  behaviour('a form without a name asks for one', async () => {
    const ann = await arrive();
    await ann.press('create');
    await ann.sees('error="name"');
    await ann.sees('view="welcome"');
  });

  behaviour('markup in names and messages is shown as text and does not run', async () => {
    const name = '<img src=x onerror=alert(1)>';
    const texts = [
      '<script>alert(2)</script>',
      '<b onclick="alert(3)">bold</b> & &lt;',
      'javascript:alert(4)',
      '\u202Egnp.exe\u202C',
    ];
    const ann = await arrive();
    const bob = await arrive();
    const code = await ann.createRoom(name);
    await bob.joinRoom(code, 'bob');
    await bob.sees('notice="here"', name);
    for (const text of texts) await ann.says(text);
    for (const text of texts) await bob.hears(text, { from: name });
    assert.deepEqual(await bob.conversation(), texts.map((text) => [name, text]));
    assert.equal(await bob.page.locator('[data-view="room"] :is(img, script, b)').count(), 0);
  });

  behaviour('Enter sends, Shift+Enter makes a new line, and both survive the way', async () => {
    const { ann, bob } = await twoInARoom();
    const draft = ann.one('field="draft"');
    await draft.pressSequentially('one');
    await draft.press('Shift+Enter');
    await draft.pressSequentially('two');
    assert.equal(await ann.read('draft'), 'one\ntwo');
    await draft.press('Enter');
    await bob.sees('text', 'one');
    assert.deepEqual(await bob.conversation(), [['ann', 'one\ntwo']]);
  });

  behaviour('the counter appears near the limit, and a text beyond it stays in the composer with the reason', async () => {
    const { ann, bob } = await twoInARoom();
    await ann.type('draft', 'x'.repeat(3_400));
    assert.equal(await ann.all('count').count(), 0);
    await ann.says('x'.repeat(4_001));
    await ann.sees('error="draft"', '1 character');
    assert.equal((await ann.read('draft')).length, 4_001);
    await ann.type('draft', '🦀'.repeat(3_990));
    await ann.sees('count', '10 left');
    await ann.says('🦀'.repeat(4_000));
    await bob.hears('🦀'.repeat(4_000));
  });

  behaviour('a dropped connection is told, what is typed meanwhile is kept, and all of it comes back', async () => {
    const wire = new Wire();
    const { ann, bob } = await twoInARoom({ prepare: wire.install });
    await ann.says('before');
    await bob.hears('before');
    await ann.type('draft', 'half a');
    await wire.cut();
    await ann.sees('connection="waiting"', /Reconnecting in \d+ s/);
    assert.equal(await ann.read('draft'), 'half a');
    await ann.says('while away');
    await ann.hears('while away', { status: 'queued' });
    wire.mend();
    await ann.networkReturns();
    await ann.sees(CONNECTED);
    await ann.hears('while away');
    await bob.hears('while away', { from: 'ann' });
    await bob.says('welcome back');
    await ann.hears('welcome back', { from: 'bob' });
    await ann.sees('notice="gap"');
    assert.deepEqual((await ann.conversation()).map(([, text]) => text), ['before', 'while away', 'welcome back']);
    assert.equal((await bob.conversation()).filter(([, text]) => text === 'while away').length, 1);
  });

  behaviour('the connection comes back by itself', async () => {
    const wire = new Wire();
    const { ann, bob } = await twoInARoom({ prepare: wire.install });
    await wire.cut();
    await ann.sees('connection="waiting"');
    wire.mend();
    await ann.sees(CONNECTED);
    await ann.says('here again');
    await bob.hears('here again', { from: 'ann' });
  });

  behaviour('while the own name is still held, as by a half-open connection, the return is tried until it is free', async () => {
    const wire = new Wire();
    const { ann, bob, code } = await twoInARoom({ prepare: wire.install });
    const ghost = await arrive();
    await wire.cut();
    await ghost.type('name', 'ann');
    await ghost.type('code', code);
    await eventually(async () => {
      await ghost.press('join'); // refused until the server has noticed the cut
      await ghost.page.locator(':is([data-view="room"], [data-error="name"]):visible').first().waitFor();
      assert.equal(await ghost.all('view="room"').count(), 1);
    });
    wire.mend();
    await ann.networkReturns();
    await ann.sees('connection="returning"');
    await ghost.press('leave');
    await ann.sees(CONNECTED);
    await ann.says('it is me');
    await bob.hears('it is me', { from: 'ann' });
  });

  for (const [name, frame] of [
    ['a failed function', { message: 'Internal server error', connectionId: 'c', requestId: 'r' }],
    ['a throttled stage', { message: 'Too Many Requests', connectionId: 'c', requestId: 'r' }],
    ['`try-again`', { type: 'error', code: 'try-again', message: 'the server could not do it just now' }],
  ]) {
    behaviour(`${name} leaves the message as not sent, and it can be sent again`, async () => {
      const wire = new Wire();
      const { ann, bob } = await twoInARoom({ prepare: wire.install });
      wire.tamper = ({ type }) => (type === 'message' ? frame : undefined);
      await ann.says('precious');
      await ann.hears('precious', { status: 'unsent' });
      wire.tamper = () => undefined;
      await ann.press('send-again');
      await ann.hears('precious');
      await bob.hears('precious');
      assert.equal((await ann.conversation()).length, 1);
      assert.equal((await bob.conversation()).length, 1);
    });
  }

  behaviour('leaving with something unsent asks first', async () => {
    const ann = await arrive();
    await ann.createRoom('ann');
    await ann.type('draft', 'not done');
    await ann.press('leave');
    await ann.sees('banner="leave"', 'not sent');
    await ann.press('stay');
    assert.equal(await ann.read('draft'), 'not done');
    await ann.press('leave');
    await ann.press('leave-anyway');
    await ann.sees('view="welcome"');
  });

  behaviour('a reload comes back into the room with the draft; the name is remembered', async () => {
    const { ann, bob } = await twoInARoom();
    await ann.type('draft', 'still typing');
    await ann.page.reload();
    await ann.sees('view="room"');
    await ann.sees(CONNECTED);
    assert.equal(await ann.read('draft'), 'still typing');
    await ann.one('field="draft"').press('Enter');
    await bob.hears('still typing', { from: 'ann' });
    await ann.press('leave');
    await ann.page.reload();
    await ann.sees('view="welcome"');
    assert.equal(await ann.read('name'), 'ann');
  });

  behaviour('a browser that forbids storage chats all the same', async () => {
    const forbid = (page) =>
      page.addInitScript(() => {
        const refuse = () => {
          throw new DOMException('storage is forbidden', 'SecurityError');
        };
        for (const area of ['localStorage', 'sessionStorage']) Object.defineProperty(window, area, { get: refuse });
      });
    const { ann, bob } = await twoInARoom({ prepare: forbid });
    await ann.says('hi');
    await bob.hears('hi');
  });

  behaviour('a missing or bad config.json is told in words, and mended by trying again', async () => {
    let answer = { status: 200, body: '{"server":7}' };
    const serve = (route) => (answer ? route.fulfill(answer) : route.continue());
    const ann = await arrive({ prepare: (page) => page.route('**/config.json', serve) });
    await ann.sees('broken', 'config.json has no “server”');
    answer = { status: 404, body: 'no' };
    await ann.press('load');
    await ann.sees('broken', 'config.json is missing here');
    answer = null;
    await ann.press('load');
    await ann.sees('view="welcome"');
    await ann.sees(CONNECTED);
    // Chromium itself reports the 404 that this test made.
    ann.complaints = ann.complaints.filter((complaint) => !complaint.includes('404'));
  });

  behaviour('the view follows new messages only for a reader at the bottom, and offers the way down', async () => {
    const wire = new Wire();
    const { ann, bob } = await twoInARoom({ prepare: wire.install });
    for (let i = 0; i < 40; i += 1) await bob.says(`line ${i}`);
    await ann.hears('line 39');
    const log = ann.one('log');
    const fromBottom = () =>
      log.evaluate(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight);
    assert.ok((await fromBottom()) < 2);
    await log.hover();
    await ann.page.mouse.wheel(0, -100_000);
    await eventually(async () => assert.equal(await log.evaluate(({ scrollTop }) => scrollTop), 0));
    await bob.says('news');
    await ann.sees('action="to-bottom"', '1 new message');
    assert.equal(await log.evaluate(({ scrollTop }) => scrollTop), 0);
    await ann.press('to-bottom');
    await eventually(async () => assert.ok((await fromBottom()) < 2));
    await ann.all('action="to-bottom"').waitFor({ state: 'detached' });
  });

  behaviour('a new message costs the page the same below a thousand others as below none', async () => {
    const wire = new Wire();
    const { ann } = await twoInARoom({ prepare: wire.install });
    const room = await ann.one('room-code').textContent();
    const line = (i) => ({ type: 'message', room, from: 'bob', text: `m${i}`, at: Date.now() });
    const flood = (from, count) => Array.from({ length: count }, (_, i) => line(from + i));
    await wire.inject(flood(0, 1_000));
    await ann.hears('m999');
    assert.ok((await ann.page.locator('[data-messages] > li').count()) <= 500);
    await ann.page.evaluate(() => {
      window.changes = 0;
      new MutationObserver((records) => {
        window.changes += records.length;
      }).observe(document.querySelector('[data-messages]'), {
        subtree: true,
        childList: true,
        attributes: true,
        characterData: true,
      });
    });
    await wire.inject(flood(1_000, 1));
    await ann.hears('m1000');
    assert.ok((await ann.page.evaluate(() => window.changes)) < 15);
  });

  for (const width of [320, 390, 1280]) {
    behaviour(`nothing is wider than a window of ${width} px`, async () => {
      const ann = await arrive({ viewport: { width, height: 640 } });
      await ann.sees(CONNECTED);
      assert.equal(await ann.overflow(), 0);
      const name = 'W'.repeat(32);
      await ann.createRoom(name);
      assert.equal(await ann.overflow(), 0);
      await ann.says('w'.repeat(500));
      await ann.hears('w'.repeat(500));
      await ann.says(`${'wide words '.repeat(40)}end`);
      await ann.hears(`${'wide words '.repeat(40)}end`);
      assert.equal(await ann.overflow(), 0);
      const log = await ann.one('log').evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth);
      assert.equal(log, 0);
    });
  }

  behaviour('the whole way works from the keyboard alone', async () => {
    const ann = await arrive();
    await ann.sees(CONNECTED);
    await ann.one('field="name"').focus();
    await ann.page.keyboard.type('ann');
    await ann.page.keyboard.press('Enter');
    await ann.page.keyboard.press('Enter');
    await ann.sees('view="room"');
    await eventually(async () => {
      assert.equal(await ann.page.evaluate(() => document.activeElement.dataset.field), 'draft');
    });
    await ann.page.keyboard.type('by keyboard');
    await ann.page.keyboard.press('Enter');
    await ann.hears('by keyboard');
  });

  for (const [device, viewport] of [['phone', PHONE], ['desktop', DESKTOP]]) {
    for (const colorScheme of ['light', 'dark']) {
      behaviour(`pictures: ${device}, ${colorScheme}`, async () => {
        const ann = await arrive({ viewport, colorScheme });
        const bob = await arrive({ viewport, colorScheme });
        const take = (person, name) => screenshot(person, `${name}-${viewport.width}x${viewport.height}-${colorScheme}`);
        await ann.sees(CONNECTED);
        await take(ann, 'welcome');
        const code = await ann.createRoom('Ann');
        await bob.joinRoom(code, 'Bob');
        const lines = [
          [bob, 'Hi Ann! I only typed the code you read to me.'],
          [ann, 'That was quick. Can you see this on your phone too?'],
          [bob, 'Yes, right here.'],
          [bob, 'Nothing to install, no account. What is behind it?'],
          [ann, 'Three small functions, one table and a page.\nNo server of ours that has to run.'],
          [bob, 'And it takes any language? Привет, שלום, مرحبا'],
          [ann, 'Any. I will send the link to the others.'],
        ];
        for (const [person, text] of lines) {
          await person.says(text);
          for (const reader of [ann, bob]) await reader.sees('text', text.slice(0, 20));
        }
        await ann.hears(lines.at(-1)[1]);
        await take(ann, 'room');
      });
    }
  }
});

/** Runs `check` until it no longer throws, or its last error when the time is up. */
async function eventually(check, { ms = 60_000 } = {}) {
  const end = Date.now() + ms;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
