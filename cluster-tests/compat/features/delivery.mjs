// Who receives what is emitted: everyone, a room, everyone but a room, one socket, one namespace.

import assert from 'node:assert/strict';
import { unique } from '../lib/two-servers.mjs';
import { onlyReceivedBy } from './check.mjs';

export const delivery = {
  async 'broadcast from either server'(stage) {
    for (const server of stage.servers) {
      const event = unique('broadcast');
      await server.ask('emit', { event, args: [1, 'two', { three: [3] }] });
      await onlyReceivedBy(stage, server, event, stage.everyone, [1, 'two', { three: [3] }]);
    }
  },

  async 'rooms, each member once'(stage) {
    const { A, a1, b1, b2 } = stage;
    const [room, other] = [unique('room'), unique('room')];
    await stage.join(room, a1, b1);
    await stage.join(other, b1, b2);

    const toOne = unique('to-room');
    await A.ask('emit', { to: [room], event: toOne });
    await onlyReceivedBy(stage, A, toOne, [a1, b1]);

    const toBoth = unique('to-both-rooms');
    await A.ask('emit', { to: [room, other], event: toBoth });
    await onlyReceivedBy(stage, A, toBoth, [a1, b1, b2]);

    const toNobody = unique('to-empty-room');
    await A.ask('emit', { to: [unique('room')], event: toNobody });
    await onlyReceivedBy(stage, A, toNobody, []);
  },

  async 'a room with members on the other server only'(stage) {
    const { A, b1 } = stage;
    const room = unique('room');
    await stage.join(room, b1);
    const event = unique('to-room');
    await A.ask('emit', { to: [room], event });
    await onlyReceivedBy(stage, A, event, [b1]);
  },

  async 'one socket of the other server'(stage) {
    const { A, b1 } = stage;
    const event = unique('to-socket');
    await A.ask('emit', { to: [b1.id], event });
    await onlyReceivedBy(stage, A, event, [b1]);
  },

  async except(stage) {
    const { B, a1, a2, b1, b2 } = stage;
    const [room, muted] = [unique('room'), unique('muted')];
    await stage.join(room, a1, a2, b1);
    await stage.join(muted, a2, b2);

    const toRoom = unique('room-except');
    await B.ask('emit', { to: [room], except: [muted], event: toRoom });
    await onlyReceivedBy(stage, B, toRoom, [a1, b1]);

    const toAll = unique('all-except');
    await B.ask('emit', { except: [muted, a1.id], event: toAll });
    await onlyReceivedBy(stage, B, toAll, [b1]);
  },

  async volatile(stage) {
    const { A } = stage;
    const event = unique('volatile');
    await A.ask('emit', { event, volatile: true, args: ['now or never'] });
    await onlyReceivedBy(stage, A, event, stage.everyone, ['now or never']);
  },

  async 'namespaces are apart'(stage) {
    const { A, chatA, chatB } = stage;
    const event = unique('chat');
    await A.ask('emit', { namespace: '/chat', event });
    await onlyReceivedBy(stage, A, event, [chatA, chatB]);
  },

  async 'binary payloads, every byte value'(stage) {
    const { B } = stage;
    const bytes = Buffer.from(Array.from({ length: 1024 }, (_, index) => index % 256));
    const args = [bytes, { nested: [bytes.subarray(7, 300), 'text \r\n \u0000 ☃'] }];
    const event = unique('binary');
    await B.ask('emit', { event, args });
    await onlyReceivedBy(stage, B, event, stage.everyone, args);
  },

  async 'a payload of 300 kB'(stage) {
    const { A } = stage;
    const event = unique('large');
    const args = ['x'.repeat(300_000)];
    await A.ask('emit', { event, args });
    await onlyReceivedBy(stage, A, event, stage.everyone, args);
  },

  async 'order of 200 messages'(stage) {
    const { A, b1 } = stage;
    const event = unique('sequence');
    const numbers = Array.from({ length: 200 }, (_, number) => number);
    await Promise.all(numbers.map((number) => A.ask('emit', { event, args: [number] })));
    await stage.fence(A);
    const arrived = b1.received.filter((entry) => entry.event === event).map((entry) => entry.args[0]);
    assert.deepEqual(arrived, numbers, 'none lost, doubled or out of order');
  },
};
