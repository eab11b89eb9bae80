// What each frame of the server does to the state, pure.

import * as conversation from './conversation.js';
import { formError } from './entrance.js';
import * as link from './link.js';
import { drop, effect, inRoom } from './session.js';
import { addressOf, sentence } from './words.js';

const REJOIN_TRIES_MAX = 6; // about a minute: a half-open connection of our own is gone by then
const HEARD_MAX = 50;

/** Frames of types that this page does not know change nothing. */
export function answered(state, frame, event) {
  const answer = frame.type === undefined ? fromGateway : answers.get(frame.type);
  return answer ? answer(state, frame, event) : state;
}

const answers = new Map(Object.entries({
  message(state, { room = state.room?.code, from, text, at }) {
    if (typeof from !== 'string' || typeof text !== 'string' || !Number.isFinite(at)) return state;
    const { awaiting } = state;
    const isAnswer = awaiting?.kind === 'message' && awaiting.from === from && awaiting.text === text;
    const next = isAnswer ? { ...state, awaiting: null } : state;
    return next.room?.code === room
      ? inRoom(next, (current) => conversation.received(current, { from, text, at }))
      : { ...next, heard: [...next.heard, { room, from, text, at }].slice(-HEARD_MAX) };
  },

  joined(state, frame, { now }) {
    const { granted, next } = placeAnswered(state);
    if (!granted || granted.kind === 'leave' || !isJoined(frame)) return next;
    if (next.room) return inRoom(next, (room) => conversation.arrived(room, frame, now));
    const opened = conversation.openRoom({ code: frame.room, asked: granted.name, name: frame.name });
    const heard = next.heard.filter(({ room }) => room === frame.room);
    const room = heard.reduce(conversation.received, conversation.arrived(opened, frame, now));
    const form = { ...next.form, error: null };
    return effect({ ...next, view: 'room', form, room, heard: [] }, { type: 'address', code: addressOf(room.code) });
  },

  left: (state) => placeAnswered(state).next,

  pong: (state) => (state.awaiting?.kind === 'ping' ? { ...state, awaiting: null } : state),

  error(state, { code, message }, event) {
    if (code === 'not-connected') return refusedByClosing(state, event);
    return refused(state, { code, text: sentence(message), uncertain: false }, event);
  },
}));

/** API Gateway's own frames, which have no `type`. */
function fromGateway(state, { message }, event) {
  if (typeof message !== 'string') return state;
  const throttled = message === 'Too Many Requests';
  const text = throttled ? 'The server is busy just now.' : 'The server failed.';
  return refused(state, { code: 'try-again', text, uncertain: !throttled }, event);
}

function refused(state, error, event) {
  const { awaiting } = state;
  const next = { ...state, awaiting: null };
  if (awaiting?.kind === 'message') {
    return inRoom(next, (room) => conversation.notSent(room, awaiting.key, error.text, error));
  }
  if (awaiting?.kind !== 'place' || awaiting.wish !== state.wish) return next;
  if (awaiting.wish.kind === 'leave') return drop(state, event);
  if (state.room || (awaiting.wish.ghost && error.code === 'name-taken')) return retried(next, error, event);
  return formError(next, fieldOf(error.code), error.text);
}

/** The server lost track of this connection: nothing was carried out, so all of it can be sent again. */
function refusedByClosing(state, event) {
  const { awaiting } = state;
  if (awaiting?.kind !== 'message') return drop(state, event);
  return drop(inRoom({ ...state, awaiting: null }, (room) => conversation.requeued(room, awaiting.key)), event);
}

/** Going back into a room was refused: try again for a while if that can help, else say so. */
function retried(state, { code, text }, { now, random }) {
  const { wish } = state;
  const tries = wish.tries + 1;
  const notBefore = now + link.backoffMs(wish.tries, random);
  const passing = code === 'name-taken' || code === 'try-again';
  if (passing && tries <= REJOIN_TRIES_MAX && notBefore < (wish.giveUpBy ?? Infinity)) {
    return { ...state, wish: { ...wish, tries, notBefore } };
  }
  if (!state.room) return formError(state, fieldOf(code), text);
  return inRoom({ ...state, wish: null }, (room) => conversation.shut(room, { code, text }));
}

const fieldOf = (code) => ({ 'bad-name': 'name', 'name-taken': 'name', 'no-such-room': 'code' })[code] ?? 'form';

const isJoined = ({ room, name, members, count }) =>
  typeof room === 'string' && typeof name === 'string' && Array.isArray(members) && Number.isFinite(count);

/** The wish that this answer grants, if it is still wished for. */
function placeAnswered(state) {
  const { awaiting, wish } = state;
  if (awaiting?.kind !== 'place') return { granted: null, next: state };
  const granted = awaiting.wish === wish ? wish : null;
  return { granted, next: { ...state, awaiting: null, wish: granted ? null : wish } };
}
