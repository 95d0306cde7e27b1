// The servers among themselves.

import assert from 'node:assert/strict';
import { unique } from '../lib/two-servers.mjs';

const notes = async (server, note) =>
  (await server.ask('serverSideEvents')).filter((entry) => entry.event === 'note' && entry.args[0] === note);

export const servers = {
  async 'server count'({ A, B }) {
    for (const server of [A, B]) {
      assert.equal(await server.ask('serverCount'), 2);
      assert.equal(await server.ask('serverCount', { namespace: '/chat' }), 2);
    }
  },

  async serverSideEmit(stage) {
    const { A, B } = stage;
    const note = unique('note');
    await A.ask('serverSideEmit', { event: 'note', args: [note, { of: 'A' }] });
    await stage.fence(A); // sent after the note, on the same connection
    assert.deepEqual(await notes(B, note), [{ namespace: '/', event: 'note', args: [note, { of: 'A' }] }]);
    assert.deepEqual(await notes(A, note), [], 'a server does not hear itself');
  },

  async 'serverSideEmit in another namespace'(stage) {
    const { A, B, chatA, chatB } = stage;
    const note = unique('note');
    await B.ask('serverSideEmit', { namespace: '/chat', event: 'note', args: [note] });
    await stage.fence(B, [chatA, chatB]);
    assert.deepEqual(await notes(A, note), [{ namespace: '/chat', event: 'note', args: [note] }]);
  },

  async 'serverSideEmitWithAck'({ A, B }) {
    for (const server of [A, B]) {
      const answers = await server.ask('serverSideEmitWithAck', { event: 'question' });
      assert.equal(answers.length, 1, 'the one other server answered');
      assert.match(answers[0], /^answer from \d+$/);
    }
  },
};
