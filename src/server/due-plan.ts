/** What is due of jobs, as intents and statements for one commit. */
import { dueRange, planJob } from '../core/plan.ts';
import type { CompiledJob } from '../core/compiled-job.ts';
import type { Emit } from '../model/events.ts';
import type { Statement } from '../store/database.ts';
import { type CursorMove, moveCursors, rangeRow } from '../store/occurrences.ts';
import type { Identities } from './identity.ts';
import type { Intent } from './launch-batch.ts';
import type { Launcher } from './launcher.ts';

/** A job waiting for its next instant. Lazy removal: an entry that is no longer the job's own is skipped when it surfaces. */
export interface Entry {
  readonly jobId: number;
  readonly nextAt: number;
  readonly cursorAt: number;
}

export interface DuePlan {
  readonly intents: Intent[];
  readonly statements: Statement[];
  readonly next: { jobId: number; nextAt: number | null; cursorAt: number }[];
  /** Not looked at: the plan was long enough without. */
  readonly rest: readonly Entry[];
}

export class DuePlanner {
  readonly #m: { identities: Identities; launcher: Launcher; emit: Emit };

  constructor(modules: { identities: Identities; launcher: Launcher; emit: Emit }) {
    this.#m = modules;
  }

  /**
   * Intents of what runs, rows of what is dropped, cursors; and where each entry stands once all of it is committed. After `enough` intents
   * the rest stays undecided: jobs that are late have many each.
   */
  plan(due: readonly Entry[], jobs: ReadonlyMap<number, CompiledJob>, now: number, enough = Infinity): DuePlan {
    const plan: Omit<DuePlan, 'rest'> = { intents: [], statements: [], next: [] };
    const moves: CursorMove[] = [];
    let looked = 0;
    for (const entry of due) {
      if (plan.intents.length >= enough) break;
      looked += 1;
      const job = jobs.get(entry.jobId);
      if (job === undefined || job.spec === null || job.definition.disabled) {
        plan.next.push({ jobId: entry.jobId, nextAt: null, cursorAt: entry.cursorAt });
        continue;
      }
      const decided = planJob(job.spec, job.misfire, entry.cursorAt, now);
      for (const { nominalAt, dueAt, catchUp } of decided.launches) {
        plan.intents.push({
          kind: 'new',
          job,
          trigger: 'schedule',
          nominalAt,
          dueAt,
          parentGroup: null,
          catchUp,
          forced: false,
        });
      }
      for (const range of decided.dropped) {
        const group = this.#m.identities.next();
        this.#m.launcher.endStretch(job.id);
        plan.statements.push(
          rangeRow({ ...range, outcome: 'missed', group, jobId: job.id, jobVersion: job.version, now }),
        );
        this.#m.emit({
          kind: 'occurrence_dropped',
          job: job.name,
          group,
          outcome: 'missed',
          reason: range.reason,
          count: range.count,
        });
      }
      moves.push({ jobId: job.id, version: job.version, cursorAt: decided.cursorAt, nextAt: decided.nextAt });
      plan.next.push({ jobId: job.id, nextAt: decided.nextAt, cursorAt: decided.cursorAt });
    }
    // After the rows of what is dropped: those are written only while the cursor stands before them.
    plan.statements.push(...moveCursors(moves));
    return { ...plan, rest: due.slice(looked) };
  }

  /** What was due by now and never looked at, of jobs that are deleted in the same batch. */
  cancelled(due: readonly Entry[], jobs: ReadonlyMap<number, CompiledJob>, now: number): Statement[] {
    const reason = 'job_deleted';
    return due.flatMap(({ jobId, cursorAt }) => {
      const job = jobs.get(jobId);
      if (job === undefined || job.spec === null) return [];
      const dropped = dueRange(job.spec, cursorAt, now);
      if (dropped === undefined) return [];
      const group = this.#m.identities.next();
      this.#m.emit({
        kind: 'occurrence_dropped',
        job: job.name,
        group,
        outcome: 'cancelled',
        reason,
        count: dropped.count,
      });
      return rangeRow({ ...dropped, outcome: 'cancelled', reason, group, jobId, jobVersion: job.version, now });
    });
  }
}
