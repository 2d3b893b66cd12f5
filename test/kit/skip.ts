// Suites that need something this machine may lack. They are counted and named at the end of the run, with the reason.
import { describe } from 'vitest';

/** Between the name and the reason in the name of a suite that was skipped; skip-reporter.ts looks for it. */
export const SKIPPED = ' — skipped: ';

type Suite = (name: string, body: () => void | Promise<void>) => void;

/**
 * `describe` when the condition holds, else a skipped `describe` that carries the reason.
 * `skipUnless(rqlitedPath !== undefined, 'no rqlited binary')('the rqlite store', () => { … })`
 */
export function skipUnless(condition: boolean, reason: string): Suite {
  if (condition) return (name, body) => describe(name, body);
  return (name, body) => describe.skip(`${name}${SKIPPED}${reason}`, body);
}
