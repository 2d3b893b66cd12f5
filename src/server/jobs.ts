/** Commands on jobs: create, update, delete, toggle, run, restore. All of them change memory and store under the leader's lock. */
import type { CompiledJob } from '../core/compiled-job.ts';
import { treeLevels } from '../core/job-tree.ts';
import { Batcher } from '../lib/batcher.ts';
import type { Clock } from '../lib/clock.ts';
import type { Mutex } from '../lib/mutex.ts';
import { AppError } from '../model/errors.ts';
import type { Emit } from '../model/events.ts';
import { type JobDefinition, type JobInput, type JobView } from '../model/job.ts';
import { JOBS_BY_NAME, type JobRow, resetCursor } from '../store/jobs.ts';
import type { Definitions } from './definitions.ts';
import type { Dispatcher } from './dispatcher.ts';
import { type Delete, JobDeletes } from './job-deletes.ts';
import { JobList, type JobListQuery } from './job-list.ts';
import { JobNames } from './job-names.ts';
import { JobPuts, type Put, type StoredJob } from './job-puts.ts';
import { expected, nodeStops, noTarget, notFound, overlaps } from './job-refusals.ts';
import { anchorBy, planJobWrite } from './job-write.ts';
import type { Launcher } from './launcher.ts';
import { diskFull, type LeaderStore } from './leader-store.ts';
import type { LiveRun, LiveRuns } from './live.ts';
import type { Scheduler } from './scheduler.ts';

export interface JobsModules {
  readonly store: LeaderStore;
  readonly lock: Mutex;
  readonly definitions: Definitions;
  readonly live: LiveRuns;
  readonly dispatcher: Dispatcher;
  readonly launcher: Launcher;
  readonly scheduler: Scheduler;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly paused: () => boolean;
  /** false while the disk is low: what is left of it is for the results of what runs. */
  readonly mayLaunch: () => boolean;
  readonly stop: (run: LiveRun, reason: 'job_deleted') => void;
}

/** Creates and updates, or deletes, that share one commit. */
const BATCH_MAX = 256;

export class Jobs {
  readonly #m: JobsModules;
  readonly #list: JobList;
  readonly #writes: JobPuts;
  readonly #puts: Batcher<Put, StoredJob | AppError>;
  readonly #deletes: Batcher<Delete, JobView | AppError>;
  readonly #names = new JobNames();

