// Draws the state: the connection, the welcome screen, which view is shown. Idempotent.

import { busyAction } from './state.js';
import { codeFrom, connectionMood, connectionNews, connectionWords, newsWords, placeName } from './words.js';

const LABELS = {
  create: ['Create a room', 'Creating…'],
  join: ['Join', 'Joining…'],
  'enter-lobby': ['Enter the lobby', 'Entering…'],
};

export function createView(document, room) {
  const find = (selector) => document.querySelector(selector);
  const sections = [...document.querySelectorAll('[data-view]')];
  const fields = { name: find('[data-field="name"]'), code: find('[data-field="code"]') };
  let shown = null;
  let errorShown = null;
  let news = 0;

  function render(state) {
    renderConnection(state);
    set(find('[data-broken]'), { textContent: state.broken ?? '' });
    renderWelcome(state);
    for (const section of sections) set(section, { hidden: section.dataset.view !== state.view });
    room.render(state);
    set(document, { title: titleOf(state) });
    announce(state);
    if (shown !== state.view) enter(state);
    shown = state.view;
  }

  function renderConnection(state) {
    const line = find('[data-connection]');
    set(line, { hidden: state.view !== 'welcome' && state.view !== 'room' });
    setAttribute(line, 'data-connection', connectionMood(state));
    set(find('[data-connection-words]'), { textContent: connectionWords(state) });
    set(find('[data-announce="connection"]'), { textContent: connectionNews(state) });
    set(find('[data-action="reconnect"]'), { hidden: state.link.phase !== 'waiting' });
  }

  /** New messages are read out, a few in full, many as a number. */
  function announce({ copied, room: current }) {
    const fresh = (current?.news ?? 0) - news;
    news = current?.news ?? 0;
    const last = fresh > 0 ? current.messages.filter(({ isNews }) => isNews).slice(-fresh) : [];
    let words = last.map(({ from, text }) => `${from}: ${text}`).join('\n');
    if (fresh > 3) words = newsWords(fresh);
    if (copied) words = copied.ok ? 'Copied' : 'Could not copy';
    if (current?.outbox.some(({ status }) => status === 'unsent')) words ||= 'A message was not sent';
    if (words) set(find('[data-announce="news"]'), { textContent: words });
  }

  function renderWelcome(state) {
    const { form } = state;
    const { invited, code, error } = form;
    const parts = ['.create', '.or', '.join'].map(find);
    const first = parts[invited ? 2 : 0];
    // What people came for stands first, for the Tab key too.
    if (first.parentElement.firstElementChild !== first) first.parentElement.append(...(invited ? parts.reverse() : parts));
    find('[data-action="create"]').classList.toggle('primary', !invited);
    find('[data-action="join"]').classList.toggle('primary', invited);
    set(find('[data-or]'), { textContent: invited ? 'or start your own' : 'or join one' });
    set(find('[data-welcome-heading]'), { textContent: invited ? 'You are invited' : 'Come in and talk' });
    const lead = invited
      ? `Someone shared the room ${codeFrom(code)} with you.`
      : 'Make a room and share its code. Whoever has the code can join.';
    set(find('[data-welcome-lead]'), { textContent: lead });
    for (const [action, [idle, busy]] of Object.entries(LABELS)) {
      const button = find(`[data-action="${action}"]`);
      set(button, { textContent: busyAction(state) === action ? busy : idle });
      setAttribute(button, 'aria-disabled', busyAction(state) !== null);
    }
    for (const field of ['name', 'code', 'form']) {
      const text = error?.field === field ? error.text : '';
      setText(find(`[data-error="${field}"]`), text);
      if (!fields[field]) continue;
      set(fields[field], { value: form[field] });
      setAttribute(fields[field], 'aria-invalid', text !== '');
    }
    if (error !== errorShown) fields[error?.field]?.focus();
    errorShown = error;
  }

  /** Focuses where the new view begins; on a touch screen without opening the keyboard. */
  function enter({ view, form }) {
    if (shown === null || view === 'loading') return;
    const field = { welcome: form.name ? fields.code : fields.name, room: find('[data-field="draft"]') }[view];
    const touch = matchMedia('(pointer: coarse)').matches;
    const target = field && !touch ? field : find(`[data-view="${view}"] [data-heading]`);
    target.focus();
  }

  return { render };
}

function titleOf({ room }) {
  if (!room) return 'Chat';
  return `${room.unseen > 0 ? `(${room.unseen}) ` : ''}${placeName(room)} · Chat`;
}

// ---- updates that touch only what differs

export const set = (element, fields) => {
  for (const [name, value] of Object.entries(fields)) if (element[name] !== value) element[name] = value;
};

export const setAttribute = (element, name, value) => {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
};

/** Hidden when empty. */
export const setText = (element, text) => set(element, { textContent: text, hidden: text === '' });

export function make(tag, className, data = {}, ...children) {
  const node = document.createElement(tag);
  node.className = className;
  Object.assign(node.dataset, data);
  node.append(...children);
  return node;
}

/** A sentence's pieces: text, {name}s, {text, href} as links. */
export const written = (pieces) =>
  pieces.map((piece) => {
    if (piece.name !== undefined) return make('bdi', '', {}, piece.name);
    if (!piece.href) return piece.text ?? piece;
    const link = make('a', '', {}, piece.text);
    return Object.assign(link, { href: piece.href, target: '_blank', rel: 'noopener noreferrer' });
  });
