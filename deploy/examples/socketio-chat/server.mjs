// One instance of the chat: a Socket.IO server with the Redis adapter, wired as the adapter's documentation shows it.
// Nothing in here knows that the broker is Carillon; point REDIS_HOST and REDIS_PORT at a Redis and it runs the same.

import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { Redis } from "ioredis";
import { Server } from "socket.io";
import { redisOptions, watchBroker } from "./broker.mjs";
import { chat } from "./chat.mjs";
import { servePage } from "./page.mjs";
import { Presence } from "./presence.mjs";

const { HOST = "127.0.0.1", PORT = "3001", INSTANCE = "chat-1" } = process.env;
const log = (sentence) => console.log(`${INSTANCE}  ${sentence}`);

const pubClient = new Redis(redisOptions(process.env));
const subClient = pubClient.duplicate();
const broker = watchBroker(pubClient, subClient, log);

const httpServer = createServer(servePage);
const io = new Server(httpServer, {
  // After a crash elsewhere the adapter may wait for an answer that never comes; two seconds of that are enough here.
  adapter: createAdapter(pubClient, subClient, { requestsTimeout: 2_000 }),
  // The longest message in UTF-8 with its envelope is about 3 KiB; nobody needs Socket.IO's default of 1 MB.
  maxHttpBufferSize: 16 * 1024,
  // A phone that left the network vanishes from "who is where" after 15 s instead of Socket.IO's 45 s.
  pingInterval: 10_000,
  pingTimeout: 5_000,
});

httpServer.on("error", (error) => {
  const advice = error.code === "EADDRINUSE" ? "choose another with PORT, or with --port if you ran npm start" : "check HOST and PORT";
  log(`cannot listen on ${HOST}:${PORT} (${error.code}): ${advice}`);
  process.exit(1);
});

httpServer.listen(Number(PORT), HOST, () => {
  const { port } = httpServer.address();
  const presence = new Presence({ io, broker, self: { name: INSTANCE, port }, log });
  chat({ io, broker, presence, instance: INSTANCE });
  presence.start();
  if (process.send) process.send({ listening: port });
  else log(`listening on http://${HOST}:${port}`);
});

function stop() {
  // Closing the transports, not the sockets: a page told "disconnected by the server" would not come back by itself.
  io.engine.close();
  process.exit(0);
}
process.once("SIGINT", stop);
process.once("SIGTERM", stop);
// Started by start.mjs: when that is gone, even by SIGKILL, no instance is left behind.
process.once("disconnect", stop);
