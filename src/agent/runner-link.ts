/** The node's end of the socket to one runner: connects, greets, and says when the runner is gone or does not answer any more. */
import { closeSync, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import type { Clock, Timer } from '../lib/clock.ts';
import type { KnownExecution } from '../model/agent.ts';
import { runnerDirectory } from './paths.ts';
import {
  encodeMessage,
  LineDecoder,
  type NodeMessage,
  PROTOCOL,
  type RunnerMessage,
  type SpawnKind,
} from './protocol.ts';

export interface LinkEvents {
  message(link: RunnerLink, message: RunnerMessage): void;
  /** Its process is dead: its directory can be taken over. */
  dead(link: RunnerLink): void;
  /** It has not answered a ping, or not greeted, for PING_INTERVAL_MS; told once for each silence. */
  silent(link: RunnerLink): void;
  /** It has not answered for PING_UNANSWERED_MAX pings. */
  hung(link: RunnerLink): void;
}

export interface LinkTarget {
  readonly runner: string;
  readonly pid: number;
  /** Gets no new runs: started by an earlier node. */
  readonly draining: boolean;
  /** The process has ended for certain. */
  readonly ended: () => boolean;
  readonly kill: () => void;
}

/** A runner is asked for a sign of life this often when it is silent. */
export const PING_INTERVAL_MS = 10_000;
/** A stopped process may be continued; after so many unanswered pings the runner is given up and its jobs are taken over. */
export const PING_UNANSWERED_MAX = 6;
const RETRY_MS = 20;

export class RunnerLink {
  readonly target: LinkTarget;
  readonly #dataDir: string;
  readonly #clock: Clock;
  readonly #events: LinkEvents;
  #socket: Socket | null = null;
  #retry: Timer | null = null;
  #ping: Timer | null = null;
  #unanswered = 0;
  #greeted = false;
  #closed = false;
  #greeting: (() => Extract<NodeMessage, { t: 'hello' }>) | null = null;
  pid = 0;
  epoch = 0;
  spawn: SpawnKind = 'ffi';
  /** hello and everything known have arrived. */
  ready = false;
  readonly known: KnownExecution[] = [];

  constructor(dataDir: string, target: LinkTarget, clock: Clock, events: LinkEvents) {
    this.#dataDir = dataDir;
    this.target = target;
    this.#clock = clock;
    this.#events = events;
  }

  get runner(): string {
    return this.target.runner;
  }

  /** Keeps trying until it is connected or the process is dead. */
  open(greeting: () => Extract<NodeMessage, { t: 'hello' }>): void {
    this.#greeting = greeting;
    this.#ping = this.#clock.setTimer(PING_INTERVAL_MS, () => this.#onPing());
    this.#connect();
  }

  send(message: NodeMessage): void {
    this.#socket?.write(encodeMessage(message));
  }

  /** An exit that it has asked for. */
  told(pid: number, status: number | null): void {
    this.send({ t: 'reaped', exits: [{ pid, status }] });
  }

  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
    this.#ping?.cancel();
    this.#socket?.destroy();
    this.#socket = null;
  }

  #connect(): void {
    if (this.#closed) return;
    if (this.target.ended()) return this.#die();
    let directory: number;
    try {
      directory = openSync(runnerDirectory(this.#dataDir, this.runner), 'r');
    } catch {
      return this.#again(); // no descriptor free just now
    }
    const decoder = new LineDecoder<RunnerMessage>();
    // Through the directory's descriptor, because a socket's path may not exceed 108 bytes.
    const socket = connect({ path: `/proc/self/fd/${directory}/sock` });
    socket.on('connect', () => {
      // Left open it would keep this process from ending, and the runner would think that a node is there.
      if (this.#closed) return socket.destroy();
      this.#socket = socket;
      if (this.#greeting !== null) this.send(this.#greeting());
    });
    socket.on('data', (chunk: Buffer) => {
      this.#unanswered = 0;
      for (const message of decoder.push(chunk)) this.#receive(message);
    });
    // ENOENT and ECONNREFUSED: not listening yet, or dead; `close` follows and tells which.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      closeSync(directory);
      this.#socket = null;
      this.ready = false;
      this.#again();
    });
  }

  #again(): void {
    if (this.#closed) return;
    this.#retry = this.#clock.setTimer(RETRY_MS, () => this.#connect());
  }

  #receive(message: RunnerMessage): void {
    if (this.#closed) return;
    if (message.t === 'hello') {
      this.#greeted = true;
      this.pid = message.pid;
      this.epoch = message.epoch;
      this.spawn = message.spawn;
      this.known.length = 0;
    } else if (message.t === 'known' && !this.ready) {
      this.known.push(...message.runs);
    } else if (message.t === 'ready') {
      this.ready = true;
      this.#events.message(this, message);
    } else {
      this.#events.message(this, message);
    }
  }

  #die(): void {
    this.close();
    this.#events.dead(this);
  }

  #onPing(): void {
    this.#ping = this.#clock.setTimer(PING_INTERVAL_MS, () => this.#onPing());
    this.#unanswered += 1;
    if (this.#unanswered > PING_UNANSWERED_MAX) return this.#events.hung(this);
    // The first ping has just come due, unless the greeting is still awaited.
    if (this.#unanswered === (this.#greeted ? 2 : 1)) this.#events.silent(this);
    this.send({ t: 'ping' });
  }
}

export function greetingOf(epoch: number, reaps: boolean): Extract<NodeMessage, { t: 'hello' }> {
  return { t: 'hello', protocol: PROTOCOL, epoch, pid: process.pid, reaps };
}
