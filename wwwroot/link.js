// The connection as a value, pure: its phases, its deadlines, its backoff. No socket, no clock.

export const PING_MS = 5 * 60_000; // API Gateway closes after 10 minutes of silence
export const PONG_MS = 10_000;
export const ANSWER_MS = 15_000;
export const CONNECT_MS = 15_000;
const STEADY_MS = 10_000; // a connection this old counts as a success even if nothing was heard on it
const STALE_MS = 30_000; // after this long without a frame, waking up asks for a pong
const BACKOFF_MAX_MS = 30_000;

/** Milliseconds to wait before try number `attempt` (from 0): 1 to 2 s, doubling, at most 30 s. */
export function backoffMs(attempt, random) {
  const ceiling = Math.min(BACKOFF_MAX_MS, 2_000 * 2 ** attempt);
  return Math.round((ceiling / 2) * (1 + random));
}

/** phase: `idle`, `connecting`, `open`, or `waiting` (for the next try). */
export const idle = () => ({
  phase: 'idle',
  attempt: 0, // tries that failed since the last success
  everOpen: false,
  proven: false, // a frame was heard on this connection
  connectBy: null,
  openedAt: null,
  heardAt: null,
  pingAt: null,
  retryAt: null,
  retryInS: null,
});

export const connecting = (link, now) => ({
  ...link,
  phase: 'connecting',
  proven: false,
  connectBy: now + CONNECT_MS,
  openedAt: null,
  retryAt: null,
  retryInS: null,
});

export const opened = (link, now) => ({
  ...link,
  phase: 'open',
  everOpen: true,
  connectBy: null,
  openedAt: now,
  heardAt: now,
  pingAt: now + PING_MS,
});

export const heard = (link, now) => ({ ...link, proven: true, attempt: 0, heardAt: now });

export const spoke = (link, now) => ({ ...link, pingAt: now + PING_MS });

/** The tab or the network came back: check now whether the connection still lives. */
export const woke = (link, now) =>
  link.phase === 'open' && now - link.heardAt > STALE_MS ? { ...link, pingAt: now } : link;

export function lost(link, { now, random }) {
  const steady = link.proven || (link.openedAt !== null && now - link.openedAt >= STEADY_MS);
  const attempt = steady ? 0 : link.attempt;
  return counted(
    {
      ...link,
      phase: 'waiting',
      attempt: attempt + 1,
      connectBy: null,
      openedAt: null,
      pingAt: null,
      retryAt: now + backoffMs(attempt, random),
    },
    now,
  );
}

/** The same link with its countdown brought up to `now`. */
export function counted(link, now) {
  if (link.phase !== 'waiting') return link;
  const retryInS = Math.max(1, Math.ceil((link.retryAt - now) / 1000));
  return retryInS === link.retryInS ? link : { ...link, retryInS };
}

/** When this link next needs a look at the clock. */
export function wakeAt(link) {
  if (link.phase === 'connecting') return link.connectBy;
  if (link.phase === 'open') return link.pingAt;
  if (link.phase === 'waiting') return link.retryAt - (link.retryInS - 1) * 1000;
  return Infinity;
}
