// The demo as a person starts it: one command, several instances, on free ports.

import { fileURLToPath } from 'node:url';
import { isRunning, start, stop } from './process.mjs';
import { eventually } from './wait.mjs';

const FOLDER = fileURLToPath(new URL('../../../deploy/examples/socketio-chat/', import.meta.url));
const INSTANCE_LINE = /^ +(\S+) +(http:\S+) +\(process (\d+)\)$/gm;

export class Demo {
  /** `[{ name, url, pid }]`, as the demo announces them. */
  instances;
  #process;

  static async start(broker, { instances }) {
    const demo = new Demo();
    const child = start(process.execPath, ['start.mjs', '--instances', String(instances), '--port', '0'], {
      cwd: FOLDER,
      env: { ...process.env, REDIS_HOST: '127.0.0.1', REDIS_PORT: String(broker.port) },
    });
    demo.#process = child;
    demo.instances = await eventually(
      `${instances} announced instances`,
      () => {
        if (!isRunning(child)) throw new Error(`The demo ended at its start. It wrote:\n${child.output}`);
        const found = [...child.output.matchAll(INSTANCE_LINE)].map(([, name, url, pid]) => ({ name, url, pid: Number(pid) }));
        return found.length === instances && found;
      },
      () => `It wrote:\n${child.output}`,
    );
    return demo;
  }

  /** What the demo says of instances that ended by themselves: one line each. */
  get unexpectedEnds() {
    return this.output.split('\n').filter((line) => line.includes('ended unexpectedly'));
  }

  get output() {
    return this.#process.output;
  }

  async stop() {
    await stop(this.#process, 'SIGTERM');
  }
}
