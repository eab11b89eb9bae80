// Reads `config.json`, which says where the server is. A refusal is a sentence for people.

const CONFIG = 'config.json';
const WAIT_MS = 15_000;

/** The server's address. Throws an `Error` whose message says what is wrong with the file. */
export async function loadServer(pageProtocol) {
  return serverFrom(await textOfConfig(), pageProtocol);
}

/** Pure. */
export function serverFrom(text, pageProtocol) {
  let server;
  try {
    server = JSON.parse(text)?.server;
  } catch {
    throw new Error(`${CONFIG} is not JSON.`);
  }
  if (typeof server !== 'string') throw new Error(`${CONFIG} has no “server”.`);
  if (!URL.canParse(server) || !['ws:', 'wss:'].includes(new URL(server).protocol)) {
    throw new Error(`The “server” in ${CONFIG} is not a WebSocket address (wss://… or ws://…).`);
  }
  if (pageProtocol === 'https:' && new URL(server).protocol === 'ws:') {
    throw new Error(`The “server” in ${CONFIG} is ws://…, but a page served over https needs wss://….`);
  }
  return server;
}

async function textOfConfig() {
  let response;
  try {
    response = await fetch(CONFIG, { cache: 'no-cache', signal: AbortSignal.timeout(WAIT_MS) });
  } catch {
    throw new Error(`${CONFIG} could not be fetched. Check your connection.`);
  }
  if (!response.ok) throw new Error(`${CONFIG} is missing here (status ${response.status}).`);
  return response.text();
}
