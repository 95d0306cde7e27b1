// What every test needs: a broker, the demo on it, and a browser; taken down in the reverse order, also when setting up failed.

import { Broker } from './broker.mjs';
import { launchBrowser } from './browser.mjs';
import { Demo } from './demo.mjs';

export async function setStage(test, { instances = 2 } = {}) {
  const down = [];
  test.after(async () => {
    for (const step of down.reverse()) await step();
  });
  const broker = await Broker.start();
  down.push(() => broker.stop());
  const demo = await Demo.start(broker, { instances });
  down.push(() => demo.stop());
  const browser = await launchBrowser();
  down.push(() => browser.close());
  return { broker, demo, browser };
}
