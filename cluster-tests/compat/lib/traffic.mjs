// Numbered broadcasts from every server of a stage while something happens to the broker, and what became of them.

import assert from 'node:assert/strict';
import { unique } from './stage.mjs';
import { eventually } from './wait.mjs';

const TICK_INTERVAL_MS = 100;
/** What a library that does not send again may lose when its connection breaks: what was in flight, one row of numbers, of a second. */
const IN_FLIGHT_MAX = 1_000 / TICK_INTERVAL_MS;
/** Publishers that have to connect again wait up to 5 s before their last attempt. */
const LAST_TIMEOUT_MS = 15_000;

export class Traffic {
  #stage;
  /** The event of each server that emits. */
  #events = new Map();
  #last = new Map();

  /** From these servers of the stage; resolves when every client has heard all of them. */
  static async start(stage, servers) {
    const traffic = new Traffic();
    traffic.#stage = stage;
    for (const server of servers) {
      const event = unique('tick');
      traffic.#events.set(server, event);
      await server.ask('startTicking', { event, everyMs: TICK_INTERVAL_MS });
    }
    for (const listener of stage.listeners) for (const event of traffic.#events.values()) await listener.got(event);
    return traffic;
  }

  /** Stops it and waits until what was emitted last has arrived everywhere. */
  async stop() {
    for (const [server, event] of this.#events) {
      const last = await server.ask('stopTicking');
      this.#last.set(server, last);
      for (const listener of this.#stage.listeners) {
        await eventually(`${listener.name} received the last '${event}'`, () => numbers(listener, event).includes(last), {
          timeoutMs: LAST_TIMEOUT_MS,
        });
      }
    }
  }

  /** Between servers whose connections to the broker stayed: everything, once, in order. */
  assertComplete(servers) {
    for (const [sender, event] of this.#events) {
      if (!servers.includes(sender)) continue;
      for (const listener of this.#listenersOf(servers)) {
        const expected = Array.from({ length: this.#last.get(sender) }, (_, index) => index + 1);
        assert.deepEqual(numbers(listener, event), expected, `what ${listener.name} received`);
      }
    }
  }

  /**
   * From a server whose connection broke to those whose connections stayed: ioredis sends again what was not answered, so that
   * everything arrives at least once. node-redis does not.
   */
  assertArrived(sender, servers, { sendsAgain }) {
    const event = this.#events.get(sender);
    if (!event) return;
    for (const listener of this.#listenersOf(servers)) {
      const arrived = new Set(numbers(listener, event));
      const lost = Array.from({ length: this.#last.get(sender) }, (_, index) => index + 1).filter((number) => !arrived.has(number));
      const mayBeLost = sendsAgain ? 0 : IN_FLIGHT_MAX;
      const isOneRow = lost.length === 0 || lost.at(-1) - lost[0] === lost.length - 1;
      assert.ok(lost.length <= mayBeLost && isOneRow, `of ${this.#last.get(sender)} messages ${lost} never reached ${listener.name}`);
    }
  }

  #listenersOf(servers) {
    return this.#stage.listeners.filter(({ server }) => servers.includes(server));
  }
}

function numbers(listener, event) {
  return listener.received.filter((entry) => entry.event === event).map((entry) => entry.args[0]);
}
