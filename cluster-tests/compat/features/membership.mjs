// Looking at and changing the sockets of the other server.

import assert from 'node:assert/strict';
import { Listener } from '../lib/listener.mjs';
import { unique } from '../lib/two-servers.mjs';
import { onlyReceivedBy, sameNames } from './check.mjs';

const namesOf = (sockets) => sockets.map((socket) => socket.data.name);

export const membership = {
  async 'fetchSockets of everyone'({ A, B, b1 }) {
    for (const server of [A, B]) sameNames(namesOf(await server.ask('fetchSockets')), ['a1', 'a2', 'b1', 'b2']);
    const remote = (await A.ask('fetchSockets')).find((socket) => socket.id === b1.id);
    assert.deepEqual(remote.auth, { name: 'b1' });
    assert.ok(remote.rooms.includes(b1.id), 'a remote socket shows its rooms');
    sameNames(namesOf(await A.ask('fetchSockets', { namespace: '/chat' })), ['chatA', 'chatB']);
  },

  async 'fetchSockets of rooms, with exceptions'(stage) {
    const { A, a1, b1, b2 } = stage;
    const [room, other] = [unique('room'), unique('room')];
    await stage.join(room, a1, b1);
    await stage.join(other, b1, b2);
    sameNames(namesOf(await A.ask('fetchSockets', { to: [room] })), ['a1', 'b1']);
    sameNames(namesOf(await A.ask('fetchSockets', { to: [room, other] })), ['a1', 'b1', 'b2']);
    sameNames(namesOf(await A.ask('fetchSockets', { to: [room], except: [other] })), ['a1']);
    assert.deepEqual(await A.ask('fetchSockets', { to: [unique('room')] }), []);
  },

  async 'socketsJoin and socketsLeave'(stage) {
    const { A, B, a1, b1, b2 } = stage;
    const [room, next] = [unique('room'), unique('room')];
    await stage.join(room, a1, b1);

    await A.ask('socketsJoin', { to: [room], rooms: [next] });
    await stage.roomIsOn(next, A, B);
    const joined = unique('joined');
    await A.ask('emit', { to: [next], event: joined });
    await onlyReceivedBy(stage, A, joined, [a1, b1]);

    await stage.join(next, b2);
    await A.ask('socketsLeave', { to: [room], rooms: [next] });
    await stage.roomIsOn(next, B);
    const left = unique('left');
    await A.ask('emit', { to: [next], event: left });
    await onlyReceivedBy(stage, A, left, [b2]);

    await A.ask('socketsLeave', { rooms: [next] });
    await stage.roomIsOn(next);
  },

  async 'join and leave of one remote socket'(stage) {
    const { A, B, b1 } = stage;
    const room = unique('room');
    await A.ask('joinSocket', { id: b1.id, room });
    await stage.roomIsOn(room, B);
    await A.ask('leaveSocket', { id: b1.id, room });
    await stage.roomIsOn(room);
  },

  async disconnectSockets(stage) {
    const { A, B } = stage;
    const leaver = await Listener.connect('leaver', B.url);
    const stayer = await Listener.connect('stayer', B.url);
    const room = unique('room');
    await B.ask('socketsJoin', { to: [leaver.id], rooms: [room] });
    await stage.roomIsOn(room, B);
    await A.ask('disconnectSockets', { to: [room], close: true });
    await leaver.disconnected();
    await stage.fence(A, [...stage.everyone, stayer]); // everyone else is still connected
    sameNames(namesOf(await A.ask('fetchSockets')), ['a1', 'a2', 'b1', 'b2', 'stayer']);
    await A.ask('disconnectSockets', { to: [stayer.id], close: false });
    await stayer.disconnected();
    stayer.close();
    for (const left of [leaver, stayer]) await stage.privateRoomIsGone(left);
  },
};
