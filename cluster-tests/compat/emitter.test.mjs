// @socket.io/redis-emitter: a process that is no Socket.IO server emits through the broker, with every client library.

import { after, before, describe, test } from 'node:test';
import { createRequire } from 'node:module';
import { onlyReceivedBy } from './features/check.mjs';
import { Broker } from './lib/broker.mjs';
import { clientById, clients, installedVersion, openPair } from './lib/clients.mjs';
import { Row } from './lib/results.mjs';
import { TwoServers, unique } from './lib/two-servers.mjs';

const { Emitter } = createRequire(import.meta.url)('@socket.io/redis-emitter');

let broker;
let stage;
before(async () => {
  broker = await Broker.start();
  stage = await TwoServers.start(broker, clientById('ioredis5'), 'classic');
});
after(async () => {
  await stage?.stop();
  await broker?.stop();
});

for (const client of clients) {
  const row = new Row({
    package: '@socket.io/redis-emitter',
    version: installedVersion('@socket.io/redis-emitter'),
    adapter: `${client.package} ${installedVersion(client.module)}`,
    protocol: `RESP${client.protocol}`,
  });
  const counted = (title, body) => test(title, row.counts(title, body));

  describe(client.id, () => {
    let connections;
    let emitter;
    before(async () => {
      connections = await openPair(client, broker.port, () => {});
      emitter = new Emitter(connections.publisher, { key: stage.prefix });
    });
    after(() => {
      for (const connection of Object.values(connections)) client.close(connection);
      row.write();
    });

    /** The emitter is a publisher of its own, so the fence is a broadcast of the emitter too. */
    const through = { ask: (operation, { namespace = '/', event }) => emitter.of(namespace).emit(event) };

    counted('broadcast, with binary', async () => {
      const event = unique('emitted');
      const args = ['text', Buffer.from([0, 10, 13, 255])];
      emitter.emit(event, ...args);
      await onlyReceivedBy(stage, through, event, stage.everyone, args);
    });

    counted('rooms, except and namespaces', async () => {
      const { a1, b1, b2, chatA, chatB } = stage;
      const room = unique('room');
      await stage.join(room, a1, b1, b2);
      const toRoom = unique('emitted');
      emitter.to(room).except(b2.id).emit(toRoom);
      await onlyReceivedBy(stage, through, toRoom, [a1, b1]);
      const toChat = unique('emitted');
      emitter.of('/chat').emit(toChat);
      await onlyReceivedBy(stage, through, toChat, [chatA, chatB]);
    });

    counted('socketsJoin, socketsLeave and serverSideEmit', async () => {
      const room = unique('room');
      emitter.socketsJoin(room);
      await stage.roomIsOn(room, stage.A, stage.B);
      emitter.socketsLeave(room);
      await stage.roomIsOn(room);
      emitter.serverSideEmit('note', room);
      await stage.noteArrived(room);
    });

    counted('no server process was harmed', () => stage.assertUnharmed());
  });
}
