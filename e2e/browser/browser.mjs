// Chromium, and a person at one of its windows: what they see and do, by the page's `data-` hooks.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const WAIT_MS = 120_000;
// Through the debugger's protocol, past the page's policy.
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export const PHONE = { width: 390, height: 844 };
export const DESKTOP = { width: 1280, height: 800 };

export function launch(more = []) {
  const args = [...ARGUMENTS, ...more];
  return chromium.launch({ executablePath: executable(), headless: true, args, timeout: WAIT_MS });
}

function executable({ CHROMIUM: chosen, PATH: path = '' } = process.env) {
  if (chosen) return chosen;
  const folders = ['/usr/bin', '/usr/local/bin', '/opt/google/chrome', ...path.split(':')];
  const candidates = folders.flatMap((folder) => BROWSERS.map((name) => join(folder, name)));
  const found = candidates.find((file) => existsSync(file));
  if (!found) throw new Error('no Chrome or Chromium found; hint: set `CHROMIUM` to its path');
  return found;
}

/** Saves a picture if `SCREENSHOTS` names a folder for them. */
export async function screenshot({ page }, name) {
  const folder = process.env.SCREENSHOTS;
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled' });
}

/** One person with a browser profile of their own. `complaints` collects what the console should not say. */
export class Person {
  constructor(site, context, page) {
    this.site = site;
    this.context = context;
    this.page = page;
    this.complaints = [];
    this.answers = []; // to the questions that are to come: `accept` or `dismiss`
  }

  static async arrive(browser, site, { viewport = DESKTOP, colorScheme = 'light', prepare, path = '' } = {}) {
    const context = await browser.newContext({ viewport, colorScheme, locale: 'en-GB' });
    context.setDefaultTimeout(WAIT_MS);
    const page = await context.newPage();
    const person = new Person(site, context, page);
    person.#listen();
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
        console.error(`policy violated: ${violatedDirective} ${blockedURI}`);
      });
    });
    await prepare?.(page);
    await page.goto(site + path);
    return person;
  }

  #listen() {
    this.page.on('console', (said) => {
      if (['error', 'warning'].includes(said.type())) this.complaints.push(`${said.type()}: ${said.text()}`);
    });
    this.page.on('pageerror', (error) => this.complaints.push(`exception: ${error.message}`));
    this.page.on('dialog', (dialog) => {
      const answer = this.answers.shift();
      if (!answer) this.complaints.push(`dialog: ${dialog.message()}`);
      dialog[answer ?? 'dismiss']();
    });
  }

  /** The visible elements with this hook, such as `message` or `view="room"`. */
  all(hook) {
    return this.page.locator(`[data-${hook}]:visible`);
  }

  one(hook) {
    return this.all(hook).first();
  }

  async sees(hook, text) {
    await this.all(hook).filter(text === undefined ? {} : { hasText: text }).first().waitFor();
  }

  async press(action) {
    await this.one(`action="${action}"`).click();
  }

  async type(field, text) {
    await this.one(`field="${field}"`).fill(text);
  }

  read(field) {
    return this.one(`field="${field}"`).inputValue();
  }

  async createRoom(name) {
    await this.type('name', name);
    await this.press('create');
    await this.sees('view="room"');
    return this.one('room-code').textContent();
  }

  async joinRoom(code, name) {
    await this.type('name', name);
    await this.type('code', code);
    await this.press('join');
    await this.sees('view="room"');
  }

  async enterLobby(name) {
    await this.type('name', name);
    await this.press('enter-lobby');
    await this.sees('view="room"');
  }

  /** Types and presses Enter; does not wait for the server. */
  async says(text) {
    await this.type('draft', text);
    await this.one('field="draft"').press('Enter');
  }

  /** The message with exactly this text, in whatever status. */
  message(text) {
    return this.all('message').filter({ has: this.page.locator('[data-text]').getByText(text, { exact: true }) });
  }

  async hears(text, { from, status = 'sent' } = {}) {
    const message = this.message(text).and(this.page.locator(`[data-status="${status}"]`));
    const sender = this.page.locator('[data-from]', { hasText: from });
    await (from === undefined ? message : message.filter({ has: sender })).first().waitFor();
  }

  /** Who said what, in the page's order. */
  conversation() {
    return this.page.locator('[data-message]').evaluateAll((messages) =>
      messages.map((message) => [
        message.querySelector('[data-from]').textContent,
        message.querySelector('[data-text]').textContent,
      ]),
    );
  }

  /** What axe finds, each with the elements it finds it in. */
  async violations() {
    if (!(await this.page.evaluate(() => 'axe' in window))) await this.page.evaluate(AXE);
    const { violations } = await this.page.evaluate(() => window.axe.run());
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  }

  /** By how many pixels the page is wider than its window. */
  overflow() {
    return this.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  }

  /** As the browser tells it; unlike the button, it is there in every state. */
  async networkReturns() {
    await this.page.evaluate(() => window.dispatchEvent(new Event('online')));
  }

  async goAway() {
    await this.context.close();
  }
}

/** The people of one test, who leave at its end. */
export class Guests {
  #people = [];

  async arrive(...where) {
    const person = await Person.arrive(...where);
    this.#people.push(person);
    return person;
  }

  /** All of them go; the page must have given their browsers nothing to complain about. */
  async leave() {
    const people = this.#people.splice(0);
    await Promise.all(people.map((person) => person.goAway()));
    const complaints = people.flatMap((person) => person.complaints);
    assert.deepEqual(complaints, [], 'the console must stay clean and the policy unbroken');
  }
}

/** A wire to the server that a test can cut, mend, listen to and tamper with. */
export class Wire {
  #sockets = new Set();
  #isCut = false;
  #isSilent = false;
  /** Frames of the page, in order, and of the server. */
  sent = [];
  heard = [];
  /** Answers a frame in the server's place, or returns undefined to let it pass. */
  tamper = () => undefined;

  /** For `Person.arrive`'s `prepare`. */
  install = (page) =>
    page.routeWebSocket(/.*/, (socket) => {
      if (this.#isCut) {
        socket.close();
        return;
      }
      const server = socket.connectToServer();
      this.#sockets.add(socket);
      server.onMessage((text) => {
        if (this.#isSilent) return;
        this.heard.push(JSON.parse(text));
        socket.send(text);
      });
      socket.onMessage((text) => {
        if (this.#isSilent) return;
        const frame = JSON.parse(text);
        this.sent.push(frame);
        const answer = this.tamper(frame);
        if (answer === undefined) server.send(text);
        else socket.send(JSON.stringify(answer));
      });
    });

  async cut() {
    this.#isCut = true;
    for (const socket of this.#sockets) await socket.close();
    this.#sockets.clear();
  }

  /** Nothing comes through any more, and nobody is told. */
  fallSilent() {
    this.#isSilent = true;
  }

  mend() {
    this.#isCut = false;
    this.#isSilent = false;
  }

  /** Frames as if the server had sent them. */
  async inject(frames) {
    for (const socket of this.#sockets) for (const frame of frames) await socket.send(JSON.stringify(frame));
  }
}
