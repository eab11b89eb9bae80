// Signing in at an OpenID Connect provider: authorization code with PKCE. Loaded only where config.json has `signIn`.

import { createSignInView } from './sign-in-view.js';

const WAY = 'chat-sign-in'; // {state, nonce, verifier, address}: what has to come back from the provider
const TOKEN = 'chat-token'; // {token, until}
const LEFT = 'chat-signed-out';
const EARLY_MS = 60_000; // a token that ends this soon is not worth a connection
const FETCH_MS = 15_000;
const TOKEN_MAX = 8_192; // characters; it goes in a header
const NAME_MAX = 32;
// What is not seen but changes how a name reads, other than variation selectors.
const UNSEEN = /[[\p{Cc}\p{DI}\u2800\ufff9-\ufffb]--[\ufe00-\ufe0f\u{1bca0}-\u{1bca3}]]/gv;
const AGAIN = 'Sign in again.';

/**
 * Who is at this page. Takes an answer of the provider out of the address and makes a token of it. `identity` is what
 * the page says of itself, `protocols` what the socket offers: null when one has to sign in (again).
 */
export async function openAccount(signIn) {
  const config = checked(signIn);
  const home = new URL('.', location.href).href;
  const before = recall(config);
  let trouble = recallText(LEFT) && 'You are signed out.';
  try {
    const answer = takeAnswer(config);
    if (answer) await exchange(config, answer, home, before);
  } catch (error) {
    trouble = error.message;
  }
  const kept = recall(config);
  const claims = kept && claimsOf(kept.token);
  const protocols = () => {
    const now = recall(config); // gone, when a page comes back after signing out
    return isFresh(now, Date.now()) ? ['chatctl', `bearer.${now.token}`] : null;
  };
  const tabs = new BroadcastChannel('chat-sign-out');
  tabs.onmessage = ({ data }) => data === claims?.sub && leave(home);
  const view = createSignInView(document, {
    host: new URL(config.issuer).host,
    // Who is signed in stays so, whatever came in the address: the back button's old answer, or a stranger's.
    trouble: (isFresh(kept, Date.now()) ? null : trouble) ?? (kept && 'Your sign-in has ended.'),
    signIn: () => setOut(config, home),
    signOut() {
      tabs.postMessage(claims.sub);
      leave(home);
    },
  });
  const identity = claims ? { name: await nameOf(claims) } : {};
  return { identity, protocols, render: (state) => view.render(state, identity) };
}

/** A token that counts for longer than it takes to connect. */
export const isFresh = (kept, now) => kept !== null && now < kept.until - EARLY_MS;

/** What config.json says, or an error in words. */
export function checked(signIn) {
  for (const field of ['issuer', 'clientId', 'authorizationEndpoint', 'tokenEndpoint']) {
    const value = signIn[field];
    const isGood = typeof value === 'string' && (field === 'clientId' ? value !== '' : URL.canParse(value) && /^https?:/.test(value));
    if (!isGood) throw new Error(`The “signIn” in config.json has no “${field}” that can be used.`);
  }
  return signIn;
}

// ---- to the provider

async function setOut(config, home) {
  if (!crypto.subtle) throw new Error('Signing in needs a page that is served over https.');
  const way = { state: random(), nonce: random(), verifier: random(), address: location.pathname + location.search + location.hash };
  const challenge = await challengeOf(way.verifier);
  keep(WAY, JSON.stringify(way));
  if (recallText(WAY) === null) throw new Error('Your browser keeps nothing for this page, and signing in needs that. Allow it to store data.');
  location.assign(requestFor(config, { ...way, challenge, home, anew: recallText(LEFT) !== null }));
}

/** Pure. `anew`: after signing out, the provider must ask who it is. */
export function requestFor({ authorizationEndpoint, clientId }, { state, nonce, challenge, home, anew }) {
  const address = new URL(authorizationEndpoint);
  const parameters = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: home,
    scope: 'openid profile email',
    state,
    nonce,
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...(anew && { prompt: 'login' }),
  };
  for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value);
  return address.href;
}

export const challengeOf = async (verifier) => base64url(await digestOf(verifier));

const digestOf = async (text) => new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

export const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

// ---- back from the provider

/** The code and the way that it belongs to, or null. Whatever it is, the address forgets it at once. */
function takeAnswer(config) {
  const answer = answerIn(location.search);
  if (!answer) return null;
  const way = parsed(recallText(WAY));
  const isOurs = way !== null && way.state === answer.state;
  history.replaceState(null, '', isOurs ? way.address : location.pathname + answer.rest + location.hash);
  if (isOurs) forget(WAY);
  else throw new Error(`This sign-in was not begun in this window, or too long ago. ${AGAIN}`);
  if (answer.issuer !== null && answer.issuer !== config.issuer) throw new Error(`The answer came from another sign-in service. ${AGAIN}`);
  if (answer.code === null) throw new Error(refusalWords(answer));
  return { code: answer.code, way };
}

/** Pure: what the provider wrote into the address, and the query without it. */
export function answerIn(search) {
  const query = new URLSearchParams(search);
  const [state, code, error] = ['state', 'code', 'error'].map((name) => query.get(name));
  if (state === null || (code === null && error === null)) return null;
  const answer = { state, code, error, description: query.get('error_description'), issuer: query.get('iss') };
  for (const name of ['state', 'code', 'error', 'error_description', 'error_uri', 'iss', 'session_state']) query.delete(name);
  return { ...answer, rest: query.size > 0 ? `?${query}` : '' };
}

