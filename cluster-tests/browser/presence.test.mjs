// Who is where: everybody sees everybody with their instance, and nobody stays on the list who is gone.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setStage } from './lib/stage.mjs';
import { Visitor } from './lib/visitor.mjs';
import { eventually } from './lib/wait.mjs';

test('presence shows everybody with their instance, and a closed page vanishes', async (t) => {
  const { demo, browser } = await setStage(t);
  const [first, second] = demo.instances;
  const ana = await Visitor.enter(browser, first, { name: 'Ana' });
  const ben = await Visitor.enter(browser, second, { name: 'Ben' });

  for (const visitor of [ana, ben]) {
    await visitor.sees('Ana', first);
    await visitor.sees('Ben', second);
    await visitor.page.getByText('2 people on 2 instances').waitFor();
    await visitor.page.locator('#server-count', { hasText: /^2 instances$/ }).waitFor();
  }
  assert.equal(await ana.page.locator('#served-by').textContent(), first.name);
  assert.equal(await ben.page.locator('#served-by').textContent(), second.name);

  // In another room one is seen elsewhere, with that room.
  await ben.page.getByRole('button', { name: 'Leave room' }).click();
  await ben.joinOrCreate('attic');
  await ana.seesNoMore('Ben');
  await ana.sees('Ben', second, 'In other rooms');
  await ben.goTo('lobby');
  await ana.sees('Ben', second);

  await ben.leave();
  await ana.seesNoMore('Ben');
  await ana.page.getByText('1 person on 1 instance').waitFor();
  ana.assertConsoleClean();
  assert.deepEqual(demo.unexpectedEnds, []);
});

test('when an instance dies its people vanish, and the others go on', async (t) => {
  const { demo, browser } = await setStage(t, { instances: 3 });
  const [first, second, third] = demo.instances;
  const ana = await Visitor.enter(browser, first, { name: 'Ana' });
  const ben = await Visitor.enter(browser, second, { name: 'Ben' });
  const cleo = await Visitor.enter(browser, third, { name: 'Cleo' });
  await ana.sees('Cleo', third);

  process.kill(third.pid, 'SIGKILL');
  await ana.seesNoMore('Cleo');
  await ben.seesNoMore('Cleo');
  await ana.page.locator('#server-count', { hasText: /^2 instances$/ }).waitFor();
  await cleo.connected('Reconnecting…');
  await ana.say('Two of us are left');
  await ben.hears('Two of us are left');

  // The command that started them says which one is missing.
  await eventually(`a report about ${third.name}`, () => demo.unexpectedEnds.length > 0, () => demo.output);
  assert.equal(demo.unexpectedEnds.length, 1);
  assert.match(demo.unexpectedEnds[0], new RegExp(`^${third.name} .*SIGKILL`));
  for (const visitor of [ana, ben]) visitor.assertConsoleClean();
  cleo.assertConsoleClean({ away: true });
});
