/**
 * Gets the first request's cost (about 10 ms: the parser's WebAssembly, code not yet compiled) out of the way by answering a request
 * in memory: no socket, no thread, no file is opened.
 */
import { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import type { Clock } from '../../lib/clock.ts';
import { Stop } from '../../lib/stop.ts';
import { exchange } from './exchange.ts';
import { OriginPool } from './origin-pool.ts';
import { Watch } from './watch.ts';

const ROUNDS = 100;
const LIMIT_MS = 5_000;

export async function warmUp(clock: Clock): Promise<void> {
  const pool = new OriginPool({ clock, origin: 'http://warm.invalid', connector: answering, onEmpty: () => {} });
  const watch = new Watch(clock, LIMIT_MS, new Stop());
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const request = { method: 'GET', path: '/', headers: ['Belfry-Job', 'warm'], body: null, servername: null };
      await exchange(() => pool, request, { head: () => true, body: () => undefined }, watch);
      await clock.yield(); // until the connection can be used again: its second request takes other code than its first
      await clock.yield();
    }
  } finally {
    watch.close();
    pool.destroy();
  }
}

/** A connection whose other end answers every request at once. */
function answering(_target: unknown, callback: (error: null, socket: Socket) => void): Socket {
  const stream = new Duplex({
    read() {},
    write(_chunk, _encoding, done) {
      stream.push('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      done();
    },
  });
  const same = () => stream;
  const socket = Object.assign(stream, {
    ref: same,
    unref: same,
    setNoDelay: same,
    setKeepAlive: same,
    setTimeout: same,
  }) as unknown as Socket;
  queueMicrotask(() => callback(null, socket));
  return socket;
}
