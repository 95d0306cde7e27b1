// A few lines of RESP2 for the suite itself: the broker is asked whether it lives, and who is subscribed, without any of the
// client libraries under test. Replies are simple strings, errors, integers, bulk strings and arrays: all it ever asks for.

import net from 'node:net';
import { once } from 'node:events';

export class RespConnection {
  #socket;
  #unread = '';
  #waiting = [];

  static async open(port) {
    const socket = net.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new RespConnection(socket);
  }

  constructor(socket) {
    this.#socket = socket;
    socket.setEncoding('latin1'); // one character per byte, so that lengths count bytes
    socket.on('data', (text) => this.#read(text));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the broker closed the connection')));
  }

  /** Sends one command and resolves with its reply; an error reply rejects. */
  command(...words) {
    const frame = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('');
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new Error('the connection to the broker is closed'));
      this.#waiting.push({ resolve, reject });
      this.#socket.write(`*${words.length}\r\n${frame}`);
    });
  }

  close() {
    this.#socket.destroy();
  }

  #read(text) {
    this.#unread += text;
    while (this.#waiting.length > 0) {
      const parsed = parse(this.#unread, 0);
      if (!parsed) return;
      this.#unread = this.#unread.slice(parsed.end);
      const { resolve, reject } = this.#waiting.shift();
      if (parsed.value instanceof Error) reject(parsed.value);
      else resolve(parsed.value);
    }
  }

  #fail(error) {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

/** Reads one reply that starts at `start`: `{ value, end }`, or nothing while it is incomplete. */
function parse(text, start) {
  const lineEnd = text.indexOf('\r\n', start);
  if (lineEnd < 0) return undefined;
  const line = text.slice(start + 1, lineEnd);
  let end = lineEnd + 2;
  switch (text[start]) {
    case '+':
      return { value: line, end };
    case '-':
      return { value: new Error(line), end };
    case ':':
      return { value: Number(line), end };
    case '$': {
      if (line === '-1') return { value: null, end };
      const length = Number(line);
      return text.length < end + length + 2 ? undefined : { value: text.slice(end, end + length), end: end + length + 2 };
    }
    case '*': {
      const items = [];
      for (let left = Number(line); left > 0; left--) {
        const item = parse(text, end);
        if (!item) return undefined;
        items.push(item.value);
        end = item.end;
      }
      return { value: items, end };
    }
    default:
      throw new Error(`not a RESP2 reply: ${JSON.stringify(text.slice(start, start + 40))}`);
  }
}
