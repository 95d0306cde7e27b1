// TLS, users and passwords with every client library: what works, and how what is wrong is told.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { clients } from './lib/clients.mjs';
import { GuardedBroker, PASSWORD, TRYING_MS } from './lib/guarded-broker.mjs';

const require = createRequire(import.meta.url);

let guarded;
before(async () => {
  guarded = await GuardedBroker.start();
});
after(() => guarded?.stop());

/** A connection of the library's own kind; `retries` as its users have it by default, or not at all. */
function make(client, { authority = 'ca.pem', password = PASSWORD, retries = false } = {}) {
  const tls = { ca: guarded.certificates.read(authority), servername: 'localhost' };
  const credentials = { username: 'app', password, ...client.options };
  if (client.package === 'ioredis') {
    const { Redis } = require(client.module);
    const trying = retries ? {} : { retryStrategy: null };
    return new Redis({ host: '127.0.0.1', port: guarded.tlsPort, tls, lazyConnect: true, ...trying, ...credentials });
  }
  const socket = { host: '127.0.0.1', port: guarded.tlsPort, tls: true, ...tls, ...(retries ? {} : { reconnectStrategy: false }) };
  return require(client.module).createClient({ socket, ...credentials });
}

/** Connects and returns the first error that the library tells, by its promise or its event. */
async function failure(client, options) {
  const connection = make(client, options);
  const told = new Promise((resolve) => connection.on('error', resolve));
  const outcome = connection.connect().then(
    () => new Promise(() => {}),
    (error) => error,
  );
  try {
    return await Promise.race([told, outcome]);
  } finally {
    close(client, connection);
  }
}

/** Also one that has given up by itself, of which some libraries do not want to hear again. */
function close(client, connection) {
  try {
    Promise.resolve(client.close(connection)).catch(() => {});
  } catch (error) {
    assert.match(String(error), /closed/);
  }
}

const isClosed = (error) => assert.doesNotMatch(String(error), /timed? ?out/i);

for (const client of clients) {
  describe(client.id, () => {
    test('messages pass through TLS, published and heard by a user with a password', async () => {
      const [publisher, subscriber] = [make(client), make(client)];
      for (const connection of [publisher, subscriber]) connection.on('error', assert.fail);
      await Promise.all([publisher.connect(), subscriber.connect()]);
      const payload = 'x'.repeat(100_000);
      let hear;
      const heard = new Promise((resolve) => (hear = resolve));
      if (client.package === 'ioredis') {
        subscriber.on('message', (_, message) => hear(message));
        await subscriber.subscribe('news.1');
      } else {
        await subscriber.subscribe('news.1', hear);
      }
      assert.equal(await publisher.publish('news.1', payload), 1);
      assert.equal(await heard, payload);
      for (const connection of [publisher, subscriber]) close(client, connection);
    });

    test('what a user may not do is an error of that command, and of nothing else', async () => {
      const connection = make(client);
      connection.on('error', assert.fail);
      await connection.connect();
      await assert.rejects(connection.publish('other', 'x'), /NOPERM.*no permissions to access one of the channels/);
      assert.equal(await connection.publish('news.2', 'x'), 0);
      close(client, connection);
    });

    test('a wrong password is told as such', async () => {
      const error = await failure(client, { password: 'wrong' });
      isClosed(error);
      assert.match(`${error} ${error.cause ?? ''}`, /WRONGPASS|NOAUTH/);
    });

    test('an authority that the client does not know is told as such', async () => {
      const error = await failure(client, { authority: 'stranger.pem' });
      isClosed(error);
      assert.match(`${error} ${error.code} ${error.cause ?? ''}`, /certificate|SELF_SIGNED|UNABLE_TO/i);
    });

    test('who tries again and again costs the broker next to nothing', async () => {
      const connections = [make(client, { password: 'wrong', retries: true }), make(client, { authority: 'stranger.pem', retries: true })];
      const cpuBefore = guarded.cpuMs();
      for (const connection of connections) {
        connection.on('error', () => {});
        connection.connect().catch(() => {});
      }
      await new Promise((resolve) => setTimeout(resolve, TRYING_MS));
      for (const connection of connections) close(client, connection);
      assert.ok(guarded.cpuMs() - cpuBefore < TRYING_MS / 3, `${guarded.cpuMs() - cpuBefore} ms of processor time in ${TRYING_MS} ms`);
      await guarded.alone();
    });
  });
}
