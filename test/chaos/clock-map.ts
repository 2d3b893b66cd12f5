/** Between real time and the node's clock, which the harness steps. The tree notices a step within a second, later when it is stopped. */
import type { ClockSegment } from './types.ts';

/** The tree goes on with the clock before a step for up to a second, and somewhat more on a busy machine. */
export const NOTICE_MS = 2_500;

export class ClockMap {
  readonly #segments: readonly ClockSegment[];

  constructor(segments: readonly ClockSegment[]) {
    this.#segments = segments;
  }

  /** Offsets that were in force at some moment of [from, to] (real). */
  offsets(from: number, to: number): number[] {
    const found: number[] = [];
    for (const [i, segment] of this.#segments.entries()) {
      const end = this.#segments[i + 1]?.from ?? Number.POSITIVE_INFINITY;
      if (segment.from <= to && end >= from) found.push(segment.offsetMs);
    }
    return found;
  }

  offsetAt(real: number): number {
    return this.offsets(real, real).at(-1) ?? 0;
  }

  /** The first real moment at which the node's clock stood at or past `node`. */
  firstReached(node: number): number {
    for (const [i, { from, offsetMs }] of this.#segments.entries()) {
      const end = this.#segments[i + 1]?.from ?? Number.POSITIVE_INFINITY;
      if (end + offsetMs > node) return Math.max(from, node - offsetMs);
    }
    return Number.POSITIVE_INFINITY;
  }

  /** The same for a tree that went on with the offset before for `noticeMs` after each step. */
  reachedUnnoticed(node: number, noticeMs: number): number {
    let first = Number.POSITIVE_INFINITY;
    for (const [i, { from, offsetMs }] of this.#segments.entries()) {
      const at = node - offsetMs;
      if (at >= from && at <= (this.#segments[i + 1]?.from ?? Number.POSITIVE_INFINITY) + noticeMs)
        first = Math.min(first, at);
    }
    return first;
  }

  /** The latest the node's clock can have shown during [from, to] (real). */
  latest(from: number, to: number): number {
    let latest = Number.NEGATIVE_INFINITY;
    for (const [i, { from: start, offsetMs }] of this.#segments.entries()) {
      const end = this.#segments[i + 1]?.from ?? Number.POSITIVE_INFINITY;
      if (start <= to && end >= from) latest = Math.max(latest, Math.min(end, to) + offsetMs);
    }
    return latest;
  }

  /** A step back lies in [from, to] (real). */
  steppedBack(from: number, to: number): boolean {
    return this.#segments.some(
      (segment, i) =>
        i > 0 &&
        segment.from >= from &&
        segment.from <= to &&
        segment.offsetMs < (this.#segments[i - 1]?.offsetMs ?? 0),
    );
  }
}
