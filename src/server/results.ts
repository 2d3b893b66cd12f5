/**
 * Takes the ends of executions from the agent, commits them in batches with what follows (retry, dependents, ephemeral delete,
 * promotion of a waiter), and only then acknowledges them. A result delivered twice changes nothing the second time.
 */
import { afterAttempt, type NextStep } from '../core/lifecycle.ts';
import { type CompiledJob, isWithin } from '../core/compiled-job.ts';
import type { Clock } from '../lib/clock.ts';
import { Gather } from '../lib/gather.ts';
import type { Mutex } from '../lib/mutex.ts';
import type { Random } from '../lib/random.ts';
import type { AgentSession, ExecutionEnded } from '../model/agent.ts';
import type { Emit } from '../model/events.ts';
import { codeOf, type Outcome, OUTCOMES, type Reason, REASONS } from '../model/occurrence.ts';
import type { Statement } from '../store/database.ts';
import { deleteJob } from '../store/jobs.ts';
import {
  correctionStatements,
  dropIntent,
  endOccurrence,
  EXECUTION_BY_KEY,
  type Finish,
  finishStatements,
  type LateRow,
} from '../store/results.ts';
import type { Definitions } from './definitions.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { Intent, LaunchBatch } from './launch-batch.ts';
import type { Launcher } from './launcher.ts';
import type { LeaderStore } from './leader-store.ts';
import type { LiveRun, LiveRuns } from './live.ts';
import { keepOrphan } from './orphans.ts';

/** Runs a job's processors over an ended execution; answers the output to store. Handed in by app.ts. */
export type ProcessOutput = (run: LiveRun, ended: ExecutionEnded) => Promise<string>;

/** What the results service tells the rest of the leader. */
export interface ResultsHooks {
  retryAt(run: LiveRun, delayMs: number, relaunch: boolean): void;
  jobDeleted(jobId: number, name: string): void;
  /** Rows for what was due of the job by now and not looked at yet, for the batch that deletes it. */
  cancelDue(jobId: number, now: number): Promise<Statement[]>;
}

interface Result {
  readonly run: LiveRun;
  readonly ended: ExecutionEnded;
  readonly output: string;
}

/** Results per commit: enough to share the sync, few enough that the loop is not held for long. */
const BATCH_MAX = 1000;
/**
 * After a commit the next one waits so long, or until so many results are there: while hundreds of runs end one by one, each in a commit
 * of its own would cost ten times the CPU of its run, and hold up the launches of the same second. A result after a pause does not wait.
 */
const GATHER = { ms: 20, enough: 512 } as const;
/** Between tries while the disk has no room even for results. */
const FULL_RETRY_MS = 500;

const UNFINISHED = codeOf(OUTCOMES, 'unfinished');
const LOST = codeOf(OUTCOMES, 'lost');

export class Results {
  readonly #m: ResultsModules;
  #queue: Result[] = [];
  #busy = false;
  #closed = false;
  readonly #gather: Gather;

  constructor(modules: ResultsModules) {
    this.#m = modules;
    this.#gather = new Gather(GATHER, modules);
  }

  /** Results taken in and not yet committed. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** From the agent; also for runs that ended without ever being handed over. */
  ended(results: readonly ExecutionEnded[]): void {
    for (const ended of results) {
      const run = this.#m.live.byKey(ended.key);
      // Between attempts the key is still the last one's: a result told twice must not begin another wait.
      if (run?.phase !== 'active') this.#late(ended);
      else if (!run.ending) this.#take(run, ended);
    }
    this.#m.dispatcher.pump();
    this.#start();
  }