export function refusalWords({ error, description }) {
  if (error === 'access_denied') return 'You were not signed in: it was cancelled, or this account may not use the chat.';
  return `The sign-in service refused: ${description ?? error}. ${AGAIN}`;
}

async function exchange(config, { code, way }, home, before) {
  const fields = { grant_type: 'authorization_code', code, redirect_uri: home, client_id: config.clientId, code_verifier: way.verifier };
  const token = await fetchToken(config.tokenEndpoint, new URLSearchParams(fields));
  const now = Date.now();
  const claims = claimsOf(token);
  const problem = problemWith(claims, { ...config, nonce: way.nonce });
  if (problem) throw new Error(`${problem} ${AGAIN}`);
  const kept = { token, until: endOf(claims, now) };
  if (token.length > TOKEN_MAX) throw new Error('The sign-in service says too much about you for a connection. Whoever runs this chat can have it say less.');
  if (!isFresh(kept, now)) throw new Error('The sign-in service gave a sign-in that ends within a minute. Whoever runs this chat can have it last longer.');
  // What somebody else left in this tab is not for this person.
  if (before && claimsOf(before.token).sub === claims.sub) forget(LEFT);
  else forgetAll(sessionStorage);
  keep(TOKEN, JSON.stringify(kept));
}

async function fetchToken(endpoint, body) {
  const ask = (options) => fetch(endpoint, { credentials: 'omit', signal: AbortSignal.timeout(FETCH_MS), ...options });
  const { host } = new URL(endpoint);
  let response;
  let answer;
  try {
    response = await ask({ method: 'POST', body });
    answer = parsed(await response.text());
  } catch {
    // Without CORS the answer is hidden from the page, but that there is one is not.
    const isThere = await ask({ mode: 'no-cors' }).then(() => true, () => false);
    const why = isThere
      ? 'answers, but not to this page: it does not allow this page’s address (CORS). Whoever runs this chat can register it there.'
      : `could not be reached. Check your connection. ${AGAIN}`;
    throw new Error(`The sign-in service at ${host} ${why}`);
  }
  if (!response.ok) throw new Error(`The sign-in service refused: ${answer?.error_description ?? answer?.error ?? `status ${response.status}`}. ${AGAIN}`);
  if (claimsOf(answer?.id_token) === null) throw new Error(`The sign-in service at ${host} gave no ID token. ${AGAIN}`);
  return answer.id_token;
}

// ---- the token. Its signature is the server's to check: here it came from the provider itself.

/** What a token says, or null if it is none. */
export function claimsOf(token) {
  try {
    const binary = atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/'));
    const claims = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(binary, (char) => char.charCodeAt(0))));
    return typeof claims === 'object' && !Array.isArray(claims) ? claims : null;
  } catch {
    return null;
  }
}

/** Why these claims are not the ones that were asked for, or ''. */
export function problemWith({ iss, aud, azp, nonce, exp, sub }, expected) {
  if (iss !== expected.issuer) return 'This is a sign-in of another service.';
  if (![aud].flat().includes(expected.clientId) || (azp ?? expected.clientId) !== expected.clientId) return 'This is a sign-in for something else.';
  if (nonce !== expected.nonce) return 'This is not the sign-in that was asked for.';
  if (typeof sub !== 'string' || !Number.isFinite(exp)) return 'The sign-in service does not say who you are, or until when.';
  return '';
}

/**
 * When a token ends by this machine's clock. One that is wrong counts from the moment that it was given; one that may be
 * right is believed, since providers write an `iat` of some minutes ago.
 */
export const endOf = ({ exp, iat }, now) =>
  Number.isFinite(iat) && !(iat * 1000 <= now && now < exp * 1000) ? now + (exp - iat) * 1000 : exp * 1000;

/** What the others read, as the server finds it: without a name, digits of the subject, which is nobody else's to know. */
export async function nameOf({ name, preferred_username: username, email, email_verified: verified, sub }) {
  const local = [true, 'true'].includes(verified ?? true) && typeof email === 'string' && email.includes('@') ? email.split('@')[0] : '';
  const called = [name, username, local].map(readable).find((it) => it !== '');
  return called ?? `user-${[...(await digestOf(sub)).slice(0, 3)].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

function readable(text) {
  if (typeof text !== 'string') return '';
  const words = text.replace(/\s/g, ' ').replace(UNSEEN, '').normalize('NFC').split(' ').filter((it) => it !== '');
  return [...words.join(' ')].slice(0, NAME_MAX).join('').trim();
}

// ---- what the tab keeps

function recall({ issuer, clientId }) {
  const kept = parsed(recallText(TOKEN));
  const claims = claimsOf(kept?.token);
  return claims?.iss === issuer && [claims.aud].flat().includes(clientId) && Number.isFinite(kept.until) ? kept : null;
}

/** Out of this chat and out of what this tab knows of it. The provider still knows the person. */
function leave(home) {
  forgetAll(localStorage);
  forgetAll(sessionStorage);
  keep(LEFT, 'yes');
  location.replace(home);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function recallText(key) {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

function keep(key, text) {
  try {
    sessionStorage.setItem(key, text);
  } catch {
    // Whoever reads it finds out.
  }
}

const forget = (key) => sessionStorage.removeItem(key);

/** The page's own keys: other pages may be of the same origin. */
function forgetAll(area) {
  for (const key of Object.keys(area)) if (key.startsWith('chat-')) area.removeItem(key);
}
