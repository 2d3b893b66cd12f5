/**
 * The connections to one origin. Each is an undici Client that carries one request at a time.
 *
 * Size: a burst opens up to `START` connections at once, which is all that a fast target can use. While requests wait and those under
 * way do not end fast enough the target is slow, and the pool grows step by step up to `MAX`, so that slow requests do not hold up the
 * others. (Growing for a fast target would make a burst slower: a new connection costs more than a request.)
 * Above that requests wait their turn; their time limit counts meanwhile.
 *
 * Idle connections: the newest is used first, so that those not needed grow old and are closed. The server may close an idle
 * connection at the very moment we send on it. undici looks at the socket once more before it writes; what remains is a window of one
 * network delay. So a request that must not be sent twice takes only connections idle for a very short time (no server closes so
 * early), and an idempotent one may ask for a second try on a fresh connection (see exchange.ts).
 */
import Client from 'undici/lib/dispatcher/client.js';
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Connector } from './connector.ts';
import type { Exchange } from './exchange.ts';

export const CONNECTIONS_START = 64;
export const CONNECTIONS_MAX = 1024;
/** How often the pool looks whether to grow, then by up to `CONNECTIONS_START`. */
const GROW_MS = 5;
/** It does not when the requests that wait would be through in so many looks at the pace of the last. */
const PACE_LOOKS = 40;
/** undici closes a connection idle for so long, unless the server's Keep-Alive header gives another time (up to the second limit). */
const IDLE_MS_MAX = 4_000;
const IDLE_MS_MAX_BY_SERVER = 30_000;
/** A request that must not be repeated uses no connection idle for longer: the shortest keep-alive in common use is 2 s (gunicorn). */
const IDLE_MS_MAX_UNSAFE = 1_500;
/** Response headers above this fail the request. */
const HEADER_BYTES_MAX = 262_144;

export interface OriginPoolOptions {
  readonly clock: Clock;
  readonly origin: string;
  readonly connector: Connector;
  /** Called when no connection and no request is left. */
  readonly onEmpty: () => void;
}

export class OriginPool {
  readonly #options: OriginPoolOptions;
  readonly #connections = new Set<Connection>();
  /** Newest last. */
  readonly #idle: Connection[] = [];
  #waiting: Exchange[] = [];
  #firstWaiting = 0;
  /** Connections that came free since the pool last looked. */
  #freed = 0;
  #growing: Timer | null = null;
  #closing = false;

  constructor(options: OriginPoolOptions) {
    this.#options = options;
  }

  /** Sends the request as soon as a connection is there. The exchange hears of everything that follows. */
  start(exchange: Exchange): void {
    const connection = exchange.fresh ? undefined : this.#takeIdle(exchange);
    if (connection !== undefined) connection.carry(exchange);
    else if (this.#connections.size < CONNECTIONS_START || exchange.fresh) this.#open(exchange);
    else this.#enqueue(exchange);
  }

  /** Closes idle connections now and the others when their request has ended. */
  close(): void {
    this.#closing = true;
    for (const connection of this.#idle.splice(0)) connection.destroy();
  }

  /** Breaks everything off. */
  destroy(): void {
    this.close();
    // Those first that wait, or each connection that goes would open another for them.
    for (let exchange = this.#nextWaiting(); exchange !== undefined; exchange = this.#nextWaiting()) {
      exchange.onResponseError(null, new Error('the executor was closed'));
    }
    for (const connection of this.#connections) connection.destroy();
  }

  #takeIdle(exchange: Exchange): Connection | undefined {
    const newest = this.#idle.at(-1);
    if (newest === undefined) return undefined;
    if (!exchange.idempotent && this.#options.clock.monotonic() - newest.idleSince > IDLE_MS_MAX_UNSAFE) {
      // All others are older still. One of them gives up its place, so that the pool does not outgrow its limit.
      if (this.#connections.size >= CONNECTIONS_START) this.#idle[0]?.destroy();
      return undefined;
    }
    return this.#idle.pop();
  }

  #open(exchange: Exchange): void {
    const { origin, connector, clock } = this.#options;
    const connection: Connection = new Connection(origin, connector, {
      free: () => {
        connection.idleSince = clock.monotonic();
        this.#free(connection);
      },
      gone: () => this.#gone(connection),
    });
    this.#connections.add(connection);
    connection.carry(exchange);
  }

  #enqueue(exchange: Exchange): void {
    this.#waiting.push(exchange);
    this.#growing ??= this.#options.clock.setTimer(GROW_MS, () => this.#grow());
  }

  #grow(): void {
    this.#growing = null;
    const fast = this.#freed * PACE_LOOKS >= this.#waiting.length - this.#firstWaiting;
    this.#freed = 0;
    for (let opened = 0; !fast && opened < CONNECTIONS_START && this.#connections.size < CONNECTIONS_MAX; opened++) {
      const exchange = this.#nextWaiting();
      if (exchange === undefined) return;
      this.#open(exchange);
    }
    if (this.#firstWaiting < this.#waiting.length)
      this.#growing = this.#options.clock.setTimer(GROW_MS, () => this.#grow());
  }

  #nextWaiting(): Exchange | undefined {
    for (;;) {
      const exchange = this.#waiting[this.#firstWaiting];
      if (exchange === undefined) break;
      this.#firstWaiting++;
      if (!exchange.settled) return exchange;
    }
    this.#waiting = [];
    this.#firstWaiting = 0;
    return undefined;
  }

