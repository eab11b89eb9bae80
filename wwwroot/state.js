// The whole page as a value, pure: (state, event) -> state.
//
// Every event carries `now` (ms) and `random` (0 to 1). What it asks of the world stands in `effects`. At most one
// frame awaits its answer, for reasons that ARCHITECTURE.md has.

import * as rooms from './room.js';
import { addressOf, canonical, codeFrom, LOBBY, placeName, sentence } from './words.js';

// API Gateway closes after 10 minutes of silence; what pings cost is in ARCHITECTURE.md.
const PING_MS = { true: 4 * 60_000, false: 8 * 60_000 };
// It ends every connection after 2 hours; each is renewed before, at a moment of its own.
const RENEW_MS = 110 * 60_000;
const RENEW_SPREAD_MS = 8 * 60_000;
const CONNECT_MS = 15_000;
const ANSWER_MS = { ping: 8_000, typing: 2_000, else: 15_000 };
const STALE_MS = 30_000; // after this long without a frame, waking up asks for a pong
const COPIED_MS = 2_500;
const FORM_MS = 30_000; // for connection and answer together
const REJOIN_TRIES_MAX = 6; // about a minute: a half-open connection of our own is gone by then
const HEARD_MAX = 50;
const PASSING = ['name-taken', 'try-again', 'too-fast'];

export const initial = () => ({
  view: 'loading', // loading | broken | signed-out | welcome | room
  broken: null, // why there is no chat, a sentence
  online: true,
  visible: true,
  notify: 'off', // off | on | refused
  form: { name: '', code: '', invited: false, error: null },
  link: { phase: 'idle', attempt: 0, everOpen: false }, // `connecting`, `open`, `waiting` for the next try, `signed-out`
  // What is asked of the server beside talking, until it answers: {kind: create | join | leave | rename, …}.
  // `ghost`: an earlier connection of ours may have had it granted, and still hold our name.
  wish: null,
  awaiting: null, // the frame without an answer: {kind: a wish's | message | history | typing | ping, by, …}
  room: null,
  heard: [], // frames of rooms we are not in, perhaps of the one whose `joined` is on its way
  copied: null, // {what, ok, until}
  effects: [],
});

export function update(state, event) {
  const handle = handlers[event.type];
  if (handle === undefined) throw new TypeError(`unknown event \`${event.type}\``);
  const next = pump(handle({ ...state, effects: [] }, event), event);
  return next.visible ? inRoom(next, rooms.seen) : next;
}

/** When `tick` is next needed, ms since 1970 or `Infinity`. */
export function wakeAt({ link, awaiting, wish, copied, room }) {
  const open = link.phase === 'open';
  const busy = open && (awaiting !== null || wish !== null); // a ping has to wait for these
  return Math.min(
    busy ? Infinity : linkWakeAt(link),
    awaiting?.by ?? Infinity,
    (open && !awaiting ? wish?.notBefore : null) ?? Infinity,
    wish?.giveUpBy ?? Infinity,
    copied?.until ?? Infinity,
    room ? rooms.wakeAt(room, open && !busy) : Infinity,
  );
}

/** What survives the page: the name for good, the rest for a reload. */
export const remembered = ({ form, room }) => ({
  name: form.name,
  session: room && {
    room: room.code,
    name: room.asked,
    names: room.names,
    resume: room.resume,
    token: room.token,
    nextId: room.nextId,
    draft: room.draft,
    unsent: room.outbox.map(({ id, text, at }) => ({ id, text, at })),
  },
});

/** The button that is at work: `create`, `join`, `enter-lobby` or null. */
export const busyAction = ({ room, wish }) => (room ? null : (wish?.action ?? null));

