// What the page knows. Views read it; only app.mjs changes it.

export function initialState() {
  return {
    /** "connecting", "connected" or "reconnecting": the page's own link to its instance. */
    link: "connecting",
    brokerUp: true,
    instance: null,
    /** This page's socket id while connected. */
    me: null,
    name: null,
    /** Rooms this page is in: name → { unread }. */
    joined: new Map(),
    current: null,
    roster: { serverCount: null, instances: [], members: [] },
  };
}

export const membersOf = (state, room) => state.roster.members.filter((member) => member.rooms.includes(room));

/** Joined rooms first, then those that others are in; each part by name. */
export function roomsToShow(state) {
  const others = new Set(state.roster.members.flatMap((member) => member.rooms));
  for (const room of state.joined.keys()) others.delete(room);
  return [...[...state.joined.keys()].sort(), ...[...others].sort()];
}

export const unreadTotal = (state) => [...state.joined.values()].reduce((sum, { unread }) => sum + unread, 0);
