// The page in Chromium, against a running stack, used as people use it.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { DESKTOP, Guests, launch, Person, PHONE, screenshot, Wire } from './browser.mjs';
import { startStack } from './stack.mjs';

const TEST_MS = 10 * 60_000; // a safety net: it measures nothing
const START_MS = 11 * 60_000;
const CONNECTED = 'connection="connected"';

describe('the page', { timeout: 90 * 60_000 }, () => {
  let stack;
  let browser;
  const guests = new Guests();

  before(
    async () => {
      // One of them fills a room with thousands of messages.
      stack = await startStack(['--messages-per-second', '0']);
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

  afterEach(() => guests.leave(), { timeout: TEST_MS });

  const arrive = (options) => guests.arrive(browser, stack.site, options);

  const behaviour = (name, steps, timeout = TEST_MS) => test(name, { timeout }, steps);

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

  behaviour('who made a room puts somebody out of it, who is told and does not come back', async () => {
    const { ann, bob } = await twoInARoom();
    const remove = ann.page.getByRole('button', { name: 'Remove bob', exact: true });
    assert.equal(await bob.page.getByRole('button', { name: 'Remove' }).count(), 0);
    await ann.says('before');
    await bob.hears('before');
    ann.answers = ['dismiss', 'accept'];
    await remove.click();
    await ann.says('after all');
    await bob.hears('after all');
    await remove.click();
    await bob.sees('trouble', 'Who made this room has removed you from it.');
    await ann.all('member="bob"').waitFor({ state: 'detached' });
    await bob.press('rejoin');
    await bob.sees('trouble', "The room's creator has removed you from this room.");
    await bob.hears('before');
    await ann.page.reload();
    const cat = await arrive();
    await cat.joinRoom(await ann.all('room-code').textContent(), 'cat');
    await ann.page.getByRole('button', { name: 'Remove cat', exact: true }).waitFor();
  });

  behaviour('two windows create a room, join it by its code and talk both ways', async () => {
    const { ann, bob, code } = await twoInARoom();
    await bob.sees('notice="here"', '2 are here');
    assert.deepEqual(await bob.all('member').allTextContents(), ['ann', 'bob (you)']);
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

  behaviour('the socket is of the page’s own origin', async () => {
    const sockets = [];
    const prepare = (page) => page.on('websocket', (socket) => sockets.push(socket.url()));
    const ann = await arrive({ prepare });
    await ann.createRoom('ann');
    const { server } = await (await fetch(new URL('config.json', stack.site))).json();
    assert.match(server, /^\/[a-z0-9-]+$/, 'a path alone');
    assert.deepEqual(sockets, [stack.site.replace(/^http/, 'ws') + server.slice(1)]);
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
    assert.equal(new URL(ann.page.url()).hash, `#room=${code}`);
    const bob = await arrive({ path: `#room=${code}` });
    await bob.sees('view="welcome"');
    assert.equal(await bob.read('code'), code);
    await bob.type('name', 'bob');
    await bob.one('field="name"').press('Enter');
    await bob.sees('member="ann"');
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
      const seen = ann.sees(`what="${what}"`, 'Copied'); // it is there for some seconds
      await ann.one(`what="${what}"`).click();
      await seen;
      assert.equal(await ann.page.evaluate(() => navigator.clipboard.readText()), expected);
    };
    await copied('code', code);
    await copied('link', `${stack.site}#room=${code}`);
  });

  behaviour('where a browser can share and notify, it is asked on a click and not before', async () => {
    const able = (page) =>
      page.addInitScript(() => {
        window.shared = [];
        window.asked = 0;
        window.notified = [];
        navigator.share = async ({ url }) => window.shared.push(url);
        window.Notification = class {
          static async requestPermission() {
            window.asked += 1;
            return 'granted';
          }

          constructor(title, { body }) {
            window.notified.push([title, body]);
          }
        };
      });
    const { ann, bob, code } = await twoInARoom({ prepare: able });
    await ann.press('share');
    await bob.says('seen');
    await ann.hears('seen');
    const told = () => ann.page.evaluate(() => [window.shared, window.asked, window.notified]);
    assert.deepEqual(await told(), [[`${stack.site}#room=${code}`], 0, []]);
    await ann.press('notify');
    await ann.sees('action="notify"', 'Notifying you');
    await ann.page.evaluate(() => {
      Object.defineProperty(document, 'hidden', { get: () => true });
      document.dispatchEvent(new Event('visibilitychange'));
    });
    await bob.says('psst');
    await ann.hears('psst');
    await eventually(async () => assert.deepEqual((await told()).slice(1), [1, [[`bob · ${code}`, 'psst']]]));
    await eventually(async () => assert.equal(await ann.page.title(), `(1) ${code} · Chat`));
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
    await bob.all('member').filter({ hasText: name }).waitFor();
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

  behaviour('a dropped connection is told, what is typed meanwhile is kept, and nothing that was said is missed', async () => {
    const wire = new Wire();
    const { ann, bob } = await twoInARoom({ prepare: wire.install });
    await ann.says('before');
    await bob.hears('before');
    await ann.type('draft', 'half a');
    await wire.cut();
    await ann.sees('connection="waiting"', /Connection lost.*Next try in \d+ s/);
    assert.equal(await ann.read('draft'), 'half a');
    await ann.says('while away');
    await ann.hears('while away', { status: 'queued' });
    await bob.says('can you hear me?');
    await bob.hears('can you hear me?');
    wire.mend();
    const caughtUp = ann.sees('connection="caught-up"', 'caught up'); // it is there for some seconds
    await ann.networkReturns();
    await caughtUp;
    await ann.hears('can you hear me?', { from: 'bob' });
    await bob.hears('while away', { from: 'ann' });
    await ann.sees(CONNECTED);
    const texts = ['before', 'can you hear me?', 'while away'];
    for (const person of [ann, bob]) assert.deepEqual((await person.conversation()).map(([, text]) => text), texts);
  });

  behaviour('a network that fails again and again in the middle of a conversation loses and doubles nothing', async () => {
    const wire = new Wire();
    const { ann, bob } = await twoInARoom({ prepare: wire.install });
    const texts = [];
    const say = async (person, text) => {
      texts.push(text);
      await person.says(text);
    };
    for (let round = 0; round < 5; round += 1) {
      for (let i = 0; i < 4; i += 1) {
        await say(ann, `ann ${round}.${i}`);
        await say(bob, `bob ${round}.${i}`);
      }
      await ann.context.setOffline(true);
      await wire.cut();
      await ann.sees('connection="offline"', 'You are offline.');
      await say(ann, `ann ${round} offline`);
      await say(bob, `bob ${round} alone`);
      wire.mend();
      await ann.context.setOffline(false); // the browser tells the page
    }
    for (const person of [ann, bob]) {
      await eventually(async () => assert.equal(await person.all('status="sent"').count(), texts.length));
    }
    const conversation = await ann.conversation();
    assert.deepEqual(await bob.conversation(), conversation, 'both in the same order');
    assert.deepEqual(conversation.map(([, text]) => text).sort(), texts.sort(), 'each once');
    for (const name of ['ann', 'bob']) {
      const own = texts.filter((text) => text.startsWith(name));
      assert.deepEqual(conversation.filter(([from]) => from === name).map(([, text]) => text).sort(), own.sort());
    }
  });

  behaviour('a connection that is dead without a word is found out, and what was said on it arrives', async () => {
    const wire = new Wire();
    const { ann, bob } = await twoInARoom({ prepare: wire.install });
    await ann.page.clock.install();
    wire.fallSilent();
    await ann.says('into the void');
    await ann.hears('into the void', { status: 'sending' });
    await bob.says('nobody?');
    wire.mend();
    await ann.page.clock.fastForward(16_000); // the answer's deadline
    await ann.page.clock.fastForward(2_000);
    await bob.hears('into the void', { from: 'ann' });
    await ann.hears('nobody?', { from: 'bob' });
    assert.equal((await bob.conversation()).length, 2);
  });

  behaviour('a last message that was lost on its way is found when somebody looks', async () => {
    const wire = new Wire();
    const { ann, bob } = await twoInARoom({ prepare: wire.install });
    await ann.page.clock.install();
    wire.fallSilent();
    await bob.says('lost');
    await bob.hears('lost');
    wire.mend();
    await ann.page.clock.fastForward(60_000);
    await ann.page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
    const heard = (type) => wire.heard.some((frame) => frame.type === type);
    await eventually(async () => assert.ok(heard('pong')));
    await eventually(async () => {
      // A gap's time. While the answer is on its way the clock goes as it does.
      if (!wire.sent.some(({ type }) => type === 'history')) await ann.page.clock.fastForward(1_000);
      assert.equal(await ann.message('lost').count(), 1);
    });
    assert.deepEqual(wire.sent.filter(({ type }) => type === 'ping' || type === 'history').map(({ type }) => type), ['ping', 'history']);
  });

  behaviour('that somebody came is found out likewise when nobody was told', async () => {
    const wire = new Wire();
    const { ann, code } = await twoInARoom({ prepare: wire.install });
    await ann.sees('member="bob"');
    await ann.page.clock.install();
    wire.fallSilent();
    const cat = await arrive();
    await cat.joinRoom(code, 'cat');
    wire.mend();
    assert.equal(await ann.all('member="cat"').count(), 0);
    await ann.page.clock.fastForward(60_000);
    await ann.page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
    await ann.sees('member="cat"');
    await ann.sees('notice="presence"', 'cat came');
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

  behaviour('while somebody else holds the name the return is tried until it is free', async () => {
    const wire = new Wire();
    const { ann, bob, code } = await twoInARoom({ prepare: wire.install });
    const other = await arrive();
    await wire.cut();
    await other.type('name', 'ann');
    await other.type('code', code);
    await eventually(async () => {
      await other.press('join'); // refused until the server has noticed the cut
      await other.page.locator(':is([data-view="room"], [data-error="name"]):visible').first().waitFor();
      assert.equal(await other.all('view="room"').count(), 1);
    });
    wire.mend();
    await ann.networkReturns();
    await ann.sees('connection="returning"');
    await other.press('leave');
    await ann.sees(CONNECTED);
    await ann.says('it is me');
    await bob.hears('it is me', { from: 'ann' });
  });

  for (const [name, frame] of [
    ['a failed function', { message: 'Internal server error', connectionId: 'c', requestId: 'r' }],
    ['a throttled stage', { message: 'Too Many Requests', connectionId: 'c', requestId: 'r' }],
    ['`try-again`', { type: 'error', code: 'try-again', message: 'the server could not do it just now' }],
  ]) {
    behaviour(`after ${name} the message goes out again by itself, and is said once`, async () => {
      const wire = new Wire();
      const { ann, bob } = await twoInARoom({ prepare: wire.install });
      let failures = 1;
      wire.tamper = ({ type }) => (type === 'message' && failures-- > 0 ? frame : undefined);
      await ann.says('precious');
      await ann.hears('precious');
      await bob.hears('precious');
      const ids = wire.sent.filter(({ type }) => type === 'message').map(({ id }) => id);
      assert.deepEqual([ids.length, new Set(ids).size], [2, 1]);
      for (const person of [ann, bob]) assert.equal((await person.conversation()).length, 1);
    });
  }

  behaviour('what fails for good says so and why, and can be sent again or discarded', async () => {
    const wire = new Wire();
    const { ann, bob } = await twoInARoom({ prepare: wire.install });
    const frame = { type: 'error', code: 'bad-text', message: '`text` is not to its taste' };
    wire.tamper = ({ type }) => (type === 'message' ? frame : undefined);
    for (const text of ['first', 'second']) {
      await ann.says(text);
      await ann.hears(text, { status: 'unsent' });
    }
    await ann.sees('reason', '“text” is not to its taste.');
    await ann.message('first').locator('[data-action="discard"]').click();
    wire.tamper = () => undefined;
    await ann.press('send-again');
    await ann.hears('second');
    await bob.hears('second');
    assert.deepEqual(await bob.conversation(), [['ann', 'second']]);
    assert.deepEqual(await ann.conversation(), [['ann', 'second']]);
  });

  behaviour('three see who comes, types, changes their name and leaves', async () => {
    const { ann, bob, code } = await twoInARoom();
    await ann.sees('member="bob"');
    const cat = await arrive();
    await cat.joinRoom(code, 'cat');
    for (const person of [ann, bob]) {
      await person.sees('member="cat"');
      await person.sees('notice="presence"', 'cat came');
    }
    const seen = [ann, bob].map((person) => person.sees('typing', 'cat is typing…')); // it is there for some seconds
    await cat.one('field="draft"').pressSequentially('he');
    await Promise.all(seen);
    await cat.says('hello');
    for (const person of [ann, bob]) {
      await person.hears('hello', { from: 'cat' });
      await person.all('typing').filter({ hasText: 'cat' }).waitFor({ state: 'detached' });
    }
    await cat.press('rename');
    await cat.type('rename', 'BOB');
    await cat.press('take-name');
    await cat.sees('error="rename"', /bob/i);
    await cat.type('rename', 'catherine');
    await cat.one('field="rename"').press('Enter');
    await cat.sees('own-name', 'catherine');
    for (const person of [ann, bob]) {
      await person.sees('notice="presence"', 'cat is catherine now');
      await person.sees('member="catherine"');
    }
    await cat.says('me again');
    await ann.hears('me again', { from: 'catherine' });
    assert.equal(await cat.message('hello').getAttribute('data-own'), 'true');
    await cat.press('leave');
    for (const person of [ann, bob]) {
      await person.sees('notice="presence"', 'catherine left');
      await person.all('member="catherine"').waitFor({ state: 'detached' });
    }
  });

  behaviour('one who comes later reads what was said before', async () => {
    const ann = await arrive();
    const code = await ann.createRoom('ann');
    await ann.sees('notice="here"', 'You are the first one here.');
    for (const text of ['one', 'two']) await ann.says(text);
    await ann.hears('two');
    const bob = await arrive();
    await bob.joinRoom(code, 'bob');
    await bob.hears('two', { from: 'ann' });
    assert.deepEqual(await bob.conversation(), [['ann', 'one'], ['ann', 'two']]);
    assert.equal(await bob.page.title(), `${code} · Chat`);
  });

  behaviour('links are made of addresses alone, open apart, and tell nobody where they were clicked', async () => {
    const { ann, bob } = await twoInARoom();
    await ann.says('see https://example.org/a_(b)?q=1. and (http://example.net), not javascript:alert(1)');
    await bob.sees('text', 'see');
    const links = bob.page.locator('[data-text] a');
    assert.deepEqual(await links.allTextContents(), ['https://example.org/a_(b)?q=1', 'http://example.net']);
    for (const link of await links.all()) {
      assert.deepEqual([await link.getAttribute('rel'), await link.getAttribute('target')], ['noopener noreferrer', '_blank']);
    }
  });

  behaviour('a screen reader hears what is said by others, and neither the past nor oneself', async () => {
    const ann = await arrive();
    const code = await ann.createRoom('ann');
    await ann.says('long ago');
    await ann.hears('long ago');
    const bob = await arrive();
    await bob.joinRoom(code, 'bob');
    await bob.hears('long ago');
    const news = bob.page.locator('[data-announce="news"]');
    assert.equal(await news.textContent(), '');
    await bob.says('mine');
    await bob.hears('mine');
    assert.equal(await news.textContent(), '');
    await ann.says('hello bob');
    await bob.hears('hello bob');
    await eventually(async () => assert.equal(await news.textContent(), 'ann: hello bob'));
    assert.equal(await bob.one('log').getAttribute('aria-live'), 'off');
  });

  behaviour('a tab that is duplicated does not take its twin’s place', async () => {
    const { ann, bob } = await twoInARoom();
    const [twin] = await Promise.all([
      ann.context.waitForEvent('page'),
      ann.page.evaluate(() => {
        window.open(location.href); // takes a copy of the session along
      }),
    ]);
    await twin.locator('[data-view="welcome"]:visible').waitFor();
    assert.equal(await twin.locator('[data-field="name"]').inputValue(), 'ann');
    await twin.close();
    await ann.says('still me');
    await bob.hears('still me', { from: 'ann' });
    assert.equal(await ann.one('view="room"').getAttribute('data-room-status'), 'in');
  });

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

  behaviour('a reload comes back as the same member, with the draft and what was not sent', async () => {
    const wire = new Wire();
    const { ann, bob } = await twoInARoom({ prepare: wire.install });
    await ann.says('before');
    await ann.hears('before');
    await wire.cut();
    await ann.says('unsent');
    await ann.hears('unsent', { status: 'queued' });
    await ann.type('draft', 'still typing');
    wire.mend();
    await ann.page.reload();
    await ann.sees('view="room"');
    await ann.sees(CONNECTED);
    assert.equal(await ann.read('draft'), 'still typing');
    await ann.hears('unsent');
    await ann.one('field="draft"').press('Enter');
    await bob.hears('still typing', { from: 'ann' });
    const texts = ['before', 'unsent', 'still typing'];
    for (const person of [ann, bob]) assert.deepEqual(await person.conversation(), texts.map((text) => ['ann', text]));
    assert.deepEqual(await ann.all('own="true"').count(), 3);
    await ann.press('leave');
    await ann.page.reload();
    await ann.sees('view="welcome"');
    assert.equal(await ann.read('name'), 'ann');
  });

  behaviour('what was typed in a room is still there after a visit to another', async () => {
    const ann = await arrive();
    const code = await ann.createRoom('ann');
    await ann.type('draft', 'to be continued');
    await ann.page.goto('about:blank');
    await ann.page.goto(`${stack.site}#room=ABCDE-FGHJK`);
    await ann.sees('view="welcome"');
    assert.equal(await ann.read('code'), 'ABCDE-FGHJK');
    await ann.page.goto('about:blank');
    await ann.page.goto(`${stack.site}#room=${code}`);
    await ann.sees('view="room"');
    assert.equal(await ann.read('draft'), 'to be continued');
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
    await eventually(async () => assert.ok((await fromBottom()) < 2));
    await log.hover();
    await ann.page.mouse.wheel(0, -100_000);
    await eventually(async () => assert.equal(await log.evaluate(({ scrollTop }) => scrollTop), 0));
    await bob.says('news');
    await ann.sees('action="to-bottom"', '1 new message');
    assert.equal(await log.evaluate(({ scrollTop }) => scrollTop), 0);
    await eventually(async () => assert.match(await ann.page.title(), /^\(1\) /));
    await ann.press('to-bottom');
    await eventually(async () => assert.ok((await fromBottom()) < 2));
    await ann.all('action="to-bottom"').waitFor({ state: 'detached' });
    await eventually(async () => assert.doesNotMatch(await ann.page.title(), /^\(/));
  });

  behaviour('thousands of messages scroll without a jump or a halt, and a new one costs the same below them', async (t) => {
    const COUNT = Number(process.env.MESSAGES ?? 5_000);
    const ann = await arrive();
    const code = await ann.createRoom('ann');
    await fill(ann, code, COUNT);
    const bob = await arrive({ prepare: (page) => page.addInitScript(watchTasks) });
    await bob.joinRoom(code, 'bob');
    await bob.sees('text', 'line ');
    const log = bob.one('log');
    const worked = await processorTime(bob.page);
    await bob.page.evaluate(() => window.tasks.splice(0));
    const steps = [];
    for (let isDone = false; !isDone; ) {
      await worked();
      const { moved, begins } = await log.evaluate(loadOlder);
      steps.push(await worked());
      assert.ok(moved < 2, `what one reads moved by ${moved} px`);
      isDone = begins;
    }
    assert.equal(await bob.page.locator('[data-message]').count(), COUNT);
    const loading = await bob.page.evaluate(() => window.tasks.splice(0));
    await log.hover();
    await worked();
    for (let i = 0; i < 40; i += 1) {
      await bob.page.mouse.wheel(0, COUNT / 2);
      steps.push(await worked());
    }
    await eventually(async () => assert.ok((await log.evaluate(({ scrollTop }) => scrollTop)) > COUNT * 10));
    const scrolling = await bob.page.evaluate(() => window.tasks.splice(0));
    await bob.page.evaluate(() => {
      window.changes = 0;
      new MutationObserver((records) => {
        window.changes += records.length;
      }).observe(document.querySelector('[data-messages]'), { subtree: true, childList: true, attributes: true, characterData: true });
    });
    await worked();
    await ann.says('news');
    await bob.sees('action="to-bottom"', '1 new message');
    steps.push(await worked());
    assert.ok((await bob.page.evaluate(() => window.changes)) < 15);
    await bob.press('to-bottom');
    await bob.message('news').waitFor();
    const arriving = await bob.page.evaluate(() => window.tasks.splice(0));
    const longest = Math.max(0, ...loading, ...scrolling, ...arriving);
    const counts = `${loading.length} while they load, ${scrolling.length} while they scroll, ${arriving.length} for a new one`;
    t.diagnostic(`${COUNT} messages, long tasks: ${counts}; the longest ${longest} ms`);
    // How long a task is depends on who else is at the processor; what it takes of it, on the page alone.
    const most = Math.round(Math.max(...steps));
    t.diagnostic(`processor time of a step at most ${most} ms`);
    assert.ok(most < 500, `a step of ${most} ms`);
  }, 2 * TEST_MS);

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

  for (const colorScheme of ['light', 'dark']) {
    for (const [device, viewport] of [['phone', PHONE], ['desktop', DESKTOP]]) {
      behaviour(`every screen is accessible, and has its picture taken: ${device}, ${colorScheme}`, async () => {
        const wire = new Wire();
        const ann = await arrive({ viewport, colorScheme, prepare: wire.install });
        const screen = async (person, name) => {
          assert.deepEqual(await person.violations(), [], name);
          await screenshot(person, `${name}-${viewport.width}x${viewport.height}-${colorScheme}`);
        };
        await ann.sees(CONNECTED);
        await screen(ann, 'entrance');
        const code = await ann.createRoom('Ann');
        await ann.sees('notice="here"', 'first one');
        await screen(ann, 'alone');
        const others = {};
        for (const name of ['Jonas', 'Mara', 'Yuki', 'عمر']) {
          others[name] = await arrive();
          await others[name].joinRoom(code, name);
        }
        others.Ann = ann;
        for (const [name, text] of [
          ['Jonas', 'Who has time to look at the poster before we print it?'],
          ['Yuki', 'Me! Send it over.'],
          ['Yuki', 'Here is what the printer wants: https://example.org/poster.html (A2, 300 dpi)'],
          ['Ann', 'I can, after lunch.\nWhen does it have to be there?'],
          ['Mara', '🎉'],
          ['عمر', 'مرحبا! سأكون هناك في الساعة 5'],
          ['Jonas', 'By five. Bring the Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft drawings.'],
          ['Ann', 'Perfect, see you all then 👋'],
        ]) {
          await others[name].says(text);
          for (const reader of [ann, others[name]]) await reader.sees('text', text.split('\n')[0]);
          await others[name].all('status="sending"').waitFor({ state: 'detached' });
        }
        const typing = ann.sees('typing', 'Yuki'); // it is there for some seconds
        await others.Yuki.one('field="draft"').pressSequentially('O');
        await typing;
        await screen(ann, 'room');
        await ann.press('rename');
        await screen(ann, 'rename');
        await ann.press('keep-name');
        if (device === 'phone') {
          await ann.press('panel');
          await screen(ann, 'people');
          await ann.press('panel');
        }
        await wire.cut();
        await ann.page.evaluate(() => window.dispatchEvent(new Event('offline')));
        await ann.says('This one waits until the train leaves the tunnel.');
        await ann.sees('connection="offline"');
        await ann.sees('status-words', 'Waiting to send');
        await screen(ann, 'offline');
        wire.tamper = ({ type }) => (type === 'message' ? { type: 'error', code: 'bad-text', message: 'it was refused' } : undefined);
        wire.mend();
        await ann.networkReturns();
        await ann.sees('reason');
        await ann.press('leave');
        await ann.sees('banner="leave"');
        await screen(ann, 'unsent');
        const late = await arrive({ viewport, colorScheme, path: `#room=${code}` });
        await late.type('name', 'mara');
        await late.press('join');
        await late.sees('error="name"');
        await screen(late, 'error');
      });
    }
  }

  behaviour('the page is small, asks for little, and the first message is there soon', async (t) => {
    const { ann } = await twoInARoom();
    await ann.says('hello');
    await ann.hears('hello');
    await ann.page.addInitScript(() => {
      new MutationObserver((_, observer) => {
        if (!document.querySelector('[data-message]')) return;
        window.firstMessageMs = performance.now();
        observer.disconnect();
      }).observe(document, { subtree: true, childList: true });
    });
    let requests = 0;
    ann.page.on('request', () => {
      requests += 1;
    });
    await ann.page.reload();
    await ann.hears('hello');
    const first = await ann.page.evaluate(() => window.firstMessageMs);
    t.diagnostic(`${requests} requests, first message after ${Math.round(first)} ms`);
    assert.ok(requests <= 16, `${requests} requests`);
    // It is some 200 ms; the rest is for a machine that is busy.
    assert.ok(first < 30_000, `${first} ms`);
  });
});

describe('the page on a bad day of the cloud', { timeout: 45 * 60_000, skip: Boolean(process.env.SITE) }, () => {
  test('everyone has the same conversation in the end, nothing lost or doubled', { timeout: 3 * START_MS }, async (t) => {
    const faults = ['crash=2%', 'lose-post=5%', 'server-error=3%', 'throttle=5%', 'reorder=100ms', 'lose-disconnect=20%', 'gone=1%'];
    const stack = await startStack([...faults.flatMap((fault) => ['--fault', fault]), '--seed', '6']);
    const browser = await launch();
    try {
      const names = ['ann', 'bob', 'cat'];
      const people = [];
      const ann = await Person.arrive(browser, stack.site);
      people.push(ann);
      const code = await insisting(ann, 'create', async () => {
        await ann.type('name', 'ann');
        await ann.press('create');
      });
      for (const name of names.slice(1)) {
        const person = await Person.arrive(browser, stack.site);
        people.push(person);
        await insisting(person, 'join', async () => {
          await person.type('name', name);
          await person.type('code', code);
          await person.press('join');
        });
      }
      const said = [];
      for (let i = 0; i < 25; i += 1) {
        for (const [who, person] of people.entries()) {
          said.push(`${names[who]} ${i}`);
          await person.says(said.at(-1));
        }
        if (i % 8 === 4) await people[i % 3].page.reload();
      }
      await eventually(
        async () => {
          for (const person of people) {
            for (const again of await person.all('action="send-again"').all()) await again.click();
            // Who looks at the page again finds a last message that was lost.
            await person.page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
            await person.one('log').evaluate((log) => log.scrollTo(0, 0)); // for what is older than a reload's first page
            assert.equal(await person.all('status="sent"').count(), said.length);
          }
        },
        { ms: 8 * 60_000 },
      );
      const conversations = await Promise.all(people.map((person) => person.conversation()));
      assert.deepEqual(conversations[0].map(([, text]) => text).sort(), [...said].sort(), 'each once');
      for (const conversation of conversations) {
        assert.deepEqual(conversation, conversations[0], 'the same order for all');
        for (const name of names) {
          const own = said.filter((text) => text.startsWith(name));
          assert.deepEqual(conversation.map(([, text]) => text).filter((text) => text.startsWith(name)), own, 'in the order said');
        }
      }
      t.diagnostic(`${said.length} messages`);
    } finally {
      await browser.close();
      await stack.stop();
    }
  });

  /** Presses again as a person would, until the room opens. Its code. */
  async function insisting(person, action, fillIn) {
    await eventually(async () => {
      await fillIn();
      await person.page.locator(':is([data-view="room"], [data-error="form"], [data-error="name"]):visible').first().waitFor();
      assert.equal(await person.all('view="room"').count(), 1);
    });
    return person.one('room-code').textContent();
  }
});

/** Says `count` lines in a room through sockets of the page's own address, many at a time. */
async function fill({ page }, room, count) {
  await page.evaluate(
    async ({ room, count, writers }) => {
      const { server } = await (await fetch('config.json')).json();
      let next = 1;
      const write = (_, number) =>
        new Promise((resolve, reject) => {
          const socket = new WebSocket(server);
          const id = () => `w${number}-${next}`;
          let wanted = null;
          const say = () => {
            if (next > count) {
              socket.close();
              resolve();
              return;
            }
            wanted = { type: 'message', room, id: id(), text: `line ${next}.` };
            next += 1;
            socket.send(JSON.stringify(wanted));
          };
          socket.onopen = () => socket.send(JSON.stringify({ type: 'join', room, name: `writer${number}` }));
          socket.onerror = () => reject(new Error('a writer lost its connection'));
          socket.onmessage = ({ data }) => {
            const frame = JSON.parse(data);
            if (frame.type === 'joined' || (frame.type === 'message' && frame.id === wanted?.id)) say();
            else if (frame.type === 'error') socket.send(JSON.stringify(wanted));
          };
        });
      await Promise.all(Array.from({ length: writers }, write));
    },
    { room, count, writers: 2 }, // more would be in each other's way
  );
}

/** How many ms of processor time the page's main thread has taken since the last call. */
async function processorTime(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  let before = 0;
  return async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    const now = metrics.find(({ name }) => name === 'TaskDuration').value * 1_000;
    const since = now - before;
    before = now;
    return since;
  };
}

/** Runs in the page: the lengths of tasks that block it, in ms, as Chromium counts them. */
function watchTasks() {
  window.tasks = [];
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) window.tasks.push(Math.round(duration));
  }).observe({ type: 'longtask', buffered: true });
}

/** Runs in the page: goes up until older messages come, and tells by how much that moved what one reads. */
async function loadOlder(scroller) {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const count = () => scroller.querySelectorAll('[data-message]').length;
  const begins = () => scroller.querySelector('[data-top]').textContent === 'The beginning';
  const end = performance.now() + 120_000;
  scroller.scrollTop = 300;
  await frame();
  const edge = scroller.getBoundingClientRect().top;
  const read = [...scroller.querySelectorAll('[data-message]')].find((node) => node.getBoundingClientRect().bottom > edge);
  const { top } = read.getBoundingClientRect();
  const before = count();
  while (count() === before && !begins()) {
    if (performance.now() > end) throw new Error('nothing older came');
    await frame();
  }
  return { moved: Math.abs(read.getBoundingClientRect().top - top), begins: begins() };
}

/** Runs `check` until it no longer throws, or its last error when the time is up. */
async function eventually(check, { ms = 120_000 } = {}) {
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
