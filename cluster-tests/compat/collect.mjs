// results/rows.jsonl, as the suites append it, becomes results/compat.json: `node collect.mjs`.

import { readFileSync, writeFileSync } from 'node:fs';

const at = (name) => new URL(`./results/${name}`, import.meta.url);
const rows = readFileSync(at('rows.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
const key = ({ package: name, version, adapter = '', mode = '', protocol = '', nodes }) =>
  [name, version, adapter, mode, protocol, nodes ? `${nodes} nodes` : ''].join(' ');
rows.sort((one, other) => key(one).localeCompare(key(other), 'en', { numeric: true }));
writeFileSync(at('compat.json'), `${JSON.stringify(rows, null, 1)}\n`);

const failed = rows.filter((row) => !row.pass);
for (const row of failed) console.error(`FAILED ${key(row)}: ${row.failed.join('; ') || 'nothing of it ran'}`);
console.log(`${rows.length - failed.length} of ${rows.length} rows pass against ${rows[0].broker}`);
process.exitCode = failed.length === 0 ? 0 : 1;
