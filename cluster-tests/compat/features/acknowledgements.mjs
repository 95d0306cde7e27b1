// Acknowledgements that cross the servers: the clients' answers come back through the broker.

import assert from 'node:assert/strict';
import { unique } from '../lib/two-servers.mjs';
import { sameNames } from './check.mjs';

const ANSWER_TIMEOUT_MS = 3_000;
const GIVE_UP_AFTER_MS = 250;

export const acknowledgements = {
  async 'emitWithAck to everyone'({ A, B }) {
    for (const server of [A, B]) {
      const answers = await server.ask('emitWithAck', { event: unique('question'), timeout: ANSWER_TIMEOUT_MS });
      sameNames(answers, ['a1', 'a2', 'b1', 'b2'], 'everyone answered, once');
    }
  },

  async 'emitWithAck to a room, with binary'(stage) {
    const { A, a2, b2 } = stage;
    const room = unique('room');
    await stage.join(room, a2, b2);
    const args = [Buffer.from([0, 1, 254, 255])];
    const event = unique('question');
    sameNames(await A.ask('emitWithAck', { to: [room], event, args, timeout: ANSWER_TIMEOUT_MS }), ['a2', 'b2']);
    assert.deepEqual(await b2.got(event), args);
  },

  async 'emitWithAck in another namespace'({ B }) {
    const question = { namespace: '/chat', event: unique('question'), timeout: ANSWER_TIMEOUT_MS };
    sameNames(await B.ask('emitWithAck', question), ['chatA', 'chatB']);
  },

  async 'emitWithAck times out with the answers so far'({ A, b2 }) {
    b2.answers = false;
    try {
      const question = { event: unique('question'), timeout: GIVE_UP_AFTER_MS };
      await assert.rejects(A.ask('emitWithAck', question), (error) => {
        assert.match(error.message, /operation has timed out/);
        sameNames(error.responses, ['a1', 'a2', 'b1'], 'the answers that came in time');
        return true;
      });
    } finally {
      b2.answers = true;
    }
  },

  async 'emitWithAck to one socket of the other server'({ A, b1 }) {
    const question = { id: b1.id, event: unique('question'), timeout: ANSWER_TIMEOUT_MS };
    assert.equal(await A.ask('emitWithAckToSocket', question), 'b1');
  },
};
