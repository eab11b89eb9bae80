// Draws the messages of a room. A new message costs the DOM a new node, whatever stands above it.

import { setData, setHidden, setText } from './dom.js';
import { dayOf, exactTimeOf, isoOf, spanOf, timeOf } from './format.js';
import { LOBBY } from './words.js';

const GROUP_MS = 5 * 60_000;
const TONES = 6;
const STATUS_WORDS = { queued: 'Waiting to send', sending: 'Sending…', unsent: 'Not sent' };

export function createMessageList(scroller, list) {
  let keys = []; // of the entries on the page, in order
  let sticks = true;
  const drawn = new Map(); // key -> {node, entry, before}

  new ResizeObserver(() => sticks && toBottom()).observe(scroller);

  function render(room) {
    const entries = [...room.messages, ...room.outbox];
    const placed = place(entries, room);
    const changed = paint(entries) || placed;
    const returns = room.atBottom && !sticks;
    sticks = room.atBottom;
    if (sticks && (changed || returns)) toBottom();
  }

  /** Brings the nodes into order. Orders are compared as arrays; only what differs touches the DOM. */
  function place(entries, room) {
    const wanted = entries.map(({ key }) => key);
    const kept = new Set(wanted);
    const old = keys.filter((key) => kept.has(key) || remove(key));
    const shorter = Math.min(old.length, wanted.length);
    let start = 0;
    while (start < shorter && old[start] === wanted[start]) start += 1;
    let tail = 0;
    while (tail < shorter - start && old.at(-1 - tail) === wanted.at(-1 - tail)) tail += 1;
    const anchor = tail > 0 ? drawn.get(wanted.at(-tail)).node : null;
    for (const entry of entries.slice(start, entries.length - tail)) list.insertBefore(nodeOf(entry, room), anchor);
    const changed = old.length !== keys.length || start + tail < wanted.length;
    keys = wanted;
    return changed;
  }

  /** Brings what changed in an entry, or before it, onto its node. */
  function paint(entries) {
    let changed = false;
    entries.forEach((entry, i) => {
      const was = drawn.get(entry.key);
      const before = entries[i - 1];
      if (was.entry === entry && was.before === before) return;
      draw(was.node, entry, leadOf(entry, before));
      drawn.set(entry.key, { node: was.node, entry, before });
      changed = true;
    });
    return changed;
  }

  function nodeOf(entry, room) {
    if (!drawn.has(entry.key)) {
      const node = entry.kind === 'message' ? messageNode(entry) : noticeNode(entry, room);
      drawn.set(entry.key, { node });
    }
    return drawn.get(entry.key).node;
  }

  function remove(key) {
    drawn.get(key).node.remove();
    drawn.delete(key);
    return false;
  }

  function toBottom() {
    scroller.scrollTop = scroller.scrollHeight;
  }

  function clear() {
    keys.forEach(remove);
    keys = [];
    sticks = true;
  }

  return { render, clear };
}

/** How an entry begins, given the one before it. */
function leadOf(entry, before) {
  const day = before && dayOf(before.at) === dayOf(entry.at) ? '' : dayOf(entry.at);
  const grouped =
    day === '' && before.kind === 'message' && before.from === entry.from && entry.at - before.at < GROUP_MS;
  return { day, grouped };
}

function messageNode({ key, own, from, text }) {
  const node = element('li', own ? 'entry message own' : `entry message tone-${toneOf(from)}`, { message: '', own });
  const bubble = element('div', 'bubble');
  const sender = element('p', 'from');
  sender.append(element('bdi', '', { from: '' }, from));
  const body = element('p', 'text', { text: '' }, text);
  body.dir = 'auto';
  const meta = element('p', 'meta');
  meta.append(element('span', 'status', { statusWords: '' }), element('time', '', { time: '' }));
  const said = element('div', 'said');
  said.append(body, meta);
  bubble.append(sender, said);
  node.append(element('p', 'day', { day: '' }), bubble);
  if (own) node.append(failureNode(key));
  return node;
}

function failureNode(key) {
  const node = element('div', 'failure', { failure: '' });
  node.append(
    element('p', '', { reason: '' }),
    buttonNode('Send again', 'send-again', key),
    buttonNode('Discard', 'discard', key),
  );
  return node;
}

function buttonNode(label, action, key) {
  const button = element('button', 'button small', { action, key }, label);
  button.type = 'button';
  return button;
}

function draw(node, entry, { day, grouped }) {
  setText(node.querySelector('[data-day]'), day);
  setHidden(node.querySelector('[data-day]'), day === '');
  node.classList.toggle('grouped', grouped);
  if (entry.kind !== 'message') return;
  const status = entry.status ?? 'sent';
  setData(node, 'status', status);
  setText(node.querySelector('[data-status-words]'), STATUS_WORDS[status] ?? '');
  drawTime(node.querySelector('[data-time]'), entry.at, status === 'sent');
  const failure = node.querySelector('[data-failure]');
  if (!failure) return;
  setText(failure.querySelector('[data-reason]'), entry.reason ?? '');
  setHidden(failure, status !== 'unsent');
}

function drawTime(time, at, settled) {
  setHidden(time, !settled);
  setText(time, timeOf(at));
  time.dateTime = isoOf(at);
  time.title = exactTimeOf(at);
}

function noticeNode(notice, room) {
  const node = element('li', 'entry notice', { notice: notice.kind });
  node.append(element('p', 'day', { day: '' }), noticeText(notice, room));
  return node;
}

function noticeText(notice, room) {
  if (notice.kind === 'here') return hereText(notice, room);
  const text = element('p', '');
  if (notice.kind === 'renamed') text.append('Your name was taken meanwhile; you are ', bdi(notice.name), ' now.');
  else text.append(`The connection was lost ${spanOf(notice.since, notice.at)}. What others said then is not shown.`);
  return text;
}

function hereText({ name, members, count, renamed }, { code, asked }) {
  const text = element('p', '');
  if (renamed) text.append('Someone here is called ', bdi(asked), ' already, so you are ', bdi(name), '. ');
  const others = members.filter((member) => member !== name);
  if (count <= 1) {
    const next =
      code === LOBBY
        ? ' Whoever comes in reads what you write.'
        : ' Read the code aloud to someone, or send them the link.';
    text.append(element('strong', '', {}, 'You are the first one here.'), next);
    return text;
  }
  const more = count - 1 - others.length;
  const parts = [...others.map(bdi), ...(more > 0 ? [`${more.toLocaleString()} more`] : [])];
  text.append('Here when you came: ');
  parts.forEach((part, i) => text.append(i === 0 ? '' : i === parts.length - 1 ? ' and ' : ', ', part));
  text.append('.');
  return text;
}

const bdi = (name) => element('bdi', '', {}, name);

/** A tone for each name, the same at everyone. */
function toneOf(name) {
  let sum = 0;
  for (const char of name.toLowerCase()) sum = (sum * 31 + char.codePointAt(0)) % 65_521;
  return sum % TONES;
}

function element(tag, className, data = {}, text = '') {
  const node = document.createElement(tag);
  if (className) node.className = className;
  Object.assign(node.dataset, data);
  node.textContent = text;
  return node;
}
