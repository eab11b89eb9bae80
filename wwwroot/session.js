// One frame in flight on a connection that comes and goes, pure. What is sent next, and what a loss means.
//
// `wish` is where we want to be: {kind: create | join | leave, name, room, …}. It stands until the server
// answers it. `ghost` marks one that an earlier connection of ours may have had granted: that one may still
// hold our name. `awaiting` is the one frame without an answer yet.

import * as conversation from './conversation.js';
import * as link from './link.js';

export const effect = (state, wanted) => ({ ...state, effects: [...state.effects, wanted] });

export const inRoom = (state, change) => (state.room ? { ...state, room: change(state.room) } : state);
/** Sends the next frame if the connection is free. */
export function pump(state, now) {
  const { wish, room } = state;
  if (state.link.phase !== 'open' || state.awaiting) return state;
  if (wish) return now >= (wish.notBefore ?? 0) ? ask(state, frameOf(wish), { kind: 'place', wish }, now) : state;
  const entry = room?.status === 'in' ? conversation.nextToSend(room) : undefined;
  if (entry) {
    const { key, text } = entry;
    const next = { ...state, room: conversation.sending(room, key) };
    return ask(next, { type: 'message', text }, { kind: 'message', key, text, from: room.name }, now);
  }
  return now >= state.link.pingAt ? ask(state, { type: 'ping' }, { kind: 'ping' }, now) : state;
}

export const connect = (state, now) =>
  effect({ ...state, link: link.connecting(state.link, now) }, { type: 'connect' });

/** Does not wait for the next try. `restart`: does not trust one that is under way either. */
export function connectNow(state, now, { restart = false } = {}) {
  const { phase } = state.link;
  if (phase === 'waiting') return connect(state, now);
  return restart && phase === 'connecting' ? connect(effect(state, { type: 'drop' }), now) : state;
}

/** Gives the connection up, which may be long dead. */
export const drop = (state, event) => effect(lose(state, event), { type: 'drop' });

/** The connection is gone, and with it every answer that was still to come. */
export function lose(state, event) {
  const { awaiting, wish, room } = state;
  const next = { ...state, awaiting: null, link: link.lost(state.link, event) };
  if (wish?.kind === 'leave') next.wish = null; // a new connection is in the lobby anyway
  if (wish && next.wish && awaiting?.wish === wish) next.wish = { ...wish, ghost: true };
  if (!room) return next;
  next.wish = null; // asked anew once the connection is back
  const reason = 'The connection broke before the server confirmed it; it may have arrived.';
  const kept =
    awaiting?.kind === 'message' ? conversation.notSent(room, awaiting.key, reason, { uncertain: true }) : room;
  return { ...next, room: conversation.dropped(kept, event.now) };
}

/** Asks for our place in the room again. */
export const rejoining = (state) => ({
  ...state,
  room: { ...state.room, status: 'rejoining', trouble: null },
  wish: { kind: 'join', room: state.room.code, name: state.room.asked, ghost: true, tries: 0 },
});

function ask(state, frame, awaiting, now) {
  const by = now + (awaiting.kind === 'ping' ? link.PONG_MS : link.ANSWER_MS);
  const next = { ...state, awaiting: { ...awaiting, by }, link: link.spoke(state.link, now) };
  return effect(next, { type: 'send', frame });
}

const frameOf = ({ kind, room, name }) =>
  ({ create: { type: 'create', name }, join: { type: 'join', room, name }, leave: { type: 'leave' } })[kind];
