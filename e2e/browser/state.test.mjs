// The pure state of the page, driven as the world drives it: people, server frames, the clock.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MESSAGES_MAX, TEXT_MAX } from '../../wwwroot/conversation.js';
import { busyAction } from '../../wwwroot/entrance.js';
import { backoffMs } from '../../wwwroot/link.js';
import { initial, remembered, update, wakeAt } from '../../wwwroot/state.js';
import { codeFrom, connectionNews, connectionWords, sameCode, sentence } from '../../wwwroot/words.js';

const ROOM = '7K3M9-QX2TB';
const START = 1_767_225_600_000;
const MINUTE = 60_000;

/** A page without a browser: it keeps the state, the clock, and every effect that was asked for. */
class Page {
  state = initial();
  now = START;
  random = 0;
  effects = [];

  do(type, fields = {}) {
    this.state = update(this.state, { type, now: this.now, random: this.random, ...fields });
    this.effects.push(...this.state.effects);
    const sends = this.state.effects.filter(({ type: effect }) => effect === 'send').length;
    assert.ok(sends <= (this.state.link.phase === 'open' ? 1 : 0), 'one frame at a time, on an open connection');
    return this;
  }

  hears(frame) {
    return this.do('frame', { frame });
  }

  types(field, text) {
    return this.do(`${field}-typed`, { text });
  }

  says(text) {
    return this.types('draft', text).do('send');
  }

  /** Lets `ms` pass as `main.js` does: a tick whenever one is due. */
  passes(ms) {
    const end = this.now + ms;
    for (let ticks = 0; wakeAt(this.state) <= end; ticks += 1) {
      assert.ok(ticks < 10_000, 'the clock must not be asked for without end');
      this.now = Math.max(this.now, wakeAt(this.state));
      this.do('tick');
    }
    this.now = end;
    return this;
  }

  /** The effects since the last look. */
  asked() {
    return this.effects.splice(0);
  }

  frames() {
    return this.asked().filter(({ type }) => type === 'send').map(({ frame }) => frame);
  }

  get shown() {
    return [...this.state.room.messages, ...this.state.room.outbox].filter(({ kind }) => kind === 'message');
  }

  get texts() {
    return this.shown.map(({ text }) => text);
  }

  get statuses() {
    return this.shown.map(({ status }) => status ?? 'sent');
  }

  get notices() {
    return this.state.room.messages.filter(({ kind }) => kind !== 'message').map(({ kind }) => kind);
  }
}

const joined = (name = 'ann', fields = {}) => ({ type: 'joined', room: ROOM, name, members: [name], count: 1, ...fields });
const message = (from, text, fields = {}) => ({ type: 'message', room: ROOM, from, text, at: START, ...fields });
const error = (code, text = 'something is wrong') => ({ type: 'error', code, message: text });
const SERVER_FAILED = { message: 'Internal server error', connectionId: 'c', requestId: 'r' };
const THROTTLED = { message: 'Too Many Requests', connectionId: 'c', requestId: 'r' };

const loaded = (fields = {}) =>
  new Page().do('load').do('configured', { name: '', code: '', session: null, online: true, ...fields });
const welcomed = (fields) => loaded(fields).do('opened');
const inRoom = (name = 'ann') => {
  const page = welcomed({ name }).types('code', ROOM).do('join').hears(joined(name));
  page.asked();
  return page;
};

