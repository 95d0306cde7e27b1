// Bounded waiting. Nothing in this suite sleeps: it waits for an event or for a condition, and says what it waited for.

import { setTimeout as pause } from 'node:timers/promises';

const POLL_INTERVAL_MS = 15;

/** Longer than any healthy step takes on a busy two-core machine, shorter than the adapters' own 5 s request timeout. */
export const STEP_TIMEOUT_MS = 4_000;

/** Polls `probe` until it returns something truthy, and returns that. `describe` adds what was seen last to the failure. */
export async function eventually(what, probe, { timeoutMs = STEP_TIMEOUT_MS, describe = () => '' } = {}) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`after ${timeoutMs} ms still not: ${what} ${describe()}`.trim());
    await pause(POLL_INTERVAL_MS);
  }
}

/** Resolves with `promise`, or fails with a sentence about `what` when it takes longer than `timeoutMs`. */
export async function within(what, promise, timeoutMs = STEP_TIMEOUT_MS) {
  const timer = new AbortController();
  const late = pause(timeoutMs, undefined, { signal: timer.signal }).then(
    () => {
      throw new Error(`after ${timeoutMs} ms still waiting for: ${what}`);
    },
    () => {},
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
  }
}
