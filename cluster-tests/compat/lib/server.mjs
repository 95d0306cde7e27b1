// A Socket.IO server process (app.mjs) as the tests see it: `await server.ask('emit', {…})`.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { within } from './wait.mjs';

const APP = fileURLToPath(new URL('./app.mjs', import.meta.url));
const START_TIMEOUT_MS = 15_000;
/** Longer than the 5 s after which the adapters give up by themselves, so that their own error is the one reported. */
const REPLY_TIMEOUT_MS = 7_000;

export class SocketIoServer {
  #process;
  #printed = '';
  #questions = new Map();
  #lastId = 0;

  static async start(...args) {
    const server = new SocketIoServer();
    server.#process = fork(APP, args.map(String), { serialization: 'advanced', silent: true });
    for (const stream of [server.#process.stdout, server.#process.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (server.#printed += text));
    }
    server.#process.on('message', (message) => server.#answer(message));
    server.#process.on('exit', () => server.#failAll());
    const listening = once(server.#process, 'message');
    const died = once(server.#process, 'exit').then(() => {
      throw new Error(`a Socket.IO server exited while it started; it printed:\n${server.#printed}`);
    });
    const [{ listening: port }] = await within(
      'a Socket.IO server that listens (are the connections to the broker ready?)',
      Promise.race([listening, died]),
      START_TIMEOUT_MS,
    ).catch(async (error) => {
      await server.stop();
      throw error;
    });
    died.catch(() => {}); // from here on an exit is reported by assertUnharmed
    server.url = `http://127.0.0.1:${port}`;
    return server;
  }

  ask(operation, args = {}) {
    const id = ++this.#lastId;
    const reply = new Promise((resolve, reject) => {
      this.#questions.set(id, { resolve, reject });
      if (!this.#process.connected) return this.#failAll();
      this.#process.send({ id, operation, args });
    });
    return within(`the server's answer to ${operation} ${JSON.stringify(args)}`, reply, REPLY_TIMEOUT_MS);
  }

  /** The promise about application processes: it is still there, and nothing was printed that a handler did not expect. */
  assertUnharmed() {
    const { exitCode, signalCode } = this.#process;
    if (exitCode !== null || signalCode !== null) {
      throw new Error(`a Socket.IO server exited (code ${exitCode}, signal ${signalCode}); it printed:\n${this.#printed}`);
    }
    if (this.#printed !== '') throw new Error(`a Socket.IO server printed:\n${this.#printed}`);
  }

  async stop() {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exited;
  }

  #answer({ id, result, error, responses }) {
    const question = this.#questions.get(id);
    if (!question) return;
    this.#questions.delete(id);
    if (error === undefined) question.resolve(result);
    else question.reject(Object.assign(new Error(error), { responses }));
  }

  #failAll() {
    for (const { reject } of this.#questions.values()) {
      reject(new Error(`the Socket.IO server exited; it printed:\n${this.#printed}`));
    }
    this.#questions.clear();
  }
}
