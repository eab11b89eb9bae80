// The welcome form, pure: what was typed, what is asked for, what was wrong with it.

import { connectNow } from './session.js';
import { codeFrom, LOBBY } from './words.js';

const FORM_MS = 30_000; // for connection and answer together

export const emptyForm = () => ({ name: '', code: '', invited: false, error: null });

/** The button that is at work: `create`, `join`, `enter-lobby` or null. */
export const busyAction = ({ room, wish }) => (room ? null : (wish?.action ?? null));

export const create = (state, event) => wished(state, { kind: 'create', action: 'create' }, event);

export const enterLobby = (state, event) =>
  wished(state, { kind: 'join', action: 'enter-lobby', room: LOBBY }, event);

export function join(state, event) {
  const room = codeFrom(state.form.code);
  if (state.form.name.trim() !== '' && room === '') {
    return formError(state, 'code', 'Type the code of the room, such as 7K3M9-QX2TB.');
  }
  return wished(state, { kind: 'join', action: 'join', room }, event);
}

/** field: `name`, `code`, or `form` for what belongs to neither. */
export const formError = (state, field, text) => ({
  ...state,
  wish: null,
  form: { ...state.form, error: { field, text } },
});

export const formTyped = (state, field, text) => {
  const error = state.form.error?.field === field ? null : state.form.error;
  return { ...state, form: { ...state.form, [field]: text, error } };
};

function wished(state, wish, { now }) {
  if (state.view !== 'welcome' || busyAction(state)) return state;
  const name = state.form.name.trim();
  if (name === '') return formError(state, 'name', 'Type a name for the others to know you by.');
  const next = { ...state, form: { ...state.form, error: null } };
  return connectNow({ ...next, wish: { ...wish, name, tries: 0, ghost: false, giveUpBy: now + FORM_MS } }, now);
}
