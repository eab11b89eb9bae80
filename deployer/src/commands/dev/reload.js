// Reloads the page when it has changed. `chatctl dev --watch` alone serves this.

const VERSION = '/.chatctl/version';
const PAUSE_MS = 1_000;

let seen;
for (;;) {
  try {
    const response = await fetch(VERSION, { cache: 'no-store' });
    const version = response.ok ? await response.text() : seen;
    if (seen !== undefined && version !== seen) location.reload();
    seen = version;
  } catch {
    // `chatctl dev` is away, perhaps to come back.
  }
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
