// The table of compatibility, from results/compat.json, for people:
//
//   node report.mjs                    prints it
//   node report.mjs --check README.md  fails if the text between the markers in the file differs from it
//   node report.mjs --write README.md  replaces the text between the markers

import { readFileSync, writeFileSync } from 'node:fs';

const BEGIN = '<!-- compat:begin -->';
const END = '<!-- compat:end -->';
const COLUMNS = { classic: 'classic', static: 'sharded static', dynamic: 'sharded dynamic', 'dynamic-private': 'sharded dynamic-private' };

/** What a tick of the last table stands for: three-nodes.test.mjs. */
const ON_THREE_NODES = `### On three nodes

The same features with the Socket.IO servers on different nodes of a cluster. Then, under traffic, a follower is killed
(SIGKILL), the leader is killed, and all nodes are restarted one after the other. Servers on the other nodes get every
message once and in order, and notice nothing. Those on the node that is gone connect again, and everything works; no
server process ends, and no \`fetchSockets\` or \`serverSideEmit\` that is asked after the view has changed times out.

What no broker can help: when a node is killed, node-redis rejects what it had sent there and got no answer to, and the
adapters do not catch all of that: the classic one nothing that it publishes, the sharded ones not the count behind an
\`emit\` or \`serverSideEmit\` with acknowledgement. Node then ends a process that has no handler for unhandled rejections.
ioredis sends again. So with node-redis the tests have none of these in flight on the killed node.`;

const rows = JSON.parse(readFileSync(new URL('./results/compat.json', import.meta.url), 'utf8'));
const mark = (row) => (row === undefined ? '–' : row.pass ? '✅' : '❌');
const line = (cells) => `| ${cells.join(' | ')} |`;
const table = (head, body) => [line(head), line(head.map(() => '---')), ...body.map(line)].join('\n');

/** Library × mode of @socket.io/redis-adapter, of what ran on so many nodes; nothing if nothing did. */
function matrix(nodes) {
  const ofAdapter = rows.filter((row) => row.adapter?.startsWith('@socket.io/redis-adapter') && row.nodes === nodes);
  if (ofAdapter.length === 0) return '';
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

const onThreeNodes = matrix(3);
const report = [matrix(), others(), onThreeNodes && `${ON_THREE_NODES}\n\n${onThreeNodes}`].filter(Boolean).join('\n\n');
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
