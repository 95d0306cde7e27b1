// Wires the socket, the state and the views. Events change the state; `render` shows all of it, which is cheap enough.

import { io } from "/socket.io/socket.io.esm.min.js";
import { plural, showProblem } from "./dom.mjs";
import { LOBBY, MESSAGE_CHARS_MAX, NAME_CHARS_MAX, ROOM_CHARS_MAX, cleanLine, cleanRoom } from "./limits.mjs";
import { Messages } from "./messages.mjs";
import { renderInstances, renderPeople } from "./people.mjs";
import { renderRooms } from "./room-list.mjs";
import { remember, remembered, roomInAddress } from "./session.mjs";
import { initialState, membersOf, unreadTotal } from "./state.mjs";
import { renderStatus } from "./status.mjs";

const ANSWER_TIMEOUT_MS = 5_000;
const ROOM_RULE = `A room has 1 to ${ROOM_CHARS_MAX} letters, digits and hyphens.`;

const at = (id) => document.getElementById(id);
const state = initialState();
const messages = new Messages(at("logs"));
const socket = io({ reconnectionDelay: 300, reconnectionDelayMax: 2_000 });

/** Asks the server; resolves with its answer, or throws with a sentence to show. */
async function ask(event, request) {
  if (!socket.connected) throw new Error("Not connected at the moment. Try again when you are back.");
  const answer = await socket.timeout(ANSWER_TIMEOUT_MS).emitWithAck(event, request).catch(() => {
    throw new Error("The server did not answer. Try again.");
  });
  if (!answer.ok) throw new Error(answer.error);
  return answer;
}

async function enter(name, rooms) {
  const answer = await ask("enter", { name, rooms });
  state.name = answer.name;
  for (const room of answer.rooms) if (!state.joined.has(room)) state.joined.set(room, { unread: 0 });
  if (state.current === null) select(answer.rooms[0] ?? null);
  render();
}

async function choose(room) {
  try {
    if (!state.joined.has(room)) {
      await ask("join", { room });
      state.joined.set(room, { unread: 0 });
    }
    showProblem(at("join"), "");
    select(room);
    showView("chat");
    at("say-text").focus();
  } catch (problem) {
    showProblem(at("join"), problem.message);
  }
}

async function leave() {
  const room = state.current;
  try {
    await ask("leave", { room });
    state.joined.delete(room);
    messages.forget(room);
    select([...state.joined.keys()].sort()[0] ?? null);
    at(state.current === null ? "join-room" : "say-text").focus();
  } catch (problem) {
    showProblem(at("say"), problem.message);
  }
}

function select(room) {
  state.current = room;
  if (room !== null) state.joined.get(room).unread = 0;
  messages.show(room);
  showProblem(at("say"), "");
  history.replaceState(null, "", room === null ? location.pathname : `#${encodeURIComponent(room)}`);
  render();
}

function showView(view) {
  document.body.dataset.view = view;
  for (const tab of at("tabs").children) tab.setAttribute("aria-pressed", String(tab.dataset.view === view));
}

function render() {
  const entered = state.name !== null;
  at("entrance").hidden = entered;
  at("chat").hidden = at("tabs").hidden = !entered;
  renderStatus({ servedBy: at("served-by"), serverCount: at("server-count"), link: at("link"), banner: at("banner") }, state);
  if (!entered) return;

  remember(state);
  renderRooms(at("rooms"), state, choose);
  renderPeople({ here: at("people-here"), elsewhere: at("people-elsewhere"), elsewhereTitle: at("elsewhere-title") }, state);
  renderInstances(at("instances"), state);
  renderRoomHead();

  const unread = unreadTotal(state);
  at("rooms-unread").hidden = unread === 0;
  at("rooms-unread").textContent = String(unread);
  document.title = `${unread ? `(${unread}) ` : ""}${state.current ? `#${state.current} · ` : ""}Carillon chat`;
}

function renderRoomHead() {
  const { current } = state;
  const here = current === null ? [] : membersOf(state, current);
  const instances = new Set(here.map((member) => member.instance)).size;
  at("room-title").textContent = current === null ? "Choose a room" : `# ${current}`;
  at("room-summary").textContent =
    current === null
      ? "Join one of the rooms, or create your own."
      : `${plural(here.length, "person", "people")} on ${plural(instances, "instance", "instances")}`;
  at("people-count").textContent = String(here.length);
  at("leave").hidden = at("say").hidden = current === null;
  at("say-text").placeholder = `Message #${current}`;
}

socket.on("connect", async () => {
  state.link = "connected";
  state.me = socket.id;
  render();
  // The first connection enters with what the tab remembers, a later one with the rooms that the page is in.
  const before = state.name === null ? remembered() : { name: state.name, rooms: [...state.joined.keys()] };
  if (!before.name) return;
  const linked = state.name === null ? cleanRoom(roomInAddress()) : null;
  await enter(before.name, [...new Set([...(linked ? [linked] : []), ...(before.rooms ?? [])])]).catch((problem) =>
    showProblem(at(state.name === null ? "enter" : "say"), problem.message),
  );
});
socket.on("disconnect", () => {
  state.link = "reconnecting";
  render();
});
socket.on("welcome", ({ instance, brokerUp, roster }) => {
  Object.assign(state, { instance, brokerUp, roster });
  render();
});
socket.on("broker", ({ up }) => {
  state.brokerUp = up;
  render();
});
socket.on("roster", (roster) => {
  state.roster = roster;
  render();
});
socket.on("message", (message) => {
  const joined = state.joined.get(message.room);
  if (!joined) return;
  messages.add(message, message.from.id === state.me);
  if (message.room !== state.current) joined.unread += 1;
  render();
});

/** Calls `act` when the form is sent, and shows what it throws beneath the form. */
function onSubmit(form, act) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      showProblem(form, "");
      await act(form.elements);
    } catch (problem) {
      showProblem(form, problem.message);
    }
  });
}

onSubmit(at("enter"), async ({ name, room }) => {
  if (cleanLine(name.value, NAME_CHARS_MAX) === null) throw new Error(`Please enter a name of at most ${NAME_CHARS_MAX} characters.`);
  if (cleanRoom(room.value) === null) throw new Error(ROOM_RULE);
  await enter(name.value, [room.value]);
  at("say-text").focus();
});
onSubmit(at("join"), async ({ room }) => {
  const wanted = cleanRoom(room.value);
  if (wanted === null) throw new Error(ROOM_RULE);
  await choose(wanted);
  if (state.current === wanted) room.value = "";
});
onSubmit(at("say"), async ({ text }) => {
  // Nothing to say is not a mistake worth a sentence.
  if (cleanLine(text.value, MESSAGE_CHARS_MAX) === null) return;
  const said = text.value;
  // Emptied at once, so that a second press of Enter does not say it twice; given back if it was not sent.
  text.value = "";
  try {
    await ask("say", { room: state.current, text: said });
  } catch (problem) {
    text.value ||= said;
    throw problem;
  }
});

at("leave").addEventListener("click", leave);
at("tabs").addEventListener("click", ({ target }) => {
  const tab = target.closest("button");
  if (tab) showView(tab.dataset.view);
});

at("enter-name").maxLength = NAME_CHARS_MAX;
at("enter-room").maxLength = at("join-room").maxLength = ROOM_CHARS_MAX;
at("say-text").maxLength = MESSAGE_CHARS_MAX;
at("enter-room").value = roomInAddress() ?? LOBBY;
at("enter-name").focus();
render();
