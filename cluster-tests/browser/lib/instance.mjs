// One instance of the demo on its own, with a broker address of its own.

import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { isRunning, start, stop } from './process.mjs';
import { eventually } from './wait.mjs';

const FOLDER = fileURLToPath(new URL('../../../deploy/examples/socketio-chat/', import.meta.url));

export class Instance {
  name;
  url;
  #process;
  /** How often it had connected to the broker when `hasReconnected` last looked: once from its start on. */
  #connections = 1;

  static async start(name, brokerPort) {
    const instance = new Instance();
    instance.name = name;
    const child = start(process.execPath, ['server.mjs'], {
      cwd: FOLDER,
      env: { ...process.env, INSTANCE: name, PORT: '0', REDIS_HOST: '127.0.0.1', REDIS_PORT: String(brokerPort) },
    });
    instance.#process = child;
    [, instance.url] = await eventually(
      `${name} listens`,
      () => {
        if (!isRunning(child)) throw new Error(`${name} ended at its start. It wrote:\n${child.output}`);
        return /listening on (http:\S+)/.exec(child.output);
      },
      () => `It wrote:\n${child.output}`,
    );
    return instance;
  }

  /** Waits until it has lost the broker and found it again, once more than at the last call. */
  async hasReconnected() {
    const connections = () => this.output.split(' is connected').length - 1;
    await eventually(`${this.name} has connected again`, () => connections() > this.#connections, () => `It wrote:\n${this.output}`);
    this.#connections = connections();
  }

  /** What it wrote about the broker: one line when it goes away, one when it is back. */
  get output() {
    return this.#process.output;
  }

  assertRuns() {
    assert.ok(isRunning(this.#process), `${this.name} ended with a node of the broker. It wrote:\n${this.output}`);
  }

  async stop() {
    await stop(this.#process, 'SIGTERM');
  }
}
