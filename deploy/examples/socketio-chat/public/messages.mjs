// The messages: one list per room, so that changing rooms reads nothing aloud again and keeps the place.

import { element } from "./dom.mjs";
import { instanceLabel, toneOf } from "./instance.mjs";

/** Older messages leave the page; nothing here is an archive. */
const MESSAGES_SHOWN_MAX = 300;
/** Messages of one person within this time stand together under one name. */
const TOGETHER_MS = 3 * 60_000;
/** Closer to the end than this, the reader follows new messages. */
const FOLLOWING_PX = 80;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

export class Messages {
  #frame;
  #logs = new Map();

  constructor(frame) {
    this.#frame = frame;
  }

  show(room) {
    const log = room === null ? null : this.#logOf(room);
    for (const each of this.#logs.values()) each.section.hidden = each !== log;
    this.#toEnd();
  }

  forget(room) {
    this.#logs.get(room)?.section.remove();
    this.#logs.delete(room);
  }

  add({ room, from, text, at }, mine) {
    const log = this.#logOf(room);
    const following = this.#frame.scrollHeight - this.#frame.scrollTop - this.#frame.clientHeight < FOLLOWING_PX;
    const together = log.last?.from.id === from.id && at - log.last.at < TOGETHER_MS;
    log.last = { from, at };
    log.list.append(messageItem({ from, text, at, mine, together }));
    if (log.list.children.length > MESSAGES_SHOWN_MAX) log.list.firstElementChild.remove();
    log.empty.hidden = true;
    if (!log.section.hidden && (following || mine)) this.#toEnd();
  }

  #toEnd() {
    this.#frame.scrollTop = this.#frame.scrollHeight;
  }

  #logOf(room) {
    if (!this.#logs.has(room)) {
      const list = element("ol", { className: "messages" });
      list.setAttribute("role", "log");
      list.setAttribute("aria-label", `Messages in ${room}`);
      const empty = element("p", { className: "empty" }, "Quiet so far. Say something.");
      const section = element("div", { className: "log", hidden: true }, empty, list);
      this.#frame.append(section);
      this.#logs.set(room, { section, list, empty, last: null });
    }
    return this.#logs.get(room);
  }
}

function messageItem({ from, text, at, mine, together }) {
  const when = element("time", { dateTime: new Date(at).toISOString() }, clock.format(at));
  const head = element("p", { className: "message-head" }, element("strong", {}, from.name), instanceLabel(from.instance), when);
  const initial = element("span", { className: "initial", ariaHidden: "true" }, [...from.name][0].toUpperCase());
  initial.dataset.tone = toneOf(from.instance);
  const item = element("li", { className: "message" }, initial, head, element("p", { className: "message-text" }, text));
  item.classList.toggle("mine", mine);
  item.classList.toggle("together", together);
  return item;
}
