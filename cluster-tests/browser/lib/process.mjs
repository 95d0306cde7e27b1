// Child processes that never outlive the test: each is stopped by its own id, at the latest when this process ends.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a process and keeps what it writes in `output`. */
export function start(command, args, options = {}) {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  child.output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      child.output += text;
    });
  }
  child.on('error', (error) => {
    child.output += `${command} could not be started: ${error.message}\n`;
  });
  running.add(child);
  child.once('close', () => running.delete(child));
  return child;
}

export const isRunning = (child) => child.pid !== undefined && child.exitCode === null && child.signalCode === null;

/** Sends the signal and waits for the end. */
export async function stop(child, signal) {
  if (!isRunning(child)) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}