describe('loading', () => {
  test('a page that loads asks for its configuration, then connects', () => {
    const page = new Page().do('load');
    assert.equal(page.state.view, 'loading');
    assert.deepEqual(page.asked(), [{ type: 'load-config' }]);
    page.do('configured', { name: 'ann', code: '', session: null, online: true });
    assert.equal(page.state.view, 'welcome');
    assert.equal(page.state.form.name, 'ann');
    assert.deepEqual(page.asked(), [{ type: 'connect' }]);
  });

  test('a bad configuration is told and can be loaded again', () => {
    const page = new Page().do('load').do('misconfigured', { reason: 'config.json is missing here.' });
    assert.equal(page.state.view, 'broken');
    assert.equal(page.state.broken, 'config.json is missing here.');
    page.asked();
    page.do('load');
    assert.equal(page.state.view, 'loading');
    assert.deepEqual(page.asked(), [{ type: 'load-config' }]);
  });

  test('a shared link fills in the code and invites', () => {
    const { form } = loaded({ code: ROOM }).state;
    assert.deepEqual([form.code, form.invited], [ROOM, true]);
  });

  test('a link opened while the page waits fills in the code, and in a room puts the address back', () => {
    assert.equal(welcomed().do('linked', { code: 'ABCDE-FGHJK' }).state.form.code, 'ABCDE-FGHJK');
    const page = inRoom().do('linked', { code: 'ABCDE-FGHJK' });
    assert.deepEqual(page.asked(), [{ type: 'address', code: ROOM }]);
    assert.equal(page.state.room.code, ROOM);
  });

  test('a link without a code leaves what was typed', () => {
    assert.equal(welcomed().types('code', 'ABC').do('linked', { code: '' }).state.form.code, 'ABC');
  });

  test('an unknown event is a bug and throws', () => {
    assert.throws(() => new Page().do('dance'), /unknown event `dance`/);
  });
});

describe('coming in', () => {
  test('creating a room asks for it under the trimmed name and enters it', () => {
    const page = welcomed().types('name', ' ann ').do('create');
    assert.equal(busyAction(page.state), 'create');
    assert.deepEqual(page.frames(), [{ type: 'create', name: 'ann' }]);
    page.hears(joined());
    assert.equal(page.state.view, 'room');
    assert.equal(busyAction(page.state), null);
    assert.deepEqual(page.asked(), [{ type: 'address', code: ROOM }]);
    assert.deepEqual(page.notices, ['here']);
  });

  test('joining sends the code as typed, or the end of a pasted link', () => {
    const typed = (code) => welcomed({ name: 'bob' }).types('code', code).do('join').frames();
    assert.deepEqual(typed(' 7k3m9qx2tb '), [{ type: 'join', room: '7k3m9qx2tb', name: 'bob' }]);
    assert.deepEqual(typed(`https://chat.example/#${ROOM}`), [{ type: 'join', room: ROOM, name: 'bob' }]);
  });

  test('the lobby tells the name that was given, and asks for the own one again after a drop', () => {
    const page = welcomed({ name: 'ann' }).do('enter-lobby');
    assert.deepEqual(page.frames(), [{ type: 'join', room: 'lobby', name: 'ann' }]);
    page.hears(joined('ann-2', { room: 'lobby', members: ['ann', 'ann-2'], count: 2 }));
    assert.equal(page.state.room.name, 'ann-2');
    assert.deepEqual(page.asked(), [{ type: 'address', code: '' }]);
    page.do('closed').passes(2_000).do('opened');
    assert.deepEqual(page.frames(), [{ type: 'join', room: 'lobby', name: 'ann' }]);
    page.hears(joined('ann', { room: 'lobby' }));
    assert.deepEqual(page.notices, ['here', 'gap', 'renamed']);
  });

  test('a missing name or code is told at its field and nothing is sent', () => {
    const nameless = welcomed().do('create');
    assert.equal(nameless.state.form.error.field, 'name');
    const codeless = welcomed({ name: 'ann' }).do('join');
    assert.equal(codeless.state.form.error.field, 'code');
    assert.deepEqual([...nameless.frames(), ...codeless.frames()], []);
  });

  for (const [code, field] of [
    ['no-such-room', 'code'],
    ['name-taken', 'name'],
    ['bad-name', 'name'],
    ['try-again', 'form'],
    ['a-code-of-tomorrow', 'form'],
  ]) {
    test(`the error \`${code}\` stands at ${field}, keeps what was typed, and goes when it is corrected`, () => {
      const page = welcomed({ name: 'ann' }).types('code', 'WRONG').do('join').hears(error(code, 'no `x` here'));
      assert.deepEqual(page.state.form.error, { field, text: 'No “x” here.' });
      assert.deepEqual([page.state.form.name, page.state.form.code], ['ann', 'WRONG']);
      assert.equal(busyAction(page.state), null);
      if (field !== 'form') assert.equal(page.types(field, 'corrected').state.form.error, null);
      page.do('join');
      assert.equal(page.state.form.error, null);
    });
  }

  test('a failure of the gateway is told in the form', () => {
    const page = welcomed({ name: 'ann' }).do('create').hears(SERVER_FAILED);
    assert.deepEqual(page.state.form.error, { field: 'form', text: 'The server failed.' });
  });

  test('a second press while the first is at work asks for nothing', () => {
    const page = welcomed({ name: 'ann' }).do('create').do('create').do('enter-lobby').hears(joined());
    assert.deepEqual(page.frames(), [{ type: 'create', name: 'ann' }]);
    assert.equal(page.state.view, 'room');
  });

  test('what is asked for before the connection stands goes out once it does', () => {
    const page = loaded({ name: 'ann' }).do('create');
    assert.deepEqual(page.frames(), []);
    assert.deepEqual(page.do('opened').frames(), [{ type: 'create', name: 'ann' }]);
  });

  test('asking while the next try is still far away connects at once', () => {
    const page = loaded({ name: 'ann' }).do('closed');
    page.asked();
    assert.deepEqual(page.do('create').asked(), [{ type: 'connect' }]);
  });

  test('a form that gets neither connection nor answer gives up with a sentence', () => {
    const page = loaded({ name: 'ann' }).do('create').passes(31_000);
    assert.equal(page.state.form.error.field, 'form');
    assert.equal(busyAction(page.state), null);
  });

  test('after an answer that never came, the connection is a new one, so that none can come late', () => {
    const page = welcomed({ name: 'ann' }).do('create').passes(16_000);
    assert.ok(page.asked().some(({ type }) => type === 'drop'));
    assert.notEqual(page.state.link.phase, 'open');
  });

  test('a name held by our own lost connection is asked for again, then told', () => {
    const page = welcomed({ name: 'ann' }).types('code', ROOM).do('join').do('closed').passes(1_000).do('opened');
    assert.equal(page.frames().length, 2);
    page.hears(error('name-taken'));
    assert.equal(page.state.form.error, null);
    page.passes(1_000);
    assert.deepEqual(page.frames(), [{ type: 'join', room: ROOM, name: 'ann' }]);
    for (let tries = 0; tries < 10 && !page.state.form.error; tries += 1) page.hears(error('name-taken')).passes(10_000);
    assert.equal(page.state.form.error.field, 'name');
  });

  test('messages that overtake `joined` are shown after it, those of other rooms are not', () => {
    const page = welcomed({ name: 'ann' }).types('code', ROOM).do('join');
    page.hears(message('bob', 'early')).hears(message('eve', 'elsewhere', { room: 'lobby' })).hears(joined());
    assert.deepEqual(page.texts, ['early']);
  });
});

