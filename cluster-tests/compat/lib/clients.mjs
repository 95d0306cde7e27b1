// The client libraries, by the names of package.json's aliases: several major versions of one package side by side.
// To add one: pin it in package.json under an alias, add a line here; every suite takes it up.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

const ioredis = { open: openIoredis, close: (client) => client.disconnect() };
const nodeRedis4 = { open: openNodeRedis, close: (client) => client.disconnect() };
const nodeRedis = { open: openNodeRedis, close: (client) => client.destroy() };

/** `protocol` is the RESP version; `options` is what a user writes to get it (nothing where it is the default). */
export const clients = [
  { id: 'ioredis5', package: 'ioredis', protocol: 2, options: {}, module: 'ioredis', ...ioredis },
  { id: 'ioredis6', package: 'ioredis', protocol: 3, options: {}, module: 'ioredis6', ...ioredis },
  { id: 'ioredis6-resp2', package: 'ioredis', protocol: 2, options: { protocol: 2 }, module: 'ioredis6', ...ioredis },
  { id: 'redis4', package: 'redis', protocol: 2, options: {}, module: 'redis4', ...nodeRedis4 },
  { id: 'redis5', package: 'redis', protocol: 2, options: {}, module: 'redis5', ...nodeRedis },
  { id: 'redis5-resp3', package: 'redis', protocol: 3, options: { RESP: 3 }, module: 'redis5', ...nodeRedis },
  { id: 'redis6', package: 'redis', protocol: 3, options: {}, module: 'redis6', ...nodeRedis },
  { id: 'redis6-resp2', package: 'redis', protocol: 2, options: { RESP: 2 }, module: 'redis6', ...nodeRedis },
];

/** For socket.io-redis 6 only: not part of the matrix. */
const redis3 = { id: 'redis3', package: 'redis', protocol: 2, options: {}, module: 'redis3', open: openRedis3, close: (client) => client.end(false) };

export function clientById(id) {
  const client = [...clients, redis3].find((candidate) => candidate.id === id);
  if (!client) throw new Error(`no client ${id}; there are: ${clients.map((candidate) => candidate.id).join(', ')}`);
  return client;
}

/** The version that is really installed, not the one that package.json asks for. */
export function installedVersion(module) {
  // Read as a file: not every package lets its package.json be imported.
  return JSON.parse(readFileSync(new URL(`../node_modules/${module}/package.json`, import.meta.url), 'utf8')).version;
}

/**
 * A publishing and a subscribing connection, both ready, made the way the adapter's documentation makes them.
 * Errors of a connection go to `onError`: both families require a listener, or a lost connection ends the process.
 */
export async function openPair(client, port, onError) {
  const publisher = await client.open(client, port, onError);
  const subscriber = await client.open(client, port, onError, publisher);
  return { publisher, subscriber };
}

async function openIoredis({ module, options }, port, onError, original) {
  const { Redis } = require(module);
  const client = original ? original.duplicate() : new Redis({ host: '127.0.0.1', port, ...options });
  client.on('error', onError);
  // ioredis 5 loses subscriptions that are made between 'connect' and 'ready' (redis/ioredis#2037).
  await once(client, 'ready');
  return client;
}

async function openNodeRedis({ module, options }, port, onError, original) {
  const { createClient } = require(module);
  const client = original ? original.duplicate() : createClient({ url: `redis://127.0.0.1:${port}`, ...options });
  client.on('error', onError);
  await client.connect();
  return client;
}

async function openRedis3({ module }, port, onError, original) {
  const client = original ? original.duplicate() : require(module).createClient(port, '127.0.0.1');
  client.on('error', onError);
  await once(client, 'ready');
  return client;
}