const handlers = {
  load: (state) => effect({ ...state, view: 'loading', broken: null }, { type: 'load-config' }),

  misconfigured: (state, { reason }) => ({ ...state, view: 'broken', broken: reason }),

  /** `session`: what `remembered` gave before a reload; a link's other `code` goes first. */
  configured(state, { name, code, session, online, now }) {
    const resumes = session !== null && (code === '' || canonical(code) === canonical(session.room));
    const form = { ...state.form, name: session?.name ?? name, code, invited: code !== '' && !resumes };
    const room = resumes
      ? rooms.openRoom({ ...session, code: session.room, asked: session.name, status: 'rejoining' })
      : null;
    return connect({ ...state, view: room ? 'room' : 'welcome', online, form, room }, now);
  },

  linked(state, { code }) {
    if (state.room) return effect(state, { type: 'address', address: addressOf(state.room.code) });
    if (code === '' || state.view !== 'welcome') return state;
    return { ...state, form: { ...state.form, code, invited: true, error: null } };
  },

  // ---- the welcome form

  'name-typed': (state, { text }) => formTyped(state, 'name', text),
  'code-typed': (state, { text }) => formTyped(state, 'code', text),
  create: (state, event) => wished(state, { kind: 'create', action: 'create' }, event),
  'enter-lobby': (state, event) => wished(state, { kind: 'join', action: 'enter-lobby', room: LOBBY }, event),

  join(state, event) {
    const room = codeFrom(state.form.code);
    if (state.form.name.trim() !== '' && room === '') {
      return formError(state, 'code', 'Type the code of the room, such as 7K3M9-QX2TB.');
    }
    return wished(state, { kind: 'join', action: 'join', room }, event);
  },

  // ---- the conversation

  'draft-typed': (state, { text }) => inRoom(state, (room) => rooms.typed(room, text)),
  send: (state, { now }) => inRoom(state, (room) => rooms.sent(room, now)),
  'send-again': (state, { key }) => inRoom(state, (room) => rooms.requeued(room, key)),
  discard: (state, { key }) => inRoom(state, (room) => rooms.discarded(room, key)),
  scrolled: (state, { atBottom }) => inRoom(state, (room) => rooms.scrolled(room, atBottom)),
  'to-bottom': (state) => inRoom(state, (room) => rooms.scrolled(room, true)),
  'near-top': (state) => inRoom(state, (room) => (rooms.hasOlder(room) ? { ...room, wantsOlder: true } : room)),
  rejoin: (state) => (state.room?.status === 'shut' ? rejoining(state) : state),
  escape: (state) => inRoom(state, (room) => ({ ...room, panel: false, renaming: null, leaveAsked: false })),
  panel: (state) => inRoom(state, (room) => ({ ...room, panel: !room.panel })),

  rename: (state) => inRoom(state, (room) => ({ ...room, renaming: { text: room.name, error: null } })),
  'rename-typed': (state, { text }) => inRoom(state, (room) => ({ ...room, renaming: { text, error: null } })),
  'keep-name': (state) => inRoom(state, (room) => ({ ...room, renaming: null })),

  'take-name'(state) {
    const { room, wish } = state;
    const name = room?.renaming?.text.trim();
    if (!name || name === room.name) return inRoom(state, (it) => ({ ...it, renaming: null }));
    if (state.link.phase !== 'open' || room.status !== 'in' || wish) {
      return { ...state, room: { ...room, renaming: { text: name, error: 'This has to wait for the connection.' } } };
    }
    return { ...state, wish: { kind: 'rename', name, was: room.name }, room: { ...room, renaming: { text: name, error: null, busy: true } } };
  },

  /** Asks first if something would be lost. */
  leave(state) {
    if (!state.room || rooms.unsentCount(state.room) === 0) return left(state);
    return { ...state, room: { ...state.room, leaveAsked: true } };
  },

  'leave-anyway': (state) => left(state),
  stay: (state) => inRoom(state, (room) => ({ ...room, leaveAsked: false })),

  remove: (state, { key: name }) => effect(state, { type: 'ask-remove', name }),
  'remove-anyway': (state, { name }) =>
    state.room?.status === 'in' && !state.wish ? { ...state, wish: { kind: 'remove', name } } : state,

  // ---- telling others, being told

  copy(state, { what }) {
    const { code } = state.room;
    return effect(state, { type: 'copy', what, text: what === 'link' ? addressOf(code) : code });
  },

  share: (state) => effect(state, { type: 'share', address: addressOf(state.room.code) }),
  copied: (state, { what, ok, now }) => ({ ...state, copied: { what, ok, until: now + COPIED_MS } }),
  notify: (state) => (state.notify === 'on' ? { ...state, notify: 'off' } : effect(state, { type: 'ask-notify' })),
  'notify-answered': (state, { ok }) => ({ ...state, notify: ok ? 'on' : 'refused' }),

  // ---- the connection

  opened(state, event) {
    const next = { ...state, link: opened(state.link, { ...event, visible: state.visible }) };
    return next.room && next.room.status !== 'shut' ? rejoining(next) : next;
  },

  closed: (state, event) => lose(state, event),

  /** One has to sign in first. The room stays, to be read and written in. */
  'signed-out'(state, event) {
    const next = lose(state, event);
    return { ...next, view: state.room ? 'room' : 'signed-out', wish: null, link: { ...next.link, phase: 'signed-out' } };
  },

  reconnect: (state, { now }) => connectNow(state, now),
  online: (state, { now }) =>
    connectNow({ ...state, online: true, link: woke(state.link, now) }, now, { restart: true }),
  offline: (state, { now }) => ({ ...state, online: false, link: woke(state.link, now) }),

  /** Someone looks at the page (again), or no longer. */
  looked: (state, { visible, now }) => ({ ...state, visible, link: visible ? woke(state.link, now) : state.link }),

  frame: (state, { frame, now, random }) =>
    answered({ ...state, link: heard(state.link, now) }, frame, { now, random }),

  tick(state, event) {
    const { now } = event;
    const { phase, connectBy, retryAt } = state.link;
    if (phase === 'connecting' && now >= connectBy) return drop(state, event);
    if (state.awaiting && now >= state.awaiting.by) {
      return state.awaiting.kind === 'typing' ? { ...state, awaiting: null } : drop(state, event);
    }
    const due = phase === 'waiting' && now >= retryAt;
    const next = expired(due ? connect(state, now) : state, event);
    return inRoom({ ...next, link: counted(next.link, now) }, (room) => rooms.aged(room, now));
  },
};

