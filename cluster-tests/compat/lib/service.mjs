// One address for a cluster, as a Kubernetes Service is: each new connection goes to a node that is ready, and stays with it until
// one side ends it. A connection of a node that died is not moved: its client has to connect again.

import { once } from 'node:events';
import net from 'node:net';

export class Service {
  port;
  #server;
  /** The node of each open connection. */
  #nodes = new Map();

  /** `nodes` in the order in which they are preferred: a Service spreads clients, a test wants to know where its are. */
  static async start(nodes) {
    const service = new Service();
    service.#server = net.createServer((client) => service.#connect(client, nodes)).listen(0, '127.0.0.1');
    await once(service.#server, 'listening');
    service.port = service.#server.address().port;
    return service;
  }

  /** Is a client of this address connected to the node? */
  uses(node) {
    return [...this.#nodes.values()].includes(node);
  }

  stop() {
    this.#server.close();
    for (const client of this.#nodes.keys()) client.destroy();
  }

  async #connect(client, nodes) {
    client.setNoDelay().on('error', () => {});
    const node = await firstReady(nodes);
    if (!node || client.destroyed) return client.destroy();
    const upstream = net.connect(node.clientPort, '127.0.0.1').setNoDelay();
    this.#nodes.set(client, node);
    client.once('close', () => this.#nodes.delete(client));
    // What was sent before the end arrives before the end, in both directions. A reset becomes an end: Node 20 may hang at its own
    // end after `resetAndDestroy`.
    client.pipe(upstream).pipe(client);
    upstream.once('error', () => client.destroy());
    client.once('close', () => upstream.destroy());
  }
}

async function firstReady(nodes) {
  for (const node of nodes) if (await node.isReady()) return node;
  return undefined;
}
