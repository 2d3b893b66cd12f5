/**
 * Time that only moves when everything that can run has run. Timers fire in order of their instants; between two of them every promise
 * settles. Wall time is monotonic time plus an offset that the simulation steps.
 */
import type { Clock, Timer } from '../../src/lib/clock.ts';
import { Heap } from '../../src/lib/heap.ts';

interface Entry {
  readonly at: number;
  run: (() => void) | null;
}

export class VirtualTime {
  readonly #timers = new Heap<Entry>((entry) => entry.at);
  #turns: (() => void)[] = [];
  readonly #outside = new Set<Promise<unknown>>();
  #nowMs = 0;
  #offsetMs: number;
  /** The latest wall time ever shown: what was decided up to it may be decided already. */
  #wallMax: number;

  /** `startAt`: wall time at the beginning, epoch ms. */
  constructor(startAt: number) {
    this.#offsetMs = startAt;
    this.#wallMax = startAt;
  }

  monotonic(): number {
    return this.#nowMs;
  }

  wall(): number {
    return Math.floor(this.#nowMs) + this.#offsetMs;
  }

  wallUs(): number {
    return Math.floor(this.#nowMs * 1000) + this.#offsetMs * 1000;
  }

  /** The latest wall time shown so far. */
  get wallMax(): number {
    return Math.max(this.#wallMax, this.wall());
  }

  step(byMs: number): void {
    this.#wallMax = this.wallMax;
    this.#offsetMs += Math.round(byMs);
  }

  at(ms: number, run: () => void): Timer {
    const entry: Entry = { at: this.#nowMs + Math.max(0, ms), run };
    this.#timers.push(entry);
    return {
      cancel: () => {
        entry.run = null;
      },
    };
  }

  turn(run: () => void): void {
    this.#turns.push(run);
  }

  /** Something that real time takes, a request to a server: virtual time stands still meanwhile. */
  outside<T>(promise: Promise<T>): Promise<T> {
    this.#outside.add(promise);
    const over = () => this.#outside.delete(promise);
    promise.then(over, over);
    return promise;
  }

  /** Lets everything run that needs no time. */
  async settle(): Promise<void> {
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      while (this.#outside.size > 0) {
        await Promise.allSettled(this.#outside);
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (this.#turns.length === 0) return;
      const turns = this.#turns;
      this.#turns = [];
      for (const turn of turns) turn();
    }
  }

  /** Moves on by `ms`, or until `done` says so after a timer; answers whether it did. */
  async run(ms: number, done: () => boolean = () => false): Promise<boolean> {
    const end = this.#nowMs + Math.max(0, ms);
    await this.settle();
    for (;;) {
      if (done()) return true;
      const next = this.#timers.peek();
      if (next === undefined || next.at > end) break;
      this.#timers.pop();
      if (next.run === null) continue;
      this.#nowMs = Math.max(this.#nowMs, next.at);
      next.run();
      await this.settle();
    }
    this.#nowMs = end;
    return false;
  }

  /** Waits for a promise while time runs; fails when it takes more than `limitMs`. */
  async until<T>(promise: Promise<T>, limitMs = 600_000): Promise<T> {
    let ended = false;
    const mark = () => {
      ended = true;
    };
    promise.then(mark, mark);
    if (!(await this.run(limitMs, () => ended)) && !ended)
      throw new Error(`nothing happened within ${limitMs} ms of virtual time`);
    return promise;
  }

  /** A clock for something that never dies. */
  clock(): Clock {
    return clockOf(this, { defer: (run) => run() });
  }
}

/** What stands between time and a process: it may hold a callback back (stopped) or drop it (dead). */
export interface Gate {
  defer(run: () => void): void;
}

export function clockOf(time: VirtualTime, gate: Gate): Clock {
  const sleep = (ms: number, signal?: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason as Error);
      const onAbort = () => {
        timer.cancel();
        reject(signal?.reason as Error);
      };
      const timer = time.at(ms, () =>
        gate.defer(() => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        }),
      );
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  const setTimer = (ms: number, run: () => void) => {
    let live = true;
    const timer = time.at(ms, () => gate.defer(() => live && run()));
    return {
      cancel: () => {
        live = false;
        timer.cancel();
      },
    };
  };
  return {
    now: () => time.wall(),
    nowUs: () => time.wallUs(),
    monotonic: () => time.monotonic(),
    setTimer,
    setExactTimer: setTimer,
    sleep,
    yield: () => new Promise((resolve) => time.turn(() => gate.defer(resolve))),
  };
}
