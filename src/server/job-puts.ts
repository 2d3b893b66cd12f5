/** Creates and updates of jobs, several in one commit. Callers hold the leader's lock. */
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../model/errors.ts';
import type { Emit } from '../model/events.ts';
import type { JobDefinition, JobInput, JobView } from '../model/job.ts';
import { codeOf, REASONS } from '../model/occurrence.ts';
import type { Statement } from '../store/database.ts';
import { cancelAllWaiting, JOBS_BY_NAME, type JobRow, type JobWrite, putJob } from '../store/jobs.ts';
import type { Definitions } from './definitions.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { JobList } from './job-list.ts';
import type { JobNames } from './job-names.ts';
import { parentMissing } from './job-refusals.ts';
import { planJobWrite } from './job-write.ts';
import type { LeaderStore } from './leader-store.ts';
import type { LiveRuns } from './live.ts';
import type { Scheduler } from './scheduler.ts';
import { Withdrawals } from './withdrawals.ts';

export interface Put {
  readonly input: JobInput;
  /** A restore keeps schedules that could no longer be stored anew. */
  readonly restore: boolean;
  /** What is said of the change to a job that exists; absent: that it was updated. */
  readonly change?: 'enabled' | 'disabled';
}

/** The job as it stands after a write, and what its author should know of it. */
export interface StoredJob {
  readonly job: JobView;
  readonly warnings: readonly string[];
}

export interface JobPutsModules {
  readonly store: LeaderStore;
  readonly definitions: Definitions;
  readonly live: LiveRuns;
  readonly dispatcher: Dispatcher;
  readonly scheduler: Scheduler;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly names: JobNames;
}

export class JobPuts {
  readonly #m: JobPutsModules;
  readonly #list: JobList;

  constructor(modules: JobPutsModules, list: JobList) {
    this.#m = modules;
    this.#list = list;
  }

  /** One commit for all; two writes of one name in a batch go in order, in commits of their own. */
  async putAll(puts: readonly Put[]): Promise<(StoredJob | AppError)[]> {
    const results: (StoredJob | AppError)[] = [];
    let rest = puts.map((put, index) => ({ put, index }));
    while (rest.length > 0) {
      const names = new Set<string>();
      const round = rest.filter(({ put }) => !names.has(put.input.name) && names.add(put.input.name).size > 0);
      rest = rest.filter((entry) => !round.includes(entry));
      const answers = await this.#putRound(round.map(({ put }) => put));
      round.forEach(({ index }, at) => (results[index] = answers[at] as StoredJob | AppError));
    }
    return results;
  }

  async #putRound(puts: readonly Put[]): Promise<(StoredJob | AppError)[]> {
    const { store, definitions, clock, scheduler } = this.#m;
    const names = JSON.stringify(puts.map(({ input }) => input.name));
    const now = clock.now();
    let found = await store.read<JobRow>(JOBS_BY_NAME, [names]);
    const settled = await scheduler.settle(
      found.map((row) => row.id),
      now,
    );
    if (settled) found = await store.read<JobRow>(JOBS_BY_NAME, [names]);
    const rows = new Map(found.map((row) => [row.name, row]));
    const plans = puts.map(({ input, restore }) =>
      planJobWrite(input, rows.get(input.name), { now, restore, context: definitions.context }),
    );
    const statements: Statement[] = [];
    const withdrawals = new Withdrawals(this.#m);
    const places = plans.map((plan) => {
      if (plan instanceof AppError) return -1;
      const at = statements.length;
      statements.push(...putJob(plan.write), ...disable(plan, withdrawals));
      return at;
    });
    if (statements.length === 0) return plans as AppError[];
    const written = await store.write(statements).catch((error: unknown) => withdrawals.handBack(error));
    if (written.kind === 'full') return withdrawals.handBack(null);
    const after = new Map((await store.read<JobRow>(JOBS_BY_NAME, [names])).map((row) => [row.name, row]));
    plans.forEach((plan, index) => {
      if (plan instanceof AppError) return;
      const row = after.get(plan.write.name);
      const applied = written.repeated
        ? row?.version === plan.write.version + 1
        : (written.results[places[index] as number]?.rows.length ?? 0) > 0;
      if (!applied || row === undefined) after.delete(plan.write.name);
      else this.#applyPut(plan, row, rows.has(row.name) ? (puts[index]?.change ?? 'updated') : 'created');
    });
    // Only now is it known in memory which of them have children.
    const views = await this.#list.viewsByName([...after.values()]);
    const answers = plans.map(async (plan, index) => {
      if (plan instanceof AppError) return plan;
      const job = views.get(plan.write.name);
      return job === undefined ? this.#parentProblem(puts[index] as Put) : { job, warnings: plan.warnings };
    });
    return Promise.all(answers);
  }

  /** Refused by the store's own look at the parent: it is missing, or it descends from the job. */
  async #parentProblem({ input }: Put): Promise<AppError> {
    const parent = await this.#m.store.read<JobRow>(JOBS_BY_NAME, [JSON.stringify([input.parent_job])]);
    if (parent.length === 0) return parentMissing(input);
    return new AppError('invalid', `${JSON.stringify(input.parent_job)} depends on ${input.name} itself`, {
      field: 'parent_job',
      remedy: 'name a job that does not run after this one',
    });
  }

  #applyPut(
    plan: { write: JobWrite; definition: JobDefinition },
    row: JobRow,
    change: 'created' | 'updated' | 'enabled' | 'disabled',
  ): void {
    const { definitions, scheduler, live } = this.#m;
    definitions.setParent(row.id, plan.write.parent);
    this.#m.names.set(row.name, row.id, definitions.remember(row).definition.displayname);
    scheduler.put(row.id, row.next_at, row.cursor_at);
    if (plan.write.disabled) {
      for (const run of live.ofJob(row.id)) {
        if (run.phase !== 'active' || !run.sent) live.remove(run);
        // What runs goes on, and no further attempt follows it; runs by hand of a job disabled before are not meant.
        else if (!run.job.definition.disabled) run.stopping ??= 'job_disabled';
      }
    }
    this.#m.emit({ kind: 'job_changed', job: row.name, change });
  }
}

/** A job that becomes disabled: what waits is cancelled in the same commit. */
function disable(plan: { write: JobWrite; jobId: number | null }, withdrawals: Withdrawals): Statement[] {
  if (plan.jobId === null || !plan.write.disabled) return [];
  const reason = codeOf(REASONS, 'job_disabled');
  return [cancelAllWaiting(plan.jobId, reason, plan.write.now), ...withdrawals.take(plan.jobId, 'job_disabled')];
}
