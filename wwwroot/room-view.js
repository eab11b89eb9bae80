// Draws the room. A new message costs a new node, whatever stands above it.

import { hasOlder, unsentCount } from './room.js';
import { make, set, setAttribute, setText, written } from './view.js';
import * as words from './words.js';

export const NEAR_TOP_PX = 800;
const COUNT_FROM = 500; // characters left when the counter appears
const COPY_LABELS = { code: 'Copy code', link: 'Copy link' };

export function createRoomView(root, device, dispatch) {
  const find = (selector) => root.querySelector(selector);
  const draft = find('[data-field="draft"]');
  const renameField = find('[data-field="rename"]');
  const list = createMessageList(find('[data-log]'), find('[data-messages]'), dispatch);
  const growsByItself = CSS.supports('field-sizing', 'content');
  let people = null;
  let typing = null;

  function render({ room, copied, notify }) {
    if (!room) {
      list.clear();
      people = null;
      return;
    }
    renderHead(room);
    renderPeople(room);
    renderInvitation(room, copied, notify);
    renderBanners(room);
    renderComposer(room);
    list.render(room);
    renderBelow(room);
  }

  function renderHead(room) {
    const { name, status, renaming, count, panel } = room;
    setAttribute(root, 'data-room-status', status);
    set(find('[data-room-code]'), { textContent: words.placeName(room) });
    set(find('[data-own-name]'), { textContent: name });
    set(find('[data-you]'), { hidden: renaming !== null });
    const form = find('[data-form="rename"]');
    const opens = form.hidden && renaming;
    const closes = !form.hidden && !renaming && form.contains(document.activeElement);
    set(form, { hidden: !renaming });
    if (renaming) set(renameField, { value: renaming.text });
    setText(find('[data-error="rename"]'), renaming?.error ?? '');
    setAttribute(renameField, 'aria-invalid', Boolean(renaming?.error));
    setAttribute(find('[data-action="take-name"]'), 'aria-disabled', Boolean(renaming?.busy));
    if (opens) renameField.select();
    if (closes) find('[data-action="rename"]').focus();
    const button = find('[data-action="panel"]');
    set(button, { textContent: `${count} here` });
    setAttribute(button, 'aria-expanded', panel);
    find('#people').classList.toggle('open', panel);
  }

  function renderPeople({ members, count, name: own, creator }) {
    if (people?.members === members && people.own === own && people.creator === creator) return;
    people = { members, own, creator };
    const nodes = members.map((name) => {
      const node = make('li', `person ${words.toneOf(name)}`, { member: name, initial: words.initialOf(name) }, make('bdi', '', {}, name));
      if (name === own) node.append(make('span', 'muted', {}, ' (you)'));
      else if (creator) {
        const remove = button('Remove', 'remove', name);
        setAttribute(remove, 'aria-label', `Remove ${name}`);
        node.append(remove);
      }
      return node;
    });
    if (count > members.length) nodes.push(make('li', 'muted', {}, `and ${(count - members.length).toLocaleString()} more`));
    find('[data-people]').replaceChildren(...nodes);
  }

  function renderInvitation({ code }, copied, notify) {
    set(find('[data-share]'), { hidden: code === words.LOBBY });
    set(find('[data-action="share"]'), { hidden: !device.canShare() });
    for (const [what, label] of Object.entries(COPY_LABELS)) {
      const done = copied?.what === what;
      set(find(`[data-what="${what}"]`), { textContent: done ? (copied.ok ? 'Copied' : 'Not copied') : label });
    }
    const labels = { on: 'Notifying you of new messages', off: 'Notify me of new messages', refused: 'Your browser does not allow notifications' };
    const button = find('[data-action="notify"]');
    set(button, { hidden: !device.canNotify(), textContent: labels[notify] });
    setAttribute(button, 'aria-pressed', notify === 'on');
  }

  function renderBanners(room) {
    set(find('[data-trouble]'), { textContent: room.trouble?.text ?? '' });
    set(find('[data-banner="trouble"]'), { hidden: room.trouble === null });
    const unsent = unsentCount(room);
    const asked = room.leaveAsked && unsent > 0;
    const what = unsent === 1 ? 'One message is' : `${unsent} messages are`;
    set(find('[data-leave-question]'), { textContent: asked ? `Leave now? ${what} not sent and would be lost.` : '' });
    set(find('[data-banner="leave"]'), { hidden: !asked });
  }

  function renderComposer({ draft: text, draftError }) {
    const changed = draft.value !== text;
    set(draft, { value: text });
    setText(find('[data-error="draft"]'), draftError ?? '');
    setAttribute(draft, 'aria-invalid', draftError !== null);
    const left = words.TEXT_MAX - words.lengthOf(text);
    const counted = left < 0 ? `${(-left).toLocaleString()} too many` : `${left.toLocaleString()} left`;
    setText(find('[data-count]'), draftError || left > COUNT_FROM ? '' : counted);
    find('[data-count]').classList.toggle('error', left < 0);
    if (growsByItself || !(changed || document.activeElement === draft)) return;
    draft.style.height = 'auto';
    draft.style.height = `${draft.scrollHeight + 2}px`;
  }

  function renderBelow(room) {
    const pill = find('[data-action="to-bottom"]');
    const hidden = room.atBottom || room.unseen === 0;
    if (hidden && document.activeElement === pill) draft.focus();
    set(pill, { hidden, textContent: words.newsWords(room.unseen) });
    if (typing === room.typing) return;
    typing = room.typing;
    find('[data-typing]').replaceChildren(...written(words.typingWords(room)));
  }

  return { render };
}

