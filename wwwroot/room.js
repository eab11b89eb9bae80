// One room as its member sees it, pure.
//
// `messages` is sorted by `seq`. Everything from `base` + 1 to `tail` is there, or gone by its age; what the
// server has beyond `tail` is missing and asked for. A notice stands half a step behind a message.

import { lengthOf, TEXT_MAX } from './words.js';

const GAP_MS = 1_000; // what was overtaken for longer is lost
const TYPING_MS = 6_000;
const TYPING_EVERY_MS = 4_000; // each costs a delivery to every member
const CROWD = 50; // beyond, nobody wants to hear who types, comes and goes
const KEEP_MAX = 1_500; // beyond, what is far above a reader at the bottom goes, and is loaded again on the way up
const KEEP = 1_000;
const JUMP = 1_000; // who missed more begins at the newest
const TRIES_MAX = 5;
const CAUGHT_UP_MS = 3_000;

/** Before try number `attempt` (from 0): 1 to 2 s, doubling, at most 30 s. */
export const backoffMs = (attempt, random) => Math.round((Math.min(30_000, 2_000 * 2 ** attempt) / 2) * (1 + random));

/** status: `in`; `rejoining` after a drop or a reload; `shut` when the server refused to take us back. */
export const openRoom = ({ code, asked, name = asked, status = 'in', draft = '', unsent = [], ...kept }) => ({
  code,
  asked, // the name to ask for after a drop
  name, // the name the server gave
  names: kept.names ?? [], // all that we had here
  status,
  resume: kept.resume ?? null, // proves that it is us again
  creator: false, // can remove others
  token: kept.token, // begins the ids of our messages
  nextId: kept.nextId ?? 1,
  arrived: false, // on this page
  trouble: null, // why the server does not take us back
  lostAt: null,
  caughtUpUntil: null,
  messages: [],
  base: 0,
  tail: 0,
  seq: 0, // the newest that the server has
  oldest: 1, // the oldest that it still has
  historyAt: null, // when to ask for what is missing
  historyTries: 0,
  wantsOlder: false,
  members: [],
  count: 0,
  rev: -1,
  typing: [], // {name, until}
  types: false, // something that nobody was told of
  typingAt: 0, // when that may be told
  outbox: unsent.map(({ id, text, at }) => outgoing(id, name, text, at)),
  draft,
  draftError: null,
  renaming: null, // {text, error, busy}
  panel: false,
  atBottom: true,
  unseen: 0, // news that the reader has not had on the screen
  news: 0, // all of them so far
  leaveAsked: false,
});

const outgoing = (id, from, text, at) => ({ kind: 'message', key: id, id, from, text, at, own: true, status: 'queued' });

// ---- what is typed and sent

export const typed = (room, text) => ({ ...room, draft: text, draftError: null, types: true, panel: false });

/** Moves what was typed into the outbox, or says why not and keeps it. */
export function sent(room, now) {
  const text = room.draft.trim();
  if (text === '') return room;
  const over = lengthOf(text) - TEXT_MAX;
  if (over > 0) return { ...room, draftError: `Too long to send: shorten it by ${over} ${over === 1 ? 'character' : 'characters'}.` };
  const outbox = [...room.outbox, outgoing(`${room.token}-${room.nextId}`, room.name, text, now)];
  return { ...room, outbox, nextId: room.nextId + 1, draft: '', draftError: null, typingAt: 0, atBottom: true, unseen: 0 };
}

/** The first one alone: a later one must not overtake it. */
export const nextToSend = (room) => room.outbox.find(({ status }) => status === 'queued');

export const sending = (room, key) => withOutboxEntry(room, key, { status: 'sending' });

/** Its id stays, so that the server takes it once, however often it is sent. */
export const requeued = (room, key) => withOutboxEntry(room, key, { status: 'queued', tries: 0, notBefore: 0, reason: '' });

export const notSent = (room, key, reason) => withOutboxEntry(room, key, { status: 'unsent', reason });

/** The server could not take it just now: again after a while, and not for ever. */
export function postponed(room, key, reason, { now, random }) {
  const { tries = 0 } = room.outbox.find((entry) => entry.key === key) ?? {};
  if (tries + 1 >= TRIES_MAX) return notSent(room, key, reason);
  return withOutboxEntry(room, key, { status: 'queued', tries: tries + 1, notBefore: now + backoffMs(tries, random) });
}

export const delayed = (room, key, notBefore) => withOutboxEntry(room, key, { status: 'queued', notBefore });

export const discarded = (room, key) => ({
  ...room,
  outbox: room.outbox.filter((entry) => entry.key !== key || entry.status === 'sending'),
});

export const unsentCount = (room) => room.outbox.length + (room.draft.trim() === '' ? 0 : 1);

export const tellsTyping = ({ types, draft, count, typingAt }, now) =>
  types && draft.trim() !== '' && count > 1 && count <= CROWD && now >= typingAt;

