// One Socket.IO server process: `node app.mjs CLIENT MODE BROKER_PORT PREFIX`, driven over IPC by lib/server.mjs.
//
// It is set up as the adapter's documentation shows, and has on purpose no handler for unhandled rejections: if the broker
// makes a promise inside the adapter fail, this process exits, as its users' processes would.

import { createServer } from 'node:http';
import { once } from 'node:events';
import { Server } from 'socket.io';
import { adapters, predecessor } from './adapters.mjs';
import { clientById, openPair } from './clients.mjs';
import { operations } from './operations.mjs';

const [clientId, mode, brokerPort, prefix] = process.argv.slice(2);

const connectionErrors = [];
const { publisher, subscriber } = await openPair(clientById(clientId), Number(brokerPort), (error) => {
  connectionErrors.push(error.message);
});

const http = createServer();
const io = new Server(http, {
  adapter: { ...adapters, ...predecessor }[mode].create(publisher, subscriber, prefix),
  serveClient: false,
});

const serverSideEvents = [];
const app = { io, serverSideEvents, connectionErrors };
for (const namespace of ['/', '/chat']) {
  io.of(namespace).on('connection', (socket) => {
    socket.data.name = socket.handshake.auth.name;
  });
  for (const event of ['note', 'question']) {
    io.of(namespace).on(event, (...args) => {
      const answer = typeof args.at(-1) === 'function' ? args.pop() : undefined;
      serverSideEvents.push({ namespace, event, args });
      if (event === 'question') answer(`answer from ${process.pid}`);
    });
  }
}

http.listen(0, '127.0.0.1');
await once(http, 'listening');

process.on('message', async ({ id, operation, args }) => {
  try {
    process.send({ id, result: await operations[operation](app, args) });
  } catch (error) {
    process.send({ id, error: error.message, responses: error.responses });
  }
});
process.on('disconnect', () => process.exit(0)); // the driver is gone
process.send({ listening: http.address().port });
