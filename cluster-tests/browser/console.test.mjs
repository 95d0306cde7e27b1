// The console in a real browser: what it shows is what the nodes tell, of a whole cluster, and of one with a dead node; on a
// screen, on a phone, light and dark; and nothing is in the browser's own console.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { brokerName } from '../compat/lib/broker.mjs';
import { Cluster } from '../compat/lib/cluster.mjs';
import { Node } from '../compat/lib/node.mjs';
import { takePorts } from '../compat/lib/ports.mjs';
import { RespConnection } from '../compat/lib/resp.mjs';
import { launchBrowser } from './lib/browser.mjs';
import { eventually } from './lib/wait.mjs';

const ARTIFACTS = fileURLToPath(new URL('./artifacts/', import.meta.url));
const PHONE = { width: 390, height: 844 };
const skip = brokerName === 'redis' && 'redis-server has no console';
mkdirSync(ARTIFACTS, { recursive: true });

/** A page with the console, and what the browser complains of meanwhile. */
async function openConsole(browser, adminPort, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    const isOwn = request.url().startsWith(`http://127.0.0.1:${adminPort}/`) || request.url().startsWith('data:');
    if (!isOwn) complaints.push(`asks elsewhere: ${request.url()}`);
  });
  await page.goto(`http://127.0.0.1:${adminPort}/`);
  return { page, complaints };
}

const cells = (page, selector) => page.locator(`${selector} td`).allTextContents();

test('the console of any node shows the whole cluster, and who has died', { skip }, async (t) => {
  const cluster = await Cluster.start();
  t.after(() => cluster.stop());
  const browser = await launchBrowser();
  t.after(() => browser.close());
  const subscribers = [];
  for (const node of cluster.nodes) {
    const subscriber = await RespConnection.open(node.clientPort);
    t.after(() => subscriber.close());
    await subscriber.command('CLIENT', 'SETNAME', `<b>at-${node.name}</b>`);
    await subscriber.command('SUBSCRIBE', 'chimes');
    subscribers.push(subscriber);
    // More subscribers than the other, and no messages.
    for (let count = 0; count < 2; count += 1) {
      const idle = await RespConnection.open(node.clientPort);
      t.after(() => idle.close());
      await idle.command('SUBSCRIBE', 'bells');
    }
  }
  const [first] = cluster.nodes;
  const publisher = await RespConnection.open(first.clientPort);
  t.after(() => publisher.close());
  const work = setInterval(() => publisher.command('PUBLISH', 'chimes', 'ding').catch(() => {}), 20);
  t.after(() => clearInterval(work));

  const { page, complaints } = await openConsole(browser, cluster.nodes[1].adminPort);
  await page.locator('#summary', { hasText: '3 of 3 nodes in the view' }).waitFor();
  await page.locator('#names tr', { hasText: 'chimes' }).waitFor();
  const status = await cluster.nodes[1].status();
  for (const node of cluster.nodes) {
    const own = await node.status();
    const row = await cells(page, `#nodes tr[data-node="${node.name}"]`);
    assert.deepEqual(row.slice(0, 4), [node.name, 'in the view', own.role, String(own.clients)], JSON.stringify(status));
  }
  await eventually('the rates are those of the work', async () => {
    const row = await cells(page, `#nodes tr[data-node="${first.name}"]`);
    return Number(row[4]) > 10 && Number(row[5]) > 10;
  });
  // Messages of the channel, whichever node it is heard on, once; and by subscribers, when asked to.
  const chimes = page.locator('#names tr', { hasText: 'chimes' });
  await eventually('messages of a channel are those of the work', async () => {
    const [, , messages, subscribers] = await chimes.locator('td').allTextContents();
    return Number(messages) > 10 && Number(messages) < 100 && subscribers === '3';
  });
  assert.equal((await cells(page, '#names tr'))[0], 'chimes', 'the busiest comes first');
  await page.getByRole('button', { name: 'Subscribers' }).click();
  assert.equal((await cells(page, '#names tr'))[0], 'bells', 'the one with most subscribers does');
  await page.getByRole('button', { name: 'Messages/s' }).click();
  assert.equal(await page.locator('#picture line.link:not(.bad)').count(), 3, 'links');
  assert.equal(await page.locator('#picture text.small', { hasText: 'ms' }).count(), 3, 'round trips');
  await page.locator('#events li', { hasText: 'leads, term' }).first().waitFor();
  // What a client calls itself is text, whatever it is.
  await page.locator('#clients td', { hasText: `<b>at-${first.name}</b>` }).waitFor();
  assert.equal(await page.locator('#clients b').count(), 0);
  await page.screenshot({ path: `${ARTIFACTS}console-healthy.png`, fullPage: true });
  const dark = await openConsole(browser, first.adminPort, { colorScheme: 'dark', viewport: PHONE, deviceScaleFactor: 2 });
  await dark.page.locator('#summary', { hasText: '3 of 3' }).waitFor();
  await dark.page.locator('#chart path[d*="L"]').waitFor({ state: 'attached' });
  const overflow = await dark.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(overflow, 0, 'nothing is wider than a phone');
  for (const table of ['nodes', 'names']) {
    const hidden = await dark.page.locator(`#${table}`).evaluate((shown) => shown.scrollWidth - shown.parentElement.clientWidth);
    assert.ok(hidden <= 0, `${hidden} pixels of the table of ${table} are out of sight`);
  }
  await dark.page.screenshot({ path: `${ARTIFACTS}console-phone-dark.png`, fullPage: true });

  const victim = cluster.nodes[2];
  subscribers[2].close();
  await victim.kill();
  await cluster.votedOut(victim);
  await page.locator('#summary.bad', { hasText: '2 of 3 nodes in the view' }).waitFor();
  assert.equal((await cells(page, `#nodes tr[data-node="${victim.name}"]`))[1], 'does not answer');
  assert.equal(await page.locator('#picture line.bad').count(), 2);
  await page.locator('#events li', { hasText: `−${victim.name}` }).first().waitFor();
  await page.locator('#events li', { hasText: `the link to ${victim.name} was lost` }).first().waitFor();
  await page.screenshot({ path: `${ARTIFACTS}console-dead-node.png`, fullPage: true });
  assert.deepEqual([...complaints, ...dark.complaints], []);
});

