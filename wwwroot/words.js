// Codes and sentences, pure: how a room's code is read, and how the page says things.

export const LOBBY = 'lobby';

/** The code in what someone typed or pasted: the code itself or a link that ends in `#<code>`. */
export const codeFrom = (text) => text.slice(text.lastIndexOf('#') + 1).trim();

/** What stands after the `#` of the page's address in this room. */
export const addressOf = (code) => (code === LOBBY ? '' : code);

/** Whether two codes mean the same room; read as leniently as the server does (Crockford's base32). */
export const sameCode = (one, other) => canonical(one) === canonical(other);

const canonical = (code) =>
  code.toUpperCase().replace(/[\s-]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1');

/** A server's message as a sentence for people: quotes for backticks, a capital, a full stop. */
export function sentence(message) {
  if (typeof message !== 'string' || message.trim() === '') return 'The server refused this without a reason.';
  const text = message.trim().replace(/`([^`]*)`/g, '“$1”');
  const capital = text[0].toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

/** The state of the connection as everyone can read it. */
export function connectionWords({ link, online, room }) {
  if (link.phase === 'waiting') return `${waitingWords(link, online)} in ${link.retryInS} s`;
  return steadyWords({ link, room });
}

/** The same without the countdown, for screen readers: said once for each change. */
export function connectionNews({ link, online, room }) {
  return link.phase === 'waiting' ? waitingWords(link, online) : steadyWords({ link, room });
}

function waitingWords({ everOpen }, online) {
  if (!online) return 'Offline, trying again';
  return everOpen ? 'Reconnecting' : 'Cannot connect, trying again';
}

function steadyWords({ link, room }) {
  if (link.phase !== 'open') return link.everOpen ? 'Reconnecting…' : 'Connecting…';
  if (room?.status === 'rejoining') return 'Connected, returning to the room…';
  return room?.status === 'shut' ? 'Connected, but not in the room' : 'Connected';
}

/** The same as one word, for styles and tests. */
export function connectionMood({ link, online, room }) {
  if (link.phase === 'waiting') return online ? 'waiting' : 'offline';
  if (link.phase !== 'open') return 'connecting';
  return room && room.status !== 'in' ? 'returning' : 'connected';
}
