/** The leader: every service that only the holder of the epoch runs, wired together. Knows no adapter: app.ts and the simulation hand them in. */
import type { Clock } from '../lib/clock.ts';
import { Mutex } from '../lib/mutex.ts';
import type { Random } from '../lib/random.ts';
import type { Scope } from '../lib/scope.ts';
import type { AgentSession, ExecutionRefused, ExecutionStarted } from '../model/agent.ts';
import type { AppError } from '../model/errors.ts';
import type { BelfryEvent, Emit } from '../model/events.ts';
import type { StoppedReason } from '../model/occurrence.ts';
import type { Database } from '../store/database.ts';
import { PARENTS } from '../store/jobs.ts';
import { GET_META, putMeta } from '../store/meta.ts';
import { clearMarker, readMarker } from '../store/restored-marker.ts';
import { Calendars } from './calendars.ts';
import { Definitions, type DefinitionsOptions } from './definitions.ts';
import { Dispatcher, type ExpiredReason } from './dispatcher.ts';
import { Identities } from './identity.ts';
import { Jobs } from './jobs.ts';
import { Launcher } from './launcher.ts';
import { diskFull, FencedError, LeaderStore, type StoreSilence } from './leader-store.ts';
import { type LiveRun, LiveRuns } from './live.ts';
import { lastId, recover } from './recovery.ts';
import type { LogSizes } from './run-views.ts';
import { skipRestoredGap } from './restored.ts';
import { type ProcessOutput, Results, type ResultsHooks } from './results.ts';
import { type LogSlice, Runs } from './runs.ts';
import { Scheduler } from './scheduler.ts';
import { type RetentionOptions, Sweeper } from './sweeper.ts';

export interface LeaderOptions {
  readonly node: string;
  /** Of this node, the reserved ones included: jobs choose by them. */
  readonly tags: Readonly<Record<string, string>>;
  readonly epoch: number;
  readonly definitions: DefinitionsOptions;
  readonly maxRuns: number;
  readonly maxWaiting: number;
  readonly catchUpRate: number;
  readonly retention: RetentionOptions;
}

export interface LeaderModules {
  readonly database: Database;
  readonly agent: AgentSession;
  readonly clock: Clock;
  readonly random: Random;
  readonly emit: Emit;
  readonly scope: Scope;
  readonly process: ProcessOutput;
  readonly readLog: (key: number, from: number, limit: number) => Promise<LogSlice | null>;
  readonly logSizes: LogSizes;
  readonly removeLog: (key: number) => Promise<void>;
  /** false while the disk is low: nothing new is launched, results still have their reserve. */
  readonly mayLaunch: () => boolean;
  /** A broken invariant, a lost fence or a damaged store: ends the node. */
  readonly fail: (error: unknown) => void;
}

const PAUSED = 'paused';

/** Takes over: recovers what is unfinished, then schedules. The epoch must have been claimed. */
export async function startLeader(options: LeaderOptions, modules: LeaderModules): Promise<Leader> {
  const store = new LeaderStore({ epoch: options.epoch }, modules);
  const identities = new Identities({ last: await lastId(store), node: options.node }, modules);
  const leader = new Leader(options, modules, { store, identities });
  await leader.takeOver();
  return leader;
}

export class Leader {
  readonly jobs: Jobs;
  readonly runs: Runs;
  readonly calendars: Calendars;
  readonly scheduler: Scheduler;
  readonly definitions: Definitions;
  readonly live = new LiveRuns();
  readonly #modules: LeaderModules;
  readonly #store: LeaderStore;
  readonly #identities: Identities;
  readonly #lock = new Mutex();
  readonly #dispatcher: Dispatcher;
  readonly #launcher: Launcher;
  readonly #results: Results;
  readonly #sweeper: Sweeper;
  #paused = false;

