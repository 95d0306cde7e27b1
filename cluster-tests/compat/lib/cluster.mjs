// Three nodes that are one broker: processes of our own, with the times that a user gets who sets nothing.

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Node } from './node.mjs';
import { takePorts } from './ports.mjs';
import { RespConnection } from './resp.mjs';
import { eventually } from './wait.mjs';

const SIZE = 3;
const PORTS_OF_A_NODE = 3;
/** A dead node is voted out after 3.5 s, and later where an election had to come first. */
const VIEW_TIMEOUT_MS = 15_000;

export class Cluster {
  nodes;
  #folder = mkdtempSync(join(tmpdir(), 'carillon-cluster-'));
  #release;

  static async start() {
    const cluster = new Cluster();
    const { ports, release } = await takePorts(SIZE * PORTS_OF_A_NODE);
    cluster.#release = release;
    const secret = join(cluster.#folder, 'secret');
    writeFileSync(secret, randomBytes(32).toString('hex'), { mode: 0o600 });
    const peerAddrs = ports.splice(0, SIZE).map((port) => `127.0.0.1:${port}`);
    cluster.nodes = peerAddrs.map((peerAddr, index) => {
      const name = `n${index + 1}`;
      const args = [
        ...['--peer-addr', peerAddr],
        ...['--peers', peerAddrs.join(',')],
        ...['--cluster-secret-file', secret],
        ...['--data-dir', join(cluster.#folder, name)],
      ];
      return new Node({ name, clientPort: ports.shift(), adminPort: ports.shift(), args });
    });
    for (const node of cluster.nodes) node.start();
    await cluster.complete().catch(async (error) => {
      await cluster.stop();
      throw error;
    });
    return cluster;
  }

  /** Waits until every node is ready and has every other one in its view. */
  async complete() {
    await Promise.all(this.nodes.map((node) => node.ready()));
    await this.#everyView('all nodes', this.nodes, this.nodes);
  }

  /** Waits until the nodes that live have voted out this one. */
  async votedOut(gone) {
    const rest = this.nodes.filter((node) => node !== gone);
    await this.#everyView(`all nodes but ${gone.name}`, rest, rest);
  }

  async #everyView(what, askedNodes, expected) {
    const names = expected.map((node) => node.name).join();
    const seen = {};
    await eventually(
      `every view holds ${what}`,
      async () => {
        for (const node of askedNodes) {
          const { members } = await node.status().catch(() => ({ members: [] }));
          seen[node.name] = members.filter((member) => member.in_view).map((member) => member.name).sort().join();
        }
        return askedNodes.every((node) => seen[node.name] === names);
      },
      { timeoutMs: VIEW_TIMEOUT_MS, describe: () => `(it is ${JSON.stringify(seen)})` },
    );
  }

  /** The node that leads, as one that serves knows it. */
  async leader() {
    return eventually('the cluster has a leader', async () => {
      for (const node of this.nodes) {
        const { members = [], leader } = await node.status().catch(() => ({}));
        const name = members.find((member) => member.id === leader)?.name;
        if (name) return this.nodes.find((candidate) => candidate.name === name);
      }
      return undefined;
    });
  }

  /** One command to any node that is ready: what the tests ask is the same on all of them. */
  async command(...words) {
    for (const node of this.nodes) {
      if (!(await node.isReady())) continue;
      const connection = await RespConnection.open(node.clientPort);
      try {
        return await connection.command(...words);
      } finally {
        connection.close();
      }
    }
    throw new Error('no node is ready');
  }

  async stop() {
    await Promise.all(this.nodes.filter((node) => node.isRunning).map((node) => node.kill()));
    this.#release();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
