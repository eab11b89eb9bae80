// The page of a `chatctl dev` in Chromium, measured: prints one line of JSON.
//
// Loads begin with an empty cache. The floor is a page with nothing on it but a script, from a server of
// its own. Frame times are what `requestAnimationFrame` tells while a few messages a second come in, while
// the conversation is scrolled, and while something is typed: with few messages there, and with many.

import { createServer } from 'node:http';
import { gzipSync } from 'node:zlib';
import { launch, Person } from '../../e2e/browser/browser.mjs';
import { startStack } from '../../e2e/browser/stack.mjs';

const WAIT_MS = 120_000;
const DEADLINE_MS = 5 * 60_000;
const FEW = 50;
const FLOOR = `<!doctype html><title>Empty</title><button data-action="create">Empty</button><script type="module">
  document.querySelector('button').onclick = () => {};
</script>`;

const isQuick = process.argv.includes('--quick');
const LOADS = isQuick ? 3 : 10;
const MANY = isQuick ? 1_000 : 5_000;
const FRAMES_MS = isQuick ? 1_000 : 3_000;

async function measured() {
  const floor = await startFloor();
  const [page, empty] = [[], []];
  // By turns, so that a busy moment strikes both.
  for (let load = 0; load <= LOADS; load += 1) {
    const [ours, theirs] = [await loaded(stack.site), await loaded(floor.site)];
    if (load === 0) continue; // the browser itself was cold
    page.push(ours);
    empty.push(theirs);
  }
  floor.stop();
  return { page, empty, ...(await conversation()) };
}

