// Draws the state. Idempotent: it touches only what differs from what is on the page.

import { setData, setHidden, setText } from './dom.js';
import { createRoomView } from './room-view.js';
import { createWelcomeView } from './welcome-view.js';
import { connectionMood, connectionNews, connectionWords, LOBBY } from './words.js';

export function createView(document) {
  const find = (selector) => document.querySelector(selector);
  const sections = [...document.querySelectorAll('[data-view]')];
  const welcome = createWelcomeView(find('[data-view="welcome"]'));
  const room = createRoomView(find('[data-view="room"]'));
  let shown = null;

  function render(state) {
    renderConnection(state);
    setText(find('[data-broken]'), state.broken ?? '');
    welcome.render(state);
    room.render(state);
    document.title = titleOf(state);
    for (const section of sections) setHidden(section, section.dataset.view !== state.view);
    if (shown !== state.view) enter(state);
    shown = state.view;
  }

  function renderConnection(state) {
    const mood = connectionMood(state);
    setHidden(find('[data-bar]'), state.view !== 'welcome' && state.view !== 'room');
    setData(find('[data-connection]'), 'connection', mood);
    setText(find('[data-connection-words]'), connectionWords(state));
    setText(find('[data-announce="connection"]'), connectionNews(state));
    setText(find('[data-announce="news"]'), newsOf(state));
    setHidden(find('[data-action="reconnect"]'), state.link.phase !== 'waiting');
    setHidden(find('[data-bar] [data-action="leave"]'), state.room === null);
  }

  /** Puts the focus where the new view begins; on a touch screen without opening the keyboard. */
  function enter({ view }) {
    const section = find(`[data-view="${view}"]`);
    const touch = matchMedia('(pointer: coarse)').matches;
    const field = { welcome: welcome.firstField, room: room.firstField }[view];
    const target = field && !touch ? field() : section.querySelector('[data-heading]');
    if (shown !== null) target?.focus();
  }

  return { render };
}

const titleOf = ({ room }) => (room ? `${room.code === LOBBY ? 'Lobby' : room.code} · Chat` : 'Chat');

function newsOf({ copied, room }) {
  if (copied) return copied.ok ? 'Copied' : 'Could not copy';
  return room?.outbox.some(({ status }) => status === 'unsent') ? 'A message was not sent' : '';
}
