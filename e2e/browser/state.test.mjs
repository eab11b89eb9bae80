// The pure state of the page, driven as the world drives it: people, server frames, the clock.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { backoffMs } from '../../wwwroot/room.js';
import { busyAction } from '../../wwwroot/state.js';
import { connectionNews, connectionWords, noticeWords, TEXT_MAX } from '../../wwwroot/words.js';
import { Page, START } from './page.mjs';
import { World } from './world.mjs';

const ROOM = '7K3M9-QX2TB';
const SECRET = 'R'.repeat(26);
const MINUTE = 60_000;

const joined = (name = 'ann', fields = {}) => ({
  type: 'joined',
  room: ROOM,
  name,
  resume: SECRET,
  members: [name],
  count: 1,
  rev: 1,
  seq: 0,
  oldest: 1,
  messages: [],
  more: false,
  ...fields,
});
const message = (from, text, seq, fields = {}) => ({ type: 'message', room: ROOM, seq, from, text, at: START, ...fields });
const said = (from, to, who = 'bob') =>
  Array.from({ length: to - from + 1 }, (_, i) => ({ seq: from + i, from: who, text: `m${from + i}`, at: START }));
const presence = (event, members, rev, fields = {}) =>
  ({ type: 'presence', room: ROOM, event, members, count: members.length, rev, ...fields });
const pong = (seq = 0, room = ROOM) => ({ type: 'pong', room, seq });
const error = (code, text = 'something is wrong', fields = {}) => ({ type: 'error', code, message: text, ...fields });
const SERVER_FAILED = { message: 'Internal server error', connectionId: 'c', requestId: 'r' };
const THROTTLED = { message: 'Too Many Requests', connectionId: 'c', requestId: 'r' };

const loaded = (fields = {}) =>
  new Page().do('load').do('configured', { name: '', code: '', session: null, online: true, ...fields });
const welcomed = (fields) => loaded(fields).do('opened');
/** A page in the room, after everything that coming in asks for. */
const inRoom = (name = 'ann', fields = {}) => {
  const page = welcomed({ name }).types('code', ROOM).do('join').hears(joined(name, fields));
  page.asked();
  return page;
};
/** The server's word that it has the frame that is on its way. */
const stored = (page, seq, fields = {}) => {
  const { id, text } = page.inFlight;
  return page.hears(message(page.state.room.name, text, seq, { id, ...fields }));
};

describe('removing somebody', () => {
  const maker = () => inRoom('ann', { members: ['ann', 'bob'], count: 2, creator: true });
  const told = (page) => noticeWords(page.state.room.messages.at(-1));

  test('who made the room is asked, and then asks the server, once', () => {
    const page = maker();
    assert.equal(page.state.room.creator, true);
    page.do('remove', { key: 'bob' });
    assert.deepEqual(page.asked(), [{ type: 'ask-remove', name: 'bob' }]);
    page.do('remove-anyway', { name: 'bob' }).do('remove-anyway', { name: 'bob' });
    assert.deepEqual(page.frames(), [{ type: 'remove', name: 'bob' }]);
    page.hears(presence('join', ['ann', 'bob', 'cem'], 2, { name: 'cem' }));
    assert.equal(page.inFlight.type, 'remove', 'somebody else came');
    page.hears(presence('leave', ['ann', 'cem'], 3, { name: 'bob' }));
    assert.deepEqual([page.inFlight, page.state.wish], [null, null]);
    assert.deepEqual(page.state.room.members, ['ann', 'cem']);
  });

  for (const code of ['no-such-member', 'not-allowed', 'try-again']) {
    test(`a removal that is refused with ${code} leaves the room as it is and says why`, () => {
      const page = maker().do('remove-anyway', { name: 'bob' }).hears(error(code, 'not so'));
      assert.deepEqual(told(page), ['Removing ', { name: 'bob' }, ': Not so.']);
      assert.deepEqual([page.inFlight, page.state.wish, page.state.room.status], [null, null, 'in']);
      page.asked();
      assert.deepEqual(page.do('remove-anyway', { name: 'bob' }).frames(), [{ type: 'remove', name: 'bob' }]);
    });
  }

  test('a removal that the gateway fails says so', () => {
    const page = maker().do('remove-anyway', { name: 'bob' }).hears({ message: 'Internal server error' });
    assert.deepEqual(told(page), ['Removing ', { name: 'bob' }, ': The server failed.']);
    assert.equal(page.state.wish, null);
  });

  test('a removal whose connection breaks is not asked for again by itself, and says so', () => {
    const page = maker().do('remove-anyway', { name: 'bob' }).do('closed');
    assert.deepEqual(told(page), ['Removing ', { name: 'bob' }, ': The connection broke. See who is here.']);
    page.passes(2_000).do('opened');
    assert.deepEqual(page.frames().map(({ type }) => type), ['remove', 'join']);
    page.hears(joined('ann', { members: ['ann', 'bob'], count: 2, rev: 2, creator: true }));
    assert.equal(page.state.wish, null);
  });

  test('others are no creators, and one who comes back still is', () => {
    assert.equal(inRoom().state.room.creator, false);
    const page = maker().do('closed').passes(2_000).do('opened').hears(joined('ann', { rev: 2, creator: true }));
    assert.equal(page.state.room.creator, true);
  });

  test('who is removed is told, keeps what was read and written, and does not come back by itself', () => {
    const page = inRoom('bob').hears(message('ann', 'out with you', 1)).types('draft', 'but');
    page.asked();
    page.hears({ type: 'removed', room: ROOM });
    assert.deepEqual(page.asked(), [{ type: 'drop' }]);
    const { status, trouble, draft } = page.state.room;
    assert.deepEqual([status, trouble.text, draft], ['shut', 'Who made this room has removed you from it.', 'but']);
    page.passes(5_000).do('opened').passes(MINUTE);
    assert.deepEqual(page.frames(), []);
    assert.deepEqual(page.texts, ['out with you']);
    page.do('rejoin');
    assert.deepEqual(page.frames().map(({ resume }) => resume), [SECRET]);
    page.hears(error('removed', "the room's creator has removed you from this room"));
    assert.equal(page.state.room.trouble.text, "The room's creator has removed you from this room.");
  });

  test('who missed being told learns it on coming back', () => {
    const page = inRoom('bob').hears(error('not-connected')).passes(2_000).do('opened').hears(error('removed', 'removed'));
    assert.deepEqual([page.state.room.status, page.state.room.trouble.code], ['shut', 'removed']);
  });
});

