// socket.io-redis 6, the predecessor of the classic adapter, over redis 3: the features that it has.

import { after, before, describe, test } from 'node:test';
import { delivery } from './features/delivery.mjs';
import { membership } from './features/membership.mjs';
import { servers } from './features/servers.mjs';
import { Broker } from './lib/broker.mjs';
import { clientById, installedVersion } from './lib/clients.mjs';
import { Row } from './lib/results.mjs';
import { TwoServers } from './lib/two-servers.mjs';

const features = { 'server count': servers['server count'], ...delivery, ...membership };
const row = new Row({
  package: 'socket.io-redis',
  version: installedVersion('socket.io-redis'),
  adapter: `redis ${installedVersion('redis3')}`,
});

describe('socket.io-redis', () => {
  let broker;
  let stage;
  before(async () => {
    broker = await Broker.start();
    stage = await TwoServers.start(broker, clientById('redis3'), 'socket.io-redis');
  });
  after(async () => {
    row.write();
    await stage?.stop();
    await broker?.stop();
  });

  for (const [feature, run] of Object.entries(features)) test(feature, row.counts(feature, () => run(stage)));
  test('no server process was harmed', row.counts('no server process was harmed', () => stage.assertUnharmed()));
});
