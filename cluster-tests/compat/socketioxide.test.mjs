// socketioxide-redis, the Rust adapter, with both of its drivers and with ours. Of its own there are two processes of
// ../socketioxide-app; both publish, subscribe and count on one RESP3 connection each; redis-rs uses plain channels, fred shard
// channels. Of ours there are two of ../../client/socketioxide/examples/instance.rs, over a broker or with one inside each.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sameNames } from './features/check.mjs';
import { Broker } from './lib/broker.mjs';
import { Listener } from './lib/listener.mjs';
import { takePorts } from './lib/ports.mjs';
import { Row } from './lib/results.mjs';
import { unique } from './lib/two-servers.mjs';
import { eventually } from './lib/wait.mjs';

const APP = fileURLToPath(new URL('../../target/socketioxide-app/debug/carillon-socketioxide-app', import.meta.url));
const EXAMPLE = fileURLToPath(new URL('../../target/debug/examples/instance', import.meta.url));
const lock = readFileSync(new URL('../socketioxide-app/Cargo.lock', import.meta.url), 'utf8');
const locked = (crate) => new RegExp(`name = "${crate}"\nversion = "([^"]+)"`).exec(lock)[1];

class SocketioxideServer {
  #process;
  #printed = '';

  static async start(program, args) {
    const server = new SocketioxideServer();
    server.#process = spawn(program, args);
    for (const stream of [server.#process.stdout, server.#process.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (server.#printed += text));
    }
    const [, port] = await eventually('the server listens', () => /listening (\d+)/.exec(server.#printed), {
      describe: () => `; it printed: ${server.#printed}`,
    });
    server.url = `http://127.0.0.1:${port}`;
    return server;
  }

  async order(action, order = {}) {
    const body = JSON.stringify({ action, ...order });
    const headers = { 'content-type': 'application/json' };
    const reply = await fetch(`${this.url}/control`, { method: 'POST', headers, body });
    const text = await reply.text();
    if (!reply.ok) throw new Error(`${action} was answered ${reply.status}: ${text}`);
    return JSON.parse(text);
  }

  assertUnharmed() {
    assert.equal(this.#process.exitCode, null, `the server exited; it printed: ${this.#printed}`);
  }

  stop() {
    this.#process.kill('SIGKILL');
  }
}

/** Two instances over one broker. */
const over = (program, args) => async () => {
  const broker = await Broker.start();
  const start = () => SocketioxideServer.start(program, [...args, '--broker', broker.url]);
  return { servers: await Promise.all([start(), start()]), stop: () => broker.stop() };
};

/** Two instances that are the cluster themselves. */
async function embedded() {
  const { ports, release } = await takePorts(2);
  const folder = mkdtempSync(join(tmpdir(), 'carillon-instances-'));
  const peers = ports.map((port) => `127.0.0.1:${port}`).join(',');
  const start = (index) =>
    SocketioxideServer.start(EXAMPLE, ['--node', index, '--peers', peers, '--data', join(folder, index)]);
  const stop = () => {
    release();
    rmSync(folder, { recursive: true, force: true });
  };
  return { servers: await Promise.all([start('0'), start('1')]), stop };
}

const crate = (name) => `${name} ${locked(name)} (crates.io)`;
const WIRINGS = [
  { adapter: crate('redis'), protocol: 'RESP3', start: over(APP, ['--driver', 'redis']) },
  { adapter: crate('fred'), protocol: 'RESP3', start: over(APP, ['--driver', 'fred']) },
  { adapter: 'carillon-socketioxide', protocol: 'RESP3', start: over(EXAMPLE, []) },
  { adapter: 'carillon-socketioxide', protocol: 'nodes inside the instances', start: embedded },
];

for (const { adapter, protocol, start } of WIRINGS) {
  const row = new Row({ package: 'socketioxide-redis', version: locked('socketioxide-redis'), adapter, protocol });
  const counted = (title, body) => test(title, row.counts(title, body));

  describe(`socketioxide-redis with ${adapter}, ${protocol}`, () => {
    let stop;
    let A;
    let B;
    let a;
    let b1;
    let b2;
    before(async () => {
      ({
        servers: [A, B],
        stop,
      } = await start());
      a = await Listener.connect('a', A.url);
      b1 = await Listener.connect('b1', B.url);
      b2 = await Listener.connect('b2', B.url);
    });
    after(async () => {
      row.write();
      for (const listener of [a, b1, b2]) listener?.close();
      for (const server of [A, B]) server?.stop();
      await stop?.();
    });

    const enter = (listener, room) => listener.socket.timeout(4_000).emitWithAck('join', room);

    async function onlyReceivedBy(expected, order) {
      const [event, fence] = [unique('event'), unique('fence')];
      await A.order('emit', { ...order, event, payload: { text: '☃' } });
      await A.order('emit', { event: fence, payload: null });
      for (const listener of [a, b1, b2]) {
        await listener.got(fence);
        assert.equal(listener.has(event), expected.includes(listener), `did ${listener.name} receive it?`);
      }
    }

    counted('broadcast', () => onlyReceivedBy([a, b1, b2], {}));

    counted('rooms and except', async () => {
      await Promise.all([enter(a, 'room'), enter(b1, 'room'), enter(b2, 'muted'), enter(b2, 'room')]);
      await onlyReceivedBy([a, b1, b2], { rooms: ['room'] });
      await onlyReceivedBy([a, b1], { rooms: ['room'], except: ['muted'] });
      await onlyReceivedBy([b2], { rooms: ['muted'] });
    });

    counted('acknowledgements of both servers', async () => {
      const answers = await A.order('emitWithAck', { event: unique('question'), payload: 1 });
      sameNames(answers.flat(), ['a', 'b1', 'b2']);
    });

    counted('fetch_sockets', async () => sameNames(await A.order('fetchSockets'), [a.id, b1.id, b2.id]));

    counted('join and leave of remote sockets', async () => {
      await enter(b1, 'of-b1'); // in socketioxide a socket's id is not a room
      await A.order('join', { rooms: ['of-b1'], target: 'later' });
      await onlyReceivedBy([b1], { rooms: ['later'] });
      await A.order('leave', { rooms: ['later'], target: 'later' });
      await onlyReceivedBy([], { rooms: ['later'] });
    });

    counted('disconnect of a remote socket', async () => {
      await A.order('disconnect', { rooms: ['muted'] });
      await b2.disconnected();
      sameNames(await A.order('fetchSockets'), [a.id, b1.id]);
    });

    counted('no server process was harmed', () => [A, B].forEach((server) => server.assertUnharmed()));
  });
}
