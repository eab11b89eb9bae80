// What outlives the page: the name (localStorage) and the room for a reload (sessionStorage).
// Both can be missing, full or forbidden; the chat works without them.

const NAME = 'chat-name';
const SESSION = 'chat-session';

export const recall = () => ({ name: read('localStorage', NAME) ?? '', session: recallSession() });

/** A function that stores what it is given, touching the storage only where something changed. */
export function createMemory() {
  const last = new Map();
  const keep = (area, key, value) => {
    if (last.get(key) === value) return;
    last.set(key, value);
    write(area, key, value);
  };
  return ({ name, session }) => {
    keep('localStorage', NAME, name);
    keep('sessionStorage', SESSION, session && JSON.stringify(session));
  };
}

function recallSession() {
  try {
    const { room, name, draft, unsent } = JSON.parse(read('sessionStorage', SESSION));
    if (typeof room !== 'string' || typeof name !== 'string') return null;
    return { room, name, draft: typeof draft === 'string' ? draft : '', unsent: (unsent ?? []).filter(isUnsent) };
  } catch {
    return null;
  }
}

const isUnsent = (entry) => typeof entry?.text === 'string' && Number.isFinite(entry.at);

function read(area, key) {
  try {
    return window[area].getItem(key);
  } catch {
    return null;
  }
}

function write(area, key, value) {
  try {
    if (value === null) window[area].removeItem(key);
    else window[area].setItem(key, value);
  } catch {
    // Nothing can be remembered here.
  }
}
