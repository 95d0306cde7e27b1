// graphql-redis-subscriptions: RedisPubSub over ioredis, with channels and patterns.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { RedisPubSub } from 'graphql-redis-subscriptions';
import { Broker } from './lib/broker.mjs';
import { clientById, installedVersion, openPair } from './lib/clients.mjs';
import { Row } from './lib/results.mjs';
import { within } from './lib/wait.mjs';

const row = new Row({
  package: 'graphql-redis-subscriptions',
  version: installedVersion('graphql-redis-subscriptions'),
  adapter: `ioredis ${installedVersion('ioredis')}`,
});
const counted = (title, body) => test(title, row.counts(title, body));

describe('graphql-redis-subscriptions', () => {
  let broker;
  let pubsub;
  before(async () => {
    broker = await Broker.start();
    pubsub = new RedisPubSub(await openPair(clientById('ioredis5'), broker.port, () => {}));
  });
  after(async () => {
    row.write();
    await pubsub?.close();
    await broker?.stop();
  });

  const nextOf = (iterator) => within('the next payload', iterator.next()).then(({ value }) => value);

  counted('a channel, until it is unsubscribed', async () => {
    const payloads = [];
    const id = await pubsub.subscribe('comments', (payload) => payloads.push(payload));
    const fence = pubsub.asyncIterator('fence');
    const first = nextOf(fence);
    await pubsub.subscribe('ready', () => {}); // answered after the subscription of the iterator
    await pubsub.publish('comments', { text: 'heard' });
    await pubsub.publish('fence', 1);
    assert.equal(await first, 1);
    pubsub.unsubscribe(id);
    await pubsub.publish('comments', { text: 'not heard' });
    await pubsub.publish('fence', 2);
    assert.equal(await nextOf(fence), 2);
    assert.deepEqual(payloads, [{ text: 'heard' }]);
  });

  counted('a pattern', async () => {
    const heard = new Promise((resolve, reject) => {
      pubsub
        .subscribe('post.*.comments', resolve, { pattern: true })
        .then(() => pubsub.publish('post.7.comments', { text: 'by pattern' }))
        .catch(reject);
    });
    assert.deepEqual(await within('a payload by pattern', heard), { text: 'by pattern' });
  });
});
