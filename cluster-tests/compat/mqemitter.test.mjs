// mqemitter-redis: two emitters joined by the broker, with its wildcards.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Broker } from './lib/broker.mjs';
import { installedVersion } from './lib/clients.mjs';
import { Row } from './lib/results.mjs';
import { within } from './lib/wait.mjs';

const mqemitter = createRequire(import.meta.url)('mqemitter-redis');
const row = new Row({ package: 'mqemitter-redis', version: installedVersion('mqemitter-redis') });
const counted = (title, body) => test(title, row.counts(title, body));

describe('mqemitter-redis', () => {
  let broker;
  let emitters;
  before(async () => {
    broker = await Broker.start();
    emitters = [1, 2].map(() => mqemitter({ host: '127.0.0.1', port: broker.port }));
  });
  after(async () => {
    row.write();
    await Promise.all(emitters.map((emitter) => promisify(emitter.close.bind(emitter))()));
    await broker?.stop();
  });

  counted('a topic and a wildcard reach the other emitter', async () => {
    const [here, there] = emitters;
    for (const subscribed of ['home/kitchen', 'home/+', 'home/#']) {
      const arrived = new Promise((resolve, reject) => {
        const heard = (message, done) => (resolve(message), done());
        there.on(subscribed, heard, (error) => {
          if (error) return reject(error);
          here.emit({ topic: 'home/kitchen', payload: subscribed });
        });
      });
      const { topic, payload } = await within(`a message on ${subscribed}`, arrived);
      assert.deepEqual({ topic, payload }, { topic: 'home/kitchen', payload: subscribed });
      await promisify(there.removeAllListeners.bind(there))(subscribed);
    }
  });
});
