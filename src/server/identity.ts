/** Ids of occurrences and executions: max(last + 1, unix ms × 1000), so they fit 2^53, grow, and survive a clock stepped back. */
import type { Clock } from '../lib/clock.ts';

export class Identities {
  readonly #clock: Clock;
  readonly #node: string;
  #last: number;

  /** `last` is the greatest id ever used in this data. */
  constructor(options: { last: number; node: string }, modules: { clock: Clock }) {
    this.#last = options.last;
    this.#node = options.node;
    this.#clock = modules.clock;
  }

  /** The greatest id given so far. */
  get last(): number {
    return this.#last;
  }

  next(): number {
    this.#last = Math.max(this.#last + 1, Math.floor(this.#clock.now()) * 1000);
    return this.#last;
  }

  /** Dkron's execution id `<ns>-<node>`. */
  executionId(key: number): string {
    return executionId(key, this.#node);
  }
}

/** Dkron's execution id of a key (epoch µs). */
export function executionId(key: number, node: string): string {
  return `${key}000-${node}`;
}

/** The key in an execution id; undefined when it is not one of ours. */
export function keyOfExecutionId(id: string): number | undefined {
  const match = /^(\d{1,16})000-/.exec(id);
  if (match?.[1] === undefined) return undefined;
  const key = Number(match[1]);
  return Number.isSafeInteger(key) ? key : undefined;
}