  #free(connection: Connection): void {
    this.#freed++;
    const exchange = this.#nextWaiting();
    if (exchange !== undefined) connection.carry(exchange);
    else if (this.#closing) connection.destroy();
    else this.#idle.push(connection);
  }

  #gone(connection: Connection): void {
    this.#connections.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    const exchange = this.#nextWaiting();
    if (exchange !== undefined) this.#open(exchange);
    else if (this.#connections.size === 0) {
      this.#growing?.cancel();
      this.#growing = null;
      this.#options.onEmpty();
    }
  }
}

interface ConnectionEvents {
  /** Ready for the next request. */
  free(): void;
  /** Closed for good; told once. */
  gone(): void;
}

/** One connection: opening → carrying ⇄ idle → gone. */
export class Connection {
  readonly #client: Client;
  readonly #events: ConnectionEvents;
  #socket: Socket | null = null;
  #connected = false;
  #gone = false;
  #current: Exchange | null = null;
  /** Requests answered on the socket as it is now; above 0 the server may have closed it behind our back. */
  served = 0;
  /** Monotonic ms. */
  idleSince = 0;

  constructor(origin: string, connector: Connector, events: ConnectionEvents) {
    this.#events = events;
    this.#client = new Client(origin, {
      connect: (target, callback) => {
        this.#socket = connector(target, callback);
      },
      pipelining: 1,
      headersTimeout: 0, // one limit for the whole request: watch.ts
      bodyTimeout: 0,
      keepAliveTimeout: IDLE_MS_MAX,
      keepAliveMaxTimeout: IDLE_MS_MAX_BY_SERVER,
      maxHeaderSize: HEADER_BYTES_MAX,
    });
    this.#client.on('connect', () => {
      this.#connected = true;
      this.served = 0;
    });
    this.#client.on('disconnect', () => {
      this.#connected = false;
      if (this.#current === null) this.destroy();
    });
    // undici says so after each request, however it ended, once the client can take another.
    this.#client.on('drain', () => this.#drained());
  }

  get connected(): boolean {
    return this.#connected;
  }

  carry(exchange: Exchange): void {
    this.#current = exchange;
    exchange.carriedBy(this);
    this.#client.dispatch(exchange.request, exchange);
    // Refused before it was sent (undici says nothing more then): rare enough to give up the connection.
    if (exchange.settled) this.destroy();
  }

  /** Ends it now; the request it carries must have settled already. */
  destroy(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#client.destroy(() => {});
    this.#socket?.destroy();
    this.#events.gone();
  }

  #drained(): void {
    if (this.#gone || (this.#current !== null && !this.#current.settled)) return;
    this.#current = null;
    this.served++;
    if (this.#connected) this.#events.free();
    else this.destroy();
  }
}
