// Who you are survives a reload, per browser tab, so that two tabs can be two people.

const KEY = "carillon-chat";

export function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? {};
  } catch {
    return {}; // Storage may be switched off; then a reload asks for the name again.
  }
}

export function remember(state) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ name: state.name, rooms: [...state.joined.keys()], current: state.current }));
  } catch {
    // See above.
  }
}

/** The room in the address (`…/#tea-break`), or null. */
export function roomInAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1)) || null;
  } catch {
    return null;
  }
}
