// Draws the conversation around its messages: the code, the banners, the composer.

import { lengthOf, TEXT_MAX, unsentCount } from './conversation.js';
import { setAttribute, setData, setHidden, setText, setValue } from './dom.js';
import { createMessageList } from './message-list.js';
import { LOBBY } from './words.js';

const COUNT_FROM = 500; // characters left when the counter appears
const COPY_LABELS = { code: 'Copy', link: 'Copy link' };

export function createRoomView(root) {
  const find = (selector) => root.querySelector(selector);
  const draft = find('[data-field="draft"]');
  const list = createMessageList(find('[data-log]'), find('[data-messages]'));
  const growsByItself = CSS.supports('field-sizing', 'content');

  function render({ room, copied, view }) {
    if (!room) {
      list.clear();
      return;
    }
    // The log has no height while its section is hidden, and could not be scrolled.
    setHidden(root, view !== 'room');
    renderHead(room, copied);
    renderBanners(room);
    renderComposer(room);
    list.render(room);
    renderToBottom(room);
  }

  function renderHead({ code, name, status }, copied) {
    const lobby = code === LOBBY;
    setData(root, 'roomStatus', status);
    setText(find('[data-room-code]'), lobby ? 'Lobby' : code);
    setHidden(find('[data-room-label]'), lobby);
    setText(find('[data-own-name]'), name);
    setHidden(find('[data-share]'), lobby);
    for (const [what, label] of Object.entries(COPY_LABELS)) {
      const done = copied?.what === what;
      setText(find(`[data-what="${what}"]`), done ? (copied.ok ? 'Copied' : 'Not copied') : label);
    }
  }

  function renderBanners(room) {
    setText(find('[data-trouble]'), room.trouble?.text ?? '');
    setHidden(find('[data-banner="trouble"]'), room.trouble === null);
    const unsent = unsentCount(room);
    const asked = room.leaveAsked && unsent > 0;
    const what = unsent === 1 ? 'One message is' : `${unsent} messages are`;
    setText(find('[data-leave-question]'), asked ? `Leave now? ${what} not sent and would be lost.` : '');
    setHidden(find('[data-banner="leave"]'), !asked);
  }

  function renderComposer({ draft: text, draftError }) {
    const changed = draft.value !== text;
    setValue(draft, text);
    setText(find('[data-error="draft"]'), draftError ?? '');
    setHidden(find('[data-error="draft"]'), draftError === null);
    setAttribute(draft, 'aria-invalid', String(draftError !== null));
    renderCount(TEXT_MAX - lengthOf(text), draftError !== null);
    if (!growsByItself && (changed || document.activeElement === draft)) grow();
  }

  function renderCount(left, said) {
    const count = find('[data-count]');
    const words = left < 0 ? `${(-left).toLocaleString()} too many` : `${left.toLocaleString()} left`;
    const hides = said || left > COUNT_FROM;
    setText(count, hides ? '' : words);
    setHidden(count, hides);
    count.classList.toggle('over', left < 0);
  }

  function renderToBottom({ atBottom, unseen }) {
    const button = find('[data-action="to-bottom"]');
    const hides = atBottom || unseen === 0;
    if (hides && document.activeElement === button) find('[data-log]').focus();
    setText(button, unseen === 1 ? '1 new message' : `${unseen} new messages`);
    setHidden(button, hides);
  }

  /** For browsers without `field-sizing`. */
  function grow() {
    draft.style.height = 'auto';
    draft.style.height = `${draft.scrollHeight + 2}px`;
  }

  return { render, firstField: () => draft };
}