test('a console asks for the token where operators have to show one, and shows why clients were closed', { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'carillon-console-'));
  const { ports, release } = await takePorts(2);
  const token = join(folder, 'token');
  writeFileSync(token, 'let-me-see\n');
  const args = ['--data-dir', join(folder, 'data'), '--admin-token-file', token];
  const node = new Node({ name: 'alone', clientPort: ports[0], adminPort: ports[1], args });
  node.start();
  t.after(async () => {
    await node.kill();
    release();
    rmSync(folder, { recursive: true, force: true });
  });
  await node.ready();
  const browser = await launchBrowser();
  t.after(() => browser.close());
  const stranger = await fetch(`http://127.0.0.1:${ports[1]}/console/stream`);
  assert.equal(stranger.status, 401);
  const { page, complaints } = await openConsole(browser, ports[1]);
  for (const attempt of ['wrong', 'let-me-see']) {
    await page.getByLabel("The operators' token").fill(attempt);
    await page.getByRole('button').click();
    if (attempt === 'wrong') await page.locator('#login:not([hidden])').waitFor();
  }
  await page.locator('#summary', { hasText: '1 of one node in the view' }).waitFor();
  const browserLike = connect(ports[0], '127.0.0.1');
  browserLike.on('error', () => {});
  browserLike.write('POST / HTTP/1.1\r\n\r\n');
  browserLike.resume();
  await once(browserLike, 'close');
  await page.locator('#closes li', { hasText: 'http_request' }).waitFor();
  // Chromium notes each 401 itself.
  assert.deepEqual(complaints.filter((text) => !text.includes('401')), []);
});
