// Two pages on two instances on two of three broker nodes. A node is killed, and later all are restarted one after the other:
// a page sees at most that its instance connects again, and nobody has to reload.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { brokerName } from '../compat/lib/broker.mjs';
import { setClusterStage } from './lib/cluster-stage.mjs';
import { Visitor } from './lib/visitor.mjs';

const ARTIFACTS = fileURLToPath(new URL('./artifacts/', import.meta.url));
const skip = brokerName === 'redis' && 'redis-server has no such cluster';

for (const victim of ['follower', 'leader']) {
  test(`the ${victim} is killed under two talking pages`, { skip }, async (t) => {
    const { cluster, services, instances, browser } = await setClusterStage(t);
    const [first, second] = instances;
    const ana = await Visitor.enter(browser, first, { name: 'Ana' });
    const ben = await Visitor.enter(browser, second, { name: 'Ben' });
    await ana.sees('Ben', second);
    await ana.say('Before');
    await ben.hears('Before');

    const leader = await cluster.leader();
    const isUsed = (node) => services.some((service) => service.uses(node));
    // A leader that no instance uses is killed as well: then nobody may notice anything.
    const node = victim === 'leader' ? leader : cluster.nodes.find((candidate) => candidate !== leader && isUsed(candidate));
    const touched = instances.filter((_, index) => services[index].uses(node));
    const untouched = instances.filter((instance) => !touched.includes(instance));
    assert.ok(untouched.length > 0, 'the instances are on different nodes');
    const written = untouched.map(({ output }) => output);
    for (const visitor of [ana, ben]) await visitor.followLink();

    const killed = performance.now();
    await node.kill();
    for (const instance of touched) await instance.hasReconnected();
    console.log(`${victim}: ${touched.length} of 2 instances connected again, within ${Math.round(performance.now() - killed)} ms`);
    for (const visitor of [ana, ben]) await visitor.connected();
    await ana.say('One node less');
    await ben.hears('One node less');
    await ben.say('And nobody had to reload');
    await ana.hears('And nobody had to reload');

    await cluster.votedOut(node);
    await ana.say('Voted out');
    await ben.hears('Voted out');
    for (const visitor of [ana, ben]) {
      await visitor.sees('Ana', first);
      await visitor.sees('Ben', second);
      await visitor.page.locator('#server-count', { hasText: /^2 instances$/ }).waitFor();
    }
    mkdirSync(ARTIFACTS, { recursive: true });
    await ben.page.screenshot({ path: `${ARTIFACTS}cluster-without-its-${victim}.png` });

    const isTouched = (visitor) => touched.includes(visitor === ana ? first : second);
    for (const visitor of [ana, ben]) {
      const mayShow = isTouched(visitor) ? ['Connected', 'Broker away'] : ['Connected'];
      const shown = await visitor.linkStates();
      assert.deepEqual(shown.filter((state) => !mayShow.includes(state)), [], `what the bar of ${visitor.name} showed`);
      assert.deepEqual(await visitor.messages(), ['Before', 'One node less', 'And nobody had to reload', 'Voted out']);
      visitor.assertConsoleClean();
    }
    assert.deepEqual(untouched.map(({ output }) => output), written, 'an instance on another node noticed');
    for (const instance of instances) instance.assertRuns();
  });
}

test('all nodes are restarted one after the other while two pages talk', { skip }, async (t) => {
  const { cluster, services, instances, browser } = await setClusterStage(t);
  const [first, second] = instances;
  const ana = await Visitor.enter(browser, first, { name: 'Ana' });
  const ben = await Visitor.enter(browser, second, { name: 'Ben' });
  await ana.sees('Ben', second);
  const said = [];
  for (const node of cluster.nodes) {
    const touched = instances.filter((_, index) => services[index].uses(node));
    await node.terminate();
    for (const instance of touched) await instance.hasReconnected();
    node.start();
    await cluster.complete();
    for (const visitor of [ana, ben]) {
      await visitor.connected();
      said.push(`${visitor.name}, after ${node.name}`);
      await visitor.say(said.at(-1));
      for (const each of [ana, ben]) await each.hears(said.at(-1));
    }
  }
  for (const instance of instances) instance.assertRuns();
  for (const visitor of [ana, ben]) {
    assert.deepEqual(await visitor.messages(), said);
    visitor.assertConsoleClean();
  }
});