describe('talking', () => {
  test('a message is `sending` until the reply with the same text under the own name', () => {
    const page = inRoom().says('  hi  ');
    assert.deepEqual(page.frames(), [{ type: 'message', text: 'hi' }]);
    assert.equal(page.state.room.draft, '');
    assert.deepEqual(page.statuses, ['sending']);
    page.hears(message('ann', 'hi', { at: START + 5 }));
    assert.deepEqual(page.statuses, ['sent']);
    assert.equal(page.shown[0].at, START + 5);
    assert.equal(page.shown[0].own, true);
  });

  test('the reply keeps the key, so that the view can keep the node', () => {
    const page = inRoom().says('hi');
    const { key } = page.shown[0];
    assert.equal(page.hears(message('ann', 'hi')).shown[0].key, key);
  });

  test('messages go out one at a time, in the order typed', () => {
    const page = inRoom().says('one').says('two').says('one');
    assert.deepEqual(page.frames(), [{ type: 'message', text: 'one' }]);
    assert.deepEqual(page.statuses, ['sending', 'queued', 'queued']);
    page.hears(message('ann', 'one'));
    assert.deepEqual(page.frames(), [{ type: 'message', text: 'two' }]);
    page.hears(message('ann', 'two')).hears(message('ann', 'one'));
    assert.deepEqual(page.texts, ['one', 'two', 'one']);
    assert.deepEqual(page.statuses, ['sent', 'sent', 'sent']);
  });

  test('the same text from someone else settles nothing', () => {
    const page = inRoom().says('hi').hears(message('bob', 'hi'));
    assert.deepEqual(page.statuses, ['sent', 'sending']);
    assert.deepEqual(page.shown.map(({ own }) => own), [false, true]);
  });

  test('blank text is not sent, and stays', () => {
    const page = inRoom().says(' \n ');
    assert.deepEqual(page.frames(), []);
    assert.equal(page.state.room.draft, ' \n ');
  });

  test('text of the limit is sent, one character more is kept with the reason until it is changed', () => {
    const page = inRoom().says('🦀'.repeat(TEXT_MAX));
    assert.equal(page.frames().length, 1);
    const long = 'x'.repeat(TEXT_MAX + 1);
    page.says(long);
    assert.equal(page.state.room.draft, long);
    assert.equal(page.state.room.draftError, 'Too long to send: shorten it by 1 character.');
    assert.equal(page.types('draft', 'x').state.room.draftError, null);
  });

  for (const [name, frame, reason, uncertain] of [
    ['`try-again`', error('try-again', 'send the frame again'), 'Send the frame again.', false],
    ['a failed function', SERVER_FAILED, 'The server failed.', true],
    ['a throttled stage', THROTTLED, 'The server is busy just now.', false],
    ['`bad-text`', error('bad-text', '`text` is too long'), '“text” is too long.', false],
  ]) {
    test(`${name} marks the message as not sent; it can be sent again or discarded, and the next one goes out`, () => {
      const page = inRoom().says('one').says('two').hears(frame);
      const [one] = page.state.room.outbox;
      assert.deepEqual([one.status, one.reason, one.uncertain], ['unsent', reason, uncertain]);
      assert.deepEqual(page.frames().map(({ text }) => text), ['one', 'two']);
      page.hears(message('ann', 'two')).do('send-again', { key: one.key });
      assert.deepEqual(page.frames(), [{ type: 'message', text: 'one' }]);
      assert.deepEqual(page.hears(message('ann', 'one')).texts, ['two', 'one']);
      assert.deepEqual(page.statuses, ['sent', 'sent']);
    });
  }

  test('a message that was not sent can be discarded, one on its way cannot', () => {
    const page = inRoom().says('one');
    const { key } = page.shown[0];
    assert.deepEqual(page.do('discard', { key }).texts, ['one']);
    assert.deepEqual(page.hears(THROTTLED).do('discard', { key }).texts, []);
  });

  test('a reply that comes after all settles a message of uncertain fate', () => {
    const page = inRoom().says('hi').hears(SERVER_FAILED).hears(message('ann', 'hi'));
    assert.deepEqual(page.texts, ['hi']);
    assert.deepEqual(page.statuses, ['sent']);
  });

  test('an answer that never comes gives the connection up and marks the message', () => {
    const page = inRoom().says('hi').passes(16_000);
    assert.deepEqual(page.statuses, ['unsent']);
    assert.ok(page.asked().some(({ type }) => type === 'drop'));
  });

  test('messages of another room are not shown', () => {
    assert.deepEqual(inRoom().hears(message('bob', 'lost', { room: 'lobby' })).texts, []);
  });

  test('frames of no use change nothing: unknown types, broken fields, names of object properties', () => {
    const page = inRoom();
    const before = page.state;
    for (const frame of [
      {},
      { type: 'presence' },
      { type: 'constructor' },
      { type: '__proto__' },
      { type: 7 },
      { type: 'message', room: ROOM, from: 'bob' },
      { type: 'message', room: ROOM, from: 'bob', text: 'x', at: 'noon' },
      { type: 'joined' },
      { type: 'left' },
      { type: 'pong' },
      { type: 'error' },
      { message: 7 },
    ]) {
      page.hears(frame);
    }
    assert.deepEqual(page.state.room, before.room);
    assert.equal(page.state.view, 'room');
    assert.deepEqual(page.asked(), []);
  });

  test('only so many messages are kept, the newest', () => {
    const page = inRoom();
    for (let i = 0; i < MESSAGES_MAX + 20; i += 1) page.hears(message('bob', `m${i}`));
    assert.equal(page.state.room.messages.length, MESSAGES_MAX);
    assert.equal(page.texts.at(-1), `m${MESSAGES_MAX + 19}`);
  });

  test('what comes while one reads above is counted until the bottom is reached, by scrolling or sending', () => {
    const page = inRoom().hears(message('bob', 'a')).do('scrolled', { atBottom: false });
    page.hears(message('bob', 'b')).hears(message('bob', 'c'));
    assert.equal(page.state.room.unseen, 2);
    assert.equal(page.do('scrolled', { atBottom: true }).state.room.unseen, 0);
    page.do('scrolled', { atBottom: false }).hears(message('bob', 'd')).says('hi');
    assert.deepEqual([page.state.room.unseen, page.state.room.atBottom], [0, true]);
  });
});

