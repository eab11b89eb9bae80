// The stack under test: a site that already runs (`SITE`), or one that `chatctl dev` starts (`CHATCTL`).

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const START_MS = 10 * 60_000; // it may have to build the bootstrap first
const STOP_MS = 60_000;
const LOG_LINES_MAX = 60;

/** `{site, stop}`. `stop` throws if the stack does not end as it should. `options` are more of `chatctl dev`. */
export async function startStack(options = [], { SITE: site, CHATCTL: chatctl } = process.env) {
  if (site) return { site, stop: async () => {} };
  if (chatctl) return startChatctl(chatctl, options);
  throw new Error('neither `SITE` (a running site) nor `CHATCTL` (the path of the binary) is set');
}

async function startChatctl(chatctl, options) {
  const child = spawn(chatctl, ['dev', '--port', '0', '--json', ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
  const log = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    log.push(line);
    log.splice(0, log.length - LOG_LINES_MAX);
  });
  const ended = new Promise((resolve) => {
    child.once('error', (error) => resolve({ error }));
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  const lines = createInterface({ input: child.stdout });
  const firstLine = new Promise((resolve) => lines.once('line', resolve));
  const first = await within(START_MS, Promise.race([firstLine, ended]));
  if (typeof first !== 'string') {
    child.kill('SIGKILL');
    throw new Error(`\`chatctl dev\` did not start: ${describe(first)}\n${log.join('\n')}`);
  }
  return { site: JSON.parse(first).site, stop: () => stopChatctl(child, ended, log) };
}

async function stopChatctl(child, ended, log) {
  child.kill('SIGTERM');
  const end = await within(STOP_MS, ended);
  if (end?.code === 0) return;
  child.kill('SIGKILL');
  const what = `did not end with 0 within ${STOP_MS} ms of SIGTERM: ${describe(end)}`;
  throw new Error(`\`chatctl dev\` ${what}\n${log.join('\n')}`);
}

const describe = (end) => (end === undefined ? 'no sign of it in time' : (end.error?.message ?? JSON.stringify(end)));

/** What `promise` gives, or undefined when `ms` have passed. */
async function within(ms, promise) {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
