// A real Socket.IO client in the test's own process that writes down what it received.

import { once } from 'node:events';
import { io } from 'socket.io-client';
import { STEP_TIMEOUT_MS, eventually, within } from './wait.mjs';

export class Listener {
  /** Events in the order of arrival: { event, args }. */
  received = [];
  /** Does it answer acknowledgements? */
  answers = true;

  static async connect(name, url, namespace = '/') {
    const listener = new Listener();
    listener.name = name;
    listener.namespace = namespace;
    listener.socket = io(`${url}${namespace}`, { auth: { name }, transports: ['websocket'], forceNew: true, reconnection: false });
    listener.socket.onAny((event, ...args) => listener.#note(event, args));
    const refused = once(listener.socket, 'connect_error').then(([error]) => Promise.reject(error));
    await within(`${name} connected to ${url}`, Promise.race([once(listener.socket, 'connect'), refused]));
    refused.catch(() => {});
    listener.id = listener.socket.id; // the socket forgets it when it is disconnected
    return listener;
  }

  has(event) {
    return this.received.some((entry) => entry.event === event);
  }

  /** Waits for the event and returns its arguments. */
  async got(event) {
    await eventually(`${this.name} received '${event}'`, () => this.has(event), {
      describe: () => `(it has received: ${this.received.map((entry) => entry.event).join(', ') || 'nothing'})`,
    });
    return this.received.find((entry) => entry.event === event).args;
  }

  async disconnected() {
    if (this.socket.connected) await within(`${this.name} is disconnected`, once(this.socket, 'disconnect'), STEP_TIMEOUT_MS);
  }

  close() {
    this.socket.disconnect();
  }

  #note(event, args) {
    const acknowledge = typeof args.at(-1) === 'function' ? args.pop() : undefined;
    this.received.push({ event, args });
    if (acknowledge && this.answers) acknowledge(this.name);
  }
}
