// The server of PROTOCOL.md as a small model: rooms, order, recovery, presence. No socket and no clock, so that
// the page's rules can be driven through every misfortune, and its view without a stack behind it.

const CODE = '7K3M9-QX2TB';
const PAGE = 50;
const PAGE_BYTES = 30_000;

export class Model {
  /** `now` gives the time; `deliver(client, frame)` brings a frame to a client, whenever and if ever it likes. */
  constructor({ now, deliver, page = PAGE }) {
    this.now = now;
    this.deliver = deliver;
    this.page = page;
    this.rooms = new Map();
    this.clients = new Map(); // client -> {room, member} or null
    this.secrets = 0;
  }

  room(code = CODE) {
    if (!this.rooms.has(code)) this.rooms.set(code, { code, said: [], oldest: 1, members: [], rev: 0 });
    return this.rooms.get(code);
  }

  connect(client) {
    this.clients.set(client, null);
  }

  /** Without a word, as by a lost `$disconnect`, the member stays: half-open. */
  disconnect(client, { noticed = true } = {}) {
    const place = this.clients.get(client);
    this.clients.delete(client);
    if (place && noticed) this.#remove(place);
  }

  /** Somebody else, or the same member from before, says something: stored, and not yet delivered. */
  say(room, member, { id, text }) {
    const again = id && room.said.find((it) => it.id === id && it.member === member.key);
    if (again) return again;
    const seq = room.said.length + 1;
    const said = { seq, id, from: member.name, text, at: this.now(), member: member.key };
    room.said.push(said);
    return said;
  }

  /** A member without a client, to talk for. */
  guest(name, code) {
    const room = this.room(code);
    const member = { key: `guest ${name}`, name, client: null };
    room.members.push(member);
    this.#announce(room, { event: 'join', name });
    return { says: (text, id) => this.#tell(room, frameOf(room, this.say(room, member, { id, text }))), member, room };
  }

  /** Carries a client's frame out; gives the reply, which is delivered by whoever asked. */
  answer(client, frame) {
    const place = this.clients.get(client);
    if (place === undefined) return refusal('not-connected');
    const carryOut = this[`on_${frame.type}`];
    return carryOut ? carryOut.call(this, client, frame, place) : refusal('bad-type');
  }

  on_create(client, { name }) {
    return this.on_join(client, { room: CODE, name });
  }

  on_join(client, { room: code, name, after, resume }) {
    const room = this.room(code);
    let member = resume && room.members.find((it) => it.resume === resume);
    const taken = room.members.find((it) => it !== member && it.name.toLowerCase() === name.toLowerCase());
    if (taken) return refusal('name-taken', `\`${name}\` is taken in this room; choose another name`);
    if (member) {
      const old = member.client;
      if (old !== null && old !== client) this.clients.set(old, null);
      member.client = client;
      const was = member.name;
      member.name = name;
      if (was !== name) this.#announce(room, { event: 'rename', name, was }, client);
    } else {
      this.secrets += 1;
      // Who was here before is known by the secret, even when noticed to be gone.
      member = { key: resume ?? `s${this.secrets}`, resume: resume ?? `s${this.secrets}`, name, client };
      room.members.push(member);
      this.#announce(room, { event: 'join', name }, client);
    }
    this.clients.set(client, { room, member });
    const part = after === undefined ? { before: Infinity } : { after };
    const { messages, oldest, more } = this.#part(room, part);
    const { resume: secret } = member;
    return { type: 'joined', room: code, name, resume: secret, ...list(room), seq: room.said.length, oldest, messages, more };
  }

  on_leave(client, frame, place) {
    if (place) this.#remove(place);
    this.clients.set(client, null);
    return { type: 'left', room: place?.room.code ?? 'lobby' };
  }

  on_message(client, { room: code, id, text }, place) {
    if (place?.room.code !== code) return { ...refusal('not-in-room'), id };
    const frame = frameOf(place.room, this.say(place.room, place.member, { id, text }));
    this.#tell(place.room, frame, client);
    return frame;
  }

  on_rename(client, { name }, place) {
    const { room, member } = place;
    if (room.members.some((it) => it !== member && it.name.toLowerCase() === name.toLowerCase())) return refusal('name-taken', `\`${name}\` is taken in this room`);
    const was = member.name;
    member.name = name;
    return this.#announce(room, { event: 'rename', name, was }, client);
  }

  on_history(client, { before, after, limit }, place) {
    if (!place) return { type: 'history', room: 'lobby', messages: [], oldest: 1, more: false };
    return { type: 'history', room: place.room.code, ...this.#part(place.room, { before, after, limit }) };
  }

  on_typing(client, frame, place) {
    if (!place) return refusal('not-in-room');
    const told = { type: 'typing', room: place.room.code, from: place.member.name };
    this.#tell(place.room, told, client);
    return told;
  }

  on_ping(client, frame, place) {
    return { type: 'pong', room: place?.room.code ?? 'lobby', seq: place?.room.said.length ?? 0, rev: place?.room.rev };
  }

  #remove({ room, member }) {
    room.members = room.members.filter((it) => it !== member);
    this.#announce(room, { event: 'leave', name: member.name });
  }

  #announce(room, change, except) {
    room.rev += 1;
    const frame = { type: 'presence', room: room.code, ...change, ...list(room) };
    this.#tell(room, frame, except);
    return frame;
  }

  #tell(room, frame, except) {
    for (const { client } of room.members) if (client !== null && client !== except) this.deliver(client, frame);
  }

  #part(room, { before, after, limit = this.page }) {
    const all = room.said.filter(({ seq }) => seq >= room.oldest && (after === undefined ? seq < before : seq > after));
    const count = Math.min(limit, this.page);
    const ordered = after === undefined ? all.slice(-count).reverse() : all.slice(0, count);
    let bytes = 0;
    const fits = ordered.filter(({ text }) => (bytes += Buffer.byteLength(text) + 100) <= PAGE_BYTES);
    const messages = (after === undefined ? fits.reverse() : fits).map(({ member, ...said }) => said);
    return { messages, oldest: room.oldest, more: fits.length < all.length };
  }
}

const frameOf = (room, { member, ...said }) => ({ type: 'message', room: room.code, ...said });

const list = ({ members, rev }) => ({
  members: members.map(({ name }) => name).sort().slice(0, 200),
  count: members.length,
  rev,
});

const refusal = (code, message = `\`${code}\``) => ({ type: 'error', code, message });
