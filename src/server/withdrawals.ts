/** Intents that no agent has yet, taken back because their job goes or is disabled, and handed back when that could not be written. */
import type { Clock } from '../lib/clock.ts';
import type { Statement } from '../store/database.ts';
import { dropIntent, endOccurrence } from '../store/results.ts';
import type { Dispatcher } from './dispatcher.ts';
import { diskFull } from './leader-store.ts';
import type { LiveRun, LiveRuns } from './live.ts';

/** One batch's worth: make a new one for each commit. */
export class Withdrawals {
  readonly #m: { live: LiveRuns; dispatcher: Dispatcher; clock: Clock };
  readonly #runs = new Set<LiveRun>();

  constructor(modules: { live: LiveRuns; dispatcher: Dispatcher; clock: Clock }) {
    this.#m = modules;
  }

  has(run: LiveRun): boolean {
    return this.#runs.has(run);
  }

  /** Takes back what waits of the job; the statements end it cancelled. */
  take(jobId: number, reason: 'job_disabled' | 'job_deleted'): Statement[] {
    const now = this.#m.clock.now();
    const statements: Statement[] = [];
    for (const run of this.#m.live.ofJob(jobId)) {
      if (run.phase !== 'active' || !this.#m.dispatcher.withdraw(run)) continue;
      this.#runs.add(run);
      statements.push(dropIntent(run.key), endOccurrence(run.group, 'cancelled', reason, now));
    }
    return statements;
  }

  /** The write failed: what was withdrawn is still to run. Throws `error`, or that the disk is full. */
  handBack(error: unknown): never {
    this.#m.dispatcher.enqueue([...this.#runs]);
    if (error !== null) throw error as Error;
    throw diskFull();
  }
}
