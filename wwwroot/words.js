// What is written and how it is read, pure.

export const LOBBY = 'lobby';
export const TEXT_MAX = 4_000;
const GROUP_MS = 5 * 60_000;
const BIG_MAX = 12; // characters; an emoji may have several
const TONES = 6;

/** Characters as the server counts them: an emoji is one, not two. */
export function lengthOf(text) {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}

// ---- codes

/** The code in what someone typed or pasted, a link perhaps. */
export const codeFrom = (text) => text.slice(text.lastIndexOf('#') + 1).replace(/^room=/, '').trim();

/** What stands after the `#` of the page's address in this room. */
export const addressOf = (code) => (code === LOBBY ? '' : `room=${code}`);

/** The one way to write a code, read as leniently as by the server. */
export const canonical = (code) =>
  code.toUpperCase().replace(/[\s-]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1');

export const placeName = ({ code }) => (code === LOBBY ? 'Lobby' : code);

// ---- messages

/** A text in pieces: strings, and {text, href} for addresses of the web. */
export function piecesOf(text) {
  const pieces = [];
  let end = 0;
  // No address goes on over what cannot be seen.
  for (const { 0: found, index } of text.matchAll(/https?:\/\/[^\s<>"'`\p{Cf}]+/giu)) {
    const address = withoutTail(found);
    if (!URL.canParse(address)) continue;
    pieces.push(text.slice(end, index), { text: address, href: new URL(address).href });
    end = index + address.length;
  }
  return [...pieces, text.slice(end)].filter((piece) => piece !== '');
}

/** Without marks that end the sentence, and brackets that were opened before. */
function withoutTail(address) {
  const rest = address.replace(/[.,:;!?…]$/, '');
  const isClosed = rest.endsWith(')') && rest.split(')').length > rest.split('(').length;
  const shorter = isClosed ? rest.slice(0, -1) : rest;
  return shorter === address ? address : withoutTail(shorter);
}

/** A few emoji and nothing else. */
export const isBig = (text) =>
  lengthOf(text) <= BIG_MAX && /^[\p{Extended_Pictographic}\p{RI}\p{Emoji_Modifier}\u200d\ufe0f ]+$/u.test(text);

/** Same speaker, soon after. */
export const isGrouped = (entry, before) =>
  before?.kind === 'message' && before.from === entry.from && entry.at - before.at < GROUP_MS;

export const initialOf = (name) => String.fromCodePoint(name.codePointAt(0)).toUpperCase();

/** A tone for each name, the same at everyone. */
export function toneOf(name) {
  let sum = 0;
  for (const char of name.toLowerCase()) sum = (sum * 31 + char.codePointAt(0)) % 65_521;
  return `tone-${sum % TONES}`;
}

// ---- sentences; in pieces, names stand as {name}

/** A server's message as a sentence for people. */
export function sentence(message) {
  if (typeof message !== 'string' || message.trim() === '') return 'The server refused this without a reason.';
  const text = message.trim().replace(/`([^`]*)`/g, '“$1”');
  const capital = text[0].toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

export const newsWords = (count) => (count === 1 ? '1 new message' : `${count.toLocaleString()} new messages`);

export function typingWords({ typing }) {
  if (typing.length > 3) return ['Several people are typing…'];
  const names = typing.flatMap(({ name }, i) => [i === 0 ? '' : ' and ', { name }]);
  return typing.length === 0 ? [] : [...names, typing.length === 1 ? ' is typing…' : ' are typing…'];
}

export function noticeWords({ kind, name, count, code, asked, events, text }) {
  if (kind === 'presence') return events.flatMap((event, i) => [i === 0 ? '' : ' · ', ...eventWords(event)]);
  if (kind === 'remove') return ['Removing ', { name }, `: ${text}`];
  if (kind === 'renamed') return ['Your name was taken meanwhile; you are ', { name }, ' now.'];
  const numbered = name === asked ? [] : ['Someone here is called ', { name: asked }, ' already, so you are ', { name }, '. '];
  if (count > 1) return [...numbered, `You came in. ${count.toLocaleString()} are here.`];
  const next = code === LOBBY ? 'Whoever comes in reads what you write.' : 'Read the code aloud to someone, or send them the link.';
  return [...numbered, { name: 'You are the first one here.' }, ` ${next}`];
}

function eventWords({ event, name, was, own }) {
  if (own) return ['You are ', { name }, ' now'];
  return event === 'rename' ? [{ name: was }, ' is ', { name }, ' now'] : [{ name }, event === 'join' ? ' came' : ' left'];
}

/** What stands above the oldest message. */
export function topWords({ arrived, base, oldest, wantsOlder, messages: { length } }) {
  if (base >= oldest) return wantsOlder ? 'Loading what was said before…' : '';
  if (oldest > 1) return 'What was said before is no longer kept.';
  return arrived && length > 1 ? 'The beginning' : '';
}

// ---- the connection

/** As one word, for styles and tests. */
export function connectionMood({ link, online, room }) {
  if (link.phase === 'signed-out') return link.phase;
  if (link.phase === 'waiting') return online ? 'waiting' : 'offline';
  if (link.phase !== 'open') return link.everOpen ? 'returning' : 'connecting';
  if (room?.status === 'shut') return 'shut';
  if (room && (room.status !== 'in' || room.lostAt !== null)) return 'returning';
  return room?.caughtUpUntil ? 'caught-up' : 'connected';
}

/** For everyone to read. */
export const connectionWords = (state) =>
  connectionNews(state) + (state.link.phase === 'waiting' ? ` Next try in ${state.link.retryInS} s.` : '');

/** Without the countdown, for screen readers: said once for each change. */
export function connectionNews(state) {
  const { phase, everOpen } = state.link;
  const kept = state.room ? ' What you write is kept and sent later.' : '';
  return {
    offline: `You are offline.${kept}`,
    'signed-out': `You have to sign in again.${kept}`,
    waiting: everOpen ? `Connection lost.${kept}` : 'The server cannot be reached.',
    connecting: 'Connecting…',
    returning: phase === 'open' ? 'Catching up…' : 'Reconnecting…',
    shut: 'Connected, but not in the room.',
    'caught-up': 'Back again, and caught up.',
    connected: 'Connected',
  }[connectionMood(state)];
}
