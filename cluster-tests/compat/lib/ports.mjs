// Ports that stay a node's own for a whole test: it is killed and started again on the same ones. They lie below Linux's range for
// outgoing connections, so that no client's connection takes the port of a node that is down for a moment, and above those of the
// Rust tests (../../src/ports.rs).

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';

const FIRST_PORT = 31_200;
const BLOCK_PORTS = 16;
const BLOCKS = 97;

/** `count` ports that are free for TCP and UDP, and `release`. The block they are of is held by listening on its first port. */
export async function takePorts(count) {
  const start = process.pid;
  for (let offset = 0; offset < BLOCKS; offset += 1) {
    const first = FIRST_PORT + ((start + offset) % BLOCKS) * BLOCK_PORTS;
    const lock = await listen(first);
    if (!lock) continue;
    const ports = [];
    for (let port = first + 1; port < first + BLOCK_PORTS && ports.length < count; port += 1) {
      if (await isFree(port)) ports.push(port);
    }
    if (ports.length === count) return { ports, release: () => lock.close() };
    lock.close();
  }
  throw new Error(`no block of ${count} free ports between ${FIRST_PORT} and ${FIRST_PORT + BLOCKS * BLOCK_PORTS}`);
}

async function isFree(port) {
  const server = await listen(port);
  if (!server) return false;
  server.close();
  const socket = createSocket('udp4');
  const bound = once(socket, 'listening').then(() => true, () => false);
  socket.bind(port, '127.0.0.1');
  const free = await bound;
  socket.close();
  return free;
}

async function listen(port) {
  const server = net.createServer((socket) => socket.destroy()).listen(port, '127.0.0.1');
  return once(server, 'listening').then(() => server, () => undefined);
}
