/**
 * Waits between batches until enough has come together or a short time is over, so that what arrives one by one is not handled one by
 * one. The time is a few milliseconds: it bounds how long anything waits.
 */
import type { Clock } from './clock.ts';

export class Gather {
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #enough: number;
  #done: (() => void) | undefined;

  constructor(options: { ms: number; enough: number }, modules: { clock: Clock }) {
    this.#ms = options.ms;
    this.#enough = options.enough;
    this.#clock = modules.clock;
  }

  /** `size` are there now. */
  have(size: number): void {
    if (size >= this.#enough) this.#done?.();
  }

  /** Resolves once enough are there, counting the `size` that are, or the time is over; never before the loop had a turn. */
  async wait(size: () => number): Promise<void> {
    await this.#clock.yield();
    if (size() >= this.#enough) return;
    await new Promise<void>((resolve) => {
      const timer = this.#clock.setTimer(this.#ms, resolve);
      this.#done = () => {
        timer.cancel();
        resolve();
      };
    });
    this.#done = undefined;
  }
}