function formTyped(state, field, text) {
  const error = state.form.error?.field === field ? null : state.form.error;
  return { ...state, form: { ...state.form, [field]: text, error } };
}

function wished(state, wish, { now, random }) {
  if (state.view !== 'welcome' || busyAction(state)) return state;
  const name = state.form.name.trim().normalize('NFC'); // as the server gives it
  if (name === '') return formError(state, 'name', 'Type a name for the others to know you by.');
  const next = { ...state, form: { ...state.form, error: null } };
  const token = random.toString(36).slice(2);
  return connectNow({ ...next, wish: { ...wish, name, token, tries: 0, ghost: false, giveUpBy: now + FORM_MS } }, now);
}

/** Outside of every room, with the form as it was. */
function left(state) {
  if (!state.room) return state;
  const { code, asked: name, status } = state.room;
  const form = { ...state.form, name, code: code === LOBBY ? '' : code, invited: false, error: null };
  const wish = state.link.phase === 'open' && status !== 'shut' ? { kind: 'leave' } : null;
  return effect({ ...state, view: 'welcome', form, room: null, wish }, { type: 'address', address: '' });
}

function expired(state, event) {
  const { now } = event;
  const next = state.copied && now >= state.copied.until ? { ...state, copied: null } : state;
  if (now < (next.wish?.giveUpBy ?? Infinity)) return next;
  // A late answer would move us unnoticed: a fresh connection starts outside of every room.
  const clean = next.awaiting?.wish ? drop(next, event) : next;
  return formError(clean, 'form', 'The server did not answer. Check your connection and try again.');
}

// ---- what the server says

/** Frames of types that this page does not know change nothing. */
function answered(state, frame, event) {
  const answer = frame.type === undefined ? fromGateway : answers.get(frame.type);
  return answer ? answer(state, frame, event) : state;
}