export const toldTyping = (room, now) => ({ ...room, types: false, typingAt: now + TYPING_EVERY_MS });

// ---- what the server says

/** `fresh`: it is news, as an earlier page is not. `wait`: how long a gap before it may last. */
export function received(room, { seq, id, from, text, at }, now, { fresh = true, wait = GAP_MS } = {}) {
  // Ids are everybody's to read, names are the server's word.
  const own = id ? id.startsWith(`${room.token}-`) && room.names.includes(from) : from === room.name;
  const next = { ...room, seq: Math.max(room.seq, seq), typing: room.typing.filter(({ name }) => name !== from) };
  const answered = own && room.outbox.find((entry) => entry.id === id);
  if (answered) next.outbox = room.outbox.filter((entry) => entry !== answered);
  const place = placeOf(room.messages, seq);
  if (seq <= room.base || room.messages[place - 1]?.seq === seq) return next;
  const isNews = fresh && !own;
  const entry = { key: answered ? id : seq, kind: 'message', seq, from, text, at, own, isNews };
  next.messages = room.messages.toSpliced(place, 0, entry);
  if (isNews) Object.assign(next, { unseen: room.unseen + 1, news: room.news + 1 });
  return settled(next, now, wait);
}

/** The server took us (back) into the room. `after`: what we said to have. */
export function arrived(room, frame, after, now) {
  const { name, seq = 0, oldest = 1, messages = [], members, count = members.length } = frame;
  const again = room.arrived && after <= seq; // else it is another room of this name, begun anew
  const jumps = again && seq - room.tail > JUMP;
  let next = { ...room, ...named(room, name), resume: frame.resume ?? room.resume, creator: frame.creator === true };
  Object.assign(next, { status: 'in', trouble: null, arrived: true, oldest, historyAt: null, historyTries: 0 });
  if (jumps || !again) {
    // What overtook this frame is of the same room, unless that began anew.
    const early = jumps || !room.arrived ? room.messages.filter((it) => it.kind === 'message' && it.seq > seq) : [];
    const base = jumps || messages.length === 0 ? seq : messages[0].seq - 1;
    Object.assign(next, { messages: early, base, tail: base, seq: early.at(-1)?.seq ?? seq, wantsOlder: base === seq && base >= oldest });
  }
  if (room.arrived && !again) next.rev = -1;
  next = withMessages({ ...next, seq: Math.max(next.seq, seq) }, messages, now, again);
  if (!room.arrived) next = withNotice({ ...next, panel: count <= 1 }, { kind: 'here', at: now, name, count, code: room.code, asked: room.asked });
  else if (room.name !== name) next = withNotice(next, { kind: 'renamed', at: now, name });
  return withMembers(next, frame, now);
}

/** An answer to `history`; `before`: older ones were asked for. */
export function told(room, { messages, oldest = room.oldest }, before, { now, random }) {
  if (before) {
    const base = Math.min(room.base, (messages[0]?.seq ?? oldest) - 1);
    return withMessages({ ...room, oldest, base, wantsOlder: false, historyAt: null }, messages, now, false);
  }
  const next = withMessages({ ...room, oldest, historyAt: null }, messages, now, true);
  if (next.tail > room.tail || next.tail === next.seq) return { ...next, historyTries: 0 };
  return historyFailed(next, { now, random });
}

export const historyFailed = (room, { now, random }) => ({
  ...room,
  historyTries: room.historyTries + 1,
  historyAt: now + backoffMs(room.historyTries, random),
});

/** A pong says which is the newest. */
export const newest = (room, seq, now) => settled({ ...room, seq: Math.max(room.seq, seq) }, now, GAP_MS);

/** Which part to ask for now: {after} for what is missing, {before} for what a reader scrolls to. */
export function historyToAsk(room, now) {
  if (room.historyAt !== null && now < room.historyAt) return null;
  if (room.tail < room.seq) return { after: room.tail };
  return room.wantsOlder && hasOlder(room) ? { before: room.base + 1 } : null;
}

export const hasOlder = (room) => room.arrived && room.base >= room.oldest;

/** Who is here, as of `rev`. Our own new name counts in any case. */
export function present(room, { event, name, was, ...frame }, now) {
  const own = event === 'rename' && was === room.name && typeof name === 'string';
  const next = own ? { ...room, ...named(room, name), asked: name, renaming: null } : room;
  if (!(frame.rev > room.rev)) return next;
  if (event !== 'rename') return withMembers(next, frame, now);
  const members = room.members.map((member) => (member === was ? name : member));
  return withMembers(withEvent({ ...next, members }, { event, name, was, own }, now), frame, now);
}

/** Nobody was removed, or nobody knows. */
export const notRemoved = (room, { name }, text, { now }) => withNotice(room, { kind: 'remove', at: now, name, text });

