/** Commands on jobs: create, update, delete, toggle, run, restore. All of them change memory and store under the leader's lock. */
import type { CompiledJob } from '../core/compiled-job.ts';
import { Batcher } from '../lib/batcher.ts';
import type { Clock } from '../lib/clock.ts';
import type { Mutex } from '../lib/mutex.ts';
import { AppError } from '../model/errors.ts';
import type { Emit } from '../model/events.ts';
import { type JobDefinition, type JobInput, type JobView } from '../model/job.ts';
import { codeOf, REASONS } from '../model/occurrence.ts';
import type { Statement } from '../store/database.ts';
import {
  cancelAllWaiting,
  COUNT_JOBS,
  deleteJob,
  JOBS_BY_NAME,
  type JobRow,
  type JobWrite,
  NEWEST_DECIDED,
  putJob,
  releaseRanges,
  resetCursor,
} from '../store/jobs.ts';
import { dropIntent, endOccurrence } from '../store/results.ts';
import type { Definitions } from './definitions.ts';
import type { Dispatcher } from './dispatcher.ts';
import { planJobWrite } from './job-write.ts';
import { JobList, type JobListQuery } from './job-list.ts';
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

interface Put {
  readonly input: JobInput;
  /** A restore keeps schedules that could no longer be stored anew. */
  readonly restore: boolean;
}

interface Delete {
  readonly name: string;
  readonly running: 'detach' | 'kill';
}

/** Creates and updates, or deletes, that share one commit. */
const BATCH_MAX = 256;

export class Jobs {
  readonly #m: JobsModules;
  readonly #list: JobList;
  readonly #puts: Batcher<Put, JobView | AppError>;
  readonly #deletes: Batcher<Delete, JobView | AppError>;
  #count = 0;

  constructor(modules: JobsModules) {
    this.#m = modules;
    this.#list = new JobList({ store: modules.store, clock: modules.clock, count: () => this.#count });
    const { lock, clock } = modules;
    const gather = () => clock.yield();
    this.#puts = new Batcher((puts) => lock.run(() => this.#putAll(puts)), BATCH_MAX, gather);
    this.#deletes = new Batcher((deletes) => lock.run(() => this.#deleteAll(deletes)), BATCH_MAX, gather);
  }

  async load(): Promise<void> {
    const [row] = await this.#m.store.read<{ n: number }>(COUNT_JOBS);
    this.#count = row?.n ?? 0;
  }

  get count(): number {
    return this.#count;
  }

