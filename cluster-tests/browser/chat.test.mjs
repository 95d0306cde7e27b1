// Two people on two instances: what one says in a room the other hears there, and nowhere else.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setStage } from './lib/stage.mjs';
import { Visitor } from './lib/visitor.mjs';

test('two pages on two instances talk in a room and not across rooms', async (t) => {
  const { demo, browser } = await setStage(t);
  const [first, second] = demo.instances;
  const ana = await Visitor.enter(browser, first, { name: 'Ana' });
  const ben = await Visitor.enter(browser, second, { name: 'Ben' });
  await ana.sees('Ben', second);
  await ben.sees('Ana', first);

  // Both directions.
  await ana.say('Hello from the first instance');
  await ben.hears('Hello from the first instance');
  await ben.say('And hello from the second');
  await ana.hears('And hello from the second');

  // What Ben says elsewhere comes before what he says here; once Ana has heard the latter, the former has not reached her.
  await ben.joinOrCreate('tea-break');
  await ben.say('Only for the tea break');
  await ben.hears('Only for the tea break');
  await ben.goTo('lobby');
  await ben.say('Back in the lobby');
  await ana.hears('Back in the lobby');
  assert.ok(ana.wasSent('Back in the lobby'), 'the next line would prove nothing: look at how lib/visitor.mjs listens to the WebSocket');
  assert.ok(!ana.wasSent('Only for the tea break'), 'a message was sent to a page that is not in its room');

  // A member of both rooms hears of the other one by a count, and finds the message there.
  await ana.joinOrCreate('tea-break');
  await ana.goTo('lobby');
  await ben.goTo('tea-break');
  await ben.say('The kettle is on');
  await ana.page.getByRole('button', { name: 'tea-break, 1 unread, 2 people' }).click();
  await ana.hears('The kettle is on');

  for (const visitor of [ana, ben]) visitor.assertConsoleClean();
  assert.deepEqual(demo.unexpectedEnds, []);
});

test('HTML in a name and in a message stays text', async (t) => {
  const { demo, browser } = await setStage(t);
  const [first, second] = demo.instances;
  const name = '<b>Eve</b>';
  const message = '<img src=x onerror="document.title=1"><script>alert(1)</script> &amp; done';
  const eve = await Visitor.enter(browser, first, { name });
  const ben = await Visitor.enter(browser, second, { name: 'Ben' });

  await ben.sees(name, first);
  await eve.say(message);
  await ben.hears(message);

  const markup = await ben.page.locator('.messages img, .messages script, .messages b, .people-list b').count();
  assert.equal(markup, 0, 'text of a user became elements of the page; write it through textContent only');
  for (const visitor of [eve, ben]) visitor.assertConsoleClean();
});

test('the keyboard alone is enough', async (t) => {
  const { demo, browser } = await setStage(t);
  const [first, second] = demo.instances;
  const ben = await Visitor.enter(browser, second, { name: 'Ben' });
  const ana = await Visitor.open(browser, first);
  await ana.connected();

  // The name has the focus from the start; the room is filled in.
  await ana.page.keyboard.type('Ana');
  await ana.page.keyboard.press('Enter');
  await ana.isIn('lobby');

  // After entering, the focus is where one talks.
  await ana.page.waitForFunction(() => document.activeElement.id === 'say-text');
  await ana.page.keyboard.type('No mouse needed');
  await ana.page.keyboard.press('Enter');
  await ben.hears('No mouse needed');

  // The focus survives an update of the list it is in.
  await ana.page.getByRole('button', { name: /^lobby, / }).focus();
  await ben.joinOrCreate('attic');
  await ana.page.getByRole('button', { name: 'Join attic, 1 person' }).waitFor();
  assert.match(await ana.page.evaluate(() => document.activeElement.getAttribute('aria-label')), /^lobby, /);
  for (const visitor of [ana, ben]) visitor.assertConsoleClean();
});
