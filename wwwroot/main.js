// Wires the page: events into the state, the state into the view, its effects into the world.

import * as device from './device.js';
import { createRoomView, NEAR_TOP_PX } from './room-view.js';
import { createSocket } from './socket.js';
import { initial, remembered, update, wakeAt } from './state.js';
import { createView } from './view.js';
import { codeFrom } from './words.js';

const NEAR_BOTTOM_PX = 48;
const TICK_MIN_MS = 50;
const TICK_MAX_MS = 3_600_000; // a timer's delay has a limit
const AT_LEISURE = ['frame', 'near-top', 'scrolled']; // come in bursts

let state = initial();
let server = null;
let account = null; // where one has to sign in
let timer = null;
let frameRequested = false;

const roomView = createRoomView(document.querySelector('[data-view="room"]'), device, (event) => dispatch(event));
const view = createView(document, roomView);
const remember = device.createMemory();
const socket = createSocket((event) => dispatch(event));

/** Events run one after another, those that an effect brings too. */
const queue = [];
let running = false;
function dispatch(event) {
  queue.push(event);
  if (running) return;
  running = true;
  try {
    while (queue.length > 0) step(queue.shift());
  } finally {
    running = false;
  }
  if (state.view === 'welcome' || state.view === 'room') remember(remembered(state));
  clearTimeout(timer);
  timer = setTimeout(dispatch, Math.min(TICK_MAX_MS, Math.max(TICK_MIN_MS, wakeAt(state) - Date.now())), { type: 'tick' });
}

function step(event) {
  state = update(state, { ...event, now: Date.now(), random: Math.random() });
  for (const effect of state.effects) effects[effect.type](effect);
  if (!AT_LEISURE.includes(event.type) || document.hidden) render();
  else if (!frameRequested) frameRequested = requestAnimationFrame(render) > 0;
}

function render() {
  frameRequested = false;
  account?.render(state);
  view.render(state);
}

const linkTo = (address) => `${location.origin}${location.pathname}${location.search}${address && `#${address}`}`;

const effects = {
  send: ({ frame }) => socket.send(frame),
  connect,
  drop: () => socket.drop(),
  address: ({ address }) => history.replaceState(null, '', linkTo(address)),
  copy: async ({ what, text }) => dispatch({ type: 'copied', what, ok: await device.copy(what === 'link' ? linkTo(text) : text) }),
  share: ({ address }) => device.share(linkTo(address)),
  notify: ({ title, text }) => device.notify(title, text),
  'ask-notify': async () => dispatch({ type: 'notify-answered', ok: await device.askToNotify() }),
  'ask-remove': ({ name }) => device.asks(`Remove ${name}? Who is removed does not come back as the same person.`) && dispatch({ type: 'remove-anyway', name }),
  'load-config': configure,
};

function connect() {
  const protocols = account?.protocols();
  if (protocols === null) dispatch({ type: 'signed-out' });
  else socket.connect(server, protocols);
}

async function configure() {
  try {
    const config = await device.loadConfig(location.origin);
    server = config.server;
    if (config.signIn) account = await (await device.loadSignIn()).openAccount(config.signIn);
  } catch (error) {
    dispatch({ type: 'misconfigured', reason: error.message });
    return;
  }
  if (account?.protocols() === null) {
    dispatch({ type: 'signed-out' });
    return;
  }
  const { name, session } = device.recall(codeInAddress());
  const ours = session && (await device.claim(session));
  dispatch({ type: 'configured', name, session: ours ? { ...session, ...account?.identity } : null, code: codeInAddress(), online: navigator.onLine, ...account?.identity });
}

function codeInAddress() {
  try {
    return codeFrom(decodeURIComponent(location.hash));
  } catch {
    return '';
  }
}

/** What people do, as events. */
function listen() {
  document.addEventListener('click', ({ target }) => {
    const button = target.closest?.('button[data-action]');
    if (button && button.type !== 'submit' && !isOff(button)) dispatch(intentOf(button.dataset));
  });

  document.addEventListener('submit', (event) => {
    event.preventDefault();
    const button = event.target.querySelector('[type="submit"]');
    if (!isOff(button)) dispatch(intentOf(button.dataset));
  });

  document.addEventListener('input', ({ target }) => {
    const { field } = target.dataset;
    if (field) dispatch({ type: `${field}-typed`, text: target.value });
  });

  document.addEventListener('keydown', (event) => {
    if (event.isComposing) return;
    if (event.key === 'Escape') dispatch({ type: 'escape' });
    const { field } = event.target.dataset;
    if (event.key !== 'Enter' || event.shiftKey || (field !== 'draft' && field !== 'name')) return;
    const { form } = event.target;
    event.preventDefault();
    if (field === 'draft' || form.querySelector('[data-field="code"]').value.trim() !== '') form.requestSubmit();
    else form.querySelector('[data-action="create"]').focus();
  });

  const log = document.querySelector('[data-log]');
  let wasAtBottom;
  const scrolled = () => {
    const atBottom = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_BOTTOM_PX;
    if (atBottom !== wasAtBottom) dispatch({ type: 'scrolled', atBottom });
    wasAtBottom = atBottom;
    if (log.scrollTop < NEAR_TOP_PX) dispatch({ type: 'near-top' });
  };
  log.addEventListener('scroll', scrolled, { passive: true });
}

const isOff = (button) => button.getAttribute('aria-disabled') === 'true';

const intentOf = ({ action, key, what }) => ({ type: action, key, what });

const looked = () => dispatch({ type: 'looked', visible: !document.hidden });

listen();
window.addEventListener('online', () => dispatch({ type: 'online' }));
window.addEventListener('offline', () => dispatch({ type: 'offline' }));
window.addEventListener('pageshow', looked);
document.addEventListener('visibilitychange', looked);
window.addEventListener('hashchange', () => dispatch({ type: 'linked', code: codeInAddress() }));
dispatch({ type: 'load' });
