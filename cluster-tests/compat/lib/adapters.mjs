// The adapters of @socket.io/redis-adapter, as columns of the matrix. Every combination gets a prefix of its own, so that many
// of them share one broker without hearing each other.

import { createAdapter, createShardedAdapter } from '@socket.io/redis-adapter';
import socketIoRedis from 'socket.io-redis';

const sharded = (subscriptionMode) => ({
  sharded: true,
  create: (publisher, subscriber, prefix) =>
    createShardedAdapter(publisher, subscriber, { channelPrefix: prefix, subscriptionMode }),
});

export const adapters = {
  classic: {
    sharded: false,
    create: (publisher, subscriber, prefix) => createAdapter(publisher, subscriber, { key: prefix }),
  },
  'sharded static': sharded('static'),
  'sharded dynamic': sharded('dynamic'),
  'sharded dynamic-private': sharded('dynamic-private'),
};

/** The predecessor of the classic adapter: not part of the matrix, see socket.io-redis.test.mjs. */
export const predecessor = {
  'socket.io-redis': {
    create: (publisher, subscriber, prefix) => socketIoRedis({ pubClient: publisher, subClient: subscriber, key: prefix }),
  },
};

/** Does this adapter give the room a channel of its own? (A socket's id is the name of its private room.) */
export function hasOwnChannel(mode, { isPrivateRoom = false } = {}) {
  return mode === 'sharded dynamic-private' || (mode === 'sharded dynamic' && !isPrivateRoom);
}
