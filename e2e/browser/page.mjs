// A page without a browser, for tests: the state, its clock, and every effect that was asked for.

import assert from 'node:assert/strict';
import { initial, remembered, update, wakeAt } from '../../wwwroot/state.js';

export const START = 1_767_225_600_000;

export class Page {
  state = initial();
  now = START;
  random = 0;
  effects = [];
  /** The last frame that waits for an answer. */
  inFlight = null;

  do(type, fields = {}) {
    const before = this.state.awaiting;
    this.state = update(this.state, { type, now: this.now, random: this.random, ...fields });
    const sends = this.state.effects.filter(({ type: effect }) => effect === 'send');
    const isOpen = this.state.link.phase === 'open';
    assert.ok(sends.length <= (isOpen ? 1 : 0), 'one frame at a time, on an open connection');
    if (sends.length === 1) {
      assert.notEqual(this.state.awaiting, before, 'a frame was sent before the last one was answered');
      this.inFlight = JSON.parse(JSON.stringify(sends[0].frame));
    }
    if (!this.state.awaiting) this.inFlight = null;
    this.effects.push(...JSON.parse(JSON.stringify(this.state.effects)));
    return this;
  }

  hears(frame) {
    return this.do('frame', { frame });
  }

  types(field, text) {
    return this.do(`${field}-typed`, { text });
  }

  says(text) {
    return this.types('draft', text).do('send');
  }

  /** Lets `ms` pass as `main.js` does: a tick whenever one is due. */
  passes(ms) {
    const end = this.now + ms;
    for (let ticks = 0; wakeAt(this.state) <= end; ticks += 1) {
      assert.ok(ticks < 10_000, 'the clock must not be asked for without end');
      this.now = Math.max(this.now, wakeAt(this.state));
      this.do('tick');
    }
    this.now = end;
    return this;
  }

  /** The effects since the last look. */
  asked() {
    return this.effects.splice(0);
  }

  frames() {
    return this.asked().filter(({ type }) => type === 'send').map(({ frame }) => frame);
  }

  /** What a reload keeps. */
  memory() {
    return JSON.parse(JSON.stringify(remembered(this.state)));
  }

  get entries() {
    return [...this.state.room.messages, ...this.state.room.outbox];
  }

  get shown() {
    return this.entries.filter(({ kind }) => kind === 'message');
  }

  get texts() {
    return this.shown.map(({ text }) => text);
  }

  get statuses() {
    return this.shown.map(({ status }) => status ?? 'sent');
  }

  get notices() {
    return this.entries.filter(({ kind }) => kind !== 'message').map(({ kind }) => kind);
  }
}
