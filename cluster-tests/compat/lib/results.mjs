// One row of the results for each thing that was tried, appended to results/rows.jsonl (the Python suites append to the same
// file). collect.mjs makes results/compat.json of it. A row says what ran and passed; nothing is written for what did not run.

import { appendFileSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { brokerName, brokerVersion } from './broker.mjs';

const FOLDER = fileURLToPath(new URL('../results', import.meta.url));
const broker = `${brokerName} ${brokerVersion()}`;

export class Row {
  #what;
  #passed = 0;
  #failed = [];

  /**
   * `what`: { package, version, adapter, mode, protocol, nodes }. Adapter, mode and protocol are absent where the package has no such
   * choice, nodes where it was one.
   */
  constructor(what) {
    this.#what = what;
  }

  /** Wraps the body of a test so that its outcome is counted in this row. */
  counts(name, body) {
    return async () => {
      try {
        await body();
        this.#passed += 1;
      } catch (error) {
        this.#failed.push(name);
        throw error;
      }
    };
  }

  /** Call it before the broker is stopped: stopping fails when the broker died, and then its rows are needed most. */
  write() {
    const pass = this.#failed.length === 0 && this.#passed > 0;
    const row = { ...this.#what, broker, pass, passed: this.#passed, failed: this.#failed };
    mkdirSync(FOLDER, { recursive: true });
    appendFileSync(`${FOLDER}/rows.jsonl`, `${JSON.stringify(row)}\n`);
  }
}
