// What a page may do: enter with a name, join and leave rooms, say something. Every request is answered through its
// acknowledgement, `{ ok: true, … }` or `{ ok: false, error }` with a sentence for the person.

import { randomUUID } from "node:crypto";
import { MESSAGE_CHARS_MAX, NAME_CHARS_MAX, ROOMS_JOINED_MAX, ROOM_CHARS_MAX, cleanLine, cleanRoom } from "./public/limits.mjs";
import { channelOf, roomsOf } from "./rooms.mjs";

/** Requests one page may make in a while: faster than anyone types, slower than a script floods. */
const BURST_REQUESTS_MAX = 20;
const BURST_MS = 5_000;

export function chat({ io, broker, presence, instance }) {
  broker.on("change", () => io.local.emit("broker", { up: broker.up }));

  io.on("connection", (socket) => {
    // What other instances see of this socket through fetchSockets(); without a name it is not shown to anyone.
    socket.data.instance = instance;
    const mayAsk = burstLimit();
    const on = (event, act) => answer(socket, event, mayAsk, act);

    socket.emit("welcome", { instance, brokerUp: broker.up, roster: presence.roster });
    socket.on("disconnect", () => presence.changed());

    on("enter", ({ name, rooms }) => {
      if (socket.data.name) refuse("You have entered already.");
      socket.data.name = named(name);
      const wanted = [...new Set((Array.isArray(rooms) ? rooms : []).slice(0, ROOMS_JOINED_MAX).map(roomNamed))];
      for (const room of wanted) socket.join(channelOf(room));
      presence.changed();
      return { name: socket.data.name, rooms: wanted };
    });

    on("join", ({ room }) => {
      mustHaveEntered(socket);
      const wanted = roomNamed(room);
      const joined = roomsOf(socket.rooms);
      if (!joined.includes(wanted) && joined.length >= ROOMS_JOINED_MAX) {
        refuse(`You are in ${ROOMS_JOINED_MAX} rooms already. Leave one first.`);
      }
      socket.join(channelOf(wanted));
      presence.changed();
      return { room: wanted };
    });

    on("leave", ({ room }) => {
      const left = roomNamed(room);
      socket.leave(channelOf(left));
      presence.changed();
      return { room: left };
    });

    on("say", ({ room, text }) => {
      mustHaveEntered(socket);
      const wanted = roomNamed(room);
      const channel = channelOf(wanted);
      if (!socket.rooms.has(channel)) refuse("Join the room before you talk in it.");
      const said = messageOf(text);
      // Refused rather than queued: people on the other instances would miss it, and a queue would grow without a bound.
      if (!broker.up) refuse("Not sent: the broker is away. Try again when it is back.");
      io.to(channel).emit("message", {
        id: randomUUID(),
        room: wanted,
        from: { id: socket.id, name: socket.data.name, instance },
        text: said,
        at: Date.now(),
      });
      return {};
    });
  });
}

/** Runs `act` for each `event` of the socket and acknowledges with its result, or with the sentence of its RangeError. */
function answer(socket, event, mayAsk, act) {
  socket.on(event, (request, acknowledge) => {
    if (typeof acknowledge !== "function") return;
    try {
      if (!mayAsk()) refuse("That was too fast. Wait a moment.");
      acknowledge({ ok: true, ...act(request ?? {}) });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      acknowledge({ ok: false, error: error.message });
    }
  });
}

function named(text) {
  return cleanLine(text, NAME_CHARS_MAX) ?? refuse(`A name has 1 to ${NAME_CHARS_MAX} characters.`);
}

function roomNamed(text) {
  return cleanRoom(text) ?? refuse(`A room has 1 to ${ROOM_CHARS_MAX} letters, digits and hyphens.`);
}

function messageOf(text) {
  return cleanLine(text, MESSAGE_CHARS_MAX) ?? refuse(`A message has 1 to ${MESSAGE_CHARS_MAX} characters.`);
}

/** Ends a request with a sentence for the person; see `answer`. */
function refuse(sentence) {
  throw new RangeError(sentence);
}

function mustHaveEntered(socket) {
  if (!socket.data.name) refuse("Enter a name first.");
}

/** True at most BURST_REQUESTS_MAX times in any BURST_MS. */
function burstLimit() {
  const recent = [];
  return () => {
    const now = Date.now();
    while (recent.length > 0 && now - recent[0] > BURST_MS) recent.shift();
    if (recent.length >= BURST_REQUESTS_MAX) return false;
    recent.push(now);
    return true;
  };
}
