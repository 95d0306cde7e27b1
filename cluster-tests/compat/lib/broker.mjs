// The broker under test: a process of our own on a free loopback port with an empty folder, killed by its id only.
//
//   BROKER=redis          a redis-server, the reference: everything here must pass against it first
//   CARILLON_BIN=PATH     that carillon binary
//   neither               target/release/carillon of this repository

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RespConnection } from './resp.mjs';
import { eventually } from './wait.mjs';

const DEFAULT_BINARY = fileURLToPath(new URL('../../../target/release/carillon', import.meta.url));
const START_TIMEOUT_MS = 10_000;

/** 'redis' or 'carillon': what the rows of the results are about. */
export const brokerName = process.env.BROKER === 'redis' ? 'redis' : 'carillon';

/** The version as the binary itself states it. */
export function brokerVersion() {
  const { stdout } = spawnSync(brokerName === 'redis' ? 'redis-server' : carillonBinary(), ['--version'], { encoding: 'utf8' });
  return /\d+\.\d+\.\d+\S*/.exec(stdout)?.[0] ?? 'unknown';
}

export class Broker {
  #process;
  #control;
  #folder = mkdtempSync(join(tmpdir(), 'carillon-compat-'));
  #lastWords = '';

  #flags;

  /** With more flags: the broker's own, whichever it is. */
  static async start(flags = []) {
    const broker = new Broker();
    broker.#flags = flags;
    broker.port = await freePort();
    await broker.#launch();
    return broker;
  }

  /** Where the Socket.IO server with this number connects: one broker has one address. */
  portOf() {
    return this.port;
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** SIGKILL and a new process on the same port and folder: the broker's users have to reconnect. */
  async restart() {
    await this.#kill();
    await this.#launch();
  }

  async stop() {
    await this.#kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get pid() {
    return this.#process.pid;
  }

  /** One command over the suite's own connection, for instance `command('PUBSUB', 'NUMSUB', channel)`. */
  command(...words) {
    return this.#control.command(...words);
  }

  async #launch() {
    const [binary, ...args] = commandLine(this.port, this.#folder, this.#flags);
    const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (this.#lastWords = (this.#lastWords + text).slice(-4_000)));
    }
    this.#process = child;
    await eventually(`${binary} answers PING on port ${this.port}`, () => this.#answersPing(), {
      timeoutMs: START_TIMEOUT_MS,
      describe: () => `; it printed:\n${this.#lastWords}`,
    });
  }

  async #answersPing() {
    if (this.#process.exitCode !== null) {
      throw new Error(`the broker exited with code ${this.#process.exitCode}; it printed:\n${this.#lastWords}`);
    }
    let connection;
    try {
      connection = await RespConnection.open(this.port);
      await connection.command('PING');
      this.#control = connection;
      return true;
    } catch {
      connection?.close();
      return false;
    }
  }

  async #kill() {
    this.#control?.close();
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) {
      throw new Error(`the broker died during the test; it printed:\n${this.#lastWords}`);
    }
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exited;
  }
}

function commandLine(port, folder, flags) {
  if (brokerName === 'redis') {
    return ['redis-server', '--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder, ...flags];
  }
  return [
    carillonBinary(),
    'serve',
    ...['--client-addr', `127.0.0.1:${port}`],
    ...['--admin-addr', '127.0.0.1:0'],
    ...['--data-dir', join(folder, 'data')],
    ...['--log-level', 'warn'],
    ...flags,
  ];
}

export function carillonBinary() {
  const binary = process.env.CARILLON_BIN || DEFAULT_BINARY;
  if (!existsSync(binary)) {
    throw new Error(`no broker to test at ${binary}: run 'cargo build --release', set CARILLON_BIN, or set BROKER=redis`);
  }
  return binary;
}

export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