const answers = new Map(Object.entries({
  message(state, frame, event) {
    if (!isMessage(frame)) return state;
    if (state.room?.code !== frame.room) return early(state, frame);
    const { awaiting, room, visible } = state;
    const after = rooms.received(room, frame, event.now);
    const isAnswer = awaiting?.kind === 'message' && !after.outbox.some(({ id }) => id === awaiting.id);
    const next = isAnswer ? { ...state, awaiting: null } : state;
    const tells = !visible && state.notify === 'on' && after.news > room.news;
    const told = { type: 'notify', title: `${frame.from} · ${placeName(room)}`, text: frame.text };
    return { ...(tells ? effect(next, told) : next), room: after };
  },

  joined(state, frame, event) {
    const { now } = event;
    const { granted, next } = placeAnswered(state, ['create', 'join']);
    if (!granted || !isJoined(frame)) return next;
    const { room: code, name } = frame;
    const messages = frame.messages?.filter(isMessage);
    const before = next.room ?? rooms.openRoom({ code, asked: granted.name, name, token: granted.token });
    const entered = { ...next, room: rooms.arrived(before, { ...frame, messages }, granted.after ?? 0, now) };
    if (next.room) return entered;
    const heard = next.heard.filter(({ room }) => room === code);
    const opened = { ...entered, view: 'room', form: { ...next.form, error: null }, heard: [] };
    return effect(heard.reduce((all, early) => answered(all, early, event), opened), { type: 'address', address: addressOf(code) });
  },

  removed(state, { room: code }, event) {
    const text = 'Who made this room has removed you from it.';
    return inRoom(drop(state, event), (room) => (room.code === code ? rooms.shut(room, { code: 'removed', text }) : room));
  },

  left: (state) => placeAnswered(state, ['leave']).next,

  presence(state, frame, { now }) {
    if (state.room?.code !== frame.room) return early(state, frame);
    const { awaiting, wish } = state;
    const renamed = frame.event === 'rename' && frame.was === state.room.name;
    const removed = frame.event === 'leave' && awaiting?.kind === 'remove' && frame.name === awaiting.wish.name;
    const next = removed || (renamed && awaiting?.kind === 'rename') ? { ...state, awaiting: null, wish: awaiting.wish === wish ? null : wish } : state;
    return inRoom(next, (room) => rooms.present(room, frame, now));
  },

  history(state, frame, event) {
    const { awaiting } = state;
    if (state.room?.code !== frame.room) return early(state, frame);
    if (awaiting?.kind !== 'history' || !Array.isArray(frame.messages)) return state;
    const messages = frame.messages.map((message) => ({ room: frame.room, ...message })).filter(isMessage);
    return inRoom({ ...state, awaiting: null }, (room) => rooms.told(room, { ...frame, messages }, awaiting.before, event));
  },

  typing(state, { room: code, from }, { now }) {
    if (state.room?.code !== code || typeof from !== 'string') return state;
    const isAnswer = state.awaiting?.kind === 'typing' && from === state.room.name;
    return { ...state, awaiting: isAnswer ? null : state.awaiting, room: rooms.typing(state.room, from, now) };
  },

  pong(state, { room: code, seq, rev }, { now }) {
    const next = state.awaiting?.kind === 'ping' ? { ...state, awaiting: null } : state;
    if (next.room?.status !== 'in') return next;
    const elsewhere = typeof code === 'string' && code !== next.room.code;
    if (elsewhere || rev > next.room.rev) return next.wish ? next : rejoining(next);
    return Number.isInteger(seq) ? inRoom(next, (room) => rooms.newest(room, seq, now)) : next;
  },

  error(state, { code, message, id, wait }, event) {
    if (code === 'not-connected') return drop(state, event);
    if (id !== undefined && id !== state.awaiting?.id) return state;
    return refused(state, { code, text: sentence(message), wait }, event);
  },
}));

/** API Gateway's own frames, which have no `type`. */
function fromGateway(state, { message }, event) {
  if (typeof message !== 'string') return state;
  const text = message === 'Too Many Requests' ? 'The server is busy just now.' : 'The server failed.';
  return refused(state, { code: 'try-again', text }, event);
}

function refused(state, error, event) {
  const { awaiting, wish } = state;
  const next = { ...state, awaiting: null };
  if (awaiting?.kind === 'message') return messageRefused(next, awaiting, error, event);
  if (awaiting?.kind === 'history') {
    const later = inRoom(next, (room) => rooms.historyFailed(room, event));
    return error.code === 'not-in-room' ? rejoining(later) : later;
  }
  if (!awaiting?.wish || awaiting.wish !== wish) return next;
  if (wish.kind === 'leave') return drop(state, event);
  if (wish.kind === 'remove') return inRoom({ ...next, wish: null }, (room) => rooms.notRemoved(room, wish, error.text, event));
  if (wish.kind === 'rename') {
    const told = { ...next, wish: null, room: { ...next.room, renaming: { text: wish.name, error: error.text } } };
    return error.code === 'try-again' ? rejoining(told) : told; // which name we have now, `joined` says
  }
  if (state.room || (wish.ghost && error.code === 'name-taken')) return retried(next, error, event);
  return formError(next, fieldOf(error.code), error.text);
}