describe('speaking too fast', () => {
  test('a message that was too fast waits for as long as it was told to, in its order, and is not given up', () => {
    const page = inRoom();
    page.says('one').says('two');
    page.asked();
    for (let times = 0; times < 20; times += 1) {
      page.hears(error('too-fast', 'wait', { id: page.inFlight.id, wait: 300 }));
      page.passes(299);
      assert.deepEqual(page.frames(), []);
      page.passes(1);
      assert.deepEqual(page.frames().map(({ text }) => text), ['one']);
    }
    assert.deepEqual(page.statuses, ['sending', 'queued']);
    stored(page, 1);
    assert.deepEqual(page.frames().map(({ text }) => text), ['two']);
  });

  test('one that does not say how long waits as after any other refusal', () => {
    const page = inRoom().says('one');
    page.hears(error('too-fast', 'wait', { id: page.inFlight.id })).asked();
    page.passes(2_000);
    assert.deepEqual(page.frames().map(({ text }) => text), ['one']);
  });
});

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
    assert.deepEqual(page.asked(), [{ type: 'address', address: `room=${ROOM}` }]);
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
    assert.deepEqual(page.asked(), [{ type: 'address', address: `room=${ROOM}` }]);
    assert.deepEqual(page.notices, ['here']);
  });

  test('joining sends the code as typed, or the end of a pasted link', () => {
    const typed = (code) => {
      const [{ type, room, name }] = welcomed({ name: 'bob' }).types('code', code).do('join').frames();
      return [type, room, name];
    };
    assert.deepEqual(typed(' 7k3m9qx2tb '), ['join', '7k3m9qx2tb', 'bob']);
    assert.deepEqual(typed(`https://chat.example/#room=${ROOM}`), ['join', ROOM, 'bob']);
    assert.deepEqual(typed(`https://chat.example/#${ROOM}`), ['join', ROOM, 'bob']);
  });

  test('what was said before is there at once, and is no news', () => {
    const page = inRoom('ann', { seq: 120, messages: said(71, 120), more: true });
    assert.equal(page.texts.length, 50);
    assert.deepEqual([page.texts[0], page.texts.at(-1)], ['m71', 'm120']);
    assert.deepEqual([page.state.room.unseen, page.state.room.news], [0, 0]);
    assert.deepEqual(page.frames(), []);
  });

  test('the lobby tells the name that was given, and asks for the own one again after a drop', () => {
    const page = welcomed({ name: 'ann' }).do('enter-lobby');
    assert.equal(page.frames()[0].room, 'lobby');
    page.hears(joined('ann-2', { room: 'lobby', members: ['ann', 'ann-2'], count: 2 }));
    assert.equal(page.state.room.name, 'ann-2');
    assert.deepEqual(page.asked(), [{ type: 'address', address: '' }]);
    page.do('closed').passes(2_000).do('opened');
    assert.deepEqual(page.frames().map(({ room, name }) => [room, name]), [['lobby', 'ann']]);
    page.hears(joined('ann', { room: 'lobby' }));
    assert.equal(page.state.room.name, 'ann');
    assert.ok(page.notices.includes('renamed'));
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
    assert.equal(page.frames().length, 1);
    for (let tries = 0; tries < 10 && !page.state.form.error; tries += 1) page.hears(error('name-taken')).passes(10_000);
    assert.equal(page.state.form.error.field, 'name');
  });

  test('what overtakes `joined` is shown after it, what belongs to other rooms is not', () => {
    const page = welcomed({ name: 'ann' }).types('code', ROOM).do('join');
    page.hears(message('bob', 'early', 4)).hears(message('eve', 'elsewhere', 9, { room: 'lobby' }));
    page.hears(presence('join', ['ann', 'bob', 'cat'], 8, { name: 'cat' }));
    page.hears(joined('ann', { members: ['ann', 'bob'], count: 2, rev: 7, seq: 3, messages: said(1, 3) }));
    assert.deepEqual(page.texts, ['m1', 'm2', 'm3', 'early']);
    assert.deepEqual(page.state.room.members, ['ann', 'bob', 'cat']);
  });

  test('a name typed in pieces is the name that the server gives, not one that was taken', () => {
    const page = welcomed({ name: 'Zoe\u0301' }).types('code', ROOM).do('join');
    assert.equal(page.inFlight.name, 'Zo\u00e9');
    page.hears(joined('Zo\u00e9'));
    assert.equal(page.state.room.asked, page.state.room.name);
  });
});

