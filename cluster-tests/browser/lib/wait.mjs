// Bounded waiting: nothing here sleeps for its own sake, and a failure says what was waited for.

import { setTimeout as pause } from 'node:timers/promises';

/** Generous for a busy two-core machine; a healthy step takes a tenth of it. */
export const STEP_TIMEOUT_MS = 15_000;

const POLL_INTERVAL_MS = 20;

/** Polls `probe` until it returns something truthy, and returns that. `describe` adds what was seen to the failure. */
export async function eventually(what, probe, describe = () => '') {
  const deadline = Date.now() + STEP_TIMEOUT_MS;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`after ${STEP_TIMEOUT_MS} ms still not: ${what}\n${describe()}`.trim());
    await pause(POLL_INTERVAL_MS);
  }
}