function messageRefused(state, { key }, { code, text, wait }, event) {
  if (wait) return inRoom(state, (room) => rooms.delayed(room, key, event.now + wait));
  if (code === 'try-again' || code === 'too-fast') return inRoom(state, (room) => rooms.postponed(room, key, text, event));
  if (code !== 'not-in-room') return inRoom(state, (room) => rooms.notSent(room, key, text));
  return rejoining(inRoom(state, (room) => rooms.postponed(room, key, text, event)));
}

/** Going back into a room was refused: try again if that can help, else say so. */
function retried(state, { code, text }, { now, random }) {
  const { wish } = state;
  const tries = wish.tries + 1;
  const notBefore = now + rooms.backoffMs(wish.tries, random);
  if (PASSING.includes(code) && tries <= REJOIN_TRIES_MAX && notBefore < (wish.giveUpBy ?? Infinity)) {
    return { ...state, wish: { ...wish, tries, notBefore } };
  }
  if (!state.room) return formError(state, fieldOf(code), text);
  return inRoom({ ...state, wish: null }, (room) => rooms.shut(room, { code, text }));
}

/** field: `name`, `code`, or `form` for what belongs to neither. */
const formError = (state, field, text) => ({
  ...state,
  wish: null,
  form: { ...state.form, error: { field, text } },
});

const fieldOf = (code) => ({ 'bad-name': 'name', 'name-taken': 'name', 'no-such-room': 'code' })[code] ?? 'form';

/** A frame of a room we are not in, or left while this answer was to come. */
function early(state, frame) {
  const { awaiting, room, heard } = state;
  if (typeof frame.room !== 'string') return state;
  const isAnswer = awaiting?.kind === 'rename' ? awaiting.wish.was === frame.was : awaiting?.kind === frame.type && awaiting.id === frame.id;
  return { ...state, awaiting: isAnswer && !room ? null : awaiting, heard: [...heard, frame].slice(-HEARD_MAX) };
}

const isMessage = ({ seq, id = '', from, text, at }) =>
  [id, from, text].every((it) => typeof it === 'string') && Number.isFinite(at) && Number.isInteger(seq);

const isJoined = ({ room, name, members }) =>
  typeof room === 'string' && typeof name === 'string' && Array.isArray(members);

/** The wish that this answer grants, if it is still wished for. */
function placeAnswered(state, kinds) {
  const { awaiting, wish } = state;
  if (!kinds.includes(awaiting?.kind)) return { granted: null, next: state };
  const granted = awaiting.wish === wish ? wish : null;
  return { granted, next: { ...state, awaiting: null, wish: granted ? null : wish } };
}

// ---- the connection: its phases and deadlines, and what is sent next

const connecting = (link, now) => ({ ...link, phase: 'connecting', connectBy: now + CONNECT_MS });

const opened = (link, { now, random, visible }) => ({
  ...spoke(link, now, visible),
  phase: 'open',
  everOpen: true,
  heardAt: now,
  renewAt: now + RENEW_MS + random * RENEW_SPREAD_MS,
});

/** What says something is a success, what merely opens is not. */
const heard = (link, now) => ({ ...link, attempt: 0, heardAt: now });

const spoke = (link, now, visible) => ({ ...link, pingAt: now + PING_MS[visible] });

/** The tab or the network came back: does the connection still live, and what was missed? */
const woke = (link, now) =>
  link.phase === 'open' && now - link.heardAt > STALE_MS ? { ...link, pingAt: now } : link;

const lost = (link, { now, random }) =>
  counted({ ...link, phase: 'waiting', attempt: link.attempt + 1, retryAt: now + rooms.backoffMs(link.attempt, random) }, now);

