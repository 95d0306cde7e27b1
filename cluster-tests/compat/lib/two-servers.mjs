// The stage of the matrix: two Socket.IO server processes, A and B, joined by nothing but the broker, with clients on both.

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

export class TwoServers {
  /** `a1` and `a2` are connected to server A, `b1` and `b2` to B; `chatA` and `chatB` to the namespace /chat of A and B. */
  static async start(broker, client, mode) {
    const stage = new TwoServers();
    stage.broker = broker;
    stage.mode = mode;
    stage.prefix = `compat-${++combinations}`;
    const start = () => SocketIoServer.start(client.id, mode, broker.port, stage.prefix);
    const starts = await Promise.allSettled([start(), start()]);
    [stage.A, stage.B] = starts.map(({ value }) => value);
    try {
      for (const { status, reason } of starts) if (status === 'rejected') throw reason;
      await stage.connectListeners();
      return stage;
    } catch (error) {
      await stage.stop(); // nobody else knows these processes, and a child that lives on keeps the test run from ending
      throw error;
    }
  }

  async connectListeners() {
    [this.a1, this.a2, this.b1, this.b2, this.chatA, this.chatB] = await Promise.all([
      Listener.connect('a1', this.A.url),
      Listener.connect('a2', this.A.url),
      Listener.connect('b1', this.B.url),
      Listener.connect('b2', this.B.url),
      Listener.connect('chatA', this.A.url, '/chat'),
      Listener.connect('chatB', this.B.url, '/chat'),
    ]);
    await this.bothServersCounted();
    await Promise.all([...this.everyone, this.chatA, this.chatB].map((listener) => this.#privateRoomIsHeard(listener)));
  }

  /** The clients of the main namespace. */
  get everyone() {
    return [this.a1, this.a2, this.b1, this.b2];
  }

  get servers() {
    return [this.A, this.B];
  }

  /** Both servers count two servers in both namespaces: from here on each hears the other. */
  async bothServersCounted(options) {
    for (const server of this.servers) {
      for (const namespace of ['/', '/chat']) await this.serversCounted(server, namespace, 2, options);
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
    for (const listener of listeners) {
      const server = this.serverOf(listener);
      await server.ask('socketsJoin', { to: [listener.id], rooms: [room] });
      await eventually(`${listener.name} is in the room ${room}`, async () =>
        (await server.ask('localMembers', { room })).includes(listener.id),
      );
    }
    await this.#roomIsHeard(room);
  }

  /** Waits until exactly these servers have members of the room, and, where the room has a channel, are subscribed to it. */
  async roomIsOn(room, ...servers) {
    for (const server of this.servers) {
      const expected = servers.includes(server);
      await eventually(
        `server ${server === this.A ? 'A' : 'B'} has ${expected ? '' : 'no '}members of the room ${room}`,
        async () => (await server.ask('localMembers', { room })).length > 0 === expected,
      );
    }
    await this.#roomIsHeard(room);
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

  /** Waits until both servers have received the server-side event 'note' with this first argument. */
  async noteArrived(note) {
    for (const server of this.servers) {
      await eventually(`the note ${note} arrived at both servers`, async () =>
        (await server.ask('serverSideEvents')).some((entry) => entry.event === 'note' && entry.args[0] === note),
      );
    }
  }

  serverOf(listener) {
    return [this.a1, this.a2, this.chatA].includes(listener) ? this.A : this.B;
  }

  assertUnharmed() {
    for (const server of this.servers) server.assertUnharmed();
  }

  async stop() {
    for (const listener of [...this.everyone, this.chatA, this.chatB]) listener?.close();
    await Promise.all(this.servers.map((server) => server?.stop()));
  }

  /**
   * Waits until nobody is subscribed to the private room of a listener that has left. Without it, an SUNSUBSCRIBE could be in
   * flight when the broker is restarted; see "Known" in README.md.
   */
  async privateRoomIsGone({ namespace, id }) {
    if (hasOwnChannel(this.mode, { isPrivateRoom: true })) await this.broker.shardSubscribers(this.#channel(namespace, id), 0);
  }

  /** Where rooms have channels: as many subscribers as servers with members. */
  async #roomIsHeard(room) {
    if (!hasOwnChannel(this.mode)) return;
    const members = await Promise.all(this.servers.map((server) => server.ask('localMembers', { room })));
    await this.broker.shardSubscribers(this.#channel('/', room), members.filter((ids) => ids.length > 0).length);
  }

  async #privateRoomIsHeard({ namespace, id }) {
    if (hasOwnChannel(this.mode, { isPrivateRoom: true })) {
      await this.broker.shardSubscribers(this.#channel(namespace, id), 1);
    }
  }

  #channel(namespace, room) {
    return `${this.prefix}#${namespace}#${room}#`;
  }
}
