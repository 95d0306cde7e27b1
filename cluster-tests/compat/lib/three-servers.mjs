// The stage of the outages: three Socket.IO server processes, A, B and C, each with one client, on three broker nodes.

import assert from 'node:assert/strict';
import { onlyReceivedBy, sameNames } from '../features/check.mjs';
import { Stage, unique } from './stage.mjs';

/** Rooms and their channels have to outlive an outage without anybody joining again. */
const LASTING_ROOM = 'lasting';
const ANSWER_TIMEOUT_MS = 3_000;

export class ThreeServers extends Stage {
  /** `a`, `b` and `c` are connected to A, B and C; b and c are in a room that they never leave. */
  static async start(broker, client, mode) {
    const stage = new ThreeServers(broker, client, mode);
    try {
      await stage.startServers(3);
      const names = ['a', 'b', 'c'];
      await Promise.all(names.map(async (name, index) => (stage[name] = await stage.connect(name, stage.servers[index]))));
      await stage.ready();
      await stage.join(LASTING_ROOM, stage.b, stage.c);
      return stage;
    } catch (error) {
      await stage.stop();
      throw error;
    }
  }

  /** Does `server` see the clients of all three servers? */
  async isWholeFor(server) {
    return namesOf(await server.ask('fetchSockets')).sort().join() === 'a,b,c';
  }

  /** Every feature that crosses the servers, once from each of them, and no request may time out. */
  async everythingWorks() {
    const { a, b, c, everyone } = this;
    await this.allServersCounted();
    await this.roomIsHeard(LASTING_ROOM);
    const room = unique('room');
    await this.join(room, a, b);
    for (const server of this.servers) {
      const [toAll, toLasting, toNew] = [unique('broadcast'), unique('to-lasting-room'), unique('to-new-room')];
      await server.ask('emit', { event: toAll });
      await onlyReceivedBy(this, server, toAll, everyone);
      await server.ask('emit', { to: [LASTING_ROOM], event: toLasting });
      await onlyReceivedBy(this, server, toLasting, [b, c]);
      await server.ask('emit', { to: [room], event: toNew });
      await onlyReceivedBy(this, server, toNew, [a, b]);

      sameNames(await server.ask('emitWithAck', { event: unique('question'), timeout: ANSWER_TIMEOUT_MS }), ['a', 'b', 'c']);
      sameNames(namesOf(await server.ask('fetchSockets')), ['a', 'b', 'c'], 'fetchSockets');
      assert.equal((await server.ask('serverSideEmitWithAck', { event: 'question' })).length, 2, 'answers of the other servers');
      const note = unique('note');
      await server.ask('serverSideEmit', { event: 'note', args: [note] });
      await this.noteArrived(note, this.servers.filter((other) => other !== server));
    }
  }

  /** The sockets of the application's users: an outage of the broker is none of theirs. */
  assertSocketsStayed() {
    for (const { name, socket, id } of this.listeners) {
      assert.ok(socket.connected && socket.id === id, `the socket of ${name} lost its Socket.IO server`);
    }
  }
}

const namesOf = (sockets) => sockets.map((socket) => socket.data.name);