describe('leaving', () => {
  test('leave goes to the welcome screen at once, keeps name and code, and tells the server', () => {
    const page = inRoom().do('leave');
    assert.equal(page.state.view, 'welcome');
    assert.deepEqual([page.state.form.name, page.state.form.code], ['ann', ROOM]);
    assert.deepEqual(page.asked(), [{ type: 'address', code: '' }, { type: 'send', frame: { type: 'leave' } }]);
    page.hears({ type: 'left', room: ROOM }).do('create');
    assert.deepEqual(page.frames(), [{ type: 'create', name: 'ann' }]);
  });

  test('with something unsent it asks first', () => {
    const page = inRoom().types('draft', 'not done').do('leave');
    assert.equal(page.state.room.leaveAsked, true);
    assert.equal(page.do('leave').state.view, 'room');
    assert.equal(page.do('stay').state.room.leaveAsked, false);
    assert.equal(page.do('leave').do('leave-anyway').state.view, 'welcome');
  });

  test('a join right after it waits for `left`, so that their order holds', () => {
    const page = inRoom().do('leave').types('code', 'ABCDE-FGHJK').do('join');
    assert.deepEqual(page.frames(), [{ type: 'leave' }]);
    page.hears({ type: 'left', room: ROOM });
    assert.deepEqual(page.frames(), [{ type: 'join', room: 'ABCDE-FGHJK', name: 'ann' }]);
  });

  test('a leave that the server refuses is done by a new connection', () => {
    const page = inRoom().do('leave');
    page.asked();
    assert.ok(page.hears(SERVER_FAILED).asked().some(({ type }) => type === 'drop'));
    page.passes(2_000).do('opened');
    assert.deepEqual(page.frames(), []);
  });

  test('leaving while disconnected asks nothing of the next connection', () => {
    const page = inRoom().do('closed').do('leave').passes(2_000).do('opened');
    assert.deepEqual(page.frames(), []);
  });

  test('late messages of the room that was left do not come up in the next one', () => {
    const page = inRoom().do('leave').hears({ type: 'left', room: ROOM }).hears(message('bob', 'late'));
    page.do('create').hears(joined('ann', { room: 'ABCDE-FGHJK' }));
    assert.deepEqual(page.texts, []);
  });
});

