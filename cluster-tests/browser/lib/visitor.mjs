// A person with a browser of their own: finds things by their role and label, as somebody with a screen reader would.

import assert from 'node:assert/strict';
import { STEP_TIMEOUT_MS } from './wait.mjs';

/** What Chromium itself logs while a server is away; the page cannot prevent it. */
const CONNECTION_ERROR = /net::ERR_|WebSocket connection to/;

export class Visitor {
  name;
  page;
  #complaints = [];
  /** Everything the instance sent over the WebSocket, whether the page shows it or not. */
  #received = [];
  #upgraded;

  /** Opens the page of an instance. `options` are Playwright's: viewport, colorScheme and so on. */
  static async open(browser, instance, options = {}) {
    const visitor = new Visitor();
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce', ...options });
    context.setDefaultTimeout(STEP_TIMEOUT_MS);
    visitor.page = await context.newPage();
    visitor.page.on('console', (message) => {
      if (message.type() === 'error') visitor.#complaints.push(message.text());
    });
    visitor.page.on('pageerror', (error) => visitor.#complaints.push(String(error)));
    visitor.#upgraded = new Promise((resolve) => {
      visitor.page.on('websocket', (socket) => {
        socket.on('framereceived', ({ payload }) => visitor.#received.push(String(payload)));
        // Engine.IO begins with HTTP polling; its packet "5" says that from here on all goes over the WebSocket.
        socket.on('framesent', ({ payload }) => payload === '5' && resolve());
      });
    });
    await visitor.page.goto(instance.url);
    await visitor.#upgraded;
    return visitor;
  }

  static async enter(browser, instance, { name, room = 'lobby', ...options }) {
    const visitor = await Visitor.open(browser, instance, options);
    visitor.name = name;
    await visitor.connected();
    await visitor.page.getByLabel('Your name').fill(name);
    await visitor.page.getByLabel('Room', { exact: true }).fill(room);
    await visitor.page.getByRole('button', { name: 'Enter the chat' }).click();
    await visitor.isIn(room);
    return visitor;
  }

  /** The page's connection, as the bar states it: Connected, Reconnecting…, Broker away. */
  async connected(state = 'Connected') {
    await this.page.locator('#link', { hasText: state }).waitFor();
  }

  /** From here on, everything that the bar shows of the connection is kept for `linkStates`. */
  async followLink() {
    await this.page.evaluate(() => {
      const link = document.querySelector('#link');
      window.linkStates = [link.textContent];
      new MutationObserver(() => window.linkStates.push(link.textContent)).observe(link, { childList: true });
    });
  }

  linkStates() {
    return this.page.evaluate(() => window.linkStates);
  }

  async isIn(room) {
    await this.page.getByRole('heading', { name: `# ${room}`, exact: true }).waitFor();
  }

  async joinOrCreate(room) {
    await this.page.getByLabel('Join or create a room').fill(room);
    await this.page.getByRole('button', { name: 'Join', exact: true }).click();
    await this.isIn(room);
  }

  async goTo(room) {
    await this.page.getByRole('navigation', { name: 'Rooms' }).getByRole('button', { name: new RegExp(`^(Join )?${room}, `) }).click();
    await this.isIn(room);
  }

  get field() {
    return this.page.getByLabel('Message', { exact: true });
  }

  async say(text) {
    await this.field.fill(text);
    await this.field.press('Enter');
  }

  /** Waits for a message with exactly this text in the room that is shown. */
  async hears(text) {
    await this.page.getByRole('log').locator('.message-text').getByText(text, { exact: true }).waitFor();
  }

  /** Every message on the page, also of rooms that are not shown. */
  messages() {
    return this.page.locator('.message-text').allTextContents();
  }

  /** Whether the instance sent this text to the page. The page itself drops what is of a room it is not in. */
  wasSent(text) {
    return this.#received.some((packet) => packet.includes(text));
  }

  person(name, list = 'In this room') {
    return this.page.getByRole('list', { name: list }).getByRole('listitem').filter({ has: this.page.locator('.member-name', { hasText: name }) });
  }

  /** Waits until the person stands in "who is where" with this instance. */
  async sees(name, instance, list) {
    await this.person(name, list).filter({ has: this.page.locator('.instance', { hasText: instance.name }) }).waitFor();
  }

  async seesNoMore(name) {
    await this.person(name).waitFor({ state: 'detached' });
  }

  async leave() {
    await this.page.context().close();
  }

  /** Fails if the browser's console held an error; `away: true` allows those of a server that was not there. */
  assertConsoleClean({ away = false } = {}) {
    const complaints = this.#complaints.filter((text) => !(away && CONNECTION_ERROR.test(text)));
    assert.deepEqual(complaints, [], `errors in ${this.name}'s browser console; open the page and its developer tools to see them`);
  }
}
