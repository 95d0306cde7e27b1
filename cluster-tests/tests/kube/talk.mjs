// People in the chat demo, each at an instance of their own, as pages would be: one line of JSON for each line of input.
//
//   node talk.mjs FOLDER_OF_SOCKET_IO_CLIENT URL...
//
// Each round, everybody says something, and everybody has to hear it. What is refused, or was lost while an instance
// connected to its broker again, is said again: that is what people do.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const [folder, ...urls] = process.argv.slice(2);
const { io } = createRequire(`${folder}/`)('socket.io-client');
const AGAIN_MS = 1_000;

const people = urls.map((url, index) => {
  const person = { name: `person-${index + 1}`, socket: io(url), heard: new Map(), connects: 0 };
  person.socket.on('message', ({ text }) => person.heard.set(text, (person.heard.get(text) ?? 0) + 1));
  person.socket.on('connect', async () => {
    person.connects += 1;
    await person.socket.timeout(5_000).emitWithAck('enter', { name: person.name, rooms: ['lobby'] });
    person.hasEntered = true;
  });
  return person;
});

let round = 0;
for await (const _ of createInterface({ input: process.stdin })) {
  round += 1;
  await until(() => people.every(({ hasEntered }) => hasEntered));
  let attempts = 0;
  for (const person of people) attempts += await say(person, `${round} ${person.name}`);
  const twice = people.some(({ heard }) => [...heard.values()].some((times) => times > 1));
  const connects = Math.max(...people.map((person) => person.connects));
  console.log(JSON.stringify({ round, attempts, twice, connects }));
}
process.exit(0);

/** Says it until all have heard it; the number of attempts. */
async function say(person, words) {
  for (let attempt = 1; ; attempt += 1) {
    const text = `${words} ${attempt}`;
    const answer = await person.socket.timeout(5_000).emitWithAck('say', { room: 'lobby', text });
    if (answer.ok) {
      const all = until(() => people.every(({ heard }) => heard.has(text)));
      if (await Promise.race([all.then(() => true), pause(AGAIN_MS)])) return attempt;
    } else {
      await pause(AGAIN_MS);
    }
  }
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function until(isSo) {
  while (!isSo()) await pause(10);
}
