// @socket.io/redis-adapter: every client library × every mode × every feature, across two server processes; then the broker is
// killed and started again under all of them at once, because waiting for 32 reconnects one after another would take minutes.
//
//   COMPAT_ONLY='redis6 classic'   runs the combinations whose name contains all of these words

import { after, before, describe, test } from 'node:test';
import { acknowledgements } from './features/acknowledgements.mjs';
import { sameNames } from './features/check.mjs';
import { delivery } from './features/delivery.mjs';
import { membership } from './features/membership.mjs';
import { servers } from './features/servers.mjs';
import { adapters } from './lib/adapters.mjs';
import { Broker } from './lib/broker.mjs';
import { clients, installedVersion } from './lib/clients.mjs';
import { Row } from './lib/results.mjs';
import { TwoServers } from './lib/two-servers.mjs';

const features = { ...servers, ...delivery, ...acknowledgements, ...membership };
const wanted = (process.env.COMPAT_ONLY ?? '').split(' ').filter(Boolean);

/** ioredis 5 comes back within 2 s, node-redis within 2.2 s, ioredis 6 within 5.2 s of the last failed attempt. */
const RECONNECT_TIMEOUT_MS = 12_000;

const combinations = clients
  .flatMap((client) => Object.keys(adapters).map((mode) => ({ client, mode, name: `${client.id}, ${mode}` })))
  .filter(({ name }) => wanted.every((word) => name.replace(',', ' ').split(' ').includes(word)));

let broker;
before(async () => (broker = await Broker.start()));
after(async () => {
  for (const { row } of combinations) row?.write();
  await Promise.all(combinations.map(({ stage }) => stage?.stop()));
  await broker?.stop();
});

for (const combination of combinations) {
  const { client, mode, name } = combination;
  const [adapter, subscriptionMode = ''] = mode.split(' ');
  combination.row = new Row({
    package: client.package,
    version: installedVersion(client.module),
    adapter: `@socket.io/redis-adapter ${installedVersion('@socket.io/redis-adapter')} ${adapter}`,
    mode: subscriptionMode,
    protocol: `RESP${client.protocol}`,
  });
  const counted = (title, body) => test(title, combination.row.counts(title, body));

  describe(name, () => {
    counted('two servers find each other', async () => {
      combination.stage = await TwoServers.start(broker, client, mode);
    });
    for (const [feature, run] of Object.entries(features)) counted(feature, () => run(combination.stage));
    counted('no server process was harmed', () => combination.stage.assertUnharmed());
  });
}

describe('the broker restarts', () => {
  before(() => broker.restart());

  for (const combination of combinations) {
    const reconnects = async () => {
      const { stage } = combination;
      await stage.allServersCounted({ timeoutMs: RECONNECT_TIMEOUT_MS });
      await delivery['broadcast from either server'](stage);
      await delivery['rooms, each member once'](stage);
      await membership['fetchSockets of everyone'](stage);
      stage.assertUnharmed();
    };
    test(combination.name, combination.row.counts('reconnects after the broker restarted', reconnects));
  }
});

describe('a server process is killed', () => {
  for (const combination of combinations) {
    const isMissed = async () => {
      const { stage } = combination;
      await stage.B.stop();
      await stage.serversCounted(stage.A, '/', 1);
      sameNames((await stage.A.ask('fetchSockets')).map((socket) => socket.data.name), ['a1', 'a2']);
    };
    test(combination.name, combination.row.counts('the other counts one server less', isMissed));
  }
});