/** The same link with its countdown brought up to `now`. */
const counted = (link, now) =>
  link.phase === 'waiting' ? { ...link, retryInS: Math.max(1, Math.ceil((link.retryAt - now) / 1000)) } : link;

/** When this link next needs a look at the clock. */
const linkWakeAt = ({ phase, connectBy, pingAt, renewAt, retryAt, retryInS }) =>
  ({
    idle: Infinity,
    connecting: connectBy,
    open: Math.min(pingAt, renewAt),
    waiting: retryAt - (retryInS - 1) * 1000,
    'signed-out': Infinity,
  })[phase];

const effect = (state, wanted) => ({ ...state, effects: [...state.effects, wanted] });

const inRoom = (state, change) => (state.room ? { ...state, room: change(state.room) } : state);

/** Sends the next frame if the connection is free. */
function pump(state, event) {
  const { now } = event;
  const { wish, room } = state;
  if (state.link.phase !== 'open' || state.awaiting) return state;
  if (wish) return now >= (wish.notBefore ?? 0) ? ask(state, frameOf(wish), { kind: wish.kind, wish }, now) : state;
  if (room?.status === 'in') {
    const entry = rooms.nextToSend(room);
    if (entry && now >= (entry.notBefore ?? 0)) {
      const { key, id, text } = entry;
      const next = { ...state, room: rooms.sending(room, key) };
      return ask(next, { type: 'message', room: room.code, id, text }, { kind: 'message', key, id }, now);
    }
    const part = rooms.historyToAsk(room, now);
    if (part) return ask(state, { type: 'history', ...part, limit: 100 }, { kind: 'history', ...part }, now);
    if (rooms.tellsTyping(room, now)) {
      return ask({ ...state, room: rooms.toldTyping(room, now) }, { type: 'typing' }, { kind: 'typing' }, now);
    }
  }
  if (now >= state.link.renewAt) return renewed(state, event);
  return now >= state.link.pingAt ? ask(state, { type: 'ping' }, { kind: 'ping' }, now) : state;
}

const connect = (state, now) =>
  effect({ ...state, link: connecting(state.link, now) }, { type: 'connect' });

/** Does not wait for the next try. `restart`: nor trust one that is under way. */
function connectNow(state, now, { restart = false } = {}) {
  const { phase } = state.link;
  if (phase === 'waiting' || phase === 'signed-out') return connect(state, now);
  return restart && phase === 'connecting' ? connect(effect(state, { type: 'drop' }), now) : state;
}

const drop = (state, event) => effect(lose(state, event), { type: 'drop' });

/** A new connection before the old one ends by its age: nothing is wrong, or said. */
const renewed = (state, event) =>
  inRoom(connect(drop(state, event), event.now), (room) => ({ ...room, lostAt: null }));

/** The connection is gone, and with it every answer that was still to come. */
function lose(state, event) {
  const { awaiting, wish, room } = state;
  const next = { ...state, awaiting: null, link: lost(state.link, event) };
  if (wish?.kind === 'leave') next.wish = null; // a new connection is in the lobby anyway
  else if (wish && awaiting?.wish === wish) next.wish = { ...wish, ghost: true };
  if (!room) return next;
  const told = wish?.kind === 'remove' ? rooms.notRemoved(room, wish, 'The connection broke. See who is here.', event) : room;
  return { ...next, wish: null, room: rooms.dropped(told, event.now) }; // asked for anew with the connection
}

/** Asks for our place in the room again, and for what was said meanwhile. */
function rejoining(state) {
  if (!state.room) return state;
  const { code, asked: name, resume, arrived, tail: after } = state.room;
  const back = { resume: resume ?? undefined, after: arrived ? after : undefined };
  const wish = { kind: 'join', room: code, name, ...back, ghost: true, tries: 0 };
  return { ...state, room: { ...state.room, status: 'rejoining', trouble: null }, wish };
}

function ask(state, frame, awaiting, now) {
  const by = now + (ANSWER_MS[awaiting.kind] ?? ANSWER_MS.else);
  const next = { ...state, awaiting: { ...awaiting, by }, link: spoke(state.link, now, state.visible) };
  return effect(next, { type: 'send', frame });
}

const frameOf = ({ kind: type, room, name, after, resume }) => ({ type, room, name, after, resume });
