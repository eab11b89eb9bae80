// Pages and the model of the server, joined by a network that delays, overtakes, loses, doubles and breaks.

import assert from 'node:assert/strict';
import { wakeAt } from '../../wwwroot/state.js';
import { Model } from './model.mjs';
import { Page, START } from './page.mjs';

const CODE = '7K3M9-QX2TB';
const FAILED = { message: 'Internal server error', connectionId: 'c', requestId: 'r' };
const THROTTLED = { message: 'Too Many Requests', connectionId: 'c', requestId: 'r' };
const DELAY_MS = 400;

export class World {
  now = START;
  /** How bad the network is, from 0 (only slow) to 1. */
  badness = 1;
  #random;
  #due = []; // {at, order, run}
  #order = 0;
  connections = 0;

  constructor(names, random) {
    this.#random = random;
    this.model = new Model({ now: () => this.now, deliver: (client, frame) => this.#deliver(client, frame) });
    this.people = names.map((name) => ({ name, said: [], client: null, isCut: false, page: new Page() }));
    for (const person of this.people) this.#load(person, { name: person.name, session: null });
    this.runs(5_000);
    for (const person of this.people) {
      person.page.types('code', CODE).do('join');
      this.#carryOut(person);
    }
    this.badness = 0;
    this.runs(20_000);
    this.badness = 1;
    for (const { page } of this.people) assert.equal(page.state.view, 'room');
  }

  // ---- what may happen

  does(person, type, fields) {
    this.#sync(person);
    person.page.do(type, fields);
    this.#carryOut(person);
  }

  says(person, text) {
    this.#sync(person);
    person.said.push(text);
    person.page.says(text);
    this.#carryOut(person);
  }

  /** The connection breaks: with a word to the browser or without, noticed by the server or not. */
  breaks(person, { told, noticed }) {
    const { client } = person;
    if (client === null) return;
    this.#goes(client, noticed);
    if (!told) return; // half-open: the page finds out by itself
    person.client = null;
    this.does(person, 'closed');
  }

  reloads(person) {
    const memory = person.page.memory();
    if (person.client !== null) this.#goes(person.client, true);
    person.client = null;
    person.page = new Page();
    this.#load(person, memory);
  }

  /** Lets `ms` pass, with everything that falls due. */
  runs(ms) {
    const end = this.now + ms;
    for (let steps = 0; ; steps += 1) {
      assert.ok(steps < 100_000, 'the world must come to rest');
      const next = this.#next();
      const tick = this.people.map((person) => [wakeAt(person.page.state), person]).sort(([a], [b]) => a - b)[0];
      const at = Math.max(this.now, Math.min(next?.at ?? Infinity, tick[0]));
      if (at > end) break;
      this.now = at;
      if (next && next.at <= at) {
        this.#due.splice(this.#due.indexOf(next), 1);
        next.run();
      } else this.does(tick[1], 'tick');
    }
    this.now = end;
  }

  /** From now on nothing bad happens; long enough for everything to be found out. */
  heals() {
    this.badness = 0;
    for (const person of this.people) {
      person.isCut = false;
      this.does(person, 'online');
    }
    for (let i = 0; i < 12; i += 1) {
      this.runs(60_000);
      for (const person of this.people) {
        for (const { key, status } of person.page.state.room.outbox) if (status === 'unsent') this.does(person, 'send-again', { key });
        if (person.page.state.room.status === 'shut') this.does(person, 'rejoin');
      }
    }
  }

  // ---- the network

  #load(person, { name, session }) {
    this.#sync(person);
    person.page.random = this.#random();
    person.page.do('load').do('configured', { name, session, code: '', online: true });
    this.#carryOut(person);
  }

  #sync({ page }) {
    page.now = this.now;
    page.random = this.#random();
  }

  #carryOut(person) {
    for (const { type, frame } of person.page.asked()) {
      if (type === 'send') this.#send(person.client, frame);
      if (type === 'connect') this.#connect(person);
      if (type === 'drop' && person.client !== null) {
        this.#goes(person.client, this.#chance(0.5));
        person.client = null;
      }
    }
  }

  #connect(person) {
    this.connections += 1;
    const client = { number: this.connections, person, gone: false };
    person.client = client;
    const refused = person.isCut || this.#chance(0.2);
    this.#later(() => {
      if (person.client !== client) return;
      if (!refused) this.model.connect(client);
      else person.client = null;
      this.does(person, refused ? 'closed' : 'opened');
    });
  }

  #send(client, frame) {
    if (client === null) return;
    this.#later(() => {
      if (client.gone) return;
      if (this.#chance(0.05)) {
        this.#arrives(client, this.#chance(0.5) ? FAILED : THROTTLED);
        return;
      }
      const answer = this.model.answer(client, frame);
      // A crash may come after the work, and a connection's last answer is lost with it.
      if (answer && !this.#chance(0.05)) this.#arrives(client, this.#chance(0.05) ? FAILED : answer);
    });
  }

  /** What is posted may be lost, and posted twice by a retry. */
  #deliver(client, frame) {
    if (this.#chance(0.1)) return;
    const copies = this.#chance(0.05) ? 2 : 1;
    for (let i = 0; i < copies; i += 1) this.#arrives(client, frame);
  }

  #arrives(client, frame) {
    this.#later(() => {
      if (client.person.client === client && !client.gone) this.does(client.person, 'frame', { frame: structuredClone(frame) });
    });
  }

  #goes(client, noticed) {
    client.gone = true;
    this.#later(() => this.model.disconnect(client, { noticed }));
  }

  #chance(probability) {
    return this.#random() < probability * this.badness;
  }

  #later(run) {
    this.#order += 1;
    this.#due.push({ at: this.now + this.#random() * DELAY_MS, order: this.#order, run });
  }

  #next() {
    return this.#due.reduce((first, it) => (!first || it.at < first.at ? it : first), null);
  }
}
