// An OpenID Connect provider on loopback, `oidc-provider`: three accounts, a public client, PKCE, and what a test may
// want of it on demand. By itself (`node provider.mjs`) it prints its issuer and takes orders, a line of JSON each.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { argv, stdin, stdout } from 'node:process';
import { pathToFileURL } from 'node:url';
import Provider from 'oidc-provider';
import { createMemoryAdapter } from 'oidc-provider/lib/adapters/memory_adapter.js';

export const CLIENT = 'chat-page';
export const ACCOUNTS = {
  ann: { name: 'Ann Example', email: 'ann@example.org', email_verified: true },
  bob: { preferred_username: 'bob', email: 'robert@example.org', email_verified: true },
  cat: { email: 'cat@example.org', email_verified: true },
};
const SCOPES = { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'] };
const KINDS = { RS256: ['rsa', { modulusLength: 2048 }], ES256: ['ec', { namedCurve: 'P-256' }] };

/** Starts one on a free port. `algorithm` of its tokens: `RS256` or `ES256`. */
export async function startProvider({ algorithm = 'RS256' } = {}) {
  const server = createServer();
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return new LoopbackProvider(server, algorithm);
}

class LoopbackProvider {
  #server;
  #algorithm;
  #keys;
  #redirects = [];
  #handle;
  #provider;
  #cookieKeys = [randomBytes(16).toString('hex')];
  #generation = 0;
  #storage = createMemoryAdapter();
  /** How long ID tokens last, in seconds. */
  lifetime = 3_600;
  /** Whether pages of other origins may read what the token endpoint answers. */
  allowsOthers = true;

  constructor(server, algorithm) {
    this.#server = server;
    this.#algorithm = algorithm;
    this.issuer = `http://127.0.0.1:${server.address().port}`;
    this.rotate();
    server.on('request', (request, response) => this.#answer(request, response));
  }

  /** Signs with a new key from now on, and publishes no other. Who is signed in here stays so. */
  rotate() {
    this.#generation += 1;
    const { privateKey } = generateKeyPairSync(...KINDS[this.#algorithm]);
    const kid = `key-${this.#generation}`;
    this.#keys = [{ ...privateKey.export({ format: 'jwk' }), kid, alg: this.#algorithm, use: 'sig' }];
    this.#build();
  }

  /** Registers where the client may be sent back to. */
  register(redirect) {
    this.#redirects.push(redirect);
    this.#build();
  }

  /** Signs an account in as a browser would, without one. The ID token. */
  async signIn(account, { redirect = this.#redirects[0] } = {}) {
    const verifier = randomBytes(32).toString('base64url');
    const fields = { response_type: 'code', client_id: CLIENT, redirect_uri: redirect, scope: 'openid profile email' };
    const challenge = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
    const more = { code_challenge: Buffer.from(challenge).toString('base64url'), code_challenge_method: 'S256', nonce: 'n', state: 's' };
    const cookies = new Map();
    let address = `${this.issuer}/auth?${new URLSearchParams({ ...fields, ...more })}`;
    while (!address.startsWith(redirect)) {
      const isForm = new URL(address).pathname.startsWith('/interaction/');
      const form = isForm ? { method: 'POST', body: new URLSearchParams({ account }) } : {};
      const cookie = [...cookies].map((pair) => pair.join('=')).join('; ');
      const response = await fetch(address, { ...form, redirect: 'manual', headers: { cookie } });
      for (const line of response.headers.getSetCookie()) cookies.set(...line.split(';')[0].split(/=(.*)/));
      const next = response.headers.get('location');
      if (next === null) throw new Error(`the provider answered ${response.status}: ${await response.text()}`);
      address = new URL(next, address).href;
    }
    const code = new URL(address).searchParams.get('code');
    const body = { grant_type: 'authorization_code', code, redirect_uri: redirect, client_id: CLIENT, code_verifier: verifier };
    const response = await fetch(`${this.issuer}/token`, { method: 'POST', body: new URLSearchParams(body) });
    const answer = await response.json();
    if (!answer.id_token) throw new Error(`the provider gave no ID token: ${JSON.stringify(answer)}`);
    return answer.id_token;
  }

  async stop() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Keys and clients are given at the beginning: a change makes another one, on the same sessions. */
  #build() {
    this.#provider = new Provider(this.issuer, {
      adapter: this.#storage,
      jwks: { keys: this.#keys },
      clients: [
        {
          client_id: CLIENT,
          redirect_uris: this.#redirects.length > 0 ? this.#redirects : ['http://127.0.0.1/'],
          token_endpoint_auth_method: 'none',
          grant_types: ['authorization_code'],
          response_types: ['code'],
          id_token_signed_response_alg: this.#algorithm,
        },
      ],
      claims: SCOPES,
      conformIdTokenClaims: false,
      pkce: { required: () => true },
      clientBasedCORS: () => this.allowsOthers,
      cookies: { keys: this.#cookieKeys },
      features: { devInteractions: { enabled: false } },
      findAccount: (_, id) => ACCOUNTS[id] && { accountId: id, claims: () => ({ sub: id, ...ACCOUNTS[id] }) },
      interactions: { url: (_, { uid }) => `/interaction/${uid}` },
      loadExistingGrant: (context) => granted(context),
      ttl: { IdToken: () => this.lifetime, AccessToken: 600, AuthorizationCode: 60, Grant: 3_600, Interaction: 600, Session: 3_600 },
    });
    this.#handle = this.#provider.callback();
  }

  #answer(request, response) {
    if (request.url === '/favicon.ico') {
      response.writeHead(204).end();
      return;
    }
    const isInteraction = request.url.startsWith('/interaction/');
    const answered = isInteraction ? this.#interact(request, response) : this.#handle(request, response);
    Promise.resolve(answered).catch((error) => {
      response.statusCode = error.statusCode ?? 500;
      response.end(`${error.message}: ${error.error_description ?? ''}`);
    });
  }

  /** A page with a button for each account and one to cancel. */
  async #interact(request, response) {
    if (request.method !== 'POST') {
      const { prompt } = await this.#provider.interactionDetails(request, response);
      response.setHeader('content-type', 'text/html; charset=utf-8');
      const buttons = [...Object.keys(ACCOUNTS), 'cancel'].map((name) => `<button name="account" value="${name}">${name}</button>`);
      response.end(`<!doctype html><title>${prompt.name}</title><h1>Who are you?</h1><form method="post">${buttons.join('')}</form>`);
      return;
    }
    const account = new URLSearchParams(await textOf(request)).get('account');
    const refusal = { error: 'access_denied', error_description: 'the person cancelled' };
    const result = account in ACCOUNTS ? { login: { accountId: account } } : refusal;
    await this.#provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  }
}

/** Nobody is asked whether the chat may know who they are. */
async function granted({ oidc }) {
  const id = oidc.session.grantIdFor(oidc.client.clientId);
  const known = id && (await oidc.provider.Grant.find(id));
  if (known) return known;
  const grant = new oidc.provider.Grant({ accountId: oidc.session.accountId, clientId: oidc.client.clientId });
  grant.addOIDCScope('openid profile email');
  await grant.save();
  return grant;
}

async function textOf(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}

/** Orders: `{"register": address}`, `{"rotate": true}`, `{"lifetime": seconds}`, `{"signIn": account}`; each gets a line. */
async function obey() {
  const provider = await startProvider({ algorithm: argv[2] });
  const say = (line) => stdout.write(`${JSON.stringify(line)}\n`);
  say({ issuer: provider.issuer, clientId: CLIENT });
  for await (const line of createInterface({ input: stdin })) {
    const { register, rotate, lifetime, signIn } = JSON.parse(line);
    if (register) provider.register(register);
    if (rotate) provider.rotate();
    if (lifetime) provider.lifetime = lifetime;
    say(signIn ? { idToken: await provider.signIn(signIn) } : {});
  }
  await provider.stop();
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) await obey();
