// A chat that one has to sign in to: a stack's site behind a gate that opens for a good ID token alone.

import { createPublicKey, verify } from 'node:crypto';
import { createServer, request } from 'node:http';

const PROTOCOL = 'chatctl';
const BEARER = 'bearer.';

/** `{site, handshakes, stop}`. `handshakes` has the protocols that each socket offered, and whether it was let in. */
export async function openGate(stack, { issuer, clientId }) {
  const { host, hostname, port } = new URL(stack);
  const handshakes = [];
  const server = createServer((asked, response) => serve(asked, response));
  server.on('upgrade', (asked, socket, head) => admit(asked, socket, head).catch(() => socket.destroy()));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const site = `http://127.0.0.1:${server.address().port}/`;
  const forward = ({ method, url: path, headers: { 'sec-websocket-protocol': _, ...headers } }) =>
    request({ hostname, port, method, path, headers: { ...headers, host } });

  function serve(asked, response) {
    const passed = forward(asked);
    passed.once('response', async (answer) => {
      const headers = { ...answer.headers };
      const policy = headers['content-security-policy'];
      if (policy) headers['content-security-policy'] = policy.replace("connect-src 'self'", `connect-src 'self' ${new URL(issuer).origin} ${site.replace('http', 'ws')}`);
      const isConfig = asked.url === '/config.json';
      if (isConfig) for (const name of ['content-length', 'etag']) delete headers[name];
      response.writeHead(answer.statusCode, headers);
      if (!isConfig) answer.pipe(response);
      else response.end(JSON.stringify({ ...JSON.parse(await textOf(answer)), signIn: await signIn() }));
    });
    asked.pipe(passed);
  }

  async function signIn() {
    const found = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
    return { issuer, clientId, authorizationEndpoint: found.authorization_endpoint, tokenEndpoint: found.token_endpoint };
  }

  async function admit(asked, socket, head) {
    const protocols = (asked.headers['sec-websocket-protocol'] ?? '').split(',').map((it) => it.trim());
    const token = protocols.find((it) => it.startsWith(BEARER))?.slice(BEARER.length);
    const isIn = asked.url.indexOf('?') < 0 && protocols.includes(PROTOCOL) && token !== undefined && (await isGood(token));
    handshakes.push({ protocols, isIn });
    if (!isIn) {
      socket.end(`HTTP/1.1 ${token ? '403 Forbidden' : '401 Unauthorized'}\r\nConnection: close\r\n\r\n`);
      return;
    }
    const passed = forward(asked);
    passed.once('upgrade', (answer, server, early) => {
      const lines = Object.entries({ ...answer.headers, 'sec-websocket-protocol': PROTOCOL }).map((pair) => pair.join(': '));
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`);
      socket.write(early);
      server.write(head);
      server.pipe(socket).pipe(server);
      for (const end of [server, socket]) end.on('error', () => [server, socket].forEach((it) => it.destroy()));
    });
    passed.once('error', () => socket.destroy());
    passed.end();
  }

  async function isGood(token) {
    const [header, claims] = token.split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url')));
    const { keys } = await (await fetch(`${issuer}/jwks`)).json();
    const key = keys.find(({ kid }) => kid === header.kid);
    const [signed, signature] = [token.slice(0, token.lastIndexOf('.')), token.slice(token.lastIndexOf('.') + 1)];
    const how = key && { key: createPublicKey({ key, format: 'jwk' }), dsaEncoding: 'ieee-p1363' };
    const isSigned = key && verify('sha256', Buffer.from(signed), how, Buffer.from(signature, 'base64url'));
    return isSigned && claims.iss === issuer && claims.aud === clientId && claims.exp * 1000 > Date.now();
  }

  const stop = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { site, handshakes, stop };
}

async function textOf(stream) {
  let text = '';
  for await (const chunk of stream) text += chunk;
  return text;
}