async function startFloor() {
  const server = createServer((request, response) => {
    const isPage = request.url === '/';
    response.writeHead(isPage ? 200 : 404, { 'content-type': 'text/html' }).end(isPage ? FLOOR : '');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { site: `http://127.0.0.1:${server.address().port}/`, stop: () => server.close() };
}

/** One load: what came over the wire, and when something can be pressed, in milliseconds. */
async function loaded(site) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const bodies = [];
  page.on('response', (response) => bodies.push(response.body().catch(() => Buffer.alloc(0))));
  await page.addInitScript(() => {
    const look = () => {
      const button = document.querySelector('[data-action="create"]');
      if (button?.checkVisibility() && document.readyState !== 'loading') window.interactiveAt = performance.now();
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  await page.goto(site, { timeout: WAIT_MS });
  await page.waitForFunction(() => window.interactiveAt > 0, undefined, { timeout: WAIT_MS });
  await page.waitForLoadState('load');
  const times = await page.evaluate(() => ({
    interactive: window.interactiveAt,
    painted: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null,
  }));
  const received = await Promise.all(bodies);
  await context.close();
  const sum = (numbers) => numbers.reduce((all, number) => all + number, 0);
  return {
    ...times,
    requests: received.length,
    bytes: sum(received.map((body) => body.length)),
    compressed: sum(received.map((body) => (body.length > 0 ? gzipSync(body).length : 0))),
  };
}

async function conversation() {
  const reader = await Person.arrive(browser, stack.site);
  const code = await reader.createRoom('reader');
  const speaker = await Speaker.join(code);
  const frames = [];
  // Each message has its number. The page lets go of what is far above, so what it shows is a part; one that
  // is missing within it, or at its end, is lost.
  const numbers = () =>
    reader.page
      .locator('[data-message]')
      .evaluateAll((all) => all.map((it) => Number(/#(\d+)\./.exec(it.textContent)[1])));
  let lost = 0;
  const look = async () => {
    const shown = new Set(await numbers());
    lost += speaker.said - Math.min(...shown) + 1 - shown.size;
    return shown.size;
  };
  const measure = async () => {
    const messages = await look();
    for (const [what, work] of Object.entries({ incoming, scrolling, typing })) {
      frames.push({ messages, what, times: await work(reader.page, speaker) });
    }
  };
  await speaker.says(FEW);
  await shows(reader.page, speaker.said);
  await measure();
  // Who reads further up keeps all that comes in; at the bottom the page lets go of what is far above.
  await reader.page.evaluate(() => {
    document.querySelector('[data-log]').scrollTop = 0;
  });
  const since = performance.now();
  await speaker.says(MANY - speaker.said);
  await shows(reader.page, speaker.said);
  const filledMs = performance.now() - since;
  await measure();
  await shows(reader.page, speaker.said);
  const shown = await look();
  const session = await reader.context.newCDPSession(reader.page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  return { frames, filledMs, said: speaker.said, shown, lost, heapBytes: usedSize, complaints: reader.complaints };
}

/** Frame times while 20 messages a second come in. */
async function incoming(page, speaker) {
  const [times] = await Promise.all([frameTimes(page, FRAMES_MS), speaker.says((FRAMES_MS / 1_000) * 20, 50)]);
  return times;
}

/** Frame times while each frame scrolls by half a screen, up and down. */
function scrolling(page) {
  return page.evaluate(async (ms) => {
    const log = document.querySelector('[data-log]');
    let step = -log.clientHeight / 2;
    log.scrollTop = log.scrollHeight;
    const since = performance.now();
    const times = [];
    let last = await new Promise(requestAnimationFrame);
    while (performance.now() - since < ms) {
      if (log.scrollTop <= 0) step = Math.abs(step);
      if (log.scrollTop >= log.scrollHeight - log.clientHeight - 1) step = -Math.abs(step);
      log.scrollTop += step;
      const now = await new Promise(requestAnimationFrame);
      times.push(now - last);
      last = now;
    }
    log.scrollTop = Math.max(0, log.scrollHeight / 2);
    return times;
  }, FRAMES_MS);
}

/** Frame times while somebody types quickly. */
async function typing(page) {
  await page.locator('[data-field="draft"]').focus();
  const text = 'the quick brown fox jumps over the lazy dog '.repeat(10).slice(0, FRAMES_MS / 50);
  const [times] = await Promise.all([frameTimes(page, FRAMES_MS), page.keyboard.type(text, { delay: 40 })]);
  await page.locator('[data-field="draft"]').fill('');
  return times;
}

function frameTimes(page, ms) {
  return page.evaluate(async (ms) => {
    const frame = () => new Promise(requestAnimationFrame);
    const times = [];
    const since = performance.now();
    for (let last = await frame(); last - since < ms; ) {
      const now = await frame();
      times.push(now - last);
      last = now;
    }
    return times;
  }, ms);
}

/** Waits until the page shows the message of that number, which is its newest. */
async function shows(page, number) {
  const newest = (text) => document.querySelector('[data-messages]').lastElementChild?.textContent.includes(text);
  await page.waitForFunction(newest, `#${number}.`, { timeout: WAIT_MS });
}

/** Somebody else in the room, without a page: a socket in a window of its own. */
class Speaker {
  said = 0;

  constructor(page) {
    this.page = page;
  }

  static async join(code) {
    const page = await (await browser.newContext()).newPage();
    await page.goto(stack.site, { timeout: WAIT_MS });
    await page.evaluate(async (code) => {
      const { server } = await (await fetch('config.json')).json();
      const socket = new WebSocket(server);
      const waiting = new Map();
      let joined;
      socket.onmessage = ({ data }) => {
        const frame = JSON.parse(data);
        if (frame.type === 'joined') joined();
        else if (frame.type === 'message') waiting.get(frame.id)?.();
      };
      await new Promise((resolve) => (socket.onopen = resolve));
      await new Promise((resolve) => {
        joined = resolve;
        socket.send(JSON.stringify({ type: 'join', room: code, name: 'speaker' }));
      });
      window.say = async (number) => {
        const id = `id-${number}`;
        const frame = JSON.stringify({ type: 'message', id, text: `#${number}. ${'words '.repeat(10)}` });
        const answered = new Promise((resolve) => waiting.set(id, resolve));
        socket.send(frame);
        // Under the same id it is said once, however often it is sent.
        const again = setInterval(() => socket.send(frame), 5_000);
        await answered;
        clearInterval(again);
        waiting.delete(id);
      };
    }, code);
    return new Speaker(page);
  }

  /** Says so many messages, each as soon as the last one is answered, or every so many milliseconds. */
  async says(count, everyMs = 0) {
    const range = { from: this.said + 1, to: this.said + Math.floor(count), everyMs };
    await this.page.evaluate(async ({ from, to, everyMs }) => {
      for (let number = from; number <= to; number += 1) {
        const pause = new Promise((resolve) => (everyMs > 0 ? setTimeout(resolve, everyMs) : resolve()));
        await Promise.all([window.say(number), pause]);
      }
    }, range);
    this.said = range.to;
  }
}

const stack = await startStack(['--release', '--messages-per-second', '0']);
const browser = await launch();
try {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${DEADLINE_MS} ms`)), DEADLINE_MS);
  });
  console.log(JSON.stringify(await Promise.race([measured(), late])));
  clearTimeout(timer);
} finally {
  await browser.close();
  await stack.stop();
}
