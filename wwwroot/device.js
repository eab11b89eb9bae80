// What the browser offers beside the page: storage, clipboard, sharing, notifications, files.

import { canonical } from './words.js';

const CONFIG = 'config.json';
const CONFIG_MS = 15_000;
const NAME = 'chat-name';
const ROOM = 'chat-room';

// ---- storage: the name for good, rooms for a reload

const session = (code) => `${ROOM}-${canonical(code)}`;

/** What is known of the room in the address, else of the last. */
export function recall(code) {
  const name = read('localStorage', NAME) ?? '';
  try {
    const { room, name: asked, ...kept } = JSON.parse(read('sessionStorage', session(code || read('sessionStorage', ROOM))));
    return { name, session: typeof room === 'string' && typeof asked === 'string' ? { ...kept, room, name: asked } : null };
  } catch {
    return { name, session: null };
  }
}

/** A function that stores what has changed. */
export function createMemory() {
  const last = new Map();
  let room = null;
  let token = null;
  const keep = (area, key, value) => {
    if (last.get(key) === value) return;
    last.set(key, value);
    write(area, key, value);
  };
  return ({ name, session: kept }) => {
    keep('localStorage', NAME, name);
    if (room && !kept) keep('sessionStorage', session(room), null); // it was left
    room = kept?.room ?? null;
    keep('sessionStorage', ROOM, room);
    if (!room) return;
    keep('sessionStorage', session(room), JSON.stringify(kept));
    if (kept.token !== token) claim(kept);
    token = kept.token;
  };
}

/** Whether the session is this page's alone: a duplicated tab has a twin that goes on, after a reload nobody does. */
export function claim({ token }) {
  if (!navigator.locks || !token) return true;
  return new Promise((resolve) => {
    const hold = () => {
      resolve(true);
      return new Promise(() => {});
    };
    navigator.locks.request(`chat-${token}`, { signal: AbortSignal.timeout(2_000) }, hold).catch(() => resolve(false));
  });
}

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

// ---- telling others, being told

/** Whether it worked. Without a secure context there is the old way alone. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text) {
  const focused = document.activeElement;
  const field = document.createElement('textarea');
  field.value = text;
  field.className = 'hidden';
  document.body.append(field);
  field.select();
  try {
    return document.execCommand('copy');
  } catch {
    return false;
  } finally {
    field.remove();
    focused?.focus();
  }
}

export const canShare = () => typeof navigator.share === 'function';

export const share = (url) => navigator.share({ url }).catch(() => {});

export const asks = (question) => window.confirm(question);

export const canNotify = () => typeof Notification === 'function';

export const askToNotify = async () => (await Notification.requestPermission()) === 'granted';

export function notify(title, body) {
  try {
    const shown = new Notification(title, { body, tag: ROOM, icon: 'icon.svg' });
    shown.onclick = () => {
      window.focus();
      shown.close();
    };
  } catch {
    // Android wants a service worker for it.
  }
}

// ---- config.json

/** The server's address, and how to sign in; or an error in words. */
export async function loadConfig(origin) {
  const response = await got(CONFIG, fetch(CONFIG, { cache: 'no-cache', signal: AbortSignal.timeout(CONFIG_MS) }));
  if (!response.ok) throw new Error(`${CONFIG} is missing here (status ${response.status}).`);
  const text = await response.text();
  return { server: serverFrom(text, origin), signIn: JSON.parse(text).signIn };
}

export const loadSignIn = () => got('sign-in.js', import('./sign-in.js'));

const got = (file, coming) =>
  coming.catch(() => {
    throw new Error(`${file} could not be fetched. Check your connection.`);
  });

/** Pure. A path is of the page's own origin. */
export function serverFrom(text, origin) {
  let server;
  try {
    server = JSON.parse(text)?.server;
    if (server?.[0] === '/') server = origin.replace('http', 'ws') + server;
  } catch {
    throw new Error(`${CONFIG} is not JSON.`);
  }
  const protocol = typeof server === 'string' && URL.canParse(server) && new URL(server).protocol;
  if (protocol !== 'wss:' && (protocol !== 'ws:' || origin.startsWith('https:'))) {
    throw new Error(`${CONFIG} has no “server” that is a WebSocket address (wss:…, or ws:… for a page over http).`);
  }
  return server;
}
