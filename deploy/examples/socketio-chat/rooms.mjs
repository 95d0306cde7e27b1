// Rooms of the chat are Socket.IO rooms with a prefix. Without it a room named like somebody's socket id would be that
// socket's own room, and joining it would mean to listen in.

const PREFIX = "room:";

/** The Socket.IO room behind a room of the chat. */
export const channelOf = (room) => PREFIX + room;

/** The chat's rooms among a socket's Socket.IO rooms. */
export const roomsOf = (channels) => [...channels].filter((channel) => channel.startsWith(PREFIX)).map((channel) => channel.slice(PREFIX.length));
