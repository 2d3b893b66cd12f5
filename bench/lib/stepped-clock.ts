/**
 * A clock that moves on a second whenever the system under test has caught up: the load is always just above what it can do. Timers fire
 * in their order when their moment has come. Sleeps are real: what a node does once a second in the background (retention) would else
 * happen as often as its seconds fly by.
 */
import { type Clock, systemClock, type Timer } from '../../src/lib/clock.ts';

interface Waiting {
  readonly at: number;
  readonly run: () => void;
  cancelled: boolean;
}

const STEP_MS = 1_000;

export class SteppedClock implements Clock {
  readonly #startMs: number;
  #elapsedMs = 0;
  #timers: Waiting[] = [];
  #running = false;

  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  now(): number {
    return this.#startMs + this.#elapsedMs;
  }

  nowUs(): number {
    return this.now() * 1000;
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  setTimer(ms: number, run: () => void): Timer {
    const waiting: Waiting = { at: this.#elapsedMs + Math.max(0, ms), run, cancelled: false };
    this.#timers.push(waiting);
    return { cancel: () => (waiting.cancelled = true) };
  }

  setExactTimer(ms: number, run: () => void): Timer {
    return this.setTimer(ms, run);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms, signal);
  }

  yield(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  /** Moves on by a second at every turn of the loop at which `caughtUp` says so. */
  drive(caughtUp: () => boolean): void {
    this.#running = true;
    const turn = () => {
      if (!this.#running) return;
      if (caughtUp()) {
        this.#elapsedMs += STEP_MS;
        this.#fire();
      }
      setImmediate(turn);
    };
    setImmediate(turn);
  }

  halt(): void {
    this.#running = false;
  }

  #fire(): void {
    const due = this.#timers.filter((timer) => timer.at <= this.#elapsedMs && !timer.cancelled);
    this.#timers = this.#timers.filter((timer) => timer.at > this.#elapsedMs && !timer.cancelled);
    for (const timer of due.toSorted((a, b) => a.at - b.at)) timer.run();
  }
}
