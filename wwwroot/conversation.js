// One room as its member sees it, pure: what was said, what is still to be sent, what is being typed.

export const TEXT_MAX = 4_000;
export const MESSAGES_MAX = 500;

/** Characters as the server counts them: an emoji outside the basic plane is one, not two. */
export function lengthOf(text) {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}

/**
 * status: `in`; `rejoining` after a drop or a reload; `shut` when the server refused to take us back.
 * `messages` holds what the server confirmed, in order of arrival; `outbox` what it did not yet.
 */
export const openRoom = ({ code, asked, name = asked, status = 'in', draft = '', unsent = [] }) => {
  const room = {
    code,
    asked, // the name to ask for again after a drop
    name, // the name the server gave
    status,
    arrived: false, // `joined` was heard at least once since this page was loaded
    trouble: null, // why the server does not take us back, a sentence
    lostAt: null,
    messages: [],
    outbox: [],
    draft,
    draftError: null,
    atBottom: true,
    unseen: 0,
    leaveAsked: false,
    nextKey: 1,
  };
  return unsent.reduce(
    (next, { text, at }) =>
      withOwn(next, text, at, {
        status: 'unsent',
        uncertain: true,
        reason: 'The page was reloaded before the server confirmed it; it may have arrived.',
      }),
    room,
  );
};

export const typed = (room, text) => ({ ...room, draft: text, draftError: null });

/** Moves what was typed into the outbox, or says why not and keeps it. */
export function sent(room, now) {
  const text = room.draft.trim();
  if (text === '') return room;
  const over = lengthOf(text) - TEXT_MAX;
  if (over > 0) {
    const draftError = `Too long to send: shorten it by ${over} ${over === 1 ? 'character' : 'characters'}.`;
    return { ...room, draftError };
  }
  const queued = withOwn(room, text, now, { status: 'queued' });
  return { ...queued, draft: '', draftError: null, atBottom: true, unseen: 0 };
}

export const nextToSend = (room) => room.outbox.find((entry) => entry.status === 'queued');

export const sending = (room, key) => withOutboxEntry(room, key, { status: 'sending' });

/** Back to waiting: the server said that the message was not taken, and why is not the reader's concern. */
export const requeued = (room, key) =>
  withOutboxEntry(room, key, { status: 'queued', reason: null, uncertain: false });

/** `uncertain`: the server may have taken the message all the same. */
export const notSent = (room, key, reason, { uncertain = false } = {}) =>
  withOutboxEntry(room, key, { status: 'unsent', reason, uncertain });

export const discarded = (room, key) => ({
  ...room,
  outbox: room.outbox.filter((entry) => entry.key !== key || entry.status !== 'unsent'),
});

/** A message of this room. One under our own name settles the outbox entry it answers. */
export function received(room, { from, text, at }) {
  const own = from === room.name;
  const answered = own ? answeredBy(room.outbox, text) : undefined;
  const key = answered?.key ?? room.nextKey;
  const next = {
    ...room,
    nextKey: answered ? room.nextKey : room.nextKey + 1,
    outbox: answered ? room.outbox.filter((entry) => entry !== answered) : room.outbox,
    unseen: own || room.atBottom ? room.unseen : room.unseen + 1,
  };
  return withEntry(next, { key, kind: 'message', from, text, at, own });
}

/** The server took us (back) into the room. */
export function arrived(room, { name, members, count }, now) {
  const was = room.name;
  const next = { ...room, name, status: 'in', trouble: null, lostAt: null, arrived: true };
  if (!room.arrived) {
    return withNotice(next, { kind: 'here', at: now, name, members, count, renamed: name !== room.asked });
  }
  const gap = withNotice(next, { kind: 'gap', since: room.lostAt, at: now });
  return was === name ? gap : withNotice(gap, { kind: 'renamed', at: now, name });
}

export const dropped = (room, now) =>
  room.status === 'in' ? { ...room, status: 'rejoining', lostAt: now } : room;

export const shut = (room, trouble) => ({ ...room, status: 'shut', trouble });

export const scrolled = (room, atBottom) =>
  atBottom === room.atBottom ? room : { ...room, atBottom, unseen: atBottom ? 0 : room.unseen };

/** What leaving would throw away. */
export const unsentCount = (room) => room.outbox.length + (room.draft.trim() === '' ? 0 : 1);

function answeredBy(outbox, text) {
  const same = outbox.filter((entry) => entry.text === text);
  return same.find((entry) => entry.status === 'sending') ?? same.find((entry) => entry.uncertain);
}

function withOwn(room, text, at, fields) {
  const entry = { key: room.nextKey, kind: 'message', from: room.name, text, at, own: true, ...fields };
  return { ...room, nextKey: room.nextKey + 1, outbox: [...room.outbox, entry] };
}

function withOutboxEntry(room, key, fields) {
  const outbox = room.outbox.map((entry) => (entry.key === key ? { ...entry, ...fields } : entry));
  return { ...room, outbox };
}

const withNotice = (room, notice) =>
  withEntry({ ...room, nextKey: room.nextKey + 1 }, { key: room.nextKey, ...notice });

const withEntry = (room, entry) => ({
  ...room,
  messages: [...room.messages, entry].slice(-MESSAGES_MAX),
});
