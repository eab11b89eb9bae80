// The whole page as a value, pure: (state, event) -> state. No DOM, no socket, no clock, no storage.
//
// Every event carries `now` (ms) and `random` (0 to 1). What an event asks of the world stands in
// `effects`, which `main.js` carries out once. At most one frame awaits its answer, because answers
// carry no ids: whatever `error` comes belongs to that frame, and own messages keep their order.

import { answered } from './answers.js';
import * as conversation from './conversation.js';
import * as entrance from './entrance.js';
import * as link from './link.js';
import { connect, connectNow, drop, effect, inRoom, lose, pump, rejoining } from './session.js';
import { addressOf, sameCode } from './words.js';

const COPIED_MS = 2_500;

export const initial = () => ({
  view: 'loading', // loading | broken | welcome | room
  broken: null, // why there is no chat, a sentence
  online: true,
  form: entrance.emptyForm(),
  link: link.idle(),
  wish: null, // where to be next: {kind: create | join | leave, …}, until the server grants it
  awaiting: null, // the frame without an answer yet: {kind: place | message | ping, by, …}
  room: null,
  heard: [], // messages of rooms we are not in, perhaps of the one whose `joined` is on its way
  copied: null, // {what, ok, until}
  effects: [],
});

export function update(state, event) {
  const handle = handlers[event.type];
  if (handle === undefined) throw new TypeError(`unknown event \`${event.type}\``);
  return pump(handle({ ...state, effects: [] }, event), event.now);
}

/** When `tick` is next needed, ms since 1970; `Infinity` if nothing waits for the clock. */
export function wakeAt({ link: connection, awaiting, wish, copied }) {
  const open = connection.phase === 'open';
  const busy = open && (awaiting !== null || wish !== null); // a ping has to wait for these
  return Math.min(
    busy ? Infinity : link.wakeAt(connection),
    awaiting?.by ?? Infinity,
    (open && !awaiting ? wish?.notBefore : null) ?? Infinity,
    wish?.giveUpBy ?? Infinity,
    copied?.until ?? Infinity,
  );
}

/** What survives the page: the name for good, the rest for a reload. */
export const remembered = ({ form, room }) => ({
  name: form.name,
  session: room && {
    room: room.code,
    name: room.asked,
    draft: room.draft,
    unsent: room.outbox.map(({ text, at }) => ({ text, at })),
  },
});

const handlers = {
  // ---- the page starts

  load: (state) => effect({ ...state, view: 'loading', broken: null }, { type: 'load-config' }),

  misconfigured: (state, { reason }) => ({ ...state, view: 'broken', broken: reason }),

  /** `session` is what `remembered` gave before a reload; the link's `code` goes first if they differ. */
  configured(state, { name, code, session, online, now }) {
    const resumes = session !== null && (code === '' || sameCode(code, session.room));
    const form = { ...state.form, name: session?.name ?? name, code, invited: code !== '' && !resumes };
    const room = resumes
      ? conversation.openRoom({ ...session, code: session.room, asked: session.name, status: 'rejoining' })
      : null;
    return connect({ ...state, view: room ? 'room' : 'welcome', online, form, room }, now);
  },

  linked(state, { code }) {
    if (state.room) return effect(state, { type: 'address', code: addressOf(state.room.code) });
    if (code === '' || state.view !== 'welcome') return state;
    return { ...state, form: { ...state.form, code, invited: true, error: null } };
  },

  // ---- the welcome form

  'name-typed': (state, { text }) => entrance.formTyped(state, 'name', text),
  'code-typed': (state, { text }) => entrance.formTyped(state, 'code', text),
  create: entrance.create,
  join: entrance.join,
  'enter-lobby': entrance.enterLobby,

  // ---- the conversation

  'draft-typed': (state, { text }) => inRoom(state, (room) => conversation.typed(room, text)),
  send: (state, { now }) => inRoom(state, (room) => conversation.sent(room, now)),
  'send-again': (state, { key }) => inRoom(state, (room) => conversation.requeued(room, key)),
  discard: (state, { key }) => inRoom(state, (room) => conversation.discarded(room, key)),
  scrolled: (state, { atBottom }) => inRoom(state, (room) => conversation.scrolled(room, atBottom)),
  'to-bottom': (state) => inRoom(state, (room) => conversation.scrolled(room, true)),
  rejoin: (state) => (state.room?.status === 'shut' ? rejoining(state) : state),

  /** Asks first if something would be lost. */
  leave(state) {
    if (!state.room || conversation.unsentCount(state.room) === 0) return left(state);
    return { ...state, room: { ...state.room, leaveAsked: true } };
  },

  'leave-anyway': (state) => left(state),
  stay: (state) => inRoom(state, (room) => ({ ...room, leaveAsked: false })),

  copy: (state, { what }) => (state.room ? effect(state, { type: 'copy', what, code: state.room.code }) : state),
  copied: (state, { what, ok, now }) => ({ ...state, copied: { what, ok, until: now + COPIED_MS } }),

  // ---- the connection

  opened(state, { now }) {
    const next = { ...state, link: link.opened(state.link, now) };
    return next.room && next.room.status !== 'shut' ? rejoining(next) : next;
  },

  closed: (state, event) => lose(state, event),
  reconnect: (state, { now }) => connectNow(state, now),
  online: (state, { now }) =>
    connectNow({ ...state, online: true, link: link.woke(state.link, now) }, now, { restart: true }),
  offline: (state, { now }) => ({ ...state, online: false, link: link.woke(state.link, now) }),
  woke: (state, { now }) => ({ ...state, link: link.woke(state.link, now) }),

  frame: (state, { frame, now, random }) =>
    answered({ ...state, link: link.heard(state.link, now) }, frame, { now, random }),

  tick(state, event) {
    const { now } = event;
    const { phase, connectBy, retryAt } = state.link;
    if (phase === 'connecting' && now >= connectBy) return drop(state, event);
    if (state.awaiting && now >= state.awaiting.by) return drop(state, event);
    const due = phase === 'waiting' && now >= retryAt;
    const next = expired(due ? connect(state, now) : state, event);
    return { ...next, link: link.counted(next.link, now) };
  },
};

function left(state) {
  const { room } = state;
  if (!room) return state;
  const wish = state.link.phase === 'open' ? { kind: 'leave' } : null;
  const form = { ...state.form, code: addressOf(room.code), invited: false, error: null };
  return effect({ ...state, view: 'welcome', room: null, heard: [], wish, form }, { type: 'address', code: '' });
}

/** Ends what has lasted long enough. */
function expired(state, event) {
  const { now } = event;
  const next = state.copied && now >= state.copied.until ? { ...state, copied: null } : state;
  if (now < (next.wish?.giveUpBy ?? Infinity)) return next;
  // A late answer would move us without anyone knowing: a fresh connection starts outside of every room.
  const clean = next.awaiting?.kind === 'place' ? drop(next, event) : next;
  return entrance.formError(clean, 'form', 'The server did not answer. Check your connection and try again.');
}
