/** Stretches of real time in which something could not work, and sums over them. */
import type { Stretch } from './types.ts';

/** Opened and closed while the run goes on; what is open at the end lasts until then. */
export class StretchLog {
  readonly #done: Stretch[] = [];
  #from: number | null = null;

  open(at: number): void {
    this.#from ??= at;
  }

  close(at: number): void {
    if (this.#from === null) return;
    this.#done.push({ from: this.#from, to: at });
    this.#from = null;
  }

  all(now: number): Stretch[] {
    return this.#from === null ? [...this.#done] : [...this.#done, { from: this.#from, to: now }];
  }
}

/** Sorted and without overlaps; each made longer by `marginMs` at its end first. */
export function merge(stretches: readonly Stretch[], marginMs = 0): Stretch[] {
  const sorted = stretches.map(({ from, to }) => ({ from, to: to + marginMs })).sort((a, b) => a.from - b.from);
  const merged: { from: number; to: number }[] = [];
  for (const stretch of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && stretch.from <= last.to) last.to = Math.max(last.to, stretch.to);
    else merged.push({ ...stretch });
  }
  return merged;
}

/** Part of [from, to] that lies outside the (merged) stretches, in ms. */
export function timeOutside(merged: readonly Stretch[], from: number, to: number): number {
  let outside = Math.max(0, to - from);
  for (const stretch of merged) outside -= Math.max(0, Math.min(to, stretch.to) - Math.max(from, stretch.from));
  return outside;
}

/** The first moment from `at` on outside the (merged) stretches. */
export function firstOutside(merged: readonly Stretch[], at: number): number {
  for (const stretch of merged) if (at >= stretch.from && at < stretch.to) return stretch.to;
  return at;
}

export function touches(stretches: readonly Stretch[], from: number, to: number): boolean {
  return stretches.some((stretch) => stretch.from <= to && stretch.to >= from);
}
