// @socket.io/redis-adapter with its servers on different nodes of a cluster: the features of the single broker again, and then
// outages under traffic, for all combinations at once: a follower is killed, the leader is killed, all nodes are restarted one
// after the other as a rolling update does it.
//
//   COMPAT_ONLY='redis6 classic'   runs the combinations whose name contains all of these words, of all client libraries
//
// A broker that is not Carillon is left out: there is nothing to compare.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { acknowledgements } from './features/acknowledgements.mjs';
import { delivery } from './features/delivery.mjs';
import { membership } from './features/membership.mjs';
import { servers } from './features/servers.mjs';
import { adapters } from './lib/adapters.mjs';
import { brokerName } from './lib/broker.mjs';
import { clients, installedVersion } from './lib/clients.mjs';
import { Cluster } from './lib/cluster.mjs';
import { Requests } from './lib/requests.mjs';
import { Row } from './lib/results.mjs';
import { Service } from './lib/service.mjs';
import { ThreeServers } from './lib/three-servers.mjs';
import { Traffic } from './lib/traffic.mjs';
import { TwoServers } from './lib/two-servers.mjs';
import { eventually } from './lib/wait.mjs';

const features = { ...servers, ...delivery, ...acknowledgements, ...membership };
const wanted = (process.env.COMPAT_ONLY ?? '').split(' ').filter(Boolean);
/** Both families, old and new, in both protocols; the others differ from one of these in nothing that a cluster could change. */
const CHOSEN = ['ioredis6', 'ioredis6-resp2', 'redis4', 'redis6'];

/** From the kill on: a dead node is voted out, and every library has connected again long before. */
const PATIENCE = { timeoutMs: 15_000 };
/** Each server asks for both at least twice after the view has changed. */
const REQUESTS_SINCE_VIEW = 12;

const combinations = clients
  .filter(({ id }) => wanted.length > 0 || CHOSEN.includes(id))
  .flatMap((client) => Object.keys(adapters).map((mode) => ({ client, mode, name: `${client.id}, ${mode}` })))
  .filter(({ name }) => wanted.every((word) => name.replace(',', ' ').split(' ').includes(word)));

for (const combination of combinations) {
  const { client, mode } = combination;
  const [adapter, subscriptionMode = ''] = mode.split(' ');
  combination.row = new Row({
    package: client.package,
    version: installedVersion(client.module),
    adapter: `@socket.io/redis-adapter ${installedVersion('@socket.io/redis-adapter')} ${adapter}`,
    mode: subscriptionMode,
    protocol: `RESP${client.protocol}`,
    nodes: 3,
  });
  /** ioredis sends again what was not answered when a connection broke; node-redis rejects it. */
  combination.sendsAgain = client.package === 'ioredis';
  /** The classic adapter does not catch that of a PUBLISH, and Node ends the process, with any broker: see "Known" in README.md. */
  combination.mayPublishInOutage = combination.sendsAgain || mode !== 'classic';
}

