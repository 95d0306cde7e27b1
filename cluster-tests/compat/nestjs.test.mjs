// NestJS's Redis transport: a request and its answer, and an event, between two processes.

import 'reflect-metadata';
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ClientProxyFactory, Transport } from '@nestjs/microservices';
import { firstValueFrom } from 'rxjs';
import { Broker } from './lib/broker.mjs';
import { installedVersion } from './lib/clients.mjs';
import { Row } from './lib/results.mjs';
import { within } from './lib/wait.mjs';

const row = new Row({
  package: '@nestjs/microservices',
  version: installedVersion('@nestjs/microservices'),
  adapter: `ioredis ${installedVersion('ioredis')}`,
});
const counted = (title, body) => test(title, row.counts(title, body));

describe("NestJS's Redis transport", () => {
  let broker;
  let service;
  let client;
  before(async () => {
    broker = await Broker.start();
    service = fork(fileURLToPath(new URL('./nestjs-service.mjs', import.meta.url)), [`${broker.port}`]);
    await within('the NestJS service to listen', once(service, 'message'), 15_000);
    client = ClientProxyFactory.create({ transport: Transport.REDIS, options: { host: '127.0.0.1', port: broker.port } });
    await client.connect();
  });
  after(async () => {
    row.write();
    await client?.close();
    service?.kill();
    await broker?.stop();
  });

  counted('requests are answered', async () => {
    const answers = [[1, 2, 3], [40, 2]].map((numbers) => firstValueFrom(client.send('sum', numbers)));
    assert.deepEqual(await within('the sums', Promise.all(answers)), [6, 42]);
  });

  counted('events arrive', async () => {
    const arrived = once(service, 'message');
    client.emit('noted', { text: '☃' });
    assert.deepEqual((await within('the event', arrived))[0], { noted: { text: '☃' } });
  });

  counted('the service still runs', () => assert.equal(service.exitCode, null));
});
