// What signing in decides without a browser: what is asked of the provider, what its answers mean, who one is.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import * as signIn from '../../wwwroot/sign-in.js';

const CONFIG = {
  issuer: 'https://id.example',
  clientId: 'chat',
  authorizationEndpoint: 'https://id.example/authorize?tenant=7',
  tokenEndpoint: 'https://id.example/token',
};
const CLAIMS = { iss: CONFIG.issuer, aud: 'chat', nonce: 'n', sub: 'u1', exp: 2_000, iat: 1_000 };

const tokenOf = (claims) => `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`;

describe('what config.json says', () => {
  test('it is taken as it is when it has all that is needed', () => assert.equal(signIn.checked(CONFIG), CONFIG));

  for (const [field, value] of [
    ['issuer', undefined],
    ['clientId', ''],
    ['clientId', 7],
    ['authorizationEndpoint', '/authorize'],
    ['authorizationEndpoint', 'javascript:alert(1)'],
    ['tokenEndpoint', null],
  ]) {
    test(`without a good \`${field}\` (${JSON.stringify(value)}) it is refused, by its name`, () => {
      assert.throws(() => signIn.checked({ ...CONFIG, [field]: value }), new RegExp(`no “${field}”`));
    });
  }

  test('what is no object at all is refused in words too', () => {
    for (const odd of [true, 'yes', 1]) assert.throws(() => signIn.checked(odd), /no “issuer”/);
  });
});

describe('what the provider is asked', () => {
  const asked = (more) => {
    const way = { state: 's', nonce: 'n', challenge: 'c', home: 'https://chat.example/', anew: false, ...more };
    return new URL(signIn.requestFor(CONFIG, way));
  };

  test('for a code, with PKCE, state and nonce, beside what its address has already', () => {
    const { origin, pathname, searchParams } = asked();
    assert.equal(origin + pathname, 'https://id.example/authorize');
    assert.deepEqual(Object.fromEntries(searchParams), {
      tenant: '7',
      response_type: 'code',
      client_id: 'chat',
      redirect_uri: 'https://chat.example/',
      scope: 'openid profile email',
      state: 's',
      nonce: 'n',
      code_challenge: 'c',
      code_challenge_method: 'S256',
    });
  });

  test('who it is once more, after signing out', () => assert.equal(asked({ anew: true }).searchParams.get('prompt'), 'login'));

  test('the challenge is that of RFC 7636, appendix B', async () => {
    const challenge = await signIn.challengeOf('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk');
    assert.equal(challenge, 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM');
  });

  test('bytes are written as in base64url', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => signIn.base64url(bytes) === Buffer.from(bytes).toString('base64url')));
  });
});

describe('what the provider answers', () => {
  for (const [search, expected] of [
    ['', null],
    ['?code=1', null],
    ['?state=1', null],
    ['?theme=dark', null],
    ['?code=c&state=s', { code: 'c', error: null, issuer: null, rest: '' }],
    ['?code=c&theme=dark&state=s&iss=i&session_state=x', { code: 'c', error: null, issuer: 'i', rest: '?theme=dark' }],
    ['?error=access_denied&state=s', { code: null, error: 'access_denied', issuer: null, rest: '' }],
  ]) {
    test(`“${search}” is ${expected ? 'an answer, and leaves nothing of itself' : 'none'}`, () => {
      const answer = signIn.answerIn(search);
      if (!expected) return assert.equal(answer, null);
      const { state, description, ...rest } = answer;
      assert.equal(state, 's');
      assert.deepEqual(rest, expected);
    });
  }

  test('a refusal is told in words, the provider’s own where it has some', () => {
    assert.match(signIn.refusalWords({ error: 'access_denied', description: 'x' }), /cancelled/);
    assert.match(signIn.refusalWords({ error: 'invalid_scope', description: null }), /refused: invalid_scope\. Sign in again/);
    assert.match(signIn.refusalWords({ error: 'server_error', description: 'out of order' }), /refused: out of order\./);
  });
});

