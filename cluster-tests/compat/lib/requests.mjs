// fetchSockets and serverSideEmit with acknowledgement, asked again and again by servers of a stage in turn, without waiting for
// answers: who asks while a node dies may wait for one that never comes, but who asks when the view has changed may not.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';

const INTERVAL_MS = 200;

export class Requests {
  #begun = performance.now();
  #asked = [];
  #stopped = false;
  #running;
  #servers;
  #firstWhole;

  static begin(stage, servers) {
    const requests = new Requests();
    requests.#servers = [...servers];
    requests.#running = requests.#run(stage);
    return requests;
  }

  /** From here on these servers ask as well. */
  alsoFrom(servers) {
    this.#servers.push(...servers.filter((server) => !this.#servers.includes(server)));
  }

  /** How many were begun since. */
  since(moment) {
    return this.#asked.filter(({ at }) => at >= moment).length;
  }

  /** Milliseconds from the beginning until a server had seen the clients of all servers. */
  get firstWholeMs() {
    return this.#firstWhole && Math.round(this.#firstWhole - this.#begun);
  }

  /** Asks no more and waits until all have been answered or have timed out. */
  async stop() {
    this.#stopped = true;
    await this.#running;
    await Promise.all(this.#asked.map(({ settled }) => settled));
  }

  /** When those were asked that failed, in milliseconds from the beginning. */
  get failuresMs() {
    return this.#asked.filter(({ error }) => error).map(({ at }) => Math.round(at - this.#begun));
  }

  /** Of those that these servers asked. */
  assertNoneFailedSince(moment, servers) {
    const failed = this.#asked.filter(({ server, at, error }) => servers.includes(server) && at >= moment && error);
    const told = failed.map(({ what, at, error }) => `${what}, asked ${Math.round(at - moment)} ms after it: ${error.message}`);
    assert.deepEqual(told, [], 'requests failed although the view had changed');
  }

  async #run(stage) {
    for (let count = 0; !this.#stopped; count += 1) {
      const server = this.#servers[count % this.#servers.length];
      const name = 'ABC'[stage.servers.indexOf(server)];
      this.#ask(server, `fetchSockets of ${name}`, async () => {
        if (await stage.isWholeFor(server)) this.#firstWhole ??= performance.now();
      });
      this.#ask(server, `serverSideEmitWithAck of ${name}`, () => server.ask('serverSideEmitWithAck', { event: 'question' }));
      await pause(INTERVAL_MS);
    }
  }

  #ask(server, what, request) {
    const asked = { server, what, at: performance.now() };
    asked.settled = request().catch((error) => (asked.error = error));
    this.#asked.push(asked);
  }
}
