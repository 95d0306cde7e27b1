// The table of compatibility, from results/compat.json, for people:
//
//   node report.mjs                    prints it
//   node report.mjs --check README.md  fails if the text between the markers in the file differs from it
//   node report.mjs --write README.md  replaces the text between the markers

import { readFileSync, writeFileSync } from 'node:fs';

const BEGIN = '<!-- compat:begin -->';
const END = '<!-- compat:end -->';
const COLUMNS = { classic: 'classic', static: 'sharded static', dynamic: 'sharded dynamic', 'dynamic-private': 'sharded dynamic-private' };

const rows = JSON.parse(readFileSync(new URL('./results/compat.json', import.meta.url), 'utf8'));
const mark = (row) => (row === undefined ? '–' : row.pass ? '✅' : '❌');
const line = (cells) => `| ${cells.join(' | ')} |`;
const table = (head, body) => [line(head), line(head.map(() => '---')), ...body.map(line)].join('\n');

/** Library × mode of @socket.io/redis-adapter. */
function matrix() {
  const ofAdapter = rows.filter((row) => row.adapter?.startsWith('@socket.io/redis-adapter'));
  const nameOf = (row) => `${row.package} ${row.version}, ${row.protocol}`;
  const columnOf = (row) => row.mode || 'classic';
  const names = [...new Set(ofAdapter.map(nameOf))];
  return table(
    ['client', ...Object.values(COLUMNS)],
    names.map((name) => [
      name,
      ...Object.keys(COLUMNS).map((column) => mark(ofAdapter.find((row) => nameOf(row) === name && columnOf(row) === column))),
    ]),
  );
}

/** Everything else: one line each. */
function others() {
  const rest = rows.filter((row) => !row.adapter?.startsWith('@socket.io/redis-adapter'));
  return table(
    ['package', 'with', 'works'],
    rest.map((row) => [`${row.package} ${row.version}`, [row.adapter, row.mode, row.protocol].filter(Boolean).join(', '), mark(row)]),
  );
}

const report = `${matrix()}\n\n${others()}`;
const [action, file] = process.argv.slice(2);
if (!action) {
  console.log(report);
} else {
  const text = readFileSync(file, 'utf8');
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${file} needs a line ${BEGIN} and after it a line ${END}`);
  const current = text.slice(begin + BEGIN.length, end).trim();
  if (action === '--write') {
    writeFileSync(file, `${text.slice(0, begin + BEGIN.length)}\n${report}\n${text.slice(end)}`);
  } else if (action === '--check') {
    if (current !== report) {
      console.error(`the table in ${file} is not what the tests found: run 'node report.mjs --write ${file}'`);
      process.exitCode = 1;
    }
  } else {
    throw new Error(`unknown argument ${action}: there are --check FILE and --write FILE`);
  }
}
