// The stage of the features: two Socket.IO server processes, A and B.

import { Stage } from './stage.mjs';

export { unique } from './stage.mjs';

export class TwoServers extends Stage {
  /** `a1` and `a2` are connected to server A, `b1` and `b2` to B; `chatA` and `chatB` to the namespace /chat of A and B. */
  static async start(broker, client, mode) {
    const stage = new TwoServers(broker, client, mode);
    try {
      await stage.startServers(2);
      await stage.#connectListeners();
      return stage;
    } catch (error) {
      await stage.stop(); // nobody else knows these processes, and a child that lives on keeps the test run from ending
      throw error;
    }
  }

  async #connectListeners() {
    [this.A, this.B] = this.servers;
    [this.a1, this.a2, this.b1, this.b2, this.chatA, this.chatB] = await Promise.all([
      this.connect('a1', this.A),
      this.connect('a2', this.A),
      this.connect('b1', this.B),
      this.connect('b2', this.B),
      this.connect('chatA', this.A, '/chat'),
      this.connect('chatB', this.B, '/chat'),
    ]);
    await this.ready();
  }
}