  async put(input: JobInput, options: { runOnCreate: boolean }): Promise<JobView> {
    if (this.#m.paused()) {
      throw new AppError('paused', 'new job submissions are paused', {
        remedy: 'POST /v1/unpause to accept them again',
      });
    }
    this.#assertRoom();
    const view = await this.#put({ input, restore: false });
    if (options.runOnCreate) await this.run(input.name, { force: false });
    return view;
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
      const definition = parse(await this.#row(name));
      const input: JobInput = { ...definition, disabled: !definition.disabled, counters: NO_COUNTERS };
      const [result] = await this.#putAll([{ input, restore: true }]);
      if (result instanceof AppError) throw result;
      this.#m.emit({ kind: 'job_changed', job: name, change: input.disabled ? 'disabled' : 'enabled' });
      return result as JobView;
    });
  }

  async run(name: string, options: { force: boolean }): Promise<{ job: JobView; group: number }> {
    return this.#m.lock.run(async () => {
      this.#assertRoom();
      const row = await this.#row(name);
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
      const [decided] = await this.#m.store.read<{ at: number | null }>(NEWEST_DECIDED, [row.id, now], 'linearizable');
      const cursorAt = decided?.at ?? now;
      const anchorAt = anchorBy(known, row.anchor_at, now);
      const job = known.spec === null ? known : { ...known, spec: { ...known.spec, anchorAt } };
      const nextAt = job.definition.disabled ? null : planJobWrite.nextAt(job, cursorAt);
      await this.#m.store.writeFor([
        releaseRanges(job.id, cursorAt),
        resetCursor(job.id, job.version, cursorAt, nextAt, anchorAt),
      ]);
      this.#m.definitions.put(job);
      this.#m.scheduler.put(job.id, nextAt, cursorAt);
      this.#m.emit({ kind: 'job_changed', job: name, change: 'cursor_reset' });
      return this.#list.viewOf({ ...row, cursor_at: cursorAt, next_at: nextAt, anchor_at: anchorAt });
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
    this.#count--;
    this.#m.definitions.forget(jobId);
    this.#m.definitions.setParent(jobId, '');
    this.#m.scheduler.put(jobId, null, 0);
    this.#m.emit({ kind: 'job_changed', job: name, change: 'deleted' });
    for (const run of this.#m.live.ofJob(jobId)) {
      if (run.phase !== 'active') this.#m.live.remove(run);
      else if (this.#m.dispatcher.holds(run)) this.#m.stop(run, 'job_deleted');
      else run.stopping ??= 'job_deleted';
    }
  }

  async #put(put: Put): Promise<JobView> {
    const result = await this.#puts.add(put);
    if (result instanceof AppError) throw result;
    return result;
  }

  #assertRoom(): void {
    if (!this.#m.mayLaunch()) throw diskFull();
  }

  async #row(name: string): Promise<JobRow> {
    const [row] = await this.#m.store.read<JobRow>(JOBS_BY_NAME, [JSON.stringify([name])]);
    if (row === undefined) throw notFound(name);
    return row;
  }

  /** One commit for all; two writes of one name in a batch go in order, in commits of their own. */
  async #putAll(puts: readonly Put[]): Promise<(JobView | AppError)[]> {
    const results: (JobView | AppError)[] = [];
    let rest = puts.map((put, index) => ({ put, index }));
    while (rest.length > 0) {
      const names = new Set<string>();
      const round = rest.filter(({ put }) => !names.has(put.input.name) && names.add(put.input.name).size > 0);
      rest = rest.filter((entry) => !round.includes(entry));
      const answers = await this.#putRound(round.map(({ put }) => put));
      round.forEach(({ index }, at) => (results[index] = answers[at] as JobView | AppError));
    }
    return results;
  }

  async #putRound(puts: readonly Put[]): Promise<(JobView | AppError)[]> {
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
    const withdrawn: LiveRun[] = [];
    const places = plans.map((plan) => {
      if (plan instanceof AppError) return -1;
      const at = statements.length;
      statements.push(...putJob(plan.write), ...this.#disable(plan, withdrawn));
      return at;
    });
    if (statements.length === 0) return plans as AppError[];
    const written = await store.write(statements).catch((error: unknown) => this.#handBack(withdrawn, error));
    if (written.kind === 'full') return this.#handBack(withdrawn, null);
    const after = new Map((await store.read<JobRow>(JOBS_BY_NAME, [names])).map((row) => [row.name, row]));
    const views = await this.#viewsByName([...after.values()]);
    const answers = plans.map(async (plan, index) => {
      if (plan instanceof AppError) return plan;
      const row = after.get(plan.write.name);
      const applied = written.repeated
        ? row?.version === plan.write.version + 1
        : (written.results[places[index] as number]?.rows.length ?? 0) > 0;
      if (!applied || row === undefined) return this.#parentProblem(puts[index] as Put);
      this.#applyPut(plan, row, rows.get(row.name));
      return views.get(row.name) as JobView;
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

  #applyPut(plan: { write: JobWrite; definition: JobDefinition }, row: JobRow, before: JobRow | undefined): void {
    const { definitions, scheduler, live } = this.#m;
    definitions.setParent(row.id, plan.write.parent);
    definitions.remember(row);
    scheduler.put(row.id, row.next_at, row.cursor_at);
    if (before === undefined) this.#count++;
    if (plan.write.disabled) {
      for (const run of live.ofJob(row.id)) if (run.phase !== 'active' || !run.sent) live.remove(run);
    }
    this.#m.emit({ kind: 'job_changed', job: row.name, change: before === undefined ? 'created' : 'updated' });
  }

  /** A job that becomes disabled: what waits is cancelled in the same commit. */
  #disable(plan: { write: JobWrite; jobId: number | null }, withdrawn: LiveRun[]): Statement[] {
    if (plan.jobId === null || !plan.write.disabled) return [];
    const reason = codeOf(REASONS, 'job_disabled');
    return [
      cancelAllWaiting(plan.jobId, reason, plan.write.now),
      ...this.#withdraw(plan.jobId, 'job_disabled', withdrawn),
    ];
  }

  /** Intents of the job that no agent has yet are taken back and end cancelled. */
  #withdraw(jobId: number, reason: 'job_disabled' | 'job_deleted', withdrawn: LiveRun[]): Statement[] {
    const now = this.#m.clock.now();
    const statements: Statement[] = [];
    for (const run of this.#m.live.ofJob(jobId)) {
      if (run.phase !== 'active' || !this.#m.dispatcher.withdraw(run)) continue;
      withdrawn.push(run);
      statements.push(dropIntent(run.key), endOccurrence(run.group, 'cancelled', reason, now));
    }
    return statements;
  }

  /** The write failed: what was withdrawn is still to run. */
  #handBack(withdrawn: readonly LiveRun[], error: unknown): never {
    this.#m.dispatcher.enqueue(withdrawn);
    if (error !== null) throw error as Error;
    throw diskFull();
  }

  async #viewsByName(rows: readonly JobRow[]): Promise<Map<string, JobView>> {
    return new Map((await this.#list.viewsOf(rows)).map((view) => [view.name, view]));
  }

  /** One commit for all; a job named twice is gone for the second. */
  async #deleteAll(deletes: readonly Delete[]): Promise<(JobView | AppError)[]> {
    const { store, scheduler, clock } = this.#m;
    const names = JSON.stringify(deletes.map(({ name }) => name));
    const rows = new Map((await store.read<JobRow>(JOBS_BY_NAME, [names])).map((row) => [row.name, row]));
    const views = await this.#viewsByName([...rows.values()]);
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
    const withdrawn: LiveRun[] = [];
    const deletions = ids.flatMap((id) => [
      ...deleteJob(id, codeOf(REASONS, 'job_deleted'), now),
      ...this.#withdraw(id, 'job_deleted', withdrawn),
    ]);
    const statements = [...cancelled, ...deletions];
    const written = await store.write(statements).catch((error: unknown) => this.#handBack(withdrawn, error));
    if (written.kind === 'full') this.#handBack(withdrawn, null);
    const taken = new Set(withdrawn);
    for (const { row, running } of going) this.#applyDelete(row, running, taken);
    return results;
  }

  #applyDelete(row: JobRow, running: Delete['running'], withdrawn: ReadonlySet<LiveRun>): void {
    const { definitions, live, scheduler } = this.#m;
    scheduler.put(row.id, null, 0);
    definitions.forget(row.id);
    definitions.setParent(row.id, '');
    this.#count--;
    for (const run of live.ofJob(row.id)) {
      if (run.phase !== 'active' || withdrawn.has(run)) live.remove(run);
      else if (running === 'kill') this.#m.stop(run, 'job_deleted');
      // A detached run's result is recorded; no further attempt follows it.
      else run.stopping ??= 'job_deleted';
    }
    this.#m.emit({ kind: 'job_changed', job: row.name, change: 'deleted' });
  }

  async #launchManual(job: CompiledJob, force: boolean): Promise<number> {
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
    if (launched === 'full') return this.#handBack([], null);
    const [run] = launched;
    if (run === undefined || run.decision === null) throw notFound(job.name);
    if (run.decision.phase !== 'final') return run.group;
    throw new AppError(
      'overlap',
      `job ${job.name} is running (group ${running?.group ?? 'unknown'}) and its concurrency is ${job.concurrency}`,
      {
        remedy: 'wait for it, or run with ?force=true',
        ...(running === undefined ? {} : { group: running.group }),
      },
    );
  }
}

