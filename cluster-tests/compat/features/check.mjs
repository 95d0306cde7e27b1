// The two questions that every feature asks.

import assert from 'node:assert/strict';

/**
 * The event, emitted by `server` just before, arrived exactly once at `expected` and at nobody else. `args`, where given, are
 * what it carried.
 */
export async function onlyReceivedBy(stage, server, event, expected, args) {
  await stage.fence(server, stage.listeners);
  for (const listener of stage.listeners) {
    const copies = listener.received.filter((entry) => entry.event === event);
    assert.equal(copies.length, expected.includes(listener) ? 1 : 0, `copies of '${event}' that reached ${listener.name}`);
    if (args && copies.length > 0) assert.deepEqual(copies[0].args, args, `what '${event}' carried to ${listener.name}`);
  }
}

/** The same names, in any order: answers of several servers have none. */
export function sameNames(actual, expected, message) {
  assert.deepEqual([...actual].sort(), [...expected].sort(), message);
}
