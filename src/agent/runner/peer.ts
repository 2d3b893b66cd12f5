/**
 * The runner's end of its socket. One node at a time: a newer connection's hello ends the older one, and nothing the older one still had in
 * its buffer is heard, so a start that a dead node left in the socket cannot run beside its repetition by the next node.
 */
import { closeSync, openSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../../lib/clock.ts';
import type { ExecutionEnded, ExecutionRefused, ExecutionStarted } from '../../model/agent.ts';
import { BATCH_MAX, encodeMessage, LineDecoder, type NodeMessage, type RunnerMessage } from '../protocol.ts';

export interface PeerEvents {
  /** A node has connected; `send` its greeting. */
  hello(message: Extract<NodeMessage, { t: 'hello' }>): void;
  message(message: NodeMessage): void;
  gone(): void;
}

/** Between two messages of the same kind: what is told one by one in a storm costs more than the starts themselves. */
const GATHER_MS = 16;

export class Peer {
  readonly #clock: Clock;
  readonly #events: PeerEvents;
  readonly #server: Server;
  readonly #directoryFd: number;
  #socket: Socket | null = null;
  #congested = false;
  #flushing = false;
  #flushedAt = Number.NEGATIVE_INFINITY;
  #accepted: number[] = [];
  #refused: ExecutionRefused[] = [];
  #started: ExecutionStarted[] = [];
  #ended: ExecutionEnded[] = [];

  constructor(directory: string, clock: Clock, events: PeerEvents) {
    this.#clock = clock;
    this.#events = events;
    // A socket's path is limited to 108 bytes; through the directory's descriptor any data directory will do.
    this.#directoryFd = openSync(directory, 'r');
    this.#server = createServer((socket) => this.#connected(socket));
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(`/proc/self/fd/${this.#directoryFd}/sock`, () => resolve());
    });
  }

  get attached(): boolean {
    return this.#socket !== null;
  }

  send(message: RunnerMessage): void {
    if (this.#socket === null) return;
    this.#congested = !this.#socket.write(encodeMessage(message)) || this.#congested;
  }

  // These four are gathered: after a pause what happens in one turn of the loop goes out as one message each, in a storm that of some turns.
  accepted(keys: readonly number[]): void {
    this.#gather(() => this.#accepted.push(...keys));
  }

  refused(runs: readonly ExecutionRefused[]): void {
    this.#gather(() => this.#refused.push(...runs));
  }

  started(run: ExecutionStarted): void {
    this.#gather(() => this.#started.push(run));
  }

  ended(run: ExecutionEnded): void {
    this.#gather(() => this.#ended.push(run));
  }

  close(): void {
    this.#server.close();
    this.#socket?.destroy();
    this.#socket = null;
    closeSync(this.#directoryFd);
  }

  #gather(add: () => void): void {
    // With nobody attached there is nobody to tell; the next hello is answered with everything.
    if (this.#socket === null) return;
    add();
    this.#flushSoon();
  }

  #flushSoon(): void {
    if (this.#flushing || this.#congested) return;
    this.#flushing = true;
    const flush = () => {
      this.#flushing = false;
      this.#flushedAt = this.#clock.monotonic();
      this.#flush();
    };
    const waitMs = this.#flushedAt + GATHER_MS - this.#clock.monotonic();
    if (waitMs <= 0) void this.#clock.yield().then(flush);
    else this.#clock.setTimer(waitMs, flush);
  }

  /** The order matters: accepted before started before ended. */
  #flush(): void {
    if (this.#socket === null || this.#congested) return;
    const lines = [
      ...linesOf(this.#accepted, (keys) => ({ t: 'accepted', keys })),
      ...linesOf(this.#refused, (runs) => ({ t: 'refused', runs })),
      ...linesOf(this.#started, (runs) => ({ t: 'started', runs })),
      ...linesOf(this.#ended, (runs) => ({ t: 'ended', runs })),
    ];
    if (lines.length > 0) this.#congested = !this.#socket.write(lines.join(''));
  }

  #connected(socket: Socket): void {
    const decoder = new LineDecoder<NodeMessage>();
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const message of decoder.push(chunk)) this.#receive(socket, message);
      } catch (error) {
        // Not a node, or one that has lost its mind: the connection goes, the runs stay.
        socket.destroy(error as Error);
      }
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      if (this.#socket !== socket) return;
      this.#forget();
      this.#events.gone();
    });
    socket.on('drain', () => {
      if (this.#socket !== socket) return;
      this.#congested = false;
      this.#flushSoon();
    });
  }

  #receive(socket: Socket, message: NodeMessage): void {
    if (message.t === 'hello') {
      const older = this.#socket;
      this.#forget();
      this.#socket = socket;
      older?.destroy();
      this.#events.hello(message);
    } else if (socket === this.#socket) {
      this.#events.message(message);
    }
  }

  #forget(): void {
    this.#socket = null;
    this.#congested = false;
    this.#accepted = [];
    this.#refused = [];
    this.#started = [];
    this.#ended = [];
  }
}

/** Takes everything out of the list. */
function linesOf<Item>(list: Item[], message: (items: Item[]) => RunnerMessage): string[] {
  const lines: string[] = [];
  while (list.length > 0) lines.push(encodeMessage(message(list.splice(0, BATCH_MAX))));
  return lines;
}