const NO_COUNTERS = { successCount: 0, errorCount: 0, lastSuccessAt: null, lastErrorAt: null, status: '' };

function parse(row: JobRow): JobDefinition {
  return JSON.parse(row.definition) as JobDefinition;
}

function notFound(name: string): AppError {
  return new AppError('not_found', `no job named ${JSON.stringify(name)}`, { remedy: 'GET /v1/jobs lists them' });
}

function hasDependents(name: string, dependents: readonly string[]): AppError {
  return new AppError('has_dependents', `job ${name} is the parent of ${dependents.join(', ')}`, {
    remedy: 'delete or move its dependents first',
  });
}

function parentMissing(input: JobInput): AppError {
  return new AppError('parent_not_found', 'specified parent job not found', {
    field: 'parent_job',
    remedy: `${JSON.stringify(input.parent_job)} must exist`,
  });
}

/** A job that was stored under a clock running ahead: `@every` would begin only at its anchor, so that goes back by whole intervals. */
function anchorBy({ spec }: CompiledJob, anchorAt: number, now: number): number {
  if (spec?.schedule.kind !== 'every' || anchorAt <= now) return anchorAt;
  const { intervalMs } = spec.schedule;
  return anchorAt - Math.ceil((anchorAt - now) / intervalMs) * intervalMs;
}

/** An expected refusal of one job of a restore; anything else is a failure of the whole. */
function expected(error: unknown): false {
  if (error instanceof AppError && error.code !== 'disk_full' && error.code !== 'unavailable') return false;
  throw error as Error;
}

/** Jobs in levels: those without a parent, their children, and so on. A parent outside the file or a cycle is refused. */
function treeLevels(inputs: readonly JobInput[]): JobInput[][] {
  const byParent = Map.groupBy(inputs, (input) => input.parent_job);
  const levels: JobInput[][] = [];
  let level = byParent.get('') ?? [];
  let placed = 0;
  while (level.length > 0) {
    levels.push(level);
    placed += level.length;
    level = level.flatMap((input) => byParent.get(input.name) ?? []);
  }
  if (placed === inputs.length) return levels;
  const names = new Set(levels.flat().map((input) => input.name));
  const lost = inputs.find((input) => !names.has(input.name));
  throw new AppError(
    'invalid',
    `job ${lost?.name}: its parent ${JSON.stringify(lost?.parent_job)} is not in this file, or they form a cycle`,
    {
      field: 'parent_job',
      remedy: 'put the parent into the same file',
    },
  );
}
