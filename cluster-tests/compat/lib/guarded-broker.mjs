// A broker behind TLS with one user who may do a little, for the suites about access.

import { readFileSync } from 'node:fs';
import { Broker, brokerName, freePort } from './broker.mjs';
import { Certificates } from './certificates.mjs';
import { eventually } from './wait.mjs';

export const PASSWORD = 'a long password';

/** For how long a client that cannot get in goes on trying. */
export const TRYING_MS = 1_500;

export class GuardedBroker {
  static async start() {
    const guarded = new GuardedBroker();
    guarded.certificates = new Certificates();
    guarded.tlsPort = await freePort();
    const [cert, key, ca] = ['server.pem', 'server.key', 'ca.pem'].map((name) => guarded.certificates.path(name));
    guarded.broker = await Broker.start(
      brokerName === 'redis'
        ? ['--tls-port', `${guarded.tlsPort}`, '--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', ca, '--tls-auth-clients', 'no']
        : ['--tls-addr', `127.0.0.1:${guarded.tlsPort}`, '--tls-cert-file', cert, '--tls-key-file', key],
    );
    await guarded.broker.command('ACL', 'SETUSER', 'app', 'on', `>${PASSWORD}`, 'resetchannels', '&news.*', '+@all', '-@dangerous', '+info');
    return guarded;
  }

  /** Processor time of the broker: two fields of /proc/<pid>/stat, in ticks of 10 ms. */
  cpuMs() {
    const fields = readFileSync(`/proc/${this.broker.pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10;
  }

  /** Nothing of a test is left behind: the suite's own connection alone. */
  async alone() {
    await eventually('all connections of the test are gone', async () => {
      const lines = String(await this.broker.command('CLIENT', 'LIST')).trim().split('\n');
      return lines.length === 1;
    });
  }

  async stop() {
    await this.broker?.stop();
    this.certificates?.remove();
  }
}
