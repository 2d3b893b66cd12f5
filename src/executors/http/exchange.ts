/**
 * One request and its response, as undici tells of it. Settles exactly once: with the end of the response, with what broke, or with
 * the end the watch asked for. Response bytes go to `sink`, which may make the connection wait.
 */
import type { Dispatcher } from 'undici';
import type { Connection, OriginPool } from './origin-pool.ts';
import type { EndCause, Watch } from './watch.ts';

export interface ExchangeRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** Flat: name, value, name, … */
  readonly headers: string[];
  readonly body: string | null;
  /** For TLS; null: the Host header decides. */
  readonly servername: string | null;
}

/** Where it stood when it ended, for the error text. */
export type ExchangePhase = 'waiting' | 'connecting' | 'headers' | 'body';

export interface ResponseHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export type ExchangeEnd =
  | { readonly kind: 'response'; readonly head: ResponseHead }
  | { readonly kind: 'broken'; readonly error: Error; readonly phase: ExchangePhase }
  | { readonly kind: 'ended'; readonly cause: EndCause; readonly phase: ExchangePhase };

export interface ExchangeSink {
  /** Called once, before the body; false: the body is of no interest. */
  head(head: ResponseHead): boolean;
  /** A returned promise holds the response back until it resolves. */
  body(chunk: Uint8Array): Promise<void> | undefined;
}

/** Of the body of a redirect. */
const DISCARD_BYTES_MAX = 65_536;

const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/**
 * Sends the request through the pool. An idempotent request whose reused connection turns out closed before any byte of the response
 * is sent once more on a fresh one (as Go and browsers do); any other only if no byte of it was sent. `pool` is asked each time,
 * because a pool that lost its last connection is no longer the one that others use.
 */
export async function exchange(
  pool: () => OriginPool,
  request: ExchangeRequest,
  sink: ExchangeSink,
  watch: Watch,
): Promise<ExchangeEnd> {
  const first = new Exchange(request, sink, false);
  const end = await first.run(pool(), watch);
  if (end.kind !== 'broken' || !first.mayBeSentAgain(end.error)) return end;
  return new Exchange(request, sink, true).run(pool(), watch);
}

export class Exchange implements Dispatcher.DispatchHandler {
  readonly request: Dispatcher.DispatchOptions;
  readonly idempotent: boolean;
  /** Only a connection that has never carried a request will do. */
  readonly fresh: boolean;
  readonly #sink: ExchangeSink;
  #connection: Connection | null = null;
  #reused = false;
  #sent = false;
  #head: ResponseHead | null = null;
  #wanted = true;
  #discarded = 0;
  #settle: ((end: ExchangeEnd) => void) | null = null;
  #watch: Watch | null = null;

  constructor(request: ExchangeRequest, sink: ExchangeSink, fresh: boolean) {
    this.#sink = sink;
    this.fresh = fresh;
    this.idempotent = IDEMPOTENT.has(request.method) && request.body === null;
    this.request = {
      method: request.method,
      path: request.path,
      headers: request.headers,
      body: request.body,
      // undici takes it, though its types leave it to https origins in `connect`.
      ...({ servername: request.servername } as object),
    };
  }

  get settled(): boolean {
    return this.#settle === null;
  }

  run(pool: OriginPool, watch: Watch): Promise<ExchangeEnd> {
    return new Promise((resolve) => {
      this.#settle = resolve;
      this.#watch = watch;
      watch.listen(() => this.#endNow());
      if (!this.settled) pool.start(this);
    });
  }

  /** From here on this connection sends it; until then it may be found closed. */
  carriedBy(connection: Connection): void {
    this.#connection = connection;
    this.#reused = connection.served > 0;
  }

  /** Whether this error is what a connection closed by the server while idle gives, and a second try can do no harm. */
  mayBeSentAgain(error: Error): boolean {
    if (!this.#reused || this.#head !== null || (this.#sent && !this.idempotent)) return false;
    return ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes((error as NodeJS.ErrnoException).code ?? '');
  }

  onRequestStart(): void {
    this.#sent = true;
    this.#reused = (this.#connection?.served ?? 0) > 0;
  }

  onResponseStart(_controller: unknown, status: number, headers: ResponseHead['headers']): void {
    if (this.settled || status < 200) return;
    this.#head = { status, headers };
    this.#wanted = this.#sink.head(this.#head);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.settled) return;
    if (!this.#wanted) {
      this.#discard(chunk.length);
      return;
    }
    const pause = this.#sink.body(chunk);
    if (pause === undefined) return;
    controller.pause();
    const resume = () => controller.resume();
    pause.then(resume, resume);
  }

  onResponseEnd(): void {
    const head = this.#head;
    if (head !== null) this.#end({ kind: 'response', head });
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#end({ kind: 'broken', error, phase: this.#phase() });
  }

  /** A short body nobody wants is read to its end for the connection's sake; a long one costs more than a new connection. */
  #discard(bytes: number): void {
    this.#discarded += bytes;
    if (this.#discarded <= DISCARD_BYTES_MAX || this.#head === null) return;
    this.#end({ kind: 'response', head: this.#head });
    this.#connection?.destroy();
  }

  #endNow(): void {
    const cause = this.#watch?.cause;
    if (this.settled || cause === null || cause === undefined) return;
    this.#end({ kind: 'ended', cause, phase: this.#phase() });
    this.#connection?.destroy();
  }

  #end(end: ExchangeEnd): void {
    const settle = this.#settle;
    if (settle === null) return;
    this.#settle = null;
    this.#watch?.listen(null);
    settle(end);
  }

  #phase(): ExchangePhase {
    if (this.#head !== null) return 'body';
    if (this.#sent) return 'headers';
    return this.#connection === null ? 'waiting' : 'connecting';
  }
}
