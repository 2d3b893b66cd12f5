/** The leader: every service that only the holder of the epoch runs, wired together. Knows no adapter: app.ts and the simulation hand them in. */
import type { Clock } from '../lib/clock.ts';
import { Mutex } from '../lib/mutex.ts';
import type { Random } from '../lib/random.ts';
import type { Scope } from '../lib/scope.ts';
import type { AgentSession, ExecutionStarted } from '../model/agent.ts';
import type { Emit } from '../model/events.ts';
import type { StoppedReason } from '../model/occurrence.ts';
import type { Database } from '../store/database.ts';
import { GET_META, putMeta } from '../store/meta.ts';
import { clearMarker, readMarker } from '../store/restored-marker.ts';
import { Calendars } from './calendars.ts';
import { Definitions, type DefinitionsOptions } from './definitions.ts';
import { Dispatcher } from './dispatcher.ts';
import { Identities } from './identity.ts';
import { Jobs } from './jobs.ts';
import { Launcher } from './launcher.ts';
import { LeaderStore } from './leader-store.ts';
import { type LiveRun, LiveRuns } from './live.ts';
import { lastId, recover } from './recovery.ts';
import { skipRestoredGap } from './restored.ts';
import { type ProcessOutput, Results } from './results.ts';
import { type LogSlice, Runs } from './runs.ts';
import { Scheduler } from './scheduler.ts';
import { type RetentionOptions, Sweeper } from './sweeper.ts';

export interface LeaderOptions {
  readonly node: string;
  readonly epoch: number;
  readonly definitions: DefinitionsOptions;
  readonly maxRuns: number;
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
  readonly removeLog: (key: number) => Promise<void>;
  /** false while the disk is low: nothing new is launched, results still have their reserve. */
  readonly mayLaunch: () => boolean;
  /** A broken invariant, a lost fence or a damaged store: ends the node. */
  readonly fail: (error: unknown) => void;
}

export interface Leader {
  readonly jobs: Jobs;
  readonly runs: Runs;
  readonly calendars: Calendars;
  readonly scheduler: Scheduler;
  readonly definitions: Definitions;
  readonly live: LiveRuns;
  readonly counts: () => { waiting: number; running: number; unfinished: number; results: number };
  readonly paused: () => boolean;
  readonly setPaused: (paused: boolean) => Promise<void>;
  /** Stops launching and commits what is under way; running jobs go on. */
  readonly close: () => Promise<void>;
}

const PAUSED = 'paused';

/** Takes over: recovers what is unfinished, then schedules. The epoch must have been claimed. */
export async function startLeader(options: LeaderOptions, modules: LeaderModules): Promise<Leader> {
  const { clock, emit, agent, fail } = modules;
  const store = new LeaderStore({ epoch: options.epoch }, modules);
  const identities = new Identities({ last: await lastId(store), node: options.node }, modules);
  const lock = new Mutex();
  const live = new LiveRuns();
  const definitions = new Definitions(options.definitions, { store });
  const onExpired = (runs: LiveRun[]) => void lock.run(() => results.endWaiting(runs, 'missed', 'start_deadline')).catch(fail);
  const dispatcher = new Dispatcher(options, { agent, clock, expire: onExpired });
  const stop = (run: LiveRun, reason: StoppedReason) => stopRun(run, reason);
  const hooks = { stop, delayed: (run: LiveRun) => scheduler.delay(run) };
  const launcher = new Launcher({ node: options.node }, { store, live, dispatcher, identities, clock, emit, hooks });
  const common = { ...modules, store, lock, live, definitions, dispatcher, launcher, identities };
  const scheduler: Scheduler = new Scheduler(common);
  const resultHooks = {
    retryAt: (run: LiveRun, delayMs: number, relaunch: boolean) => scheduler.retry(run, delayMs, relaunch),
    jobDeleted: (jobId: number, name: string) => jobs.forget(jobId, name),
  };
  const results: Results = new Results({ ...common, hooks: resultHooks });
  let paused = (await store.read<{ value: string }>(GET_META, [PAUSED]))[0]?.value === 'true';
  const jobs: Jobs = new Jobs({ ...common, scheduler, paused: () => paused, stop });
  const calendars = new Calendars({ ...common, scheduler });
  const runs = new Runs({
    ...common,
    node: options.node,
    stopRun: (run, reason) => lock.run(() => stopHeld(run, reason)),
    jobView: (name) => jobs.get(name),
  });
  const sweeper = new Sweeper(options.retention, { ...common, mayWrite: modules.mayLaunch });

  /** The agent ends it; a run it does not have yet is withdrawn and ends here. Callers hold the lock or are in its turn. */
  function stopRun(run: LiveRun, reason: StoppedReason): void {
    void lock.run(() => stopHeld(run, reason)).catch(fail);
  }

  async function stopHeld(run: LiveRun, reason: StoppedReason): Promise<void> {
    if (run.ending || live.byKey(run.key) !== run) return;
    run.stopping = reason;
    if (run.phase === 'active' && !dispatcher.withdraw(run)) agent.stop([{ key: run.key, reason }]);
    else await results.endWaiting([run], 'cancelled', reason);
  }

  function started(list: readonly ExecutionStarted[]): void {
    for (const { key, startedAtUs, pid } of list) {
      const run = live.byKey(key);
      if (run === undefined) continue;
      run.startedAtUs = startedAtUs;
      run.pid = pid;
      emitStarted(run, startedAtUs, emit);
    }
  }

  await calendars.load();
  await loadChildren(store, definitions);
  await jobs.load();
  const marker = await readMarker(modules.database);
  if (marker !== undefined && !marker.catchUp) await skipRestoredGap(marker.restoredAt, { store, definitions, identities });
  agent.subscribe({
    started,
    ended: (list) => {
      for (const { key, logBytes } of list) {
        const run = live.byKey(key);
        if (run !== undefined) sweeper.finished(run.job.id, logBytes);
      }
      results.ended(list);
    },
    refused: (list) => {
      for (const { key } of list) {
        const run = live.byKey(key);
        if (run !== undefined) dispatcher.takeBack(run);
      }
    },
  });
  await scheduler.load();
  await lock.run(() => recover({ ...common, scheduler, results, stop }, { restored: marker !== undefined }));
  if (marker !== undefined) await store.writeFor([clearMarker()]);
  scheduler.start();
  sweeper.start(modules.scope);

  return {
    jobs,
    runs,
    calendars,
    scheduler,
    definitions,
    live,
    counts: () => ({ ...dispatcher.counts, unfinished: live.size, results: results.waiting }),
    paused: () => paused,
    setPaused: async (next) => {
      await lock.run(() => store.writeFor([putMeta(PAUSED, String(next))]));
      paused = next;
    },
    close: async () => {
      await scheduler.close();
      dispatcher.close();
      await results.close();
    },
  };
}

const PARENTS = "SELECT id, parent FROM jobs WHERE parent <> '' AND deleted_at IS NULL";

async function loadChildren(store: LeaderStore, definitions: Definitions): Promise<void> {
  for (const { id, parent } of await store.read<{ id: number; parent: string }>(PARENTS)) definitions.setParent(id, '', parent);
}

function emitStarted(run: LiveRun, startedAtUs: number, emit: Emit): void {
  emit({
    kind: 'execution_started',
    job: run.job.name,
    group: run.group,
    attempt: run.attempt,
    executor: run.job.definition.executor,
    latenessMs: startedAtUs / 1000 - run.dueAt,
    trigger: run.trigger,
  });
}