  /** Wires the services; nothing runs before takeOver. */
  constructor(
    options: LeaderOptions,
    modules: LeaderModules,
    { store, identities }: { store: LeaderStore; identities: Identities },
  ) {
    this.#modules = modules;
    this.#store = store;
    this.#identities = identities;
    this.definitions = new Definitions(options.definitions, {
      store,
      seen: (executor) => modules.agent.warm?.([executor]),
    });
    this.#dispatcher = new Dispatcher(options, {
      agent: modules.agent,
      clock: modules.clock,
      expire: (runs, reason) => this.#expire(runs, reason),
    });
    const stop = (run: LiveRun, reason: StoppedReason) => this.#stopSoon(run, reason);
    const held = {
      ...modules,
      store,
      identities,
      lock: this.#lock,
      live: this.live,
      definitions: this.definitions,
      dispatcher: this.#dispatcher,
    };
    const hooks = { stop, delayed: (run: LiveRun) => this.scheduler.delay(run) };
    this.#launcher = new Launcher({ node: options.node }, { ...held, hooks });
    const common = { ...held, launcher: this.#launcher };
    this.scheduler = new Scheduler(options, { ...common, resultsWaiting: () => this.#results.waiting });
    this.#results = new Results({ ...common, hooks: this.#resultHooks() });
    this.jobs = new Jobs({ ...common, scheduler: this.scheduler, paused: () => this.#paused, stop });
    this.calendars = new Calendars({ ...common, scheduler: this.scheduler });
    this.runs = new Runs({
      ...common,
      node: options.node,
      stopRun: (run, reason) => this.#lock.run(() => this.#stopForRequest(run, reason)),
      jobView: (name) => this.jobs.get(name),
    });
    this.#sweeper = new Sweeper(options.retention, { ...common, mayWrite: modules.mayLaunch });
  }

  /** Recovery first, then scheduling: see server/recovery.ts. Called once. */
  async takeOver(): Promise<void> {
    const store = this.#store;
    this.#paused = (await store.read<{ value: string }>(GET_META, [PAUSED]))[0]?.value === 'true';
    await this.calendars.load();
    await this.#loadChildren();
    await this.jobs.load();
    const marker = await readMarker(this.#modules.database);
    if (marker !== undefined && !marker.catchUp) {
      await skipRestoredGap(marker.restoredAt, { store, definitions: this.definitions, identities: this.#identities });
    }
    this.#listen();
    await this.scheduler.load();
    await this.#lock.run(() => this.#recover(marker !== undefined));
    if (marker !== undefined) await store.writeFor([clearMarker()]);
    this.scheduler.start();
    this.#sweeper.start(this.#modules.scope);
  }

  counts(): { waiting: number; running: number; unfinished: number; results: number } {
    return { ...this.#dispatcher.counts, unfinished: this.live.size, results: this.#results.waiting };
  }

  /** What was met of a damaged store. */
  get damage(): AppError | null {
    return this.#store.damage;
  }

  /** That the store does not answer; null: it does. */
  get storeSilence(): StoreSilence | null {
    return this.#store.silence;
  }

  paused(): boolean {
    return this.#paused;
  }

  async setPaused(paused: boolean): Promise<void> {
    await this.#lock.run(() => this.#store.writeFor([putMeta(PAUSED, String(paused))]));
    this.#paused = paused;
  }

  /** Stops launching and commits what is under way; running jobs go on. */
  async close(): Promise<void> {
    await this.scheduler.close();
    this.#dispatcher.close();
    await this.#results.close();
  }

  #recover(restored: boolean): Promise<void> {
    const { live, definitions, scheduler } = this;
    const modules = { ...this.#modules, store: this.#store, live, definitions, scheduler };
    return recover(
      {
        ...modules,
        dispatcher: this.#dispatcher,
        launcher: this.#launcher,
        results: this.#results,
        stop: (run, reason) => this.#stopSoon(run, reason),
      },
      { restored },
    );
  }

  #listen(): void {
    this.#modules.agent.subscribe({
      started: (list) => this.#started(list),
      ended: (list) => {
        for (const { key, logBytes } of list) {
          const run = this.live.byKey(key);
          if (run !== undefined) this.#sweeper.finished(run.job.id, logBytes);
        }
        this.#results.ended(list);
      },
      refused: (list) => this.#refused(list),
    });
  }

  /** The agent did not take them: they wait here again, unless their end was asked for meanwhile or another leader is in charge. */
  #refused(list: readonly ExecutionRefused[]): void {
    for (const { key, why } of list) {
      if (why === 'stale_epoch') return this.#modules.fail(new FencedError());
      const run = this.live.byKey(key);
      if (run === undefined) continue;
      this.#dispatcher.takeBack(run);
      if (run.stopping === null) continue;
      // Withdrawn in the same breath: once it waits, it could be handed over again.
      this.#dispatcher.withdraw(run);
      void this.#results.endWaitingSoon([run], 'cancelled', run.stopping).catch(this.#modules.fail);
    }
  }

  #started(list: readonly ExecutionStarted[]): void {
    for (const { key, startedAtUs, pid } of list) {
      const run = this.live.byKey(key);
      if (run === undefined) continue;
      run.startedAtUs = startedAtUs;
      run.pid = pid;
      this.#modules.emit(startedEvent(run, startedAtUs));
    }
  }

  #resultHooks(): ResultsHooks {
    return {
      retryAt: (run, delayMs, relaunch) => this.scheduler.retry(run, delayMs, relaunch),
      jobDeleted: (jobId, name) => this.jobs.forget(jobId, name),
      cancelDue: (jobId, now) => this.scheduler.cancelDue([jobId], now),
    };
  }

  /** Runs that waited too long: for a place, or for a node with their tags. */
  #expire(runs: LiveRun[], reason: ExpiredReason): void {
    void this.#results.endWaitingSoon(runs, 'missed', reason).catch(this.#modules.fail);
  }

  #stopSoon(run: LiveRun, reason: StoppedReason): void {
    void this.#lock
      .run(() => this.#stop(run, reason))
      .then((done) => (done ? undefined : this.#results.endWaitingSoon([run], 'cancelled', reason)))
      .catch(this.#modules.fail);
  }

  /**
   * The agent ends it; a run it does not have yet is withdrawn and ends here. Callers hold the lock. false: withdrawn, but the full disk
   * did not take its end.
   */
  async #stop(run: LiveRun, reason: StoppedReason): Promise<boolean> {
    if (this.live.byKey(run.key) !== run) return true;
    run.stopping = reason;
    // Its result is on the way to the store; no attempt follows it.
    if (run.ending) return true;
    if (run.phase !== 'active' || this.#dispatcher.withdraw(run))
      return this.#results.endWaiting([run], 'cancelled', reason);
    run.stopAskedAt ??= this.#modules.clock.now();
    this.#modules.agent.stop([{ key: run.key, reason }]);
    return true;
  }

  /** As #stop for a person: a full disk is their answer, and the run stays as it was. */
  async #stopForRequest(run: LiveRun, reason: StoppedReason): Promise<void> {
    const held = this.#dispatcher.holds(run);
    if (await this.#stop(run, reason)) return;
    run.stopping = null;
    if (held) this.#dispatcher.enqueue([run]);
    throw diskFull();
  }

  async #loadChildren(): Promise<void> {
    const rows = await this.#store.read<{ id: number; parent: string }>(PARENTS);
    for (const { id, parent } of rows) this.definitions.setParent(id, parent);
  }
}

function startedEvent(run: LiveRun, startedAtUs: number): BelfryEvent {
  return {
    kind: 'execution_started',
    job: run.job.name,
    group: run.group,
    attempt: run.attempt,
    executor: run.job.definition.executor,
    // A later attempt is due when its wait is over.
    latenessMs: startedAtUs / 1000 - (run.wakeAt ?? run.dueAt),
    trigger: run.trigger,
  };
}
