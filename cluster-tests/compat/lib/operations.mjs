// What a server process can be asked to do: one entry for each call of Socket.IO's server API, with plain arguments.
// A target is { namespace, to, except, volatile, timeout }: all of them optional.

function target(io, { namespace = '/', to = [], except = [], volatile = false, timeout } = {}) {
  let operator = io.of(namespace).except(except);
  if (to.length > 0) operator = operator.to(to);
  if (volatile) operator = operator.volatile;
  return timeout === undefined ? operator : operator.timeout(timeout);
}

async function remoteSocket(io, { namespace, id }) {
  const [socket] = await target(io, { namespace, to: [id] }).fetchSockets();
  if (!socket) throw new Error(`fetchSockets found no socket with the id ${id}`);
  return socket;
}

export const operations = {
  emit: ({ io }, { event, args = [], ...where }) => void target(io, where).emit(event, ...args),

  emitWithAck: ({ io }, { event, args = [], ...where }) => target(io, where).emitWithAck(event, ...args),

  emitWithAckToSocket: async ({ io }, { event, args = [], timeout, ...where }) =>
    (await remoteSocket(io, where)).timeout(timeout).emitWithAck(event, ...args),

  fetchSockets: async ({ io }, where) =>
    (await target(io, where).fetchSockets()).map(({ id, rooms, data, handshake }) => ({
      id,
      rooms: [...rooms],
      data,
      auth: handshake.auth,
    })),

  socketsJoin: ({ io }, { rooms, ...where }) => void target(io, where).socketsJoin(rooms),
  socketsLeave: ({ io }, { rooms, ...where }) => void target(io, where).socketsLeave(rooms),
  disconnectSockets: ({ io }, { close, ...where }) => void target(io, where).disconnectSockets(close),

  joinSocket: async ({ io }, { room, ...where }) => void (await remoteSocket(io, where)).join(room),
  leaveSocket: async ({ io }, { room, ...where }) => void (await remoteSocket(io, where)).leave(room),

  /** The ids of the room's sockets on this very server, without asking anyone. */
  localMembers: ({ io }, { room }) => [...(io.sockets.adapter.rooms.get(room) ?? [])],

  serverCount: ({ io }, { namespace = '/' }) => {
    const { adapter } = io.of(namespace);
    return adapter.serverCount ? adapter.serverCount() : adapter.getNumSub(); // its name in socket.io-redis 6
  },

  serverSideEmit: ({ io }, { namespace = '/', event, args = [] }) => void io.of(namespace).serverSideEmit(event, ...args),

  serverSideEmitWithAck: ({ io }, { namespace = '/', event, args = [] }) =>
    io.of(namespace).serverSideEmitWithAck(event, ...args),

  serverSideEvents: ({ serverSideEvents }) => serverSideEvents,

  /** From here on it emits 1, 2, 3 and so on, until `stopTicking`, which tells the last number. */
  startTicking: (app, { event, everyMs }) => {
    clearInterval(app.ticking); // left by a step that failed
    app.ticks = 0;
    app.ticking = setInterval(() => app.io.emit(event, ++app.ticks), everyMs);
  },
  stopTicking: (app) => {
    clearInterval(app.ticking);
    return app.ticks;
  },

  connectionErrors: ({ connectionErrors }) => connectionErrors,
};