  constructor(modules: JobsModules) {
    this.#m = modules;
    const { lock, clock } = modules;
    const named = { ...modules, names: this.#names };
    this.#list = new JobList(named);
    this.#writes = new JobPuts(named, this.#list);
    const removals = new JobDeletes(named, this.#list);
    const gather = () => clock.yield();
    this.#puts = new Batcher((puts) => lock.run(() => this.#writes.putAll(puts)), BATCH_MAX, gather);
    this.#deletes = new Batcher((deletes) => lock.run(() => removals.deleteAll(deletes)), BATCH_MAX, gather);
  }

  load(): Promise<void> {
    return this.#names.load(this.#m.store);
  }

  get count(): number {
    return this.#names.size;
  }

  async put(input: JobInput, options: { runOnCreate: boolean }): Promise<StoredJob> {
    if (this.#m.paused()) {
      throw new AppError('paused', 'new job submissions are paused', {
        remedy: 'POST /v1/unpause to accept them again',
      });
    }
    this.#assertRoom();
    if (options.runOnCreate) this.#assertOpen();
    const stored = await this.#put({ input, restore: false });
    if (options.runOnCreate) await this.run(input.name, { force: false });
    return stored;
  }

  async get(name: string): Promise<JobView> {
    return this.#list.viewOf(await this.#row(name));
  }

  list(query: JobListQuery): Promise<{ total: number; jobs: JobView[] }> {
    return this.#list.list(query);
  }

  async delete(name: string, running: 'detach' | 'kill'): Promise<JobView> {
    const result = await this.#deletes.add({ name, running });
    if (result instanceof AppError) throw result;
    return result;
  }

  toggle(name: string): Promise<JobView> {
    return this.#m.lock.run(async () => {
      this.#assertRoom();
      const definition = JSON.parse((await this.#row(name)).definition) as JobDefinition;
      const input: JobInput = { ...definition, disabled: !definition.disabled, counters: NO_COUNTERS };
      const change = input.disabled ? 'disabled' : 'enabled';
      const [result] = await this.#writes.putAll([{ input, restore: true, change }]);
      if (result instanceof AppError) throw result;
      return (result as StoredJob).job;
    });
  }

  async run(name: string, options: { force: boolean }): Promise<{ job: JobView; group: number }> {
    return this.#m.lock.run(async () => {
      this.#assertRoom();
      const row = await this.#row(name);
      this.#assertOpen();
      const job = (await this.#m.definitions.load([row.id])).get(row.id);
      if (job === undefined) throw notFound(name);
      const group = await this.#launchManual(job, options.force);
      return { job: await this.#list.viewOf(row), group };
    });
  }

  async resetCursor(name: string): Promise<JobView> {
    return this.#m.lock.run(async () => {
      const row = await this.#row(name);
      const known = (await this.#m.definitions.load([row.id])).get(row.id);
      if (known === undefined) throw notFound(name);
      const now = Math.floor(this.#m.clock.now());
      await this.#m.scheduler.settle([row.id], now);
      const anchorAt = anchorBy(known, row.anchor_at, now);
      const job = known.spec === null ? known : { ...known, spec: { ...known.spec, anchorAt } };
      const nextAt = job.definition.disabled ? null : planJobWrite.nextAt(job, now);
      await this.#m.store.writeFor([resetCursor(job.id, job.version, now, nextAt, anchorAt)]);
      this.#m.definitions.put(job);
      this.#m.scheduler.put(job.id, nextAt, now);
      this.#m.emit({ kind: 'job_changed', job: name, change: 'cursor_reset' });
      return this.#list.viewOf({ ...row, cursor_at: now, next_at: nextAt, anchor_at: anchorAt });
    });
  }

  /** Parents before children; a child of a job that failed fails too. Not subject to pause (dkron.md §1.11). */
  async restore(inputs: readonly JobInput[]): Promise<string[]> {
    this.#assertRoom();
    const lines: string[] = [];
    for (const level of treeLevels(inputs)) {
      const results = await Promise.all(
        level.map((input) => this.#put({ input, restore: true }).then(() => true, expected)),
      );
      level.forEach((input, index) =>
        lines.push(`${results[index] === true ? 'success' : 'fail'} create ${input.name}`),
      );
    }
    return lines;
  }

  /** A job ended its life in a results batch (ephemeral): the store has it already. */
  forget(jobId: number, name: string): void {
    this.#names.delete(name, jobId);
    this.#m.definitions.forget(jobId);
    this.#m.definitions.setParent(jobId, '');
    this.#m.scheduler.put(jobId, null, 0);
    this.#m.emit({ kind: 'job_changed', job: name, change: 'deleted' });
    for (const run of this.#m.live.ofJob(jobId)) {
      if (run.phase !== 'active') this.#m.live.remove(run);
      else {
        run.stopping ??= 'job_deleted';
        if (this.#m.dispatcher.holds(run)) this.#m.stop(run, 'job_deleted');
      }
    }
  }

  async #put(put: Put): Promise<StoredJob> {
    const result = await this.#puts.add(put);
    if (result instanceof AppError) throw result;
    return result;
  }

  #assertRoom(): void {
    if (!this.#m.mayLaunch()) throw diskFull();
  }

  /** A node that stops would answer for a run that it never starts. */
  #assertOpen(): void {
    if (!this.#m.scheduler.isOpen) throw nodeStops();
  }

  async #row(name: string): Promise<JobRow> {
    const [row] = await this.#m.store.read<JobRow>(JOBS_BY_NAME, [JSON.stringify([name])]);
    if (row === undefined) throw notFound(name);
    return row;
  }

  async #launchManual(job: CompiledJob, force: boolean): Promise<number> {
    if (!this.#m.dispatcher.matches(job)) throw noTarget(job);
    const now = Math.floor(this.#m.clock.now());
    const { launcher, live } = this.#m;
    const running = [...live.ofJob(job.id)].find((run) => run.phase === 'active' || run.phase === 'retrying');
    const launched = await launcher.commit(
      launcher.prepare([
        {
          kind: 'new',
          job,
          trigger: 'manual',
          nominalAt: now,
          dueAt: now,
          parentGroup: null,
          catchUp: false,
          forced: force,
        },
      ]),
    );
    if (launched === 'full') throw diskFull();
    const [run] = launched;
    if (run === undefined || run.decision === null) throw notFound(job.name);
    if (run.decision.phase !== 'final') return run.group;
    throw overlaps(job, running?.group, run.decision.reason);
  }
}

const NO_COUNTERS = { successCount: 0, errorCount: 0, lastSuccessAt: null, lastErrorAt: null, status: '' };