describe('the connection', () => {
  test('tries wait 1 to 2 s, then doubling, at most 30 s, and are spread by chance', () => {
    const waits = (random) => [0, 1, 2, 3, 4, 50].map((attempt) => backoffMs(attempt, random));
    assert.deepEqual(waits(0), [1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
    assert.deepEqual(waits(1), [2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  });

  test('its state is always in words, with the seconds to the next try', () => {
    const page = loaded();
    const words = () => connectionWords(page.state);
    assert.equal(words(), 'Connecting…');
    assert.equal(page.do('closed') && words(), 'Cannot connect, trying again in 1 s');
    page.passes(1_000).do('opened');
    assert.equal(words(), 'Connected');
    page.random = 1;
    page.do('closed');
    page.passes(2_000).do('closed');
    assert.equal(words(), 'Reconnecting in 8 s');
    assert.equal(page.passes(2_500) && words(), 'Reconnecting in 6 s');
    assert.equal(page.do('offline') && words(), 'Offline, trying again in 6 s');
    assert.equal(connectionNews(page.state), 'Offline, trying again');
    assert.equal(page.passes(5_500) && words(), 'Reconnecting…');
  });

  test('a connection that closes at once is no success: the waits go on growing', () => {
    const page = loaded();
    const waits = [];
    for (let i = 0; i < 4; i += 1) {
      page.do('opened').do('closed');
      waits.push(page.state.link.retryAt - page.now);
      page.passes(waits.at(-1));
    }
    assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000]);
  });

  test('a frame heard makes it a success: the waits start anew', () => {
    const page = loaded();
    for (let i = 0; i < 3; i += 1) page.do('closed').passes(30_000);
    page.do('opened').hears({ type: 'pong', room: 'lobby' }).do('closed');
    assert.equal(page.state.link.retryAt - page.now, 1_000);
  });

  test('`online` and the button connect at once; `online` also gives up a try from before', () => {
    const page = inRoom().do('closed');
    page.asked();
    assert.deepEqual(page.do('reconnect').asked(), [{ type: 'connect' }]);
    assert.deepEqual(page.do('online').asked(), [{ type: 'drop' }, { type: 'connect' }]);
    page.do('opened').hears(joined());
    page.asked();
    assert.deepEqual(page.do('reconnect').asked(), []);
  });

  test('a connection that does not open in time is given up', () => {
    const page = loaded().passes(14_999);
    page.asked();
    assert.deepEqual(page.passes(1).asked(), [{ type: 'drop' }]);
    assert.equal(page.state.link.phase, 'waiting');
  });

  test('silence is broken by a ping every 5 minutes, and a pong settles it', () => {
    const page = inRoom().passes(5 * MINUTE - 1);
    assert.deepEqual(page.frames(), []);
    assert.deepEqual(page.passes(1).frames(), [{ type: 'ping' }]);
    page.hears({ type: 'pong', room: ROOM }).passes(5 * MINUTE);
    assert.deepEqual(page.frames(), [{ type: 'ping' }]);
    assert.equal(page.state.link.phase, 'open');
  });

  test('a ping without a pong ends the connection, and the room is entered again', () => {
    const page = inRoom().passes(5 * MINUTE + 10_000);
    assert.deepEqual(page.asked().map(({ type }) => type), ['send', 'drop']);
    assert.equal(page.state.link.phase, 'waiting');
    page.passes(2_000).do('opened');
    assert.deepEqual(page.frames(), [{ type: 'join', room: ROOM, name: 'ann' }]);
  });

  test('a throttled ping shows that the connection lives', () => {
    const page = inRoom().passes(5 * MINUTE).hears(THROTTLED).passes(MINUTE);
    assert.equal(page.state.link.phase, 'open');
  });

  for (const wake of ['woke', 'online', 'offline']) {
    test(`\`${wake}\` after a silence checks the connection, right after a frame it does not`, () => {
      const page = inRoom();
      assert.deepEqual(page.do(wake).frames(), []);
      assert.deepEqual(page.passes(MINUTE).do(wake).frames(), [{ type: 'ping' }]);
    });
  }

  test('a drop leaves everything as it was and enters the room again under the same name', () => {
    const page = inRoom().hears(message('bob', 'hi')).types('draft', 'half a sen').do('closed');
    assert.equal(page.state.view, 'room');
    page.passes(1_000).do('opened');
    assert.equal(connectionWords(page.state), 'Connected, returning to the room…');
    assert.deepEqual(page.frames(), [{ type: 'join', room: ROOM, name: 'ann' }]);
    page.hears(joined());
    assert.equal(connectionWords(page.state), 'Connected');
    assert.deepEqual(page.texts, ['hi']);
    assert.equal(page.state.room.draft, 'half a sen');
    assert.deepEqual(page.notices, ['here', 'gap']);
  });

  test('what is sent while away waits and goes out on return, in order', () => {
    const page = inRoom().do('closed').says('one').says('two');
    assert.deepEqual(page.statuses, ['queued', 'queued']);
    page.passes(1_000).do('opened').hears(joined()).hears(message('ann', 'one')).hears(message('ann', 'two'));
    assert.deepEqual(page.frames().map(({ type, text }) => text ?? type), ['join', 'one', 'two']);
    assert.deepEqual(page.statuses, ['sent', 'sent']);
  });

  test('what was on its way when the connection broke is not resent by itself, because it may have arrived', () => {
    const page = inRoom().says('hi').do('closed').passes(1_000).do('opened').hears(joined());
    assert.deepEqual(page.frames().map(({ type }) => type), ['message', 'join']);
    assert.deepEqual(page.statuses, ['unsent']);
    assert.deepEqual(page.hears(message('ann', 'hi')).statuses, ['sent'], 'it had arrived after all');
  });

  test('`not-connected` brings a new connection, and the message goes out on it', () => {
    const page = inRoom().says('hi').hears(error('not-connected'));
    assert.deepEqual(page.statuses, ['queued']);
    page.passes(1_000).do('opened').hears(joined());
    assert.deepEqual(page.frames().map(({ type }) => type), ['message', 'join', 'message']);
  });

  test('our own ghost holds our name for a while: the return is tried again with growing waits', () => {
    const page = inRoom().do('closed').passes(1_000).do('opened');
    page.asked();
    for (const wait of [1_000, 2_000, 4_000]) {
      page.hears(error('name-taken'));
      assert.equal(page.state.room.status, 'rejoining');
      assert.deepEqual(page.passes(wait - 1).frames(), []);
      assert.deepEqual(page.passes(1).frames(), [{ type: 'join', room: ROOM, name: 'ann' }]);
    }
    page.hears(joined());
    assert.equal(page.state.room.status, 'in');
  });

  test('a name that stays taken is told, with what was typed kept, and can be tried again', () => {
    const page = inRoom().do('closed').says('hi').passes(1_000).do('opened');
    const taken = error('name-taken', '`ann` is taken');
    for (const wait of [1_000, 2_000, 4_000, 8_000, 15_000, 15_000]) page.hears(taken).passes(wait);
    page.hears(taken);
    assert.equal(page.state.room.status, 'shut');
    assert.deepEqual(page.state.room.trouble, { code: 'name-taken', text: '“ann” is taken.' });
    assert.equal(connectionWords(page.state), 'Connected, but not in the room');
    page.asked();
    page.do('rejoin').hears(joined()).hears(message('ann', 'hi'));
    assert.deepEqual(page.frames().map(({ type }) => type), ['join', 'message']);
    assert.deepEqual([page.state.room.trouble, page.statuses], [null, ['sent']]);
  });

  test('a room that is gone is told at once', () => {
    const page = inRoom().do('closed').passes(1_000).do('opened').hears(error('no-such-room', 'no such room'));
    assert.equal(page.state.room.trouble.text, 'No such room.');
    assert.equal(page.do('leave').state.view, 'welcome');
  });

  test('a clock that is asked while a return has to wait is not asked without end', () => {
    const page = inRoom().do('closed').passes(1_000).do('opened').hears(error('name-taken'));
    page.do('offline').passes(500);
    assert.equal(page.state.room.status, 'rejoining');
  });
});

describe('a reload', () => {
  const reloaded = (page, code = '') => {
    const memory = JSON.parse(JSON.stringify(remembered(page.state)));
    return loaded({ name: memory.name, session: memory.session, code });
  };

  test('comes back into the room under the same name with the draft and what was not sent', () => {
    const page = reloaded(inRoom().says('one').types('draft', 'two'), '7k3m9qx2tb');
    assert.equal(page.state.view, 'room');
    assert.deepEqual([page.state.room.draft, page.texts, page.statuses], ['two', ['one'], ['unsent']]);
    page.do('opened');
    assert.deepEqual(page.frames(), [{ type: 'join', room: ROOM, name: 'ann' }]);
    page.hears(error('name-taken')).passes(2_000).hears(joined());
    assert.deepEqual([page.state.room.status, page.notices], ['in', ['here']]);
  });

  test('with the link of another room invites there instead', () => {
    const page = reloaded(inRoom(), 'ABCDE-FGHJK');
    assert.deepEqual([page.state.view, page.state.form.code], ['welcome', 'ABCDE-FGHJK']);
  });

  test('after leaving stays outside', () => {
    assert.equal(reloaded(inRoom().do('leave')).state.view, 'welcome');
  });
});

describe('copying', () => {
  test('a copy is asked for, confirmed for a moment, and a failure is told', () => {
    const page = inRoom().do('copy', { what: 'code' });
    assert.deepEqual(page.asked(), [{ type: 'copy', what: 'code', code: ROOM }]);
    page.do('copied', { what: 'code', ok: true });
    assert.equal(page.state.copied.ok, true);
    assert.equal(page.passes(3_000).state.copied, null);
    assert.equal(page.do('copied', { what: 'link', ok: false }).state.copied.ok, false);
  });
});

describe('words', () => {
  test('codes mean the same room whatever their case, spaces, hyphens and look-alikes', () => {
    assert.ok(sameCode('7K3M9-QX2TB', ' 7k3m9 qx2tb'));
    assert.ok(sameCode('01100-00000', 'OIL00ooooo'));
    assert.ok(!sameCode('7K3M9-QX2TB', '7K3M9-QX2TC'));
  });

  test('a code is read out of a link', () => {
    assert.equal(codeFrom('https://chat.example/page#7K3M9-QX2TB '), ROOM);
    assert.equal(codeFrom(ROOM), ROOM);
  });

  test('a message of the server becomes a sentence, a missing one too', () => {
    assert.equal(sentence('`ann` is taken'), '“ann” is taken.');
    assert.equal(sentence('Really?'), 'Really?');
    assert.equal(sentence(undefined), 'The server refused this without a reason.');
  });
});

describe('whatever happens', () => {
  const EVENTS = 400;
  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]) {
    test(`nothing typed is lost and one frame at most is on its way (seed ${seed})`, () => holdsInChaos(seed));
  }

  /** A server that answers, fails, stays silent or goes away, as the seed will have it. */
  function holdsInChaos(seed) {
    const random = randomFrom(seed);
    const page = inRoom();
    const said = [];
    let inFlight = null;
    const any = (choices) => choices[Math.floor(random() * choices.length)];
    const pick = (...deeds) => any(deeds)();
    const unsent = () => page.shown.filter(({ status }) => status === 'unsent');
    const look = () => {
      for (const { type, frame } of page.asked()) {
        if (type === 'drop' || type === 'connect') inFlight = null;
        if (type !== 'send') continue;
        assert.equal(inFlight, null, 'a frame was sent before the last one was answered');
        inFlight = frame;
      }
    };
    const answer = (frame) => {
      inFlight = null;
      page.hears(frame);
    };
    const fitting = ({ type, text }) =>
      ({ join: joined(), ping: { type: 'pong', room: ROOM }, message: message('ann', text) })[type];
    for (let i = 0; i < EVENTS; i += 1) {
      page.random = random();
      pick(
        () => page.says((said.push(`text ${i}`), `text ${i}`)),
        () => inFlight && answer(fitting(inFlight)),
        () => inFlight && answer(fitting(inFlight)),
        () => inFlight && answer(any([SERVER_FAILED, THROTTLED, error('try-again'), error('name-taken')])),
        () => page.state.link.phase === 'connecting' && page.do('opened'),
        () => page.state.link.phase === 'open' && random() < 0.2 && ((inFlight = null), page.do('closed')),
        () => page.passes(random() * 20_000),
        () => page.do(any(['online', 'offline', 'woke', 'reconnect', 'rejoin'])),
        () => page.hears(message('bob', `other ${i}`)),
        () => unsent().slice(0, 1).forEach(({ key }) => page.do('send-again', { key })),
      );
      look();
    }
    const own = page.shown.filter(({ own }) => own).map(({ text }) => text);
    assert.deepEqual([...own].sort(), [...said].sort());
    const keys = page.shown.map(({ key }) => key);
    assert.equal(new Set(keys).size, keys.length);
  }

  /** Small, seeded, and good enough (mulberry32). */
  function randomFrom(seed) {
    let a = seed;
    return () => {
      a = (a + 0x6d2b79f5) | 0;
      let t = Math.imul(a ^ (a >>> 15), 1 | a);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
    };
  }
});
