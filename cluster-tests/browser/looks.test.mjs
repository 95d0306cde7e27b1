// How it looks: pictures of one lively scene for people to look at, and what a machine can check about them.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { setStage } from './lib/stage.mjs';
import { Visitor } from './lib/visitor.mjs';

const ARTIFACTS = fileURLToPath(new URL('./artifacts/', import.meta.url));
const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };
const SMALLEST_PHONE = { width: 320, height: 640 };

test('screenshots at desktop and phone width, light and dark', async (t) => {
  mkdirSync(ARTIFACTS, { recursive: true });
  const { broker, demo, browser } = await setStage(t, { instances: 3 });
  const [first, second, third] = demo.instances;

  const entrance = await Visitor.open(browser, first);
  await entrance.connected();
  await picture(entrance, 'entrance-desktop-light');
  await entrance.page.setViewportSize(PHONE);
  await picture(entrance, 'entrance-phone-light');
  await entrance.leave();

  // Four people on three instances, two rooms, a short and a long message.
  const phone = { viewport: PHONE, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
  const ana = await Visitor.enter(browser, first, { name: 'Ana Silva', viewport: DESKTOP });
  const ben = await Visitor.enter(browser, second, { name: 'Ben', ...phone });
  const cleo = await Visitor.enter(browser, third, { name: 'Cleopatra Montgomery-Ho', viewport: DESKTOP });
  const dev = await Visitor.enter(browser, second, { name: 'Dev', room: 'release-day', viewport: DESKTOP });
  await everybodyHears([ana, ben, cleo], ana, 'Good morning! Which instance did you land on?');
  await everybodyHears([ana, ben, cleo], ben, 'chat-2, on the train.');
  await everybodyHears([ana, ben, cleo], ben, 'The signal comes and goes, but it always finds its way back.');
  await everybodyHears([ana, ben, cleo], cleo, 'chat-3 here. I stopped chat-1 during the deploy an hour ago and nobody in this room noticed, which I take as a compliment. https://example.org/a/very/long/address/that/does/not/break/anywhere/by/itself/and/still/has/to/fit');
  await everybodyHears([ana, ben, cleo], ana, 'So that was you.');
  await ben.page.getByRole('button', { name: 'Rooms' }).click();
  await ben.joinOrCreate('release-day');
  await ben.page.getByRole('button', { name: 'Rooms' }).click();
  await ben.goTo('lobby');
  await dev.say('The release is out');
  await ben.page.getByRole('button', { name: /^Rooms\s*1$/ }).waitFor();
  await ana.sees('Dev', second, 'In other rooms');

  for (const scheme of ['light', 'dark']) {
    await ana.page.emulateMedia({ colorScheme: scheme });
    await picture(ana, `chat-desktop-${scheme}`);
    await ben.page.emulateMedia({ colorScheme: scheme });
    for (const tab of ['Rooms', 'People', 'Chat']) {
      await ben.page.getByRole('button', { name: new RegExp(`^${tab}`) }).click();
      await picture(ben, `${tab.toLowerCase()}-phone-${scheme}`);
    }
  }

  // The smallest phones, and a tablet between the two layouts, must not scroll sideways either.
  for (const size of [SMALLEST_PHONE, { width: 768, height: 1024 }]) {
    await ben.page.setViewportSize(size);
    await picture(ben, `chat-${size.width}-dark`);
  }
  await ben.page.setViewportSize(PHONE);

  await broker.kill();
  for (const visitor of [ana, ben]) await visitor.connected('Broker away');
  await ana.page.emulateMedia({ colorScheme: 'light' });
  await picture(ana, 'broker-away-desktop-light');
  await picture(ben, 'broker-away-phone-dark');
});

async function everybodyHears(visitors, speaker, text) {
  await speaker.say(text);
  for (const visitor of visitors) await visitor.hears(text);
}

async function picture(visitor, name) {
  await visitor.page.evaluate(() => document.fonts.ready);
  await visitor.page.screenshot({ path: `${ARTIFACTS}${name}.png` });
  const { content, window } = await visitor.page.evaluate(() => ({
    content: document.documentElement.scrollWidth,
    window: document.documentElement.clientWidth,
  }));
  assert.ok(content <= window, `${name} scrolls sideways (${content} px in ${window} px); look at artifacts/${name}.png`);
}