describe('talking', () => {
  test('a message shows at once, says what it is, and settles with the reply of its id', () => {
    const page = inRoom().says('  hi  ');
    const [{ id, ...frame }] = page.frames();
    assert.deepEqual(frame, { type: 'message', room: ROOM, text: 'hi' });
    assert.ok(id);
    assert.equal(page.state.room.draft, '');
    assert.deepEqual(page.statuses, ['sending']);
    page.hears(message('ann', 'hi', 1, { id, at: START + 5 }));
    assert.deepEqual(page.statuses, ['sent']);
    assert.deepEqual([page.shown[0].at, page.shown[0].own], [START + 5, true]);
  });

  test('the reply keeps the key, so that the view can keep the node', () => {
    const page = inRoom().says('hi');
    const { key } = page.shown[0];
    assert.equal(stored(page, 1).shown[0].key, key);
  });

  test('messages go out one at a time, in the order typed, each with an id of its own', () => {
    const page = inRoom().says('one').says('two').says('one');
    assert.deepEqual(page.statuses, ['sending', 'queued', 'queued']);
    for (const seq of [1, 2, 3]) stored(page, seq);
    const frames = page.frames();
    assert.deepEqual(frames.map(({ text }) => text), ['one', 'two', 'one']);
    assert.equal(new Set(frames.map(({ id }) => id)).size, 3);
    assert.deepEqual(page.texts, ['one', 'two', 'one']);
    assert.deepEqual(page.statuses, ['sent', 'sent', 'sent']);
  });

  test('the same text from someone else settles nothing, and neither does the own id from someone else', () => {
    const page = inRoom().says('hi').hears(message('bob', 'hi', 1));
    const { id } = page.inFlight;
    page.hears(message('eve', 'hi', 2, { id }));
    assert.deepEqual(page.statuses, ['sent', 'sent', 'sending']);
    assert.deepEqual(page.shown.map(({ own }) => own), [false, false, true]);
    page.hears(error('try-again', 'busy', { id })).passes(2_000);
    assert.equal(page.inFlight.id, id);
    stored(page, 3);
    assert.deepEqual(page.statuses, ['sent', 'sent', 'sent']);
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

  for (const [name, frame, reason] of [
    ['`try-again`', error('try-again', 'send the frame again'), 'Send the frame again.'],
    ['a failed function', SERVER_FAILED, 'The server failed.'],
    ['a throttled stage', THROTTLED, 'The server is busy just now.'],
  ]) {
    test(`after ${name} a message is sent again with its id, in its place, and after some tries offered`, () => {
      const page = inRoom().says('one').says('two');
      const { id } = page.inFlight;
      for (const wait of [1_000, 2_000, 4_000, 8_000]) {
        page.hears(frame);
        assert.deepEqual(page.statuses, ['queued', 'queued']);
        page.asked();
        assert.deepEqual(page.passes(wait - 1).frames(), []);
        assert.deepEqual(page.passes(1).frames().map((it) => it.id), [id]);
      }
      page.hears(frame);
      assert.deepEqual(page.statuses, ['unsent', 'sending']);
      assert.equal(page.shown[0].reason, reason);
      stored(page, 1).do('send-again', { key: page.shown[1].key });
      assert.equal(page.inFlight.id, id);
      assert.deepEqual(stored(page, 2).texts, ['two', 'one']);
      assert.deepEqual(page.statuses, ['sent', 'sent']);
    });
  }

  test('what the server will never take is offered at once, and can be discarded', () => {
    const page = inRoom().says('one').hears(error('bad-text', '`text` is too long', {}));
    assert.deepEqual([page.statuses, page.shown[0].reason], [['unsent'], '“text” is too long.']);
    assert.deepEqual(page.do('discard', { key: page.shown[0].key }).texts, []);
  });

  test('an error for another message than the one on its way changes nothing', () => {
    const page = inRoom().says('one').hears(error('bad-text', 'x', { id: 'older' }));
    assert.deepEqual(page.statuses, ['sending']);
    page.hears(error('bad-text', 'x', { id: page.inFlight.id }));
    assert.deepEqual(page.statuses, ['unsent']);
  });

  test('a message on its way cannot be discarded', () => {
    const page = inRoom().says('one');
    assert.deepEqual(page.do('discard', { key: page.shown[0].key }).texts, ['one']);
  });

  test('`not-in-room` brings the page back into the room, and the message after it', () => {
    const page = inRoom().says('hi');
    const { id } = page.inFlight;
    page.hears(error('not-in-room', 'x', { id }));
    assert.equal(page.inFlight.type, 'join');
    assert.equal(page.inFlight.resume, SECRET);
    page.hears(joined()).passes(1_000);
    assert.equal(page.inFlight.id, id);
  });

  test('an answer that never comes gives the connection up, and the message goes out on the next', () => {
    const page = inRoom().says('hi');
    const { id } = page.inFlight;
    page.passes(15_000);
    assert.ok(page.asked().some(({ type }) => type === 'drop'));
    page.passes(2_000).do('opened').hears(joined());
    assert.equal(page.inFlight.id, id);
  });

  test('messages of another room are not shown', () => {
    assert.deepEqual(inRoom().hears(message('bob', 'lost', 1, { room: 'lobby' })).texts, []);
  });

  test('a message of another room settles nothing, whatever its id', () => {
    const page = inRoom().says('hi');
    page.hears(message('eve', 'hi', 1, { room: 'lobby', id: page.inFlight.id })).says('more');
    assert.deepEqual(page.statuses, ['sending', 'queued']);
    assert.equal(page.inFlight.text, 'hi');
  });

  test('frames of no use change nothing: unknown types, broken fields, names of object properties', () => {
    const page = inRoom();
    const before = page.state;
    for (const frame of [
      {},
      { type: 'later' },
      { type: 'constructor' },
      { type: '__proto__' },
      { type: 7 },
      { type: 'message', room: ROOM, seq: 1, from: 'bob' },
      { type: 'message', room: ROOM, seq: 1, from: 'bob', text: 'x', at: 'noon' },
      { type: 'message', room: ROOM, seq: 1.5, from: 'bob', text: 'x', at: 1 },
      { type: 'message', room: ROOM, seq: 1, id: 7, from: 'bob', text: 'x', at: 1 },
      { type: 'presence', room: ROOM },
      { type: 'presence', room: ROOM, rev: 9, members: 'all' },
      { type: 'history', room: ROOM },
      { type: 'typing', room: ROOM },
      { type: 'typing', room: ROOM, from: 7 },
      { type: 'joined' },
      { type: 'left' },
      { type: 'pong' },
      { type: 'pong', room: ROOM, seq: 'many' },
      { type: 'error' },
      { message: 7 },
    ]) {
      page.hears(frame);
    }
    assert.deepEqual(page.state.room, before.room);
    assert.equal(page.state.view, 'room');
    assert.deepEqual(page.asked(), []);
  });

  test('typing is told now and then while one writes, and not to an empty room', () => {
    const alone = inRoom().types('draft', 'h');
    assert.deepEqual(alone.frames(), []);
    const page = inRoom('ann', { members: ['ann', 'bob'], count: 2 });
    const told = { type: 'typing', room: ROOM, from: 'ann' };
    page.types('draft', 'h').types('draft', 'he').hears(told).types('draft', 'hel');
    assert.deepEqual(page.frames(), [{ type: 'typing' }]);
    assert.deepEqual(page.passes(4_000).frames(), []);
    assert.deepEqual(page.types('draft', 'hell').hears(told).frames(), [{ type: 'typing' }]);
    assert.deepEqual(page.passes(4_000).types('draft', '').frames(), []);
  });

  test('a message waits for the answer to the typing before it, and not for long', () => {
    const page = inRoom('ann', { members: ['ann', 'bob'], count: 2 }).says('hi');
    assert.deepEqual(page.frames(), [{ type: 'typing' }]);
    assert.deepEqual(page.passes(2_000).frames().map(({ type }) => type), ['message']);
    assert.equal(page.state.link.phase, 'open');
  });

  test('who types is shown until they have said it or stopped; the own typing is not', () => {
    const page = inRoom().hears({ type: 'typing', room: ROOM, from: 'bob' }).hears({ type: 'typing', room: ROOM, from: 'ann' });
    page.hears({ type: 'typing', room: ROOM, from: 'cat' });
    const typing = () => page.state.room.typing.map(({ name }) => name);
    assert.deepEqual(typing(), ['bob', 'cat']);
    assert.deepEqual(page.hears(message('bob', 'x', 1)) && typing(), ['cat']);
    assert.deepEqual(page.passes(6_000) && typing(), []);
  });
});

describe('order and gaps', () => {
  test('whatever the order of arrival, messages stand in their order, each once', () => {
    const page = inRoom();
    for (const { seq, from, text } of [3, 1, 2, 3, 1].map((i) => said(i, i)[0])) page.hears(message(from, text, seq));
    assert.deepEqual(page.texts, ['m1', 'm2', 'm3']);
    assert.deepEqual(page.passes(5_000).frames(), [], 'nothing is missing');
  });

  test('a gap is given a second before it counts as a loss, then asked for', () => {
    const page = inRoom().hears(message('bob', 'm1', 1)).hears(message('bob', 'm4', 4));
    assert.deepEqual(page.passes(999).frames(), []);
    assert.deepEqual(page.passes(1).frames(), [{ type: 'history', after: 1, limit: 100 }]);
    page.hears({ type: 'history', room: ROOM, messages: said(2, 4), oldest: 1, more: false });
    assert.deepEqual(page.texts, ['m1', 'm2', 'm3', 'm4']);
    assert.deepEqual(page.passes(5_000).frames(), []);
  });

  test('a gap that closes by itself costs nothing', () => {
    const page = inRoom().hears(message('bob', 'm2', 2)).passes(500).hears(message('bob', 'm1', 1));
    assert.deepEqual(page.passes(5_000).frames(), []);
    assert.deepEqual(page.texts, ['m1', 'm2']);
  });

  test('a pong shows a lost last message', () => {
    const page = inRoom('ann', { seq: 2, messages: said(1, 2) }).passes(MINUTE).do('looked', { visible: true });
    assert.deepEqual(page.frames(), [{ type: 'ping' }]);
    page.hears(pong(3)).passes(1_000);
    assert.deepEqual(page.frames(), [{ type: 'history', after: 2, limit: 100 }]);
    page.hears({ type: 'history', room: ROOM, messages: said(3, 3), oldest: 1, more: false });
    assert.deepEqual(page.texts, ['m1', 'm2', 'm3']);
    assert.equal(page.state.room.news, 1);
  });

  test('a pong from elsewhere brings the page back into the room', () => {
    const page = inRoom().passes(MINUTE).do('looked', { visible: true }).hears(pong(0, 'lobby'));
    assert.equal(page.inFlight.type, 'join');
  });

  test('what was missed comes in pages until there is no more', () => {
    const page = inRoom('ann', { seq: 1, messages: said(1, 1) }).do('closed').passes(1_000).do('opened');
    assert.equal(page.inFlight.after, 1);
    page.asked();
    page.hears(joined('ann', { seq: 250, messages: said(2, 101), more: true }));
    assert.deepEqual(page.frames(), [{ type: 'history', after: 101, limit: 100 }]);
    page.hears({ type: 'history', room: ROOM, messages: said(102, 201), oldest: 1, more: true });
    page.hears({ type: 'history', room: ROOM, messages: said(202, 250), oldest: 1, more: false });
    assert.deepEqual(page.texts, said(1, 250).map(({ text }) => text));
    assert.equal(page.state.room.news, 249);
  });

  test('who missed very much begins at the newest, and finds the rest above', () => {
    const page = inRoom('ann', { seq: 1, messages: said(1, 1) }).do('closed').passes(1_000).do('opened');
    page.asked();
    page.hears(joined('ann', { seq: 5_000, messages: said(2, 101), more: true }));
    assert.deepEqual(page.frames(), [{ type: 'history', before: 5_001, limit: 100 }]);
    page.hears({ type: 'history', room: ROOM, messages: said(4_901, 5_000), oldest: 1, more: true });
    assert.deepEqual([page.texts[0], page.texts.at(-1)], ['m4901', 'm5000']);
    assert.deepEqual(page.passes(5_000).frames(), []);
  });

  test('what overtakes the `joined` that begins at the newest stays, and what is missing before it is asked for', () => {
    const page = inRoom('ann', { seq: 1, messages: said(1, 1) }).do('closed').passes(1_000).do('opened');
    page.hears(message('bob', 'm5002', 5_002));
    page.asked();
    page.hears(joined('ann', { seq: 5_000, messages: said(2, 101), more: true }));
    assert.deepEqual(page.texts, ['m5002']);
    assert.deepEqual(page.frames(), [{ type: 'history', after: 5_000, limit: 100 }]);
    page.hears({ type: 'history', room: ROOM, messages: said(5_001, 5_002), oldest: 1, more: false });
    assert.deepEqual(page.texts, ['m5001', 'm5002']);
  });

  test('what is no longer kept is not asked for', () => {
    const page = inRoom('ann', { seq: 3, messages: said(1, 3) }).do('closed').passes(1_000).do('opened');
    page.asked();
    page.hears(joined('ann', { seq: 9, oldest: 8, messages: said(8, 9) }));
    assert.deepEqual(page.texts, ['m1', 'm2', 'm3', 'm8', 'm9']);
    assert.deepEqual(page.passes(5_000).frames(), []);
  });

  test('a history that cannot be had is asked for again with growing waits', () => {
    const page = inRoom().hears(message('bob', 'm2', 2)).passes(1_000);
    page.asked();
    for (const [wait, frame] of [[1_000, SERVER_FAILED], [2_000, error('try-again')], [4_000, { type: 'history', room: ROOM, messages: [], oldest: 1, more: false }]]) {
      page.hears(frame);
      assert.deepEqual(page.passes(wait - 1).frames(), []);
      assert.equal(page.passes(1).frames().length, 1);
    }
  });

  test('a room that began anew under the same code, as the lobby of a new stack, is read anew', () => {
    const page = welcomed({ name: 'ann' }).do('enter-lobby');
    page.hears(joined('ann', { room: 'lobby', seq: 40, messages: said(1, 40), rev: 30 }));
    page.do('closed').passes(1_000).do('opened');
    page.hears(joined('ann', { room: 'lobby', seq: 1, messages: [], rev: 1, members: ['ann', 'eve'], count: 2 }));
    assert.deepEqual(page.shown, []);
    assert.deepEqual(page.state.room.members, ['ann', 'eve']);
    assert.deepEqual(page.inFlight, { type: 'history', before: 2, limit: 100 });
  });

  test('older messages are asked for on the way up, once at a time, until the beginning', () => {
    const page = inRoom('ann', { seq: 120, messages: said(71, 120), more: true });
    page.do('scrolled', { atBottom: false }).do('near-top').do('near-top');
    assert.deepEqual(page.frames(), [{ type: 'history', before: 71, limit: 100 }]);
    page.hears({ type: 'history', room: ROOM, messages: said(1, 70), oldest: 1, more: false });
    assert.deepEqual(page.texts, said(1, 120).map(({ text }) => text));
    assert.deepEqual([page.state.room.unseen, page.state.room.news], [0, 0]);
    assert.deepEqual(page.do('near-top').frames(), []);
  });

  test('far above a reader at the bottom messages are let go, and loaded again on the way up', () => {
    const page = inRoom();
    for (const { seq, from, text } of said(1, 1_600)) page.hears(message(from, text, seq));
    assert.ok(page.shown.length <= 1_500);
    assert.equal(page.texts.at(-1), 'm1600');
    page.asked();
    const [first] = page.shown;
    page.do('scrolled', { atBottom: false }).do('near-top');
    assert.deepEqual(page.frames(), [{ type: 'history', before: first.seq, limit: 100 }]);
  });

  test('what comes while one reads above is counted until the bottom is reached, by scrolling or sending', () => {
    const page = inRoom().hears(message('bob', 'a', 1)).do('scrolled', { atBottom: false });
    page.hears(message('bob', 'b', 2)).hears(message('bob', 'c', 3));
    assert.equal(page.state.room.unseen, 2);
    assert.equal(page.do('scrolled', { atBottom: true }).state.room.unseen, 0);
    page.do('scrolled', { atBottom: false }).hears(message('bob', 'd', 4)).says('hi');
    assert.deepEqual([page.state.room.unseen, page.state.room.atBottom], [0, true]);
  });

  test('what comes while nobody looks is counted, and seen on return', () => {
    const page = inRoom().do('looked', { visible: false }).hears(message('bob', 'a', 1));
    assert.equal(page.state.room.unseen, 1);
    assert.equal(page.do('looked', { visible: true }).state.room.unseen, 0);
  });
});

describe('who is here', () => {
  const room = (page) => page.state.room;

  test('the list with the greatest `rev` stands, in whatever order they come', () => {
    const page = inRoom('ann', { rev: 3 });
    page.hears(presence('join', ['ann', 'bob', 'cat'], 5, { name: 'cat' })).hears(presence('join', ['ann', 'bob'], 4, { name: 'bob' }));
    assert.deepEqual([room(page).members, room(page).count, room(page).rev], [['ann', 'bob', 'cat'], 3, 5]);
  });

  test('comings and goings share a line, and who only came back is not worth one', () => {
    const page = inRoom().hears(presence('join', ['ann', 'bob'], 2)).hears(presence('join', ['ann', 'bob', 'cat'], 3));
    assert.deepEqual(room(page).messages.at(-1).events.map(({ event, name }) => `${event} ${name}`), ['join bob', 'join cat']);
    page.hears(presence('leave', ['ann', 'bob'], 4)).hears(presence('leave', ['ann'], 5));
    assert.deepEqual(page.notices, ['here']);
  });

  test('an announcement that was missed shows by the difference', () => {
    const page = inRoom('ann', { members: ['ann', 'bob', 'cat'], count: 3, rev: 3 });
    page.hears(presence('sync', ['ann', 'dan'], 9));
    assert.deepEqual(room(page).messages.at(-1).events.map(({ event, name }) => `${event} ${name}`), ['leave bob', 'leave cat', 'join dan']);
  });

  test('in a crowd nobody hears who comes and goes', () => {
    const crowd = Array.from({ length: 60 }, (_, i) => `p${i}`);
    const page = inRoom('ann', { members: crowd, count: 60, rev: 3 }).hears(presence('join', [...crowd, 'new'], 4));
    assert.deepEqual([page.notices, room(page).count], [['here'], 61]);
  });

  test('another takes a new name in one line', () => {
    const page = inRoom('ann', { members: ['ann', 'bob'], count: 2, rev: 3 });
    page.hears(presence('rename', ['ann', 'rob'], 4, { name: 'rob', was: 'bob' }));
    assert.deepEqual(room(page).messages.at(-1).events, [{ event: 'rename', name: 'rob', was: 'bob', own: false }]);
  });

  test('the own name is changed in place, and what was said under the old one stays own', () => {
    const page = inRoom().says('hi');
    stored(page, 1);
    page.do('rename').types('rename', ' anna ').do('take-name');
    assert.deepEqual(page.inFlight, { type: 'rename', name: 'anna' });
    page.hears(presence('rename', ['anna'], 2, { name: 'anna', was: 'ann' }));
    assert.deepEqual([room(page).name, room(page).asked, room(page).renaming], ['anna', 'anna', null]);
    page.do('closed').passes(1_000).do('opened');
    assert.equal(page.inFlight.name, 'anna');
    page.hears(joined('anna', { seq: 1 }));
    assert.deepEqual(page.shown.map(({ own }) => own), [true]);
    page.says('again');
    assert.equal(stored(page, 2).shown.at(-1).own, true);
  });

  test('a name that is taken is told at the field and can be corrected', () => {
    const page = inRoom().do('rename').types('rename', 'bob').do('take-name').hears(error('name-taken', '`bob` is taken'));
    assert.deepEqual(room(page).renaming, { text: 'bob', error: '“bob” is taken.' });
    assert.equal(page.types('rename', 'rob').state.room.renaming.error, null);
    assert.equal(page.do('keep-name').state.room.renaming, null);
  });

  test('a new name waits for the connection in words', () => {
    const page = inRoom().do('closed').do('rename').types('rename', 'anna').do('take-name');
    assert.match(room(page).renaming.error, /connection/);
    assert.equal(page.state.wish, null);
  });
});

describe('leaving', () => {
  test('leave goes to the welcome screen at once, keeps name and code, and tells the server', () => {
    const page = inRoom().do('leave');
    assert.equal(page.state.view, 'welcome');
    assert.deepEqual([page.state.form.name, page.state.form.code], ['ann', ROOM]);
    assert.deepEqual(page.asked(), [{ type: 'address', address: '' }, { type: 'send', frame: { type: 'leave' } }]);
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
    assert.equal(page.inFlight.room, 'ABCDE-FGHJK');
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
    const page = inRoom().do('leave').hears({ type: 'left', room: ROOM }).hears(message('bob', 'late', 1));
    page.do('create').hears(joined('ann', { room: 'ABCDE-FGHJK' }));
    assert.deepEqual(page.texts, []);
  });

  const asksHistory = () => inRoom('ann', { seq: 200, messages: said(151, 200) }).do('near-top');
  const sends = () => inRoom().says('bye');
  const renames = () => inRoom().do('rename').types('rename', 'anna').do('take-name');
  const history = { type: 'history', room: ROOM, messages: said(101, 150), oldest: 1, more: true };
  for (const [what, page, answer] of [
    ['older messages', asksHistory, () => history],
    ['a message', sends, ({ inFlight: { id } }) => message('ann', 'bye', 1, { id })],
    ['a new name', renames, () => presence('rename', ['anna'], 2, { name: 'anna', was: 'ann' })],
    ['older messages, refused', asksHistory, () => error('not-in-room')],
    ['a message, refused', sends, ({ inFlight: { id } }) => error('not-in-room', 'no', { id })],
  ]) {
    test(`leaving waits for the answer that is on its way, and no longer: ${what}`, () => {
      const before = page();
      const frame = answer(before);
      before.do('leave').do('leave-anyway');
      before.asked();
      before.hears(message('bob', 'hi', 1, { id: 'b-1' })).hears(presence('rename', ['cat'], 3, { name: 'cat', was: 'bob' }));
      assert.deepEqual(before.frames(), []);
      assert.deepEqual(before.hears(frame).frames(), [{ type: 'leave' }]);
      before.hears({ type: 'left', room: ROOM }).do('join');
      assert.equal(before.inFlight.type, 'join');
    });
  }
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
    assert.equal(page.do('closed') && words(), 'The server cannot be reached. Next try in 1 s.');
    page.passes(1_000).do('opened');
    assert.equal(words(), 'Connected');
    page.random = 1;
    page.do('closed');
    page.passes(2_000).do('closed');
    assert.equal(words(), 'Connection lost. Next try in 8 s.');
    assert.equal(page.passes(2_500) && words(), 'Connection lost. Next try in 6 s.');
    assert.equal(page.do('offline') && words(), 'You are offline. Next try in 6 s.');
    assert.equal(connectionNews(page.state), 'You are offline.');
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
    page.do('opened').hears(pong(0, 'lobby')).do('closed');
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

  for (const [visible, minutes] of [[true, 4], [false, 8]]) {
    test(`silence is broken by a ping every ${minutes} minutes ${visible ? 'in sight' : 'in the background'}`, () => {
      const page = inRoom().do('looked', { visible }).says('hi');
      stored(page, 1).asked();
      assert.deepEqual(page.passes(minutes * MINUTE - 1).frames(), []);
      assert.deepEqual(page.passes(1).frames(), [{ type: 'ping' }]);
      page.hears(pong(1)).passes(minutes * MINUTE);
      assert.deepEqual(page.frames(), [{ type: 'ping' }]);
      assert.equal(page.state.link.phase, 'open');
    });
  }

  test('a ping without a pong ends the connection, and the room is entered again', () => {
    const page = inRoom().passes(4 * MINUTE + 8_000);
    assert.deepEqual(page.asked().map(({ type }) => type), ['send', 'drop']);
    assert.equal(page.state.link.phase, 'waiting');
    page.passes(2_000).do('opened');
    assert.deepEqual(page.frames(), [{ type: 'join', room: ROOM, name: 'ann', after: 0, resume: SECRET }]);
  });

  test('a throttled ping shows that the connection lives', () => {
    const page = inRoom().passes(4 * MINUTE).hears(THROTTLED).passes(MINUTE);
    assert.equal(page.state.link.phase, 'open');
  });

  test('before its 2 hours are over a connection is renewed, at a moment of its own, without a word', () => {
    const renewedAfter = (random) => {
      const page = welcomed({ name: 'ann' });
      page.random = random;
      page.do('closed').passes(3_000).do('opened').types('code', ROOM).do('join').hears(joined());
      const since = page.now;
      for (let i = 0; i < 200; i += 1) {
        page.passes(MINUTE);
        if (page.inFlight?.type === 'ping') page.hears(pong());
        if (page.state.link.phase === 'connecting') return [(page.now - since) / MINUTE, page];
      }
      return assert.fail('never renewed');
    };
    const [early, page] = renewedAfter(0);
    const [late] = renewedAfter(0.99);
    assert.ok(early >= 105 && late <= 119 && late > early, `${early} ${late}`);
    page.do('opened').hears(joined());
    assert.equal(page.state.room.caughtUpUntil, null);
    assert.equal(connectionWords(page.state), 'Connected');
  });

  for (const [wake, fields] of [['looked', { visible: true }], ['online'], ['offline']]) {
    test(`\`${wake}\` after a silence checks the connection, right after a frame it does not`, () => {
      const page = inRoom();
      assert.deepEqual(page.do(wake, fields).frames(), []);
      assert.deepEqual(page.passes(MINUTE).do(wake, fields).frames(), [{ type: 'ping' }]);
    });
  }

  test('a drop leaves everything as it was, and the return asks for what was missed', () => {
    const page = inRoom().hears(message('bob', 'hi', 1)).types('draft', 'half a sen').do('closed');
    assert.equal(page.state.view, 'room');
    page.asked();
    page.passes(1_000).do('opened');
    assert.equal(connectionWords(page.state), 'Catching up…');
    assert.deepEqual(page.frames(), [{ type: 'join', room: ROOM, name: 'ann', after: 1, resume: SECRET }]);
    page.hears(joined('ann', { seq: 3, messages: said(2, 3) }));
    assert.equal(connectionWords(page.state), 'Back again, and caught up.');
    assert.deepEqual(page.texts, ['hi', 'm2', 'm3']);
    assert.equal(page.state.room.draft, 'half a sen');
    assert.equal(page.passes(3_000) && connectionWords(page.state), 'Connected');
  });

  test('what is sent while away waits and goes out on return, in order', () => {
    const page = inRoom().do('closed').says('one').says('two');
    assert.deepEqual(page.statuses, ['queued', 'queued']);
    page.passes(1_000).do('opened').hears(joined());
    stored(stored(page, 1), 2);
    assert.deepEqual(page.frames().map(({ type, text }) => text ?? type), ['join', 'one', 'two']);
    assert.deepEqual(page.statuses, ['sent', 'sent']);
  });

  test('what was on its way when the connection broke and had arrived is found, and not sent again', () => {
    const page = inRoom().says('hi');
    const { id } = page.inFlight;
    page.do('closed').passes(1_000).do('opened');
    page.hears(joined('ann', { seq: 1, messages: [{ seq: 1, id, from: 'ann', text: 'hi', at: START }] }));
    assert.deepEqual(page.frames().map(({ type }) => type), ['message', 'join']);
    assert.deepEqual([page.texts, page.statuses], [['hi'], ['sent']]);
  });

  test('what was on its way and had not arrived is sent again with its id', () => {
    const page = inRoom().says('hi');
    const { id } = page.inFlight;
    page.do('closed').passes(1_000).do('opened').hears(joined());
    assert.equal(page.inFlight.id, id);
  });

  test('`not-connected` brings a new connection, and the message goes out on it', () => {
    const page = inRoom().says('hi').hears(error('not-connected'));
    assert.deepEqual(page.statuses, ['queued']);
    page.passes(1_000).do('opened').hears(joined());
    assert.deepEqual(page.frames().map(({ type }) => type), ['message', 'join', 'message']);
  });

  test('while another holds our name the return is tried again with growing waits', () => {
    const page = inRoom().do('closed').passes(1_000).do('opened');
    page.asked();
    for (const wait of [1_000, 2_000, 4_000]) {
      page.hears(error('name-taken'));
      assert.equal(page.state.room.status, 'rejoining');
      assert.deepEqual(page.passes(wait - 1).frames(), []);
      assert.equal(page.passes(1).frames()[0].type, 'join');
    }
    page.hears(joined());
    assert.equal(page.state.room.status, 'in');
  });

  test('who comes back too often is not shut out but tries again', () => {
    const page = inRoom().do('closed').passes(1_000).do('opened');
    page.asked();
    page.hears(error('too-fast', 'wait', { wait: 30_000 }));
    assert.equal(page.state.room.status, 'rejoining');
    assert.equal(page.passes(1_000).frames()[0].type, 'join');
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
    assert.equal(connectionWords(page.state), 'Connected, but not in the room.');
    page.asked();
    page.do('rejoin').hears(joined());
    stored(page, 1);
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

describe('signing in', () => {
  test('before anybody has, the entrance says so, and nothing is tried', () => {
    const page = new Page().do('load').do('signed-out');
    assert.equal(page.state.view, 'signed-out');
    page.asked();
    assert.deepEqual(page.passes(60 * MINUTE).asked(), []);
  });

  test('when it has ended, the room stays to be read and written in, and nothing is tried', () => {
    const page = inRoom('ann', { seq: 1, messages: said(1, 1) }).types('draft', 'half a').do('closed').passes(1_000).do('signed-out');
    page.asked();
    page.types('draft', 'later').do('send').types('draft', 'and mo');
    assert.deepEqual(page.passes(10 * 60 * MINUTE).asked(), []);
    assert.deepEqual([page.state.view, page.texts, page.statuses], ['room', ['m1', 'later'], ['sent', 'queued']]);
    assert.equal(connectionWords(page.state), 'You have to sign in again. What you write is kept and sent later.');
    const { session } = page.memory();
    assert.deepEqual([session.room, session.resume, session.draft, session.unsent.length], [ROOM, SECRET, 'and mo', 1]);
  });

  test('after it, the page that comes back takes its place and sends what was kept', () => {
    const { session } = inRoom().says('before').do('closed').do('signed-out').types('draft', 'half a').memory();
    const page = loaded({ session }).do('opened');
    assert.deepEqual(page.frames(), [{ type: 'join', room: ROOM, name: 'ann', resume: SECRET }]);
    page.hears(joined());
    assert.deepEqual(page.frames().map(({ text }) => text), ['before']);
    assert.equal(page.state.room.draft, 'half a');
  });

  test('a connection that is renewed by its age needs it too, and what was not answered is kept', () => {
    const page = inRoom();
    for (let ends = page.now + 120 * MINUTE; !page.asked().some(({ type }) => type === 'connect'); ) {
      assert.ok(page.now < ends);
      page.passes(MINUTE);
      if (page.inFlight?.type === 'ping') page.hears(pong());
    }
    page.do('signed-out').says('kept');
    assert.deepEqual([page.state.link.phase, page.state.room.status, page.statuses], ['signed-out', 'rejoining', ['queued']]);
  });

  test('who wants into a room without it is shown the way, and the button works again afterwards', () => {
    const page = inRoom().do('closed').do('signed-out').do('leave');
    assert.equal(page.state.view, 'welcome');
    page.asked();
    assert.deepEqual(page.do('create').asked(), [{ type: 'connect' }]);
    page.do('signed-out');
    assert.deepEqual([page.state.view, busyAction(page.state)], ['signed-out', null]);
  });

  test('a network that returns asks for a connection, which finds out whether one has signed in', () => {
    const page = inRoom().do('closed').do('signed-out');
    page.asked();
    assert.deepEqual(page.do('online').asked(), [{ type: 'connect' }]);
  });
});

describe('a reload', () => {
  const reloaded = (page, code = '') => {
    const { name, session } = page.memory();
    return loaded({ name, session, code });
  };

  test('comes back as the same member, with the draft, and sends what was not sent under its id', () => {
    const before = inRoom().says('one').says('two').types('draft', 'three');
    const { id } = before.inFlight;
    const page = reloaded(before, '7k3m9qx2tb');
    assert.equal(page.state.view, 'room');
    assert.deepEqual([page.state.room.draft, page.texts, page.statuses], ['three', ['one', 'two'], ['queued', 'queued']]);
    page.do('opened');
    assert.deepEqual(page.frames(), [{ type: 'join', room: ROOM, name: 'ann', resume: SECRET }]);
    page.hears(joined());
    assert.equal(page.inFlight.id, id);
    stored(stored(page, 1), 2);
    assert.deepEqual(page.statuses, ['sent', 'sent']);
    assert.notEqual(page.do('send').inFlight.id, id);
  });

  test('finds what had arrived, and what was said under the own name before', () => {
    const before = inRoom().says('one');
    const { id } = before.inFlight;
    const page = reloaded(before).do('opened');
    page.hears(joined('ann', { seq: 1, messages: [{ seq: 1, id, from: 'ann', text: 'one', at: START }] }));
    assert.deepEqual([page.texts, page.statuses, page.shown[0].own], [['one'], ['sent'], true]);
    assert.equal(page.inFlight, null);
  });

  test('keeps what overtakes its `joined`: messages once each, and who is here', () => {
    const page = reloaded(inRoom()).do('opened');
    page.hears(message('bob', 'm42', 42)).hears(message('bob', 'm43', 43));
    page.hears(presence('join', ['ann', 'bob', 'cat'], 9, { name: 'cat' }));
    page.hears(joined('ann', { seq: 42, messages: said(1, 42), members: ['ann', 'bob'], count: 2, rev: 8 }));
    assert.deepEqual(page.texts, said(1, 43).map(({ text }) => text));
    assert.deepEqual([page.state.room.seq, page.state.room.rev], [43, 9]);
    assert.deepEqual(page.state.room.members, ['ann', 'bob', 'cat']);
  });

  test('with the link of another room invites there instead', () => {
    const page = reloaded(inRoom(), 'ABCDE-FGHJK');
    assert.deepEqual([page.state.view, page.state.form.code], ['welcome', 'ABCDE-FGHJK']);
  });

  test('after leaving stays outside', () => {
    assert.equal(reloaded(inRoom().do('leave')).state.view, 'welcome');
  });
});

describe('telling others, being told', () => {
  test('a copy is asked for, confirmed for a moment, and a failure is told', () => {
    const page = inRoom().do('copy', { what: 'code' }).do('copy', { what: 'link' }).do('share');
    assert.deepEqual(page.asked(), [
      { type: 'copy', what: 'code', text: ROOM },
      { type: 'copy', what: 'link', text: `room=${ROOM}` },
      { type: 'share', address: `room=${ROOM}` },
    ]);
    page.do('copied', { what: 'code', ok: true });
    assert.equal(page.state.copied.ok, true);
    assert.equal(page.passes(3_000).state.copied, null);
    assert.equal(page.do('copied', { what: 'link', ok: false }).state.copied.ok, false);
  });

  test('notifications are asked for on a click, and come only while nobody looks, for what others say', () => {
    const page = inRoom();
    const notified = () => page.asked().filter(({ type }) => type === 'notify');
    page.do('looked', { visible: false }).hears(message('bob', 'm1', 1));
    assert.deepEqual(notified(), []);
    assert.deepEqual(page.do('notify').asked(), [{ type: 'ask-notify' }]);
    page.do('notify-answered', { ok: true }).hears(message('bob', 'm2', 2)).hears(message('bob', 'm2', 2));
    assert.deepEqual(notified(), [{ type: 'notify', title: `bob · ${ROOM}`, text: 'm2' }]);
    page.do('looked', { visible: true }).hears(message('bob', 'm3', 3));
    assert.deepEqual(notified(), []);
    page.do('notify').do('looked', { visible: false }).hears(message('bob', 'm4', 4));
    assert.deepEqual(notified(), []);
    assert.equal(page.do('notify-answered', { ok: false }).state.notify, 'refused');
  });
});

describe('whatever happens', () => {
  const NAMES = ['ann', 'bob', 'cat'];
  const who = fc.nat({ max: NAMES.length - 1 });
  const deed = fc.oneof(
    { weight: 6, arbitrary: fc.record({ type: fc.constant('says'), who }) },
    { weight: 5, arbitrary: fc.record({ type: fc.constant('runs'), ms: fc.nat({ max: 3_000 }) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('runs'), ms: fc.nat({ max: 600_000 }) }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('breaks'), who, told: fc.boolean(), noticed: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('reloads'), who }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('renames'), who }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('expires'), who }) },
    {
      weight: 2,
      arbitrary: fc.record({
        type: fc.constant('does'),
        who,
        what: fc.constantFrom('online', 'offline', 'reconnect', 'rejoin', 'near-top', 'to-bottom'),
      }),
    },
  );

  const RUNS = Number(process.env.PROPERTY_RUNS ?? 120);
  test(`after any misfortune everyone has the same conversation, nothing lost or doubled (${RUNS} of them)`, (t) => {
    let messages = 0;
    let connections = 0;
    fc.assert(
      fc.property(fc.nat(), fc.array(deed, { maxLength: 60, size: 'max' }), (seed, deeds) => {
        const world = new World(NAMES, randomFrom(seed));
        deeds.forEach((it, i) => misfortunes[it.type](world, world.people[it.who], it, i));
        world.heals();
        holds(world);
        messages += world.model.room().said.length;
        connections += world.connections;
      }),
      { numRuns: RUNS },
    );
    t.diagnostic(`${messages} messages over ${connections} connections`);
  });

  const misfortunes = {
    says: (world, person, _, i) => world.says(person, `${person.name} ${i}`),
    runs: (world, _, { ms }) => world.runs(ms),
    breaks: (world, person, how) => world.breaks(person, how),
    reloads: (world, person) => world.reloads(person),
    renames(world, person, _, i) {
      world.does(person, 'rename');
      world.does(person, 'rename-typed', { text: `${person.name}${i}` });
      world.does(person, 'take-name');
    },
    /** The connection is lost, and for the next one somebody has to sign in first. */
    expires(world, person) {
      world.breaks(person, { told: true, noticed: true });
      world.does(person, 'signed-out');
    },
    does: (world, person, { what }) => world.does(person, what),
  };

  function holds({ model, people }) {
    const { said, members } = model.room();
    const stored = said.map(({ text }) => text);
    assert.deepEqual([...stored].sort(), people.flatMap((person) => person.said).sort(), 'each text is stored once');
    for (const { name, page, said: own } of people) {
      const { room } = page.state;
      assert.equal(room.status, 'in');
      assert.deepEqual(page.texts, stored.slice(room.base), `what ${name} sees`);
      assert.deepEqual(room.outbox, []);
      assert.deepEqual(stored.filter((text) => text.startsWith(`${name} `)), own, `${name}'s own order`);
      assert.deepEqual(page.shown.filter((it) => it.own).length, own.filter((text) => page.texts.includes(text)).length);
      assert.deepEqual(room.members, members.map((member) => member.name).sort(), `whom ${name} sees`);
      assert.equal(new Set(page.entries.map(({ key }) => key)).size, page.entries.length);
    }
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
