// Signing in, in Chromium, at a real OpenID Connect provider: the way there and back, and all that can go wrong on it.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { DESKTOP, Guests, launch, PHONE, screenshot, Wire } from './browser.mjs';
import { CLIENT, startProvider } from './provider.mjs';
import { startStack } from './stack.mjs';

const TEST_MS = 10 * 60_000;
const START_MS = 11 * 60_000;
const CONNECTED = 'connection="connected"';
const SIGNED_OUT = 'view="signed-out"';
const HOUR_MS = 3_600_000;

describe('signing in', { timeout: 60 * 60_000, skip: Boolean(process.env.SITE) }, () => {
  let plain;
  let provider;
  let chat;
  let browser;
  const guests = new Guests();

  before(
    async () => {
      provider = await startProvider();
      plain = await startStack();
      chat = await startStack(['--auth', 'oidc', '--issuer', provider.issuer, '--audience', CLIENT]);
      provider.register(chat.site);
      browser = await launch();
    },
    { timeout: START_MS },
  );

  after(
    async () => {
      await browser?.close();
      await chat?.stop();
      await plain?.stop();
      await provider?.stop();
    },
    { timeout: TEST_MS },
  );

  beforeEach(() => {
    provider.lifetime = 3_600;
    provider.allowsOthers = true;
  });

  afterEach(() => guests.leave(), { timeout: TEST_MS });

  const arrive = ({ site = chat.site, ...options } = {}) => guests.arrive(browser, site, options);

  /** From the signed-out page through the provider's own. */
  async function signIn(person, account) {
    await person.sees(SIGNED_OUT);
    await person.one('sign-in').click();
    await person.page.locator(`button[value="${account}"]`).click();
  }

  const arriveAs = async (account, options) => {
    const person = await arrive(options);
    await signIn(person, account);
    await person.sees('account');
    await person.sees(CONNECTED);
    return person;
  };

  /** Chromium itself tells of what such a test does to it. */
  const forgive = (person, pattern) => {
    person.complaints = person.complaints.filter((complaint) => !pattern.test(complaint));
  };

  const tokenIn = ({ page }) => page.evaluate(() => JSON.parse(sessionStorage.getItem('chat-token'))?.token ?? null);

  const behaviour = (name, steps) => test(name, { timeout: TEST_MS }, steps);

  behaviour('two people sign in, are called what their accounts say, and talk in a room', async () => {
    const ann = await arriveAs('ann');
    await ann.sees('account', 'Ann Example');
    assert.equal(await ann.all('field="name"').count(), 0, 'nobody is asked for a name');
    await ann.press('create');
    await ann.sees('view="room"');
    const code = await ann.one('room-code').textContent();
    assert.equal(await ann.all('action="rename"').count(), 0);
    const bob = await arrive({ path: `#room=${code}` });
    await bob.sees('sign-in-words', `Someone shared the room ${code} with you.`);
    await signIn(bob, 'bob');
    await bob.sees('view="welcome"');
    assert.equal(await bob.read('code'), code, 'an invitation is good behind the sign-in');
    await bob.press('join');
    await bob.sees('member="Ann Example"');
    await ann.sees('member="bob"');
    await ann.says('hello');
    await bob.hears('hello', { from: 'Ann Example' });
    await bob.says('hello ann');
    await ann.hears('hello ann', { from: 'bob' });
  });

  for (const [account, name] of [
    ['bob', 'bob'],
    ['cat', 'cat'],
    ['dan', 'Dan D. of the longest name there'],
    ['eve', /^user-[0-9a-f]{6}$/],
  ]) {
    behaviour(`${account} is called ${name} by page and server alike`, async () => {
      const person = await arriveAs(account);
      await person.sees('account', name);
      const shown = await person.one('account').textContent();
      await person.press('create');
      await person.sees('notice="here"');
      assert.equal(await person.one('own-name').textContent(), shown);
      await person.sees(`member="${shown}"`);
    });
  }

  behaviour('who is in a room twice gets a number, and keeps it over a reload', async () => {
    const first = await arriveAs('ann');
    await first.press('create');
    await first.sees('view="room"');
    const code = await first.one('room-code').textContent();
    const second = await arriveAs('ann', { path: `#room=${code}` });
    await second.press('join');
    await second.sees('own-name', 'Ann Example-2');
    await second.sees('notice="here"', 'Someone here is called Ann Example already, so you are Ann Example-2.');
    await second.page.reload();
    await second.sees(CONNECTED);
    await second.sees('own-name', 'Ann Example-2');
    await second.says('me too');
    await first.hears('me too', { from: 'Ann Example-2' });
    await second.press('leave');
    await second.press('enter-lobby');
    await second.sees('own-name', 'Ann Example');
  });

  behaviour('the token goes in the handshake’s subprotocol and nowhere else, and the answer is the plain one', async () => {
    const seen = { addresses: [], offered: [], answered: [] };
    const prepare = async (page) => {
      page.on('request', (request) => seen.addresses.push(request.url()));
      page.on('websocket', (socket) => seen.addresses.push(socket.url()));
      const devtools = await page.context().newCDPSession(page);
      await devtools.send('Network.enable');
      const header = ({ headers }) => Object.entries(headers).find(([name]) => /^sec-websocket-protocol$/i.test(name))?.[1];
      devtools.on('Network.webSocketWillSendHandshakeRequest', ({ request }) => seen.offered.push(header(request)));
      devtools.on('Network.webSocketHandshakeResponseReceived', ({ response }) => seen.answered.push(header(response)));
    };
    const ann = await arriveAs('ann', { prepare });
    const token = await tokenIn(ann);
    assert.equal(token.split('.').length, 3);
    assert.deepEqual(seen.offered, [`chatctl, bearer.${token}`]);
    assert.deepEqual(seen.answered, ['chatctl']);
    for (const address of seen.addresses) assert.ok(!address.includes(token), address);
    assert.ok(!(await ann.page.evaluate(() => JSON.stringify({ ...localStorage }))).includes(token), 'it ends with the tab');
  });

  behaviour('where nobody signs in, nothing of it is loaded and no subprotocol is offered', async () => {
    const files = [];
    const prepare = async (page) => {
      page.on('request', (request) => files.push(new URL(request.url()).pathname));
      await page.addInitScript(() => {
        const { WebSocket: Plain } = window;
        window.offered = [];
        window.WebSocket = class extends Plain {
          constructor(address, protocols) {
            super(address, protocols);
            window.offered.push(protocols ?? null);
          }
        };
      });
    };
    const ann = await arrive({ site: plain.site, prepare });
    await ann.createRoom('ann');
    assert.deepEqual(files.filter((file) => file.includes('sign-in')), []);
    assert.deepEqual(await ann.page.evaluate(() => window.offered), [null]);
  });

  behaviour('code and state leave the address at once, and what else was in it is there again', async () => {
    const addresses = [];
    const ann = await arrive({ path: '?theme=dark#room=7K3M9-QX2TB' });
    ann.page.on('request', (request) => request.isNavigationRequest() && addresses.push(new URL(request.url())));
    let whileAsked;
    await ann.page.route('**/token', async (route) => {
      whileAsked = ann.page.url();
      await route.continue();
    });
    await signIn(ann, 'ann');
    await ann.sees('view="welcome"');
    const back = addresses.find(({ searchParams }) => searchParams.has('code'));
    assert.equal(back.origin + back.pathname, chat.site);
    const expected = `${chat.site}?theme=dark#room=7K3M9-QX2TB`;
    assert.deepEqual([whileAsked, ann.page.url()], [expected, expected]);
    const asked = addresses.find(({ searchParams }) => searchParams.has('code_challenge')).searchParams;
    assert.deepEqual([asked.get('code_challenge_method'), asked.get('scope')], ['S256', 'openid profile email']);
    assert.ok(['state', 'nonce', 'code_challenge'].every((name) => asked.get(name).length >= 43));
  });

  behaviour('the back button and the way forward again leave one signed in', async () => {
    const ann = await arriveAs('ann');
    const token = await tokenIn(ann);
    for (const step of ['goBack', 'goForward', 'goBack', 'goBack', 'goForward']) {
      await ann.page[step]().catch(() => {}); // a page of the provider may refuse what it has done already
    }
    await ann.page.goto(chat.site);
    await ann.sees('account', 'Ann Example');
    assert.equal(await tokenIn(ann), token);
    forgive(ann, /status of 4\d\d/);
  });

  behaviour('a reload stays signed in, in the room, with the draft, and asks the provider nothing', async () => {
    const ann = await arriveAs('ann');
    await ann.press('create');
    await ann.sees('view="room"');
    await ann.says('before');
    await ann.hears('before');
    await ann.type('draft', 'half a');
    const asked = [];
    ann.page.on('request', (request) => request.url().startsWith(provider.issuer) && asked.push(request.url()));
    await ann.page.reload();
    await ann.hears('before', { from: 'Ann Example' });
    await ann.sees(CONNECTED);
    assert.equal(await ann.read('draft'), 'half a');
    assert.deepEqual(asked, []);
  });

  behaviour('a sign-in that ends in a room has one sign in again, which keeps room, place, draft and what was not sent', async () => {
    const wire = new Wire();
    const ann = await arriveAs('ann', { viewport: PHONE, prepare: wire.install });
    const bob = await arriveAs('bob');
    await ann.page.clock.install();
    await ann.press('create');
    await ann.sees('view="room"');
    const code = await ann.one('room-code').textContent();
    await bob.type('code', code);
    await bob.press('join');
    await bob.says('are you there?');
    await ann.hears('are you there?');
    await wire.cut();
    await ann.sees('connection="waiting"');
    await ann.page.clock.fastForward(HOUR_MS);
    await ann.sees('connection="signed-out"', 'You have to sign in again. What you write is kept and sent later.');
    wire.mend();
    await ann.says('not sent yet');
    await ann.type('draft', 'half a');
    await ann.hears('are you there?', { from: 'bob' });
    await screen(ann, 'ended');
    await ann.one('sign-in-again').click(); // the provider still knows her
    await ann.sees(CONNECTED);
    await bob.hears('not sent yet', { from: 'Ann Example' });
    assert.equal(await ann.read('draft'), 'half a');
    assert.equal(await ann.one('room-code').textContent(), code);
    assert.deepEqual(await bob.all('member').allTextContents(), ['Ann Example', 'bob (you)']);
    assert.equal(await ann.message('not sent yet').getAttribute('data-own'), 'true');
  });

  behaviour('a sign-in that ended while the page was away is told at the entrance', async () => {
    const ann = await arriveAs('ann');
    await ann.press('create');
    await ann.sees('view="room"');
    await ann.type('draft', 'half a');
    await ann.page.clock.install({ time: Date.now() + 2 * HOUR_MS });
    await ann.page.reload();
    await ann.sees('error="sign-in"', 'Your sign-in has ended.');
    await ann.context.clearCookies();
    await signIn(ann, 'cancel');
    await ann.sees('error="sign-in"', 'cancelled');
    await signIn(ann, 'ann');
    await ann.sees('view="room"');
    await ann.sees(CONNECTED);
    assert.equal(await ann.read('draft'), 'half a');
  });

  behaviour('signing out forgets the person, the provider asks anew, and somebody else finds nothing', async () => {
    const ann = await arriveAs('ann');
    await ann.press('create');
    await ann.sees('view="room"');
    await ann.type('draft', 'private');
    await ann.press('leave');
    await ann.press('leave-anyway');
    await ann.one('sign-out').click();
    await ann.sees('error="sign-in"', 'You are signed out.');
    const kept = () => ann.page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }]));
    assert.doesNotMatch(await kept(), /Ann|private|token/);
    await ann.page.reload();
    await signIn(ann, 'bob');
    await ann.sees('account', 'bob');
    await ann.sees(CONNECTED);
    assert.doesNotMatch(await kept(), /Ann|private/);
  });

  behaviour('who signs out in one tab is signed out in all of them, and nobody else is', async () => {
    const ann = await arriveAs('ann');
    const other = await ann.context.newPage();
    await other.goto(chat.site);
    await other.locator('[data-sign-in]').click();
    await other.locator('[data-account]:visible').waitFor();
    await other.locator('[data-action="create"]').click();
    await other.locator('[data-field="draft"]').fill('private');
    await ann.context.clearCookies();
    const third = await ann.context.newPage();
    await third.goto(chat.site);
    await third.locator('[data-sign-in]').click();
    await third.locator('button[value="bob"]').click();
    await third.locator('[data-account]', { hasText: 'bob' }).waitFor();
    await ann.one('sign-out').click();
    await ann.sees('error="sign-in"', 'You are signed out.');
    await other.locator('[data-error="sign-in"]', { hasText: 'You are signed out.' }).waitFor();
    assert.doesNotMatch(await other.evaluate(() => JSON.stringify({ ...sessionStorage })), /private|token/);
    await third.reload();
    await third.locator('[data-account]', { hasText: 'bob' }).waitFor();
  });

  behaviour('what somebody left in a tab is not for another who signs in there', async () => {
    const ann = await arriveAs('ann');
    await ann.press('create');
    await ann.sees('view="room"');
    await ann.type('draft', 'private');
    await ann.page.clock.install({ time: Date.now() + 2 * HOUR_MS });
    await ann.page.reload();
    await ann.context.clearCookies();
    await signIn(ann, 'bob');
    await ann.sees('account', 'bob');
    assert.doesNotMatch(await ann.page.evaluate(() => JSON.stringify({ ...sessionStorage })), /private/);
  });

  behaviour('who cancels at the provider is told so, and can try again', async () => {
    const ann = await arrive();
    await signIn(ann, 'cancel');
    await ann.sees('error="sign-in"', 'You were not signed in: it was cancelled, or this account may not use the chat.');
    assert.equal(ann.page.url(), chat.site);
    await signIn(ann, 'cat');
    await ann.sees('account', 'cat');
  });

  behaviour('an answer that nobody here asked for signs nobody in', async () => {
    const ann = await arrive({ path: '?code=stolen&state=elsewhere' });
    await ann.sees('error="sign-in"', 'not begun in this window');
    assert.equal(ann.page.url(), chat.site);
    await signIn(ann, 'ann');
    await ann.sees('account', 'Ann Example');
    const token = await tokenIn(ann);
    await ann.page.goto(`${chat.site}?code=stolen&state=elsewhere&keep=1`);
    await ann.sees('account', 'Ann Example');
    assert.equal(ann.page.url(), `${chat.site}?keep=1`);
    assert.equal(await tokenIn(ann), token, 'and whoever is signed in stays so');
  });

  behaviour('an answer to another question than the last one is not even tried, and the right one still counts', async () => {
    const ann = await arrive();
    let tries = 0;
    ann.page.on('request', (request) => (tries += request.url().endsWith('/token')));
    await ann.one('sign-in').click();
    await ann.page.locator('button[value="ann"]').waitFor();
    await ann.page.goto(`${chat.site}?code=stolen&state=elsewhere`);
    await ann.sees('error="sign-in"', 'not begun in this window');
    assert.equal(tries, 0);
    await ann.page.goBack();
    await ann.page.locator('button[value="ann"]').click();
    await ann.sees('account', 'Ann Example');
    assert.equal(tries, 1);
  });

  behaviour('two tabs that sign in at the same time both get in', async () => {
    const ann = await arrive();
    await ann.sees(SIGNED_OUT);
    const other = await ann.context.newPage();
    await other.goto(chat.site);
    await other.locator('[data-sign-in]').click();
    await other.locator('button[value="ann"]').waitFor();
    await ann.one('sign-in').click();
    await ann.page.locator('button[value="ann"]').waitFor();
    await other.locator('button[value="ann"]').click();
    await other.locator('[data-account]:visible').waitFor();
    await ann.page.locator('button[value="ann"]').click();
    await ann.sees('account', 'Ann Example');
    await ann.sees(CONNECTED);
    await other.locator(`[data-${CONNECTED}]`).waitFor();
  });

  describe('what the token endpoint may do', () => {
    const answering = (answer) => async (route) => {
      const headers = { 'access-control-allow-origin': '*' };
      await route.fulfill({ headers, ...(await answer(route)) });
    };

    /** The provider's own answer with other claims; its signature is then wrong, which the page cannot know. */
    const withClaims = (change) =>
      answering(async (route) => {
        const answer = await (await route.fetch()).json();
        const [header, claims, signature] = answer.id_token.split('.');
        const changed = { ...JSON.parse(Buffer.from(claims, 'base64url')), ...change };
        const token = [header, Buffer.from(JSON.stringify(changed)).toString('base64url'), signature].join('.');
        return { json: { ...answer, id_token: token } };
      });

    for (const [what, handle, words] of [
      ['cannot be reached', (route) => route.abort('connectionrefused'), /at 127\.0\.0\.1:\d+ could not be reached\. Check your connection\. Sign in again\./],
      ['refuses the code', answering(() => ({ status: 400, json: { error: 'invalid_grant', error_description: 'the code is used up' } })), /refused: the code is used up\. Sign in again\./],
      ['refuses without a description', answering(() => ({ status: 401, json: { error: 'invalid_client' } })), /refused: invalid_client\./],
      ['fails', answering(() => ({ status: 503, body: '<h1>Sorry</h1>' })), /refused: status 503\. Sign in again\./],
      ['answers something else', answering(() => ({ body: '<h1>Hello</h1>' })), /gave no ID token\. Sign in again\./],
      ['gives no ID token', answering(() => ({ json: { access_token: 'x' } })), /gave no ID token\./],
      ['gives one of another sign-in', withClaims({ nonce: 'replayed' }), /not the sign-in that was asked for\. Sign in again\./],
      ['gives one that never ends', withClaims({ exp: undefined }), /does not say who you are, or until when\./],
      ['gives one of another issuer', withClaims({ iss: 'https://elsewhere.example' }), /a sign-in of another service\./],
      ['gives one that no header can take', withClaims({ groups: 'x'.repeat(8_000) }), /says too much about you/],
      ['gives one for something else', withClaims({ aud: 'mail' }), /a sign-in for something else\./],
    ]) {
      behaviour(`when it ${what}, the page says so, and the next time is as good as the first`, async () => {
        const ann = await arrive({ path: '#room=7K3M9-QX2TB' });
        await ann.page.route('**/token', handle);
        await signIn(ann, 'ann');
        await ann.sees('error="sign-in"', words);
        assert.equal(await tokenIn(ann), null);
        assert.equal(ann.page.url(), `${chat.site}#room=7K3M9-QX2TB`);
        await ann.page.unroute('**/token');
        await ann.one('sign-in').click();
        await ann.sees('account', 'Ann Example');
        await ann.sees(CONNECTED);
        forgive(ann, /Failed to load resource/);
      });
    }

    behaviour('when it does not let this page read its answer, the page says whose it is to change', async () => {
      const ann = await arrive();
      provider.allowsOthers = false;
      await signIn(ann, 'ann');
      await ann.sees('error="sign-in"', /answers, but not to this page: it does not allow this page’s address \(CORS\)/);
      forgive(ann, /CORS policy|Failed to load resource/);
    });

    behaviour('when its tokens end within a minute, the page says so and does not go round in circles', async () => {
      const ann = await arrive();
      provider.lifetime = 59;
      await signIn(ann, 'ann');
      await ann.sees('error="sign-in"', 'gave a sign-in that ends within a minute');
      assert.equal(await tokenIn(ann), null);
    });
  });

  behaviour('a token that looks good and is refused is doubted, and signing in again helps', async () => {
    const ann = await arriveAs('ann', { viewport: PHONE });
    await ann.page.evaluate(() => {
      const kept = JSON.parse(sessionStorage.getItem('chat-token'));
      const [header, claims, signature] = kept.token.split('.');
      const token = [header, claims, signature.split('').reverse().join('')].join('.');
      sessionStorage.setItem('chat-token', JSON.stringify({ ...kept, token }));
    });
    await ann.page.reload();
    await ann.sees('connection="waiting"', 'The server cannot be reached.');
    await ann.sees('sign-in-doubt', 'Perhaps it is your sign-in.');
    assert.equal(await ann.overflow(), 0);
    await screen(ann, 'refused');
    await ann.one('sign-in-again').click();
    await ann.sees(CONNECTED);
    assert.equal(await ann.all('sign-in-doubt').count(), 0);
    forgive(ann, /WebSocket connection/);
  });

  behaviour('after the provider has taken another key, whoever is in stays in, and whoever signs in gets in', async () => {
    const ann = await arriveAs('ann');
    await ann.press('create');
    await ann.sees('view="room"');
    const code = await ann.one('room-code').textContent();
    provider.rotate();
    const bob = await arriveAs('bob', { path: `#room=${code}` });
    await bob.press('join');
    await bob.says('by the new key');
    await ann.hears('by the new key', { from: 'bob' });
    await ann.press('leave');
    await ann.one('sign-out').click();
    await signIn(ann, 'ann');
    await ann.sees(CONNECTED);
    // Keys are read anew every 10 seconds at most; until then a new one is refused, and the page tries again.
    for (const person of [ann, bob]) forgive(person, /WebSocket connection/);
  });

  behaviour('a browser that keeps nothing is told why nobody can sign in with it', async () => {
    const forbid = (page) =>
      page.addInitScript(() => {
        const refuse = () => {
          throw new DOMException('storage is forbidden', 'SecurityError');
        };
        for (const area of ['localStorage', 'sessionStorage']) Object.defineProperty(window, area, { get: refuse });
      });
    const ann = await arrive({ prepare: forbid });
    await ann.sees(SIGNED_OUT);
    await ann.one('sign-in').click();
    await ann.sees('error="sign-in"', 'Your browser keeps nothing for this page');
  });

  behaviour('a config.json that lacks something for it is told in words', async () => {
    const prepare = (page) =>
      page.route('**/config.json', async (route) => {
        const config = await (await route.fetch()).json();
        await route.fulfill({ json: { ...config, signIn: { issuer: provider.issuer } } });
      });
    const ann = await arrive({ prepare });
    await ann.sees('broken', 'The “signIn” in config.json has no “clientId” that can be used.');
  });

  behaviour('when what is needed to sign in cannot be fetched, the page says so, and tries again when it is told to', async () => {
    let isThere = false;
    const prepare = (page) => page.route('**/sign-in.js*', (route) => (isThere ? route.continue() : route.abort()));
    const ann = await arrive({ prepare });
    await ann.sees('broken', 'Check your connection');
    isThere = true;
    await ann.press('load');
    await ann.sees(SIGNED_OUT);
    forgive(ann, /Failed to load resource/);
  });

  behaviour('the whole way works from the keyboard alone', async () => {
    const ann = await arrive();
    await ann.sees(SIGNED_OUT);
    assert.equal(await ann.page.evaluate(() => document.activeElement.textContent), 'Sign in to chat');
    await ann.page.keyboard.press('Tab');
    await ann.page.keyboard.press('Enter');
    await ann.page.locator('button[value="ann"]').press('Enter');
    await ann.sees('account', 'Ann Example');
    await ann.sees(CONNECTED);
  });

  for (const colorScheme of ['light', 'dark']) {
    for (const [device, viewport] of [['phone', PHONE], ['desktop', DESKTOP]]) {
      behaviour(`each of its screens is accessible, and has its picture taken: ${device}, ${colorScheme}`, async () => {
        const ann = await arrive({ viewport, colorScheme, path: '#room=7K3M9-QX2TB' });
        await ann.sees(SIGNED_OUT);
        await screen(ann, 'signed-out');
        await signIn(ann, 'cancel');
        await ann.sees('error="sign-in"');
        await screen(ann, 'cancelled');
        await signIn(ann, 'ann');
        await ann.sees(CONNECTED);
        await screen(ann, 'signed-in');
        await ann.press('create');
        await ann.sees('view="room"');
        await screen(ann, 'signed-in-room');
      });
    }
  }

  /** Nothing that axe finds, nothing wider than the window, and a picture. */
  async function screen(person, name) {
    const { width, height } = person.page.viewportSize();
    const dark = await person.page.evaluate(() => matchMedia('(prefers-color-scheme: dark)').matches);
    assert.deepEqual(await person.violations(), [], name);
    assert.equal(await person.overflow(), 0, name);
    await screenshot(person, `${name}-${width}x${height}-${dark ? 'dark' : 'light'}`);
  }
});
