// Certificates for one test: an authority, what it signs, and an authority that nobody knows.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class Certificates {
  #folder = mkdtempSync(join(tmpdir(), 'carillon-certificates-'));

  constructor() {
    for (const authority of ['ca', 'stranger']) {
      this.#openssl('req', '-x509', ...this.#newKey(authority), '-subj', `/CN=${authority}`, '-days', '2', '-out', this.path(`${authority}.pem`));
    }
    writeFileSync(this.path('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
    this.#openssl('req', ...this.#newKey('server'), '-subj', '/CN=localhost', '-out', this.path('server.csr'));
    const by = ['-CA', this.path('ca.pem'), '-CAkey', this.path('ca.key'), '-CAcreateserial'];
    const signed = ['-in', this.path('server.csr'), ...by, '-days', '2', '-extfile', this.path('names'), '-out', this.path('server.pem')];
    this.#openssl('x509', '-req', ...signed);
  }

  path(name) {
    return join(this.#folder, name);
  }

  read(name) {
    return readFileSync(this.path(name));
  }

  remove() {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #newKey(name) {
    return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', this.path(`${name}.key`)];
  }

  #openssl(...args) {
    const { status, stderr, error } = spawnSync('openssl', args, { encoding: 'utf8' });
    if (status !== 0) throw error ?? new Error(`openssl ${args[0]}: ${stderr}`);
  }
}
