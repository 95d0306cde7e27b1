// How this instance talks to the broker, and what it does while the broker is away.

import { EventEmitter } from "node:events";
import { readFileSync } from "node:fs";

/**
 * The options of both connections. `env` holds REDIS_HOST, REDIS_PORT, REDIS_PASSWORD, and REDIS_TLS_CA_FILE where the broker
 * speaks TLS: the authority of its certificate.
 */
export function redisOptions(env) {
  return {
    host: env.REDIS_HOST ?? "127.0.0.1",
    port: Number(env.REDIS_PORT ?? 6379),
    // None and an empty one are the same: where none is asked for, none is shown.
    password: env.REDIS_PASSWORD || undefined,
    tls: env.REDIS_TLS_CA_FILE ? { ca: readFileSync(env.REDIS_TLS_CA_FILE) } : undefined,
    // By default ioredis rejects every waiting command after 20 attempts to reconnect. The adapter does not await its
    // publishes and subscribes, so such a rejection is an unhandled one, and Node ends the process. `null` makes
    // commands wait until the connection is back (ioredis README, "Auto-reconnect").
    maxRetriesPerRequest: null,
    // Back within about a second of the broker, with some spread so that a fleet does not return in one instant.
    retryStrategy: (attempt) => Math.min(attempt * 100, 1_000) + Math.random() * 200,
  };
}

/**
 * Follows both connections. Emits "change" when the broker goes away or is back; `up` says which.
 *
 * What waits while the broker is away would wait in memory without a bound, so the chat asks `up` before it publishes.
 */
export function watchBroker(pubClient, subClient, log) {
  const broker = new EventEmitter();
  const clients = [pubClient, subClient];
  const address = `${pubClient.options.host}:${pubClient.options.port}`;
  broker.up = false;

  // Every attempt to reconnect is an "error" event; one line per outage is enough.
  let reported = false;
  function away(reason) {
    if (!reported) log(`broker ${address} is away (${reason}); start it, or set REDIS_HOST and REDIS_PORT; trying again until it answers`);
    reported = true;
    if (!broker.up) return;
    broker.up = false;
    broker.emit("change");
  }

  function ready() {
    if (broker.up || clients.some((client) => client.status !== "ready")) return;
    reported = false;
    broker.up = true;
    log(`broker ${address} is connected`);
    broker.emit("change");
  }

  for (const client of clients) {
    // Without a listener ioredis prints every failed attempt with its stack.
    client.on("error", (err) => away(err.code ?? err.message));
    client.on("close", () => away("connection closed"));
    client.on("ready", ready);
  }
  return broker;
}
