// Starts several instances of the chat with one command and stops them together.
//
//   npm start                                  three instances on ports 3001, 3002, 3003
//   npm start -- --instances 5 --port 4001     five, from port 4001 on (0: any free ports)
//   npm start -- --host 0.0.0.0                reachable from a phone in the same network

import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const INSTANCES_MAX = 16;
const STOP_TIMEOUT_MS = 3_000;
const SERVER = fileURLToPath(new URL("./server.mjs", import.meta.url));

const options = readOptions();
const instances = [];
let stopping = false;

for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, stop);

for (let index = 0; index < options.instances; index += 1) {
  instances.push(launch(`chat-${index + 1}`, options.port === 0 ? 0 : options.port + index));
}
await Promise.all(instances.map((instance) => instance.settled));
announce();

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        instances: { type: "string", default: "3" },
        port: { type: "string", default: "3001" },
        host: { type: "string", default: "127.0.0.1" },
      },
    });
    const instanceCount = wholeNumber("--instances", values.instances, 1, INSTANCES_MAX);
    return { instances: instanceCount, port: wholeNumber("--port", values.port, 0, 65_536 - instanceCount), host: values.host };
  } catch (error) {
    console.error(`${error.message}\nUsage: npm start -- [--instances N] [--port FIRST] [--host ADDRESS]`);
    process.exit(64);
  }
}

function wholeNumber(option, text, least, most) {
  const number = /^\d+$/.test(text) ? Number(text) : NaN;
  if (number >= least && number <= most) return number;
  throw new RangeError(`${option} takes a whole number from ${least} to ${most}, not "${text}".`);
}

/** One server process. `settled` resolves once it listens or has ended. */
function launch(name, port) {
  const child = fork(SERVER, { env: { ...process.env, INSTANCE: name, HOST: options.host, PORT: String(port) } });
  const instance = { name, child, port: undefined };
  const listening = once(child, "message").then(([message]) => {
    instance.port = message.listening;
  });
  const ended = once(child, "exit").then(([code, signal]) => report(instance, code, signal));
  instance.settled = Promise.race([listening, ended]);
  return instance;
}

function report(instance, code, signal) {
  if (!stopping) {
    console.error(`${instance.name}  ended unexpectedly (${signal ?? `exit ${code}`}); the others go on; Ctrl-C and npm start bring it back`);
    process.exitCode = 1;
  }
}

function announce() {
  const running = instances.filter(({ child, port }) => port !== undefined && child.exitCode === null && child.signalCode === null);
  if (running.length === 0 || stopping) return;
  const urlHost = options.host === "0.0.0.0" || options.host === "::" ? "localhost" : options.host;
  console.log("\nThe chat is served by");
  for (const { name, child, port } of running) console.log(`  ${name}  http://${urlHost}:${port}/  (process ${child.pid})`);
  console.log("Open two of them side by side. Ctrl-C stops all.\n");
}

function stop() {
  if (stopping) return;
  stopping = true;
  for (const { child } of instances) child.kill("SIGTERM");
  setTimeout(() => {
    for (const { child } of instances) child.kill("SIGKILL");
  }, STOP_TIMEOUT_MS).unref();
}