describe('three nodes', { skip: brokerName === 'redis' && 'redis-server has no such cluster' }, () => {
  let cluster;
  /** Where server A connects, where B, and where C: each prefers another node. */
  let services = [];
  const broker = {
    command: (...words) => cluster.command(...words),
    portOf: (index) => services[index].port,
  };

  before(async () => {
    cluster = await Cluster.start();
    const { nodes } = cluster;
    services = await Promise.all(nodes.map((_, index) => Service.start([...nodes.slice(index), ...nodes.slice(0, index)])));
  });
  after(async () => {
    for (const { row } of combinations) row.write();
    await Promise.all(combinations.map(({ stage }) => stage?.stop()));
    for (const service of services) service.stop();
    await cluster?.stop();
  });

  for (const { client, mode, name, row } of combinations) {
    const counted = (title, body) => test(title, row.counts(title, body));
    describe(`${name}: features`, () => {
      let stage;
      after(() => stage?.stop());

      counted('two servers on two nodes find each other', async () => {
        stage = await TwoServers.start(broker, client, mode);
      });
      for (const [feature, run] of Object.entries(features)) counted(feature, () => run(stage));
      counted('no server process was harmed', () => stage.assertUnharmed());
    });
  }

  describe('three servers on three nodes', () => {
    for (const combination of combinations) {
      const start = async () => {
        combination.stage = await ThreeServers.start(broker, combination.client, combination.mode);
        await combination.stage.everythingWorks();
      };
      test(combination.name, combination.row.counts('three servers on three nodes', start));
    }
  });

  outage('a follower is killed', async (attempt) => {
    const leader = await cluster.leader();
    return isKilled(cluster.nodes.find((node) => node !== leader), attempt);
  });
  outage('the leader is killed', async (attempt) => isKilled(await cluster.leader(), attempt));
  outage('all nodes are restarted, one after the other', async (attempt) => {
    const told = [];
    const left = new Set(cluster.nodes);
    while (left.size > 0) {
      // One that a server is on, if there is one: the kills have left a node without any.
      const node = [...left].find((candidate) => services.some((service) => service.uses(candidate))) ?? [...left][0];
      left.delete(node);
      told.push(await isRestarted(node, attempt));
    }
    return told.join('\n  ');
  });

  /**
   * `happen` is something that all combinations live through at once. It does `attempt(step)` with what each has to do, and returns
   * what there is to tell. Afterwards one test for each combination tells how it went.
   */
  function outage(title, happen) {
    describe(title, () => {
      const failures = new Map();
      const attempt = async (step) => {
        await Promise.all(
          combinations.map(async (combination) => {
            if (failures.has(combination)) return;
            await step(combination).catch((error) => {
              failures.set(combination, error);
              combination.requests?.stop();
            });
          }),
        );
      };
      let went = false;
      before(async () => {
        console.log(`${title}:\n  ${await happen(attempt)}`);
        went = true;
      });
      for (const combination of combinations) {
        const judge = async () => {
          assert.ok(went, `it did not come to that: ${title}`);
          if (failures.has(combination)) throw failures.get(combination);
        };
        test(combination.name, combination.row.counts(title, judge));
      }
    });
  }

  async function isKilled(node, attempt) {
    const isTouched = whoIsOn(node);
    await attempt((combination) => begin(combination, isTouched));
    const killed = performance.now();
    await node.kill();
    const viewChange = cluster.votedOut(node).then(() => performance.now());
    await attempt(async (combination) => {
      beginRequests(combination);
      await end(combination, await viewChange);
    });
    node.start();
    await cluster.complete();
    return `${node.name} was voted out after ${Math.round((await viewChange) - killed)} ms; ${whatBecameOfRequests()}`;
  }

  async function isRestarted(node, attempt) {
    const isTouched = whoIsOn(node);
    await attempt((combination) => begin(combination, isTouched));
    await attempt(async (combination) => void (combination.sendsAgain && beginRequests(combination)));
    const begun = performance.now();
    await node.terminate();
    const ended = performance.now();
    await attempt(async (combination) => void (combination.sendsAgain || beginRequests(combination)));
    node.start();
    await cluster.complete();
    const complete = performance.now();
    await attempt((combination) => end(combination, complete));
    return `${node.name} ended in ${Math.round(ended - begun)} ms and was back after ${Math.round(complete - ended)} ms more; ${whatBecameOfRequests()}`;
  }

  /** Which of the servers A, B and C are connected to the node. */
  function whoIsOn(node) {
    const isTouched = services.map((service) => service.uses(node));
    assert.ok(isTouched.includes(true) && isTouched.includes(false), `some servers are on ${node.name} and some are not`);
    return isTouched;
  }
});

/** Traffic from every server that may have some. */
async function begin(combination, isTouched) {
  const { stage, mayPublishInOutage } = combination;
  const touched = stage.servers.filter((_, index) => isTouched[index]);
  const untouched = stage.servers.filter((_, index) => !isTouched[index]);
  const traffic = await Traffic.start(stage, mayPublishInOutage ? stage.servers : untouched);
  const errors = await Promise.all(untouched.map((server) => server.ask('connectionErrors')));
  Object.assign(combination, { traffic, touched, untouched, errors, requests: undefined });
}

/**
 * A server whose connection breaks asks only if its library sends again: when node-redis rejects the count behind a serverSideEmit
 * with acknowledgement, the sharded adapter does not catch that either.
 */
function beginRequests(combination) {
  const { stage, untouched, sendsAgain } = combination;
  combination.requests = Requests.begin(stage, sendsAgain ? stage.servers : untouched);
}

/**
 * Waits until everything works again, and looks at what became of the traffic, and of the requests: since the view `changed` none
 * may have failed, except those of a server that is still about to connect again.
 */
async function end({ stage, sendsAgain, traffic, touched, untouched, errors, requests }, changed) {
  await stage.allServersCounted(PATIENCE);
  const connected = performance.now();
  requests.alsoFrom(touched);
  await eventually('a fetchSockets finds the clients of all servers', () => requests.firstWholeMs !== undefined, PATIENCE);
  await eventually('enough was asked', () => requests.since(Math.max(connected, changed)) >= REQUESTS_SINCE_VIEW, PATIENCE);
  await requests.stop();
  stage.assertUnharmed();
  requests.assertNoneFailedSince(changed, untouched);
  requests.assertNoneFailedSince(Math.max(connected, changed), touched);
  await stage.everythingWorks();
  await traffic.stop();
  traffic.assertComplete(untouched);
  for (const sender of touched) traffic.assertArrived(sender, untouched, { sendsAgain });
  const errorsNow = await Promise.all(untouched.map((server) => server.ask('connectionErrors')));
  assert.deepEqual(errorsNow, errors, 'the servers on the other nodes noticed nothing');
  stage.assertSocketsStayed();
  stage.assertUnharmed();
}

function whatBecameOfRequests() {
  const all = combinations.map(({ requests }) => requests).filter(Boolean);
  const wholes = all.map(({ firstWholeMs }) => firstWholeMs).filter((ms) => ms !== undefined);
  const failed = all.flatMap(({ failuresMs }) => failuresMs);
  return (
    `the first fetchSockets that found every client was answered after ${Math.min(...wholes)} to ${Math.max(...wholes)} ms; ` +
    (failed.length === 0 ? 'no request failed' : `${failed.length} requests failed, the last one asked after ${Math.max(...failed)} ms`)
  );
}
