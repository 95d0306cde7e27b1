// Several Socket.IO server processes, joined by nothing but the broker, with clients on all of them.

import { hasOwnChannel } from './adapters.mjs';
import { Listener } from './listener.mjs';
import { SocketIoServer } from './server.mjs';
import { eventually } from './wait.mjs';

let combinations = 0;
let names = 0;

/** A name that no other step uses, so that what arrives is known to come from this step. */
export function unique(stem) {
  return `${stem}-${++names}`;
}

export class Stage {
  servers = [];
  /** The clients, those of other namespaces as well. */
  listeners = [];

  /** `broker` answers `command(…words)`, and `portOf(index)` says where each server connects. */
  constructor(broker, client, mode) {
    Object.assign(this, { broker, client, mode, prefix: `compat-${++combinations}` });
  }

  async startServers(count) {
    const start = (_, index) => SocketIoServer.start(this.client.id, this.mode, this.broker.portOf(index), this.prefix);
    const starts = await Promise.allSettled(Array.from({ length: count }, start));
    this.servers = starts.map(({ value }) => value).filter(Boolean);
    for (const { status, reason } of starts) if (status === 'rejected') throw reason;
  }

  async connect(name, server, namespace = '/') {
    const listener = await Listener.connect(name, server.url, namespace);
    listener.server = server;
    this.listeners.push(listener);
    return listener;
  }

  /** The clients of the main namespace. */
  get everyone() {
    return this.listeners.filter(({ namespace }) => namespace === '/');
  }

  /** Every server hears every other one, and a message to one client would reach it. */
  async ready() {
    await this.allServersCounted();
    await Promise.all(this.listeners.map((listener) => this.#privateRoomIsHeard(listener)));
  }

  /** Every server counts all of them in every namespace that has clients: from here on each hears the others. */
  async allServersCounted(options) {
    const namespaces = new Set(this.listeners.map(({ namespace }) => namespace));
    for (const server of this.servers) {
      for (const namespace of namespaces) await this.serversCounted(server, namespace, this.servers.length, options);
    }
  }

  async serversCounted(server, namespace, count, options) {
    let seen;
    await eventually(
      `serverCount() of ${namespace} is ${count}`,
      async () => (seen = await server.ask('serverCount', { namespace })) === count,
      { ...options, describe: () => `(it is ${seen}: is PUBSUB NUMSUB exact and fresh?)` },
    );
  }

  /** Lets clients join a room, each through its own server, and waits until emitting to the room reaches them. */
  async join(room, ...listeners) {
    for (const { name, id, server } of listeners) {
      await server.ask('socketsJoin', { to: [id], rooms: [room] });
      await eventually(`${name} is in the room ${room}`, async () => (await server.ask('localMembers', { room })).includes(id));
    }
    await this.roomIsHeard(room);
  }

  /** Waits until exactly these servers have members of the room, and, where the room has a channel, are subscribed to it. */
  async roomIsOn(room, ...servers) {
    for (const [index, server] of this.servers.entries()) {
      const expected = servers.includes(server);
      await eventually(
        `server ${'ABC'[index]} has ${expected ? '' : 'no '}members of the room ${room}`,
        async () => (await server.ask('localMembers', { room })).length > 0 === expected,
      );
    }
    await this.roomIsHeard(room);
  }

  /**
   * Emits a marker from `server` and waits until everyone has it. What the same server emitted earlier took the same way, so
   * whoever does not have it by now will not get it.
   */
  async fence(server, listeners = this.everyone) {
    for (const namespace of new Set(listeners.map((listener) => listener.namespace))) {
      const event = unique('fence');
      await server.ask('emit', { namespace, event });
      await Promise.all(
        listeners.filter((listener) => listener.namespace === namespace).map((listener) => listener.got(event)),
      );
    }
  }

  /** Waits until these servers have received the server-side event 'note' with this first argument. */
  async noteArrived(note, servers = this.servers) {
    for (const server of servers) {
      await eventually(`the note ${note} arrived at every server`, async () =>
        (await server.ask('serverSideEvents')).some((entry) => entry.event === 'note' && entry.args[0] === note),
      );
    }
  }

  assertUnharmed() {
    for (const server of this.servers) server.assertUnharmed();
  }

  async stop() {
    for (const listener of this.listeners) listener.close();
    await Promise.all(this.servers.map((server) => server.stop()));
  }

  /**
   * Waits until nobody is subscribed to the private room of a listener that has left. Without it, an SUNSUBSCRIBE could be in
   * flight when the broker is restarted; see "Known" in README.md.
   */
  async privateRoomIsGone({ namespace, id }) {
    if (hasOwnChannel(this.mode, { isPrivateRoom: true })) await this.#shardSubscribers(this.#channel(namespace, id), 0);
  }

  /** Where rooms have channels: as many subscribers as servers with members. */
  async roomIsHeard(room) {
    if (!hasOwnChannel(this.mode)) return;
    const members = await Promise.all(this.servers.map((server) => server.ask('localMembers', { room })));
    await this.#shardSubscribers(this.#channel('/', room), members.filter((ids) => ids.length > 0).length);
  }

  async #privateRoomIsHeard({ namespace, id }) {
    if (hasOwnChannel(this.mode, { isPrivateRoom: true })) {
      await this.#shardSubscribers(this.#channel(namespace, id), 1);
    }
  }

  /** Waits until exactly `count` connections are subscribed to the shard channel, as the broker itself counts them. */
  async #shardSubscribers(channel, count) {
    let seen;
    await eventually(
      `PUBSUB SHARDNUMSUB ${channel} is ${count}`,
      async () => (seen = (await this.broker.command('PUBSUB', 'SHARDNUMSUB', channel))[1]) === count,
      { describe: () => `(it is ${seen})` },
    );
  }

  #channel(namespace, room) {
    return `${this.prefix}#${namespace}#${room}#`;
  }
}
