// Wires the page: events go into the state, the state goes to the view, its effects into the world.

import { copy } from './clipboard.js';
import { loadServer } from './config.js';
import { createConnection } from './connection.js';
import { listen } from './intents.js';
import { initial, remembered, update, wakeAt } from './state.js';
import { createMemory, recall } from './storage.js';
import { createView } from './view.js';
import { codeFrom } from './words.js';

const TICK_MIN_MS = 50;
const TICK_MAX_MS = 60 * 60_000; // a timer's delay has an upper limit; waking once too often is harmless

let state = initial();
let server = null;
let timer = null;
let frameRequested = false;

const view = createView(document);
const remember = createMemory();
const connection = createConnection((event) => dispatch(event));

/** Events run one after another, also those that an effect of an earlier one brings. */
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
  wakeUp();
}

function step(event) {
  state = update(state, { ...event, now: Date.now(), random: Math.random() });
  state.effects.forEach(carryOut);
  if (event.type === 'frame') renderSoon();
  else render();
}

function carryOut(effect) {
  const { type, frame, code, what } = effect;
  if (type === 'send') connection.send(frame);
  else if (type === 'connect') connection.connect(server);
  else if (type === 'drop') connection.drop();
  else if (type === 'address') showAddress(code);
  else if (type === 'copy') putOnClipboard(what, code);
  else if (type === 'load-config') configure();
}

/** A burst of frames is drawn once. */
function renderSoon() {
  if (frameRequested) return;
  frameRequested = true;
  requestAnimationFrame(render);
}

function render() {
  frameRequested = false;
  view.render(state);
}

function wakeUp() {
  clearTimeout(timer);
  const wait = Math.min(TICK_MAX_MS, Math.max(TICK_MIN_MS, wakeAt(state) - Date.now()));
  timer = setTimeout(dispatch, wait, { type: 'tick' });
}

const codeInAddress = () => {
  try {
    return codeFrom(decodeURIComponent(location.hash));
  } catch {
    return '';
  }
};

const linkTo = (code) => `${location.origin}${location.pathname}${location.search}${code ? `#${code}` : ''}`;

const showAddress = (code) => history.replaceState(null, '', linkTo(code));

function putOnClipboard(what, code) {
  copy(what === 'link' ? linkTo(code) : code).then((ok) => dispatch({ type: 'copied', what, ok }));
}

async function configure() {
  try {
    server = await loadServer(location.protocol);
  } catch (error) {
    dispatch({ type: 'misconfigured', reason: error.message });
    return;
  }
  dispatch({ type: 'configured', ...recall(), code: codeInAddress(), online: navigator.onLine });
}

listen(document, dispatch);
window.addEventListener('online', () => dispatch({ type: 'online' }));
window.addEventListener('offline', () => dispatch({ type: 'offline' }));
window.addEventListener('pageshow', () => dispatch({ type: 'woke' }));
window.addEventListener('hashchange', () => dispatch({ type: 'linked', code: codeInAddress() }));
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) dispatch({ type: 'woke' });
});
dispatch({ type: 'load' });
