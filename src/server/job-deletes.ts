/** Deletes of jobs, several in one commit. Callers hold the leader's lock. */
import type { Clock } from '../lib/clock.ts';
import type { AppError } from '../model/errors.ts';
import type { Emit } from '../model/events.ts';
import type { JobView } from '../model/job.ts';
import { codeOf, REASONS } from '../model/occurrence.ts';
import { deleteJob, JOBS_BY_NAME, type JobRow } from '../store/jobs.ts';
import type { Definitions } from './definitions.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { JobList } from './job-list.ts';
import type { JobNames } from './job-names.ts';
import { hasDependents, notFound } from './job-refusals.ts';
import type { LeaderStore } from './leader-store.ts';
import type { LiveRun, LiveRuns } from './live.ts';
import type { Scheduler } from './scheduler.ts';
import { Withdrawals } from './withdrawals.ts';

export interface Delete {
  readonly name: string;
  readonly running: 'detach' | 'kill';
}

export interface JobDeletesModules {
  readonly store: LeaderStore;
  readonly definitions: Definitions;
  readonly live: LiveRuns;
  readonly dispatcher: Dispatcher;
  readonly scheduler: Scheduler;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly stop: (run: LiveRun, reason: 'job_deleted') => void;
  readonly names: JobNames;
}

export class JobDeletes {
  readonly #m: JobDeletesModules;
  readonly #list: JobList;

  constructor(modules: JobDeletesModules, list: JobList) {
    this.#m = modules;
    this.#list = list;
  }

  /** One commit for all; a job named twice is gone for the second. */
  async deleteAll(deletes: readonly Delete[]): Promise<(JobView | AppError)[]> {
    const { store, scheduler, clock } = this.#m;
    const names = JSON.stringify(deletes.map(({ name }) => name));
    const rows = new Map((await store.read<JobRow>(JOBS_BY_NAME, [names])).map((row) => [row.name, row]));
    const views = await this.#list.viewsByName([...rows.values()]);
    const going: { row: JobRow; running: Delete['running'] }[] = [];
    const results = deletes.map(({ name, running }) => {
      const row = rows.get(name);
      const view = views.get(name);
      if (row === undefined || view === undefined) return notFound(name);
      if (view.dependent_jobs !== null) return hasDependents(name, view.dependent_jobs);
      rows.delete(name);
      going.push({ row, running });
      return view;
    });
    if (going.length === 0) return results;
    const now = clock.now();
    const ids = going.map(({ row }) => row.id);
    const cancelled = await scheduler.cancelDue(ids, now);
    const withdrawals = new Withdrawals(this.#m);
    const deletions = ids.flatMap((id) => [
      ...deleteJob(id, codeOf(REASONS, 'job_deleted'), now),
      ...withdrawals.take(id, 'job_deleted'),
    ]);
    const statements = [...cancelled, ...deletions];
    const written = await store.write(statements).catch((error: unknown) => withdrawals.handBack(error));
    if (written.kind === 'full') withdrawals.handBack(null);
    for (const { row, running } of going) this.#applyDelete(row, running, withdrawals);
    return results;
  }

  #applyDelete(row: JobRow, running: Delete['running'], withdrawals: Withdrawals): void {
    const { definitions, live, scheduler } = this.#m;
    scheduler.put(row.id, null, 0);
    definitions.forget(row.id);
    definitions.setParent(row.id, '');
    this.#m.names.delete(row.name, row.id);
    for (const run of live.ofJob(row.id)) {
      if (run.phase !== 'active' || withdrawals.has(run)) live.remove(run);
      // The agent may have handed it back while the deletion was being written.
      else if (running === 'kill' || this.#m.dispatcher.holds(run)) this.#stop(run);
      // A detached run's result is recorded; no further attempt follows it.
      else run.stopping ??= 'job_deleted';
    }
    this.#m.emit({ kind: 'job_changed', job: row.name, change: 'deleted' });
  }

  /** Marked at once, so that it is not handed over before the stop has its turn. */
  #stop(run: LiveRun): void {
    run.stopping ??= 'job_deleted';
    this.#m.stop(run, 'job_deleted');
  }
}
