// Who is where: everybody with the instance that serves them, and the instances with the people they serve.

import { element, plural, renderList } from "./dom.mjs";
import { instanceLabel, nameInstance, toneOf } from "./instance.mjs";

export function renderPeople({ here, elsewhere, elsewhereTitle }, state) {
  const inRoom = (member) => member.rooms.includes(state.current);
  const others = state.roster.members.filter((member) => !inRoom(member));
  renderMembers(here, state.roster.members.filter(inRoom), state.me, false);
  renderMembers(elsewhere, others, state.me, true);
  elsewhereTitle.hidden = elsewhere.hidden = others.length === 0;
}

function renderMembers(list, members, me, withRooms) {
  renderList(list, members, {
    key: ({ id }) => id,
    make: ({ name, instance }) => {
      const initial = element("span", { className: "initial", ariaHidden: "true" }, [...name][0].toUpperCase());
      initial.dataset.tone = toneOf(instance);
      const rooms = element("span", { className: "member-rooms" });
      return element("li", {}, initial, element("span", { className: "member-name" }), instanceLabel(instance), rooms);
    },
    update: (item, { id, name, rooms }) => {
      item.querySelector(".member-name").textContent = id === me ? `${name} (you)` : name;
      item.querySelector(".member-rooms").textContent = withRooms ? rooms.map((room) => `#${room}`).join(" ") || "in no room" : "";
    },
  });
}

export function renderInstances(list, state) {
  renderList(list, state.roster.instances, {
    key: ({ name, port }) => `${name} ${port}`,
    make: () => element("li", {}, element("span", { className: "instance" }), element("span", { className: "served-count" }), element("span")),
    update: (item, { name, port }) => {
      const [label, count, place] = item.children;
      nameInstance(label, name);
      count.textContent = plural(state.roster.members.filter((member) => member.instance === name).length, "person", "people");
      const mine = name === state.instance;
      // Made anew only when it leads elsewhere: a link that has the focus keeps it through an update.
      if (place.dataset.to === `${mine} ${state.current}`) return;
      place.dataset.to = `${mine} ${state.current}`;
      place.replaceChildren(mine ? "serves you" : linkTo(name, port, state.current));
    },
  });
}

function linkTo(name, port, room) {
  const href = `${location.protocol}//${location.hostname}:${port}/${room ? `#${encodeURIComponent(room)}` : ""}`;
  const link = element("a", { href, target: "_blank", rel: "noopener" }, "Open");
  link.setAttribute("aria-label", `Open the chat on ${name} in a new window`);
  return link;
}