export const typing = (room, name, now) =>
  name === room.name
    ? room
    : { ...room, typing: [...room.typing.filter((it) => it.name !== name), { name, until: now + TYPING_MS }] };

// ---- the connection, the reader, the clock

export const dropped = (room, now) => ({
  ...room,
  status: room.status === 'in' ? 'rejoining' : room.status,
  lostAt: room.lostAt ?? now,
  typing: [],
  renaming: room.renaming && { ...room.renaming, busy: false },
  outbox: room.outbox.map((entry) => (entry.status === 'sending' ? { ...entry, status: 'queued' } : entry)),
});

export const shut = (room, trouble) => ({ ...room, status: 'shut', trouble });

export const scrolled = (room, atBottom) => (atBottom === room.atBottom ? room : trimmed({ ...room, atBottom }));

export const seen = (room) => (room.atBottom && room.unseen > 0 ? { ...room, unseen: 0 } : room);

export function aged(room, now) {
  const next = { ...room };
  if (room.typing.some(({ until }) => now >= until)) next.typing = room.typing.filter(({ until }) => now < until);
  if (now >= (room.caughtUpUntil ?? Infinity)) next.caughtUpUntil = null;
  return next;
}

/** `free`: whether a frame could be sent. */
export function wakeAt(room, free) {
  const asks = free && room.status === 'in';
  return Math.min(
    room.caughtUpUntil ?? Infinity,
    ...room.typing.map(({ until }) => until),
    (asks && nextToSend(room)?.notBefore) || Infinity,
    (asks && historyToAsk(room, Infinity) && room.historyAt) || Infinity,
  );
}

// ---- helpers

/** The index behind all entries up to `seq`; most come in at the end. */
function placeOf(messages, seq) {
  let place = messages.length;
  while (place > 0 && messages[place - 1].seq > seq) place -= 1;
  return place;
}

/** Moves `tail` over what is there or gone. What is missing then is asked for when `wait` is over. */
function settled(room, now, wait = 0) {
  let tail = Math.max(room.tail, Math.min(room.oldest - 1, room.seq));
  for (let i = placeOf(room.messages, tail); i < room.messages.length; i += 1) {
    const { seq } = room.messages[i];
    if (seq > tail + 1) break;
    tail = Math.max(tail, Math.floor(seq));
  }
  if (tail < room.seq) return trimmed({ ...room, tail, historyAt: room.historyAt ?? now + wait });
  const next = { ...room, tail, historyAt: null };
  if (room.status === 'in' && room.lostAt !== null) Object.assign(next, { lostAt: null, caughtUpUntil: now + CAUGHT_UP_MS });
  return trimmed(next);
}

const withMessages = (room, messages, now, fresh) =>
  settled(messages.reduce((next, message) => received(next, message, now, { fresh, wait: 0 }), room), now);

const named = ({ names }, name) => ({ name, names: names.includes(name) ? names : [...names, name] });

function withMembers(room, { members, count = members?.length, rev = 0 }, now) {
  if (!Array.isArray(members) || rev < room.rev) return room;
  const next = { ...room, members, count, rev };
  if (room.rev < 0) return next;
  const events = [
    ...room.members.filter((name) => !members.includes(name)).map((name) => ({ event: 'leave', name })),
    ...members.filter((name) => !room.members.includes(name)).map((name) => ({ event: 'join', name })),
  ];
  return events.filter(({ name }) => name !== room.name).reduce((all, event) => withEvent(all, event, now), next);
}

/** Comings and goings between two messages share a line; who only came back is not worth one. */
function withEvent(room, event, now) {
  if (room.count > CROWD) return room;
  const last = room.messages.at(-1);
  if (last?.kind !== 'presence') return withNotice(room, { kind: 'presence', at: now, events: [event] });
  const opposite = { join: 'leave', leave: 'join' }[event.event];
  const undone = last.events.findIndex((it) => it.event === opposite && it.name === event.name);
  const events = undone < 0 ? [...last.events, event] : last.events.toSpliced(undone, 1);
  return { ...room, messages: room.messages.toSpliced(-1, 1, ...(events.length > 0 ? [{ ...last, events }] : [])) };
}

function withNotice(room, notice) {
  const seq = Math.max(room.seq, Math.floor(room.messages.at(-1)?.seq ?? 0)) + 0.5;
  const key = `notice-${room.nextId}`;
  return { ...room, nextId: room.nextId + 1, messages: [...room.messages, { key, seq, ...notice }] };
}

const withOutboxEntry = (room, key, fields) => ({
  ...room,
  outbox: room.outbox.map((entry) => (entry.key === key ? { ...entry, ...fields } : entry)),
});

function trimmed(room) {
  if (!room.atBottom || room.messages.length <= KEEP_MAX) return room;
  const messages = room.messages.slice(-KEEP);
  const base = Math.ceil(messages[0].seq) - 1;
  return base > room.tail ? room : { ...room, messages, base: Math.max(base, room.base) };
}