// ---- the messages

const STATUS_WORDS = { queued: 'Waiting to send', sending: 'Sending…', unsent: 'Not sent' };

const isDate = (at) => !Number.isNaN(new Date(at).getTime());
const [time, exact, day] = [{ timeStyle: 'short' }, { dateStyle: 'full', timeStyle: 'medium' }, { dateStyle: 'full' }].map(
  (style) => {
    const { format } = new Intl.DateTimeFormat(undefined, style);
    return (at) => (isDate(at) ? format(at) : '');
  },
);

function createMessageList(scroller, list, dispatch) {
  const top = scroller.querySelector('[data-top]');
  const drawn = new Map(); // key -> {node, entry, before}
  let last = {};
  let keys = [];
  let sticks = true;

  new ResizeObserver(() => sticks && toBottom()).observe(scroller);

  function render(room) {
    const { messages, outbox, atBottom } = room;
    set(top, { textContent: words.topWords(room) });
    if (messages !== last.messages || outbox !== last.outbox) redraw([...messages, ...outbox], atBottom);
    if (atBottom && !sticks) toBottom();
    sticks = atBottom;
    last = room;
    if (hasOlder(room) && !room.wantsOlder && scroller.scrollTop < NEAR_TOP_PX) dispatch({ type: 'near-top' });
  }

  /** Who reads above keeps the line they read where it is. */
  function redraw(entries, atBottom) {
    const mark = atBottom ? null : markOf();
    place(entries);
    entries.forEach((entry, i) => paint(entry, entries[i - 1]));
    if (atBottom) toBottom();
    else if (mark?.node.isConnected) scroller.scrollTop += mark.node.offsetTop - mark.offsetTop;
  }

  function markOf() {
    for (const node of list.children) {
      const { offsetTop } = node;
      if (offsetTop + node.offsetHeight > scroller.scrollTop) return { node, offsetTop };
    }
    return null;
  }

  /** Brings the nodes into order; only what differs touches the DOM. */
  function place(entries) {
    const wanted = entries.map(({ key }) => key);
    const kept = new Set(wanted);
    const old = keys.filter((key) => kept.has(key) || remove(key));
    const shorter = Math.min(old.length, wanted.length);
    let start = 0;
    while (start < shorter && old[start] === wanted[start]) start += 1;
    let tail = 0;
    while (tail < shorter - start && old.at(-1 - tail) === wanted.at(-1 - tail)) tail += 1;
    const nodes = entries.slice(start, entries.length - tail).map(nodeOf);
    const anchor = tail > 0 ? drawn.get(wanted.at(-tail)).node : null;
    if (anchor) anchor.before(...nodes);
    else list.append(...nodes);
    keys = wanted;
  }

  function nodeOf(entry) {
    if (!drawn.has(entry.key)) drawn.set(entry.key, { node: entry.kind === 'message' ? messageNode(entry) : make('li', 'notice', { notice: entry.kind }) });
    return drawn.get(entry.key).node;
  }

  function paint(entry, before) {
    const was = drawn.get(entry.key);
    if (was.entry === entry && was.before === before) return;
    if (entry.kind === 'message') drawMessage(was.node, entry, before);
    else was.node.replaceChildren(...written(words.noticeWords(entry)));
    const newDay = before === undefined || day(before.at) !== day(entry.at);
    setAttribute(was.node, 'data-day', newDay ? day(entry.at) : '');
    Object.assign(was, { entry, before });
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
    last = {};
    sticks = true;
  }

  return { render, clear };
}

function messageNode({ key, own, from, text }) {
  const body = make('p', words.isBig(text) ? 'text big' : 'text', { text: '' }, ...written(words.piecesOf(text)));
  body.dir = 'auto';
  const meta = make('p', 'meta', {}, make('span', 'status', { statusWords: '' }), make('time', '', { time: '' }));
  const sender = make('p', 'from', {}, make('bdi', '', { from: '' }, from));
  const node = make('li', `message ${words.toneOf(from)}`, { message: '', own, initial: words.initialOf(from) });
  node.append(make('div', 'bubble', {}, sender, make('div', 'said', {}, body, meta)));
  if (own) node.append(make('p', 'failure', { failure: key }, make('span', 'error', { reason: '' }), button('Send again', 'send-again', key), button('Discard', 'discard', key)));
  return node;
}

const button = (label, action, key) => Object.assign(make('button', '', { action, key }, label), { type: 'button' });

function drawMessage(node, entry, before) {
  const { status = 'sent', at, reason = '' } = entry;
  node.classList.toggle('grouped', words.isGrouped(entry, before));
  setAttribute(node, 'data-status', status);
  set(node.querySelector('.status'), { textContent: STATUS_WORDS[status] ?? '' });
  const settled = status === 'sent';
  const stamp = node.querySelector('time');
  set(stamp, { hidden: !settled, textContent: time(at), dateTime: isDate(at) ? new Date(at).toISOString() : '', title: exact(at) });
  const failure = node.querySelector('.failure');
  if (!failure) return;
  setText(failure.firstChild, reason);
  set(failure, { hidden: status !== 'unsent' });
}
