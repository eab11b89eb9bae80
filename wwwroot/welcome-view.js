// Draws the welcome screen: the name, and the three ways in.

import { setAttribute, setHidden, setText, setValue } from './dom.js';
import { busyAction } from './entrance.js';
import { codeFrom } from './words.js';

const LABELS = {
  create: { idle: 'Create a room', busy: 'Creating…' },
  join: { idle: 'Join', busy: 'Joining…' },
  'enter-lobby': { idle: 'Enter the lobby', busy: 'Entering…' },
};

export function createWelcomeView(root) {
  const find = (selector) => root.querySelector(selector);
  const fields = { name: find('[data-field="name"]'), code: find('[data-field="code"]') };
  let errorShown = null;

  function render(state) {
    const { form } = state;
    renderHeading(form);
    setValue(fields.name, form.name);
    setValue(fields.code, form.code);
    renderButtons(busyAction(state));
    for (const field of ['name', 'code', 'form']) renderError(field, form.error);
    if (form.error !== errorShown && form.error) fields[form.error.field]?.focus();
    errorShown = form.error;
  }

  function renderHeading({ invited, code }) {
    const parts = ['.create', '.or', '.join'].map(find);
    renderOrder(invited ? parts.reverse() : parts);
    setText(find('[data-or]'), invited ? 'or start your own' : 'or join one');
    find('[data-action="create"]').classList.toggle('primary', !invited);
    find('[data-action="join"]').classList.toggle('primary', invited);
    setText(find('[data-welcome-heading]'), invited ? 'You are invited' : 'Come in and talk');
    const lead = invited
      ? `Someone shared the room ${codeFrom(code)} with you. Say who you are and join.`
      : 'Make a room and share its code. Whoever has the code can join, no account needed.';
    setText(find('[data-welcome-lead]'), lead);
  }

  /** What people most likely came for stands first, for the eye and for the Tab key. */
  function renderOrder(parts) {
    if (parts[0].parentElement.firstElementChild !== parts[0]) parts[0].parentElement.append(...parts);
  }

  function renderButtons(busy) {
    for (const [action, label] of Object.entries(LABELS)) {
      const button = find(`[data-action="${action}"]`);
      setText(button, busy === action ? label.busy : label.idle);
      setAttribute(button, 'aria-disabled', String(busy !== null));
    }
  }

  function renderError(field, error) {
    const text = error?.field === field ? error.text : '';
    setText(find(`[data-error="${field}"]`), text);
    setHidden(find(`[data-error="${field}"]`), text === '');
    if (fields[field]) setAttribute(fields[field], 'aria-invalid', String(text !== ''));
  }

  return { render, firstField: () => fields.name };
}
