// Who is where, over all instances. Each instance builds the roster with the adapter's own features (fetchSockets,
// serverSideEmit, serverCount) and sends it to the pages that it serves; nothing about people is stored anywhere.

import { roomsOf } from "./rooms.mjs";

// An instance that was killed cannot say that its people are gone: their absence is noticed at the next look.
const LOOK_INTERVAL_MS = 2_000;
// A page can show some hundreds of people; the roster stays some tens of KiB however many come.
const MEMBERS_MAX = 300;

export class Presence {
  /** What the pages were sent last: `{ serverCount, instances, members }`; serverCount is null while nobody can tell. */
  roster;
  #io;
  #broker;
  #self;
  #log;
  #looking = false;
  #lookAgain = false;
  #complained = false;
  /** How often the broker went or came: what was asked before such a change and answered after it mixes two worlds. */
  #brokerChanges = 0;

  constructor({ io, broker, self, log }) {
    this.#io = io;
    this.#broker = broker;
    this.#self = self;
    this.#log = log;
    this.roster = { serverCount: null, instances: [self], members: [] };
  }

  start() {
    this.#io.on("presence", () => this.#look());
    this.#io.on("which-instance", (reply) => reply(this.#self));
    this.#broker.on("change", () => {
      this.#brokerChanges += 1;
      this.#look();
    });
    setInterval(() => this.#look(), LOOK_INTERVAL_MS).unref();
    this.#look();
  }

  /** Somebody came, went or changed rooms here: look, and tell the other instances to look. */
  changed() {
    if (this.#broker.up) this.#io.serverSideEmit("presence");
    this.#look();
  }

  /** One look at a time: what happens meanwhile is seen by one more look afterwards. */
  async #look() {
    if (!this.#broker.up) await this.#show(await this.#ourselves());
    if (this.#looking) {
      this.#lookAgain = true;
      return;
    }
    this.#looking = true;
    do {
      this.#lookAgain = false;
      if (this.#broker.up) await this.#lookEverywhere();
    } while (this.#lookAgain);
    this.#looking = false;
  }

  async #lookEverywhere() {
    const before = this.#brokerChanges;
    try {
      const [serverCount, others, sockets] = await Promise.all([
        this.#io.of("/").adapter.serverCount(),
        this.#io.serverSideEmitWithAck("which-instance"),
        this.#io.fetchSockets(),
      ]);
      this.#complained = false;
      // The answer waited through an outage: the change has asked for another look already.
      if (before === this.#brokerChanges) this.#show({ serverCount, instances: inOrder([this.#self, ...others]), members: membersAmong(sockets) });
    } catch (error) {
      // Usually an instance that died while it was asked. The pages keep what they have until the next look.
      if (!this.#complained) this.#log(`could not ask every instance who is there (${error.message}); asking again`);
      this.#complained = true;
    }
  }

  /** What can be said without the broker: the people this instance serves. */
  async #ourselves() {
    return { serverCount: null, instances: [this.#self], members: membersAmong(await this.#io.local.fetchSockets()) };
  }

  #show(roster) {
    if (JSON.stringify(roster) === JSON.stringify(this.roster)) return;
    this.roster = roster;
    this.#io.local.emit("roster", roster);
  }
}

function membersAmong(sockets) {
  const members = sockets
    .filter((socket) => socket.data.name)
    .map((socket) => ({ id: socket.id, name: socket.data.name, instance: socket.data.instance, rooms: roomsOf(socket.rooms).sort() }));
  return inOrder(members).slice(0, MEMBERS_MAX);
}

/** By name, then by id: the same people give the same roster, whichever instance answered first. */
function inOrder(named) {
  return named.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }) || String(a.id).localeCompare(String(b.id)));
}
