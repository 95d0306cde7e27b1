// What a person may type. The page uses it to help, the server uses it to decide.

export const NAME_CHARS_MAX = 24;
export const ROOM_CHARS_MAX = 24;
export const MESSAGE_CHARS_MAX = 500;
/** Rooms one page may be in at once. */
export const ROOMS_JOINED_MAX = 8;

/** Where everyone starts. */
export const LOBBY = "lobby";

// Control characters break the layout; the bidirectional ones can make a name read like another's.
const UNSEEN = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** One trimmed line of at most `charsMax` characters, or null. */
export function cleanLine(value, charsMax) {
  if (typeof value !== "string") return null;
  const line = value.normalize("NFC").replace(UNSEEN, " ").replace(/\s+/gu, " ").trim();
  return line !== "" && [...line].length <= charsMax ? line : null;
}

/** "Tea Break" and "#tea-break" are the same room. Letters, digits and hyphens, or null. */
export function cleanRoom(value) {
  const line = cleanLine(value, ROOM_CHARS_MAX);
  if (line === null) return null;
  const room = line.toLowerCase().replace(/^#+/u, "").trim().replace(/ /gu, "-");
  return /^[\p{L}\p{N}][\p{L}\p{M}\p{N}-]*$/u.test(room) ? room : null;
}
