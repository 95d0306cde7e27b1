// The broker dies and returns. Nothing else may die with it, and nobody has to reload.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setStage } from './lib/stage.mjs';
import { Visitor } from './lib/visitor.mjs';

test('the broker is killed and restarted: pages talk again and no instance has ended', async (t) => {
  const { broker, demo, browser } = await setStage(t);
  const [first, second] = demo.instances;
  const ana = await Visitor.enter(browser, first, { name: 'Ana' });
  const ben = await Visitor.enter(browser, second, { name: 'Ben' });
  await ana.sees('Ben', second);
  await ana.say('Before');
  await ben.hears('Before');

  // Phase 1: the broker is gone. The pages say so, show only whom they can reach, and refuse rather than lose.
  await broker.kill();
  for (const visitor of [ana, ben]) await visitor.connected('Broker away');
  await ana.page.getByText('chat-1 cannot reach the broker').waitFor();
  await ana.seesNoMore('Ben');
  await ana.say('Into the void');
  await ana.page.getByText('Not sent: the broker is away').waitFor();
  assert.equal(await ana.field.inputValue(), 'Into the void', 'a message that was not sent must stay in the field');

  // Phase 2: it returns on the same address. Everything heals by itself.
  await broker.launch();
  for (const visitor of [ana, ben]) await visitor.connected();
  await ana.sees('Ben', second);
  await ben.sees('Ana', first);
  await ana.field.press('Enter');
  await ben.hears('Into the void');
  await ben.say('Loud and clear');
  await ana.hears('Loud and clear');

  assert.deepEqual(demo.unexpectedEnds, [], `an instance ended with the broker:\n${demo.output}`);
  assert.ok((await ana.messages()).includes('Before'), 'the page lost what was said before the outage');
  for (const visitor of [ana, ben]) visitor.assertConsoleClean({ away: true });
});