describe('the token', () => {
  test('its claims are read, in any script', () => {
    const claims = { sub: 'u1', name: 'عمر Ωmega 🦀' };
    assert.deepEqual(signIn.claimsOf(tokenOf(claims)), claims);
  });

  for (const token of [undefined, null, '', 'x', 'a.b', 'a.!!.c', 'a..c', tokenOf(null), tokenOf([1]), tokenOf('x'), `x.${btoa('{"a":"\xff"}')}.x`]) {
    test(`${JSON.stringify(token)} is none`, () => assert.equal(signIn.claimsOf(token), null));
  }

  const problem = (claims) => signIn.problemWith({ ...CLAIMS, ...claims }, { ...CONFIG, nonce: 'n' });

  test('the one that was asked for is good, for several audiences too', () => {
    assert.equal(problem({}), '');
    assert.equal(problem({ aud: ['other', 'chat'] }), '');
  });

  for (const [claims, words] of [
    [{ iss: 'https://id.example/' }, /another service/],
    [{ aud: 'chatter' }, /something else/],
    [{ aud: ['other'] }, /something else/],
    [{ aud: undefined }, /something else/],
    [{ aud: ['other', 'chat'], azp: 'other' }, /something else/],
    [{ nonce: 'm' }, /not the sign-in that was asked for/],
    [{ nonce: undefined }, /not the sign-in that was asked for/],
    [{ exp: undefined }, /until when/],
    [{ exp: '2000' }, /until when/],
    [{ sub: undefined }, /who you are/],
  ]) {
    test(`one with ${JSON.stringify(claims)} is refused`, () => assert.match(problem(claims), words));
  }

  test('it ends when it says, and by a clock that is wrong just as long after it was given', () => {
    assert.equal(signIn.endOf(CLAIMS, 1_000_000), 2_000_000);
    assert.equal(signIn.endOf(CLAIMS, 9_000_000), 10_000_000);
    assert.equal(signIn.endOf(CLAIMS, 500_000), 1_500_000);
    assert.equal(signIn.endOf({ exp: 2_000 }, 9_000_000), 2_000_000);
  });

  test('an `iat` of some minutes ago makes it end no later than it says', () => {
    for (const now of [1_000_000, 1_300_000, 1_999_999]) assert.equal(signIn.endOf(CLAIMS, now), 2_000_000);
    assert.equal(signIn.endOf(CLAIMS, 2_000_000), 3_000_000);
  });

  test('it is used until a minute before it ends', () => {
    assert.ok(signIn.isFresh({ until: 100_000 }, 39_999));
    assert.ok(!signIn.isFresh({ until: 100_000 }, 40_000));
    assert.ok(!signIn.isFresh(null, 0));
  });
});

for (const [claims, name] of [
  [{ name: 'Ann Lee', preferred_username: 'ann', email: 'a@x.example', sub: '1' }, 'Ann Lee'],
  [{ name: '  ', preferred_username: 'ann', sub: '1' }, 'ann'],
  [{ email: 'ann.lee@x.example', sub: '1' }, 'ann.lee'],
  [{ email: 'ann.lee@x.example', email_verified: true, sub: '1' }, 'ann.lee'],
  [{ email: 'boss@x.example', email_verified: false, sub: 'auth0|17' }, 'user-bd645e'],
  [{ email: 'ann.lee@x.example', email_verified: 'true', sub: '1' }, 'ann.lee'],
  [{ email: 'ann.lee@x.example', email_verified: null, sub: '1' }, 'ann.lee'],
  [{ email: 'boss@x.example', email_verified: 'false', sub: 'u1' }, 'user-bb8203'],
  [{ email: 'boss@x.example', email_verified: 'True', sub: 'u1' }, 'user-bb8203'],
  [{ email: 'boss@x.example', email_verified: 1, sub: 'u1' }, 'user-bb8203'],
  [{ email: 'boss@x.example', email_verified: ['true'], sub: 'u1' }, 'user-bb8203'],
  [{ name: 7, preferred_username: null, email: 'no-address', sub: 'u1' }, 'user-bb8203'],
  [{ name: ' Zoe\u0301 ' }, 'Zo\u00e9'],
  [{ name: '  Ann\t\nLee ' }, 'Ann Lee'],
  [{ name: 'a\u202eb\u0000c\u200d\u2800' }, 'abc'],
  [{ name: '\u200b\u2800', sub: 'u1' }, 'user-bb8203'],
  [{ name: '❤\ufe0f' }, '❤\ufe0f'],
  [{ name: '🦀'.repeat(40) }, '🦀'.repeat(32)],
  [{ name: `${'x'.repeat(31)} y` }, 'x'.repeat(31)],
]) {
  test(`${JSON.stringify(claims).slice(0, 90)} is called “${name}”`, async () => assert.equal(await signIn.nameOf(claims), name));
}
