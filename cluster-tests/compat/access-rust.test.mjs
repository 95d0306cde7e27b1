// TLS, users and passwords with redis-rs and fred, the libraries behind socketioxide-redis, in a process of
// ../socketioxide-app: what works, and how what is wrong is told.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { GuardedBroker, PASSWORD, TRYING_MS } from './lib/guarded-broker.mjs';
import { eventually } from './lib/wait.mjs';

const ACCESS = fileURLToPath(new URL('../../target/socketioxide-app/debug/access', import.meta.url));

let guarded;
before(async () => {
  guarded = await GuardedBroker.start();
});
after(() => guarded?.stop());

function start(library, action, { authority = 'ca.pem', password = PASSWORD } = {}) {
  const url = `rediss://app:${encodeURIComponent(password)}@localhost:${guarded.tlsPort}`;
  const process = spawn(ACCESS, [library, action, url, guarded.certificates.path(authority)]);
  const running = { process, printed: '', ended: new Promise((resolve) => process.on('close', resolve)) };
  for (const stream of [process.stdout, process.stderr]) stream.setEncoding('utf8').on('data', (text) => (running.printed += text));
  return running;
}

/** The outcomes that it tells, a line each. */
async function outcomes(library, action, options) {
  const running = start(library, action, options);
  assert.equal(await running.ended, 0, running.printed);
  return running.printed.trim().split('\n');
}

for (const library of ['redis', 'fred']) {
  describe(library, () => {
    test('messages pass through TLS, published and heard by a user with a password', async () => {
      assert.deepEqual(await outcomes(library, 'hear'), ['ok 1 100000']);
    });

    test('what a user may not do is an error of that command, and of nothing else', async () => {
      const [forbidden, allowed] = await outcomes(library, 'publish');
      assert.match(forbidden, /^error .*no permissions to access one of the channels/i);
      assert.equal(allowed, 'ok 0');
    });

    test('a wrong password is told as such', async () => {
      const [told] = await outcomes(library, 'publish', { password: 'wrong' });
      assert.match(told, /^error .*(WRONGPASS|AuthenticationFailed|Auth)/);
    });

    test('an authority that the client does not know is told as such', async () => {
      const [told] = await outcomes(library, 'publish', { authority: 'stranger.pem' });
      assert.match(told, /^error .*(certificate|UnknownIssuer)/i);
    });

    test('who tries again and again costs the broker next to nothing', async () => {
      const cpuBefore = guarded.cpuMs();
      const trying = [start(library, 'retry', { password: 'wrong' }), start(library, 'retry', { authority: 'stranger.pem' })];
      try {
        await new Promise((resolve) => setTimeout(resolve, TRYING_MS));
        assert.ok(guarded.cpuMs() - cpuBefore < TRYING_MS / 3, `${guarded.cpuMs() - cpuBefore} ms of processor time in ${TRYING_MS} ms`);
        await eventually('both were told no', () => trying.every(({ printed }) => printed.startsWith('error ')), {
          describe: () => `; they printed: ${trying.map(({ printed }) => printed).join(' and ')}`,
        });
      } finally {
        for (const { process } of trying) process.kill('SIGKILL');
        await Promise.all(trying.map(({ ended }) => ended));
      }
      await guarded.alone();
    });
  });
}