  /**
   * Ends runs the agent never had and that were withdrawn; they end without an execution. Callers hold the leader's lock. false: the disk
   * is full, nothing changed.
   */
  async endWaiting(runs: readonly LiveRun[], outcome: Outcome, reason: Reason): Promise<boolean> {
    const now = this.#m.clock.now();
    const statements = runs.flatMap((run) => [dropIntent(run.key), endOccurrence(run.group, outcome, reason, now)]);
    if ((await this.#m.store.write(statements)).kind === 'full') return false;
    for (const run of runs) {
      this.#m.live.remove(run);
      this.#m.emit({ kind: 'occurrence_dropped', job: run.job.name, group: run.group, outcome, reason, count: 1 });
    }
    await this.#promote(new Set(runs.map((run) => run.job.id)));
    return true;
  }

  /** As endWaiting for what nobody waits for: repeated until the disk has room. Takes the lock itself. */
  async endWaitingSoon(runs: readonly LiveRun[], outcome: Outcome, reason: Reason): Promise<void> {
    for (;;) {
      const open = runs.filter((run) => this.#m.live.byKey(run.key) === run);
      if (open.length === 0 || this.#closed) return;
      if (await this.#m.lock.run(() => this.endWaiting(open, outcome, reason))) return;
      await this.#m.clock.sleep(FULL_RETRY_MS);
    }
  }

  /** Commits what is there and takes nothing more. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#m.lock.run(() => Promise.resolve());
  }

  #take(run: LiveRun, ended: ExecutionEnded): void {
    run.ending = true;
    if (Object.keys(run.job.definition.processors).length === 0) {
      this.#add({ run, ended, output: ended.tail });
      return;
    }
    void this.#m.process(run, ended).then((output) => {
      this.#add({ run, ended, output });
      this.#m.dispatcher.pump();
      this.#start();
    }, this.#m.fail);
  }

  #add(result: Result): void {
    this.#queue.push(result);
    // Its place is free: whatever becomes of the commit, the runner keeps the result until it is acknowledged.
    this.#m.dispatcher.release(result.run);
    this.#gather.have(this.#queue.length);
  }

  #start(): void {
    if (this.#busy || this.#closed || this.#queue.length === 0) return;
    this.#busy = true;
    void this.#drain().catch(this.#m.fail);
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0 && !this.#closed) {
      const batch = this.#queue.splice(0, BATCH_MAX);
      const done = await this.#m.lock.run(() => this.#commit(batch));
      if (!done) {
        this.#queue.unshift(...batch);
        await this.#m.clock.sleep(FULL_RETRY_MS);
      }
      // The loop belongs to the API and to the next tick as well.
      await this.#gather.wait(() => this.#queue.length);
    }
    this.#busy = false;
    this.#start();
  }

  async #commit(batch: readonly Result[]): Promise<boolean> {
    const { launcher, store, emit } = this.#m;
    const steps = batch.map((result) => this.#nextStep(result));
    const ends = batch.map((result, index) => this.#finish(result, steps[index] as NextStep));
    const intents: Intent[] = [];
    const deletions: { run: LiveRun; statements: Statement[] }[] = [];
    for (const [index, { run }] of batch.entries()) {
      const step = steps[index] as NextStep;
      if (step.kind !== 'final' || step.outcome !== 'succeeded') continue;
      intents.push(...(await this.#dependents(run.job, run.group)));
      const deletion = await this.#ephemeral(run.job);
      if (deletion !== undefined && !deletions.some((other) => other.run.job.id === run.job.id)) {
        deletions.push({ run, statements: deletion });
      }
    }
    const statements = [...finishStatements(ends), ...deletions.flatMap((deletion) => deletion.statements)];
    const launch: LaunchBatch = launcher.prepare(intents, statements);
    const written = await store.write(launch.statements);
    if (written.kind === 'full') return false;
    emit({ kind: 'results_committed', count: batch.length, commitMs: written.commitMs });
    this.#m.agent.acknowledge(batch.map(({ ended }) => ended.key));
    await launcher.apply(launch, written);
    for (const [index, result] of batch.entries()) this.#settle(result, steps[index] as NextStep);
    for (const { run } of deletions) this.#m.hooks.jobDeleted(run.job.id, run.job.name);
    await this.#promote(new Set(batch.map(({ run }) => run.job.id)));
    this.#m.dispatcher.pump();
    return true;
  }

  #nextStep({ run, ended }: Result): NextStep {
    if (run.stopping !== null) return { kind: 'final', outcome: ended.outcome, reason: ended.reason };
    const history = { attempt: run.attempt, relaunches: run.relaunches };
    // Only a failure can be followed by a wait, and a random number costs as much as the rest of this.
    const chance = ended.outcome === 'succeeded' ? 0 : this.#m.random.float();
    return afterAttempt(ended, history, run.job.lifecycle, chance);
  }

  #finish({ run, ended, output }: Result, step: NextStep): Finish {
    const now = this.#m.clock.now();
    const base = { ended, group: run.group, jobId: run.job.id, now, output };
    return step.kind === 'again'
      ? { ...base, phase: 'retrying', outcome: 'unfinished', reason: '', wakeAt: now + step.delayMs }
      : { ...base, phase: 'final', outcome: step.outcome, reason: step.reason, wakeAt: null };
  }

  async #dependents(parent: CompiledJob, group: number): Promise<Intent[]> {
    const ids = this.#m.definitions.childrenOf(parent.name);
    if (ids.size === 0) return [];
    const now = this.#m.clock.now();
    const children = new Map(await this.#m.definitions.load([parent.id, ...ids]));
    // The name may belong to another job by now: its dependents are not this one's.
    if (!children.delete(parent.id)) return [];
    return [...children.values()]
      .filter((job) => !job.definition.disabled && isWithin(job.definition, now))
      .map((job) => ({
        kind: 'new',
        job,
        trigger: 'parent',
        nominalAt: now,
        dueAt: now,
        parentGroup: group,
        catchUp: false,
        forced: false,
      }));
  }

  /** A job with dependents stays: deleting it would leave them without a parent. */
  async #ephemeral(job: CompiledJob): Promise<Statement[] | undefined> {
    if (!job.definition.ephemeral || this.#m.definitions.childrenOf(job.name).size > 0) return undefined;
    const now = this.#m.clock.now();
    const cancelled = await this.#m.hooks.cancelDue(job.id, now);
    return [...cancelled, ...deleteJob(job.id, codeOf(REASONS, 'job_deleted'), now)];
  }

  #settle({ run, ended }: Result, step: NextStep): void {
    this.#m.emit({
      kind: 'execution_ended',
      job: run.job.name,
      group: run.group,
      attempt: run.attempt,
      executor: run.job.definition.executor,
      outcome: ended.outcome,
      reason: ended.reason,
      durationMs: ended.startedAtUs === null ? null : (ended.finishedAtUs - ended.startedAtUs) / 1000,
      final: step.kind === 'final',
    });
    if (step.kind === 'final') {
      this.#m.live.remove(run);
      return;
    }
    run.phase = 'retrying';
    run.ending = false;
    run.startedAtUs = null;
    run.wakeAt = this.#m.clock.now() + step.delayMs;
    this.#m.hooks.retryAt(run, step.delayMs, step.why === 'relaunch');
  }

  /** The first waiter of each of these jobs starts, if nothing of the job runs any more. */
  async #promote(jobIds: ReadonlySet<number>): Promise<void> {
    const intents: Intent[] = [];
    for (const jobId of jobIds) {
      let first: LiveRun | undefined;
      for (const run of this.#m.live.ofJob(jobId)) {
        if (run.phase === 'queued' && (first === undefined || run.group < first.group)) first = run;
      }
      if (first === undefined) continue;
      const current = (await this.#m.definitions.load([jobId])).get(jobId);
      intents.push({ kind: 'promote', run: first, beside: current?.concurrency === 'allow' });
    }
    if (intents.length === 0) return;
    const launched = await this.#m.launcher.commit(this.#m.launcher.prepare(intents));
    if (launched === 'full') void this.#promoteLater(jobIds).catch(this.#m.fail);
  }

  /** While something waits in its queue a job runs nothing else, so a promotion the disk refused must be tried again. */
  async #promoteLater(jobIds: ReadonlySet<number>): Promise<void> {
    await this.#m.clock.sleep(FULL_RETRY_MS);
    if (!this.#closed) await this.#m.lock.run(() => this.#promote(jobIds));
  }

  /** A result of a run this leader does not follow: it corrects a `lost` one once, is a repeat, or belongs to another database. */
  #late(ended: ExecutionEnded): void {
    void this.#m.lock.run(() => this.#recordLate(ended)).catch(this.#m.fail);
  }

  async #recordLate(ended: ExecutionEnded): Promise<void> {
    const { store, agent } = this.#m;
    if (this.#closed) return;
    const [row] = await store.read<LateRow>(EXECUTION_BY_KEY, [ended.key], 'linearizable');
    if (row?.outcome === UNFINISHED) return this.#notLate(ended);
    const done =
      row === undefined
        ? await keepOrphan(ended, this.#m)
        : row.outcome !== LOST || ended.outcome === 'lost' || (await this.#correct(ended, row));
    if (done) agent.acknowledge([ended.key]);
  }

  /** The truth about a `lost` execution: record and counters follow it, and what a success starts has not started yet. */
  async #correct(ended: ExecutionEnded, row: LateRow): Promise<boolean> {
    const { definitions, launcher, store, live, clock, random } = this.#m;
    const statements = correctionStatements(ended, row.group_id, row.job_id);
    const run = live.byKey(ended.key);
    // It waits to be started again: the truth decides whether it still is. A relaunch that has begun goes on.
    const waiting = run?.phase === 'retrying' ? run : undefined;
    const step =
      waiting === undefined ? undefined : afterAttempt(ended, waiting, waiting.job.lifecycle, random.float());
    if (step?.kind === 'final') statements.push(endOccurrence(row.group_id, step.outcome, step.reason, clock.now()));
    const succeeds = ended.outcome === 'succeeded' && (row.occurrence_outcome === LOST || step?.kind === 'final');
    const job = succeeds ? await definitions.ofVersion(row.job_id, row.job_version) : undefined;
    const intents = job === undefined ? [] : await this.#dependents(job, row.group_id);
    const isCurrent = job !== undefined && (await definitions.load([job.id])).has(job.id);
    const deletion = isCurrent ? await this.#ephemeral(job) : undefined;
    const launch = launcher.prepare(intents, [...statements, ...(deletion ?? [])]);
    const written = await store.write(launch.statements);
    if (written.kind === 'full') return false;
    await launcher.apply(launch, written);
    if (waiting !== undefined && step?.kind === 'final') live.remove(waiting);
    if (job !== undefined && deletion !== undefined) this.#m.hooks.jobDeleted(job.id, job.name);
    await this.#promote(new Set([row.job_id]));
    return true;
  }

  /** Told before this leader knew its runs. An acknowledgement now would lose the result, and the run would start again. */
  #notLate(ended: ExecutionEnded): void {
    const run = this.#m.live.byKey(ended.key);
    if (run?.phase === 'active' && !run.ending) this.#take(run, ended);
    this.#start();
  }
}

export interface ResultsModules {
  readonly store: LeaderStore;
  readonly lock: Mutex;
  readonly live: LiveRuns;
  readonly definitions: Definitions;
  readonly launcher: Launcher;
  readonly dispatcher: Dispatcher;
  readonly agent: AgentSession;
  readonly clock: Clock;
  readonly random: Random;
  readonly emit: Emit;
  readonly process: ProcessOutput;
  readonly hooks: ResultsHooks;
  /** A broken invariant or a lost fence: ends the node. */
  readonly fail: (error: unknown) => void;
}
