/** What is fuzzed: a target draws one input from the dice, uses the program with it, and throws Fault when something does not hold. */
import type { Dice } from './dice.ts';

export interface Target {
  readonly name: string;
  /** Share of all inputs, relative to the others. */
  readonly weight: number;
  /** One input that takes longer than this on its own, three times in a row, is a fault; with steps counted, only when they are too many. */
  readonly limitMs: number;
  /** Throws Fault, or whatever the program let out. */
  run(dice: Dice): void | Promise<void>;
  /** Gives back what the target holds. */
  close?(): void | Promise<void>;
}

/**
 * One input may cost so many steps (steps.ts). The dearest met were 1.7 million: a thousand times looked for in calendars, a hundred thousand
 * brackets, thousands of mistakes in one YAML file. What grows faster than its text passes this at once.
 */
export const STEPS_MAX = 10_000_000;

/** Something that must hold does not. */
export class Fault extends Error {}

export function must(condition: boolean, what: string, ...seen: unknown[]): asserts condition {
  if (!condition)
    throw new Fault(`${what}${seen.length === 0 ? '' : `: ${seen.map((one) => shown(one)).join(' | ')}`}`);
}

/** Says which input it was when the program lets an exception out. */
export function withInput<T>(input: unknown, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw fault(input, error);
  }
}

export async function withInputAsync<T>(input: unknown, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw fault(input, error);
  }
}

function fault(input: unknown, error: unknown): Fault {
  const what =
    error instanceof Fault ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new Fault(`${what}\n  input: ${shown(input)}`);
}

export function shown(value: unknown): string {
  const text =
    typeof value === 'string'
      ? JSON.stringify(value)
      : Buffer.isBuffer(value)
        ? `base64 ${value.toString('base64')}`
        : (JSON.stringify(value) ?? String(value));
  return text.length > 2_000 ? `${text.slice(0, 2_000)}… (${text.length} characters)` : text;
}
