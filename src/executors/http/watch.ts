/** The end of one request from outside: its time limit, or the runner's word. */
import type { Clock, Timer } from '../../lib/clock.ts';
import type { StopSignal } from '../../lib/stop.ts';

export type EndCause = 'timeout' | 'stopped';

/** Tells one listener, once, that the request must end; close it when the request has ended by itself. */
export class Watch {
  #cause: EndCause | null = null;
  #listener: (() => void) | null = null;
  readonly #timer: Timer;
  readonly #stop: StopSignal;

  constructor(clock: Clock, timeoutMs: number, stop: StopSignal) {
    this.#timer = clock.setTimer(timeoutMs, () => this.#end('timeout'));
    this.#stop = stop;
    stop.listen(() => this.#end('stopped'));
  }

  get cause(): EndCause | null {
    return this.#cause;
  }

  /** `listener` is called at once when the end has already come; null takes the last one away. */
  listen(listener: (() => void) | null): void {
    this.#listener = listener;
    if (this.#cause !== null) this.#tell();
  }

  /** The promise's value, or null when the end came first; the promise itself is then left to finish unheard. */
  async race<T>(promise: Promise<T>): Promise<T | null> {
    const ended = new Promise<null>((resolve) => this.listen(() => resolve(null)));
    try {
      return await Promise.race([promise, ended]);
    } finally {
      this.listen(null);
    }
  }

  close(): void {
    this.#listener = null;
    this.#timer.cancel();
    this.#stop.listen(null);
  }

  #end(cause: EndCause): void {
    if (this.#cause !== null) return;
    this.#cause = cause;
    this.#tell();
  }

  #tell(): void {
    const listener = this.#listener;
    this.#listener = null;
    listener?.();
  }
}
