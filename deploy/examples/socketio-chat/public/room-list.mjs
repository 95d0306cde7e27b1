// The rooms: those this page is in, with what is unread, and those that others are in, to be joined with one press.

import { element, plural, renderList } from "./dom.mjs";
import { membersOf, roomsToShow } from "./state.mjs";

export function renderRooms(list, state, choose) {
  renderList(list, roomsToShow(state), {
    key: (room) => room,
    make: (room) => {
      const button = element("button", { type: "button", onclick: () => choose(room) });
      button.append(
        element("span", { className: "room-name" }, `# ${room}`),
        element("span", { className: "badge" }),
        element("span", { className: "room-people" }),
      );
      return element("li", {}, button);
    },
    update: (item, room) => {
      const button = item.firstElementChild;
      const [, badge, people] = button.children;
      const joined = state.joined.get(room);
      const here = membersOf(state, room).length;
      button.classList.toggle("not-joined", !joined);
      if (room === state.current) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
      badge.hidden = !joined?.unread;
      badge.textContent = String(joined?.unread ?? "");
      people.textContent = joined ? String(here) : `Join · ${here}`;
      button.setAttribute("aria-label", roomLabel(room, joined, here));
    },
  });
}

function roomLabel(room, joined, here) {
  const people = plural(here, "person", "people");
  if (!joined) return `Join ${room}, ${people}`;
  return joined.unread ? `${room}, ${joined.unread} unread, ${people}` : `${room}, ${people}`;
}
