// The broker under the chat: a process of our own on a free loopback port, with an empty folder of its own.

import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRunning, start, stop } from './process.mjs';
import { eventually } from './wait.mjs';

const ATTEMPTS = 5;

export class Broker {
  port;
  #folder = mkdtempSync(join(tmpdir(), 'carillon-browser-'));
  #process;

  /** Between choosing a free port and listening on it somebody else may take it, so this tries another. */
  static async start() {
    const broker = new Broker();
    for (let attempt = 1; ; attempt += 1) {
      broker.port = await freePort();
      try {
        await broker.launch();
        return broker;
      } catch (error) {
        await broker.kill();
        if (attempt === ATTEMPTS) throw error;
      }
    }
  }

  /** Starts the process, again on the same port and folder after a `kill`. */
  async launch() {
    const [command, args] = commandLine(this.port, this.#folder);
    const child = start(command, args);
    this.#process = child;
    let ended = false;
    await eventually(
      `an answer to PING from ${command} on port ${this.port}`,
      async () => {
        ended = !isRunning(child);
        return ended || answersPing(this.port);
      },
      () => `It wrote:\n${child.output}`,
    );
    if (ended) throw new Error(`${command} ended at its start (exit ${child.exitCode}). Run it by hand to see why:\n  ${command} ${args.join(' ')}\nIt wrote:\n${child.output}`);
  }

  /** SIGKILL: no goodbye to anyone. */
  kill() {
    return stop(this.#process, 'SIGKILL');
  }

  async stop() {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function commandLine(port, folder) {
  if (process.env.BROKER === 'redis') {
    return ['redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder]];
  }
  const binary = process.env.CARILLON_BIN;
  if (!binary) throw new Error('CARILLON_BIN is not set. Start these tests with ./run.sh, which finds the binary.');
  const own = ['--admin-addr', '127.0.0.1:0', '--data-dir', path.join(folder, 'data'), '--log-level', 'warn'];
  return [binary, ['serve', '--client-addr', `127.0.0.1:${port}`, ...own]];
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function answersPing(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    socket.setTimeout(1_000, () => socket.destroy());
    socket.once('data', (reply) => {
      resolve(reply.toString().startsWith('+PONG'));
      socket.destroy();
    });
    socket.once('error', () => {});
    socket.once('close', () => resolve(false));
  });
}
