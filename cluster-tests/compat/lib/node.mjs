// One node of a cluster under test: a process of our own, killed by its id only.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { carillonBinary } from './broker.mjs';
import { eventually } from './wait.mjs';

/** A dead node refuses at once; a busy one may take a while. */
const ADMIN_TIMEOUT_MS = 2_000;
/** Two nodes that are started at once wait for each other's election. */
const READY_TIMEOUT_MS = 20_000;
const LOG_CHARS_MAX = 8_000;

const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class Node {
  /** What it printed last. */
  log = '';
  #args;
  #process;

  constructor({ name, clientPort, adminPort, args }) {
    Object.assign(this, { name, clientPort, adminPort });
    const own = ['--name', name, '--client-addr', `127.0.0.1:${clientPort}`, '--admin-addr', `127.0.0.1:${adminPort}`];
    this.#args = ['serve', ...own, ...args];
  }

  start() {
    const child = spawn(carillonBinary(), this.#args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (this.log = (this.log + text).slice(-LOG_CHARS_MAX)));
    }
    running.add(child);
    child.once('exit', () => running.delete(child));
    this.#process = child;
  }

  get isRunning() {
    const { exitCode, signalCode } = this.#process;
    return exitCode === null && signalCode === null;
  }

  /** SIGKILL: no goodbye to anyone. */
  kill() {
    return this.#end('SIGKILL');
  }

  /** SIGTERM, as a rolling update sends it; resolves when the node has ended. */
  terminate() {
    return this.#end('SIGTERM');
  }

  async #end(signal) {
    if (!this.isRunning) throw new Error(`${this.name} died during the test; it printed:\n${this.log}`);
    const exited = once(this.#process, 'exit');
    this.#process.kill(signal);
    await exited;
  }

  /** Does it take clients, as its readiness probe tells it? */
  async isReady() {
    return (await this.#admin('readyz').catch(() => undefined))?.ok === true;
  }

  async ready() {
    await eventually(
      `${this.name} is ready`,
      () => {
        if (!this.isRunning) throw new Error(`${this.name} ended while it started; it printed:\n${this.log}`);
        return this.isReady();
      },
      { timeoutMs: READY_TIMEOUT_MS, describe: () => `; it printed:\n${this.log}` },
    );
  }

  async status() {
    return (await this.#admin('status')).json();
  }

  #admin(page) {
    return fetch(`http://127.0.0.1:${this.adminPort}/${page}`, { signal: AbortSignal.timeout(ADMIN_TIMEOUT_MS) });
  }
}
