// Publishers and subscribers written with ioredis, as applications write them, that note what they see for the judge of
// cluster-tests/src/history: driven by cluster-tests/src/ioredis.rs over standard input and output.
//
//   node history-clients.mjs '{"publishers": [{"publisher": 3, "module": "ioredis", "port": 6379}],
//                              "subscribers": [{"module": "ioredis6", "port": 6380, "pattern": "ne*"}], ...}'
//
// One line for each thing that happens, with the time in nanoseconds of the monotonic clock, which every process of a machine
// shares. "quiet" on standard input ends publishing, "end" everything.
//
// ioredis reconnects and subscribes again by itself. That it also sends again what was not answered when a connection broke is
// turned off for publishers: the message would be published twice, and the judge takes that for a broken promise, rightly.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(import.meta.url);
const { publishers, subscribers, channel, everyMs, inFlightMax, payloadBytes } = JSON.parse(process.argv[2]);

/** Between two attempts; the default begins at 50 ms and grows. */
const RETRY_MS = 20;

const now = () => process.hrtime.bigint();
const note = (...words) => process.stdout.write(`${words.join(' ')}\n`);

function open({ module, port }, options) {
  const { Redis } = require(module);
  const client = new Redis({ host: '127.0.0.1', port, retryStrategy: () => RETRY_MS, ...options });
  client.on('error', () => {}); // each is followed by 'close', and by another attempt
  return client;
}

let isQuiet = false;
const sending = publishers.map((plan) => {
  const client = open(plan, { autoResendUnfulfilledCommands: false, enableOfflineQueue: false });
  const { publisher } = plan;
  let connection = 0;
  let sequence = 0;
  let inFlight = 0;
  client.on('close', () => {
    note('hangup', publisher, connection, now());
    connection += 1;
  });
  const timer = setInterval(async () => {
    if (isQuiet || client.status !== 'ready' || inFlight >= inFlightMax) return;
    const own = sequence;
    sequence += 1;
    inFlight += 1;
    note('sent', publisher, own, connection, now());
    try {
      const receivers = await client.publish(channel, `${publisher}:${own}:`.padEnd(payloadBytes, '.'));
      note('answered', publisher, own, receivers, now());
    } catch (error) {
      // Anything else means that no answer came before the connection ended.
      if (error.name === 'ReplyError') note('refused', publisher, own, error.message);
    }
    inFlight -= 1;
  }, everyMs);
  return { client, timer, isDone: () => inFlight === 0 };
});

const listening = subscribers.map((plan, subscriber) => {
  const client = open(plan, {});
  const { pattern } = plan;
  let isConfirmed = false;
  client.on('connect', () => note('asked', subscriber, now()));
  client.on('ready', async () => {
    try {
      // Behind ioredis's own subscribing again on the same connection: when this is confirmed, that is, too.
      await (pattern ? client.psubscribe(pattern) : client.subscribe(channel));
      note('confirmed', subscriber, now());
      isConfirmed = true;
    } catch {
      // The connection has ended meanwhile; the next one is subscribed.
    }
  });
  const received = (payload) => {
    const [publisher, sequence] = payload.split(':', 2);
    note('received', subscriber, publisher, sequence, now());
  };
  if (pattern) client.on('pmessage', (_, __, payload) => received(payload));
  else client.on('message', (_, payload) => received(payload));
  client.on('close', () => {
    note('closed', subscriber, now());
    isConfirmed = false;
  });
  return { client, end: () => isConfirmed && note('end', subscriber, now()) };
});

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'quiet') {
    isQuiet = true;
    const timer = setInterval(() => {
      if (!sending.every(({ isDone }) => isDone())) return;
      clearInterval(timer);
      note('quiet');
    }, 5);
  }
  if (line === 'end') break;
}
// First all notes, then the connections: what their ends look like is of no interest any more.
listening.forEach(({ end }) => end());
process.stdout.end(() => process.exit(0));
