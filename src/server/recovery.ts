/**
 * What a new leader does before it decides anything: it rebuilds the index of unfinished occurrences from the store, asks the agent what
 * it knows of each, and lets the table of SEMANTICS §1.5 follow from the two.
 */
import type { CompiledJob } from '../core/compiled-job.ts';
import type { Clock } from '../lib/clock.ts';
import type { AgentSession, ExecutionEnded, KnownExecution } from '../model/agent.ts';
import type { Emit } from '../model/events.ts';
import { codeOf, OUTCOMES, PHASES, TRIGGERS, wordOf } from '../model/occurrence.ts';
import { LAST_ID, OPEN_EXECUTIONS, OPEN_OCCURRENCES } from '../store/runs.ts';
import type { Definitions } from './definitions.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { LeaderStore } from './leader-store.ts';
import type { LiveRun, LiveRuns } from './live.ts';
import type { Launcher } from './launcher.ts';
import type { Results } from './results.ts';
import type { Scheduler } from './scheduler.ts';

interface OpenRow {
  group_id: number;
  job_id: number;
  job_version: number;
  trigger: number;
  nominal_at: number;
  due_at: number;
  phase: number;
  wake_at: number | null;
}

interface AttemptRow {
  group_id: number;
  key: number;
  attempt: number;
  relaunches: number;
  outcome: number;
}

const LOST = codeOf(OUTCOMES, 'lost');

export interface RecoveryModules {
  readonly store: LeaderStore;
  readonly definitions: Definitions;
  readonly live: LiveRuns;
  readonly dispatcher: Dispatcher;
  readonly launcher: Launcher;
  readonly scheduler: Scheduler;
  readonly results: Results;
  readonly agent: AgentSession;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly stop: (run: LiveRun, reason: 'replaced') => void;
}

/** The greatest id in the data, below which no new one may lie. */
export async function lastId(store: LeaderStore): Promise<number> {
  const [row] = await store.read<{ last: number }>(LAST_ID, [], 'linearizable');
  return row?.last ?? 0;
}

/**
 * Takes over every unfinished occurrence. `restored`: this database came from a backup, so an intent that no agent knows may have run
 * after the backup was made: it ends `lost: restored` instead of starting (SEMANTICS §1.8).
 */
export async function recover(modules: RecoveryModules, options: { restored: boolean }): Promise<void> {
  const { live, dispatcher, agent, emit } = modules;
  const { runs, lostLast } = await loadRuns(modules);
  for (const run of runs) live.add(run);
  const known = new Map((await agent.known()).map((entry) => [entry.key, entry]));
  const ended: ExecutionEnded[] = [];
  const unsent: LiveRun[] = [];
  const orphaned: LiveRun[] = [];
  let running = 0;
  for (const run of runs) {
    if (run.phase !== 'active') {
      if (options.restored) orphaned.push(run);
      continue;
    }
    const entry = known.get(run.key);
    // Its end may have been told since the question.
    if (entry === undefined && !run.ending) {
      if (options.restored) ended.push(lostAfterRestore(run, modules.clock.nowUs()));
      else unsent.push(run);
      continue;
    }
    known.delete(run.key);
    dispatcher.adopt(run);
    running++;
    if (entry?.state === 'started') adoptStart(run, entry);
    if (entry?.state === 'ended') ended.push(entry.ended);
  }
  // Results of runs that are final here, or that this database never knew.
  for (const entry of known.values()) if (entry.state === 'ended') ended.push(entry.ended);
  // What waited when the backup was made may have run since: its truth is unknown as well.
  if (orphaned.length > 0) await modules.results.endWaiting(orphaned, 'lost', 'restored');
  resumeWaiting([...live.all()], lostLast, modules);
  modules.results.ended(ended);
  // No launch after the acknowledgement of a delete or disable, which may have come before the crash.
  for (const reason of ['job_deleted', 'job_disabled'] as const) {
    const unwanted = unsent.filter((run) => run.stopping === reason);
    if (unwanted.length > 0) await modules.results.endWaiting(unwanted, 'cancelled', reason);
  }
  dispatcher.enqueue(unsent.filter((run) => run.stopping === null));
  giveWay([...live.all()], modules);
  await promoteAll([...live.all()], modules);
  const unknownPids = [...known.values()].flatMap((entry) =>
    entry.state === 'started' ? (entry.started.pid ?? []) : [],
  );
  emit({ kind: 'recovered', unfinished: runs.length, running, restarted: unsent.length, unknownPids });
}

/** The unfinished runs, and the groups whose newest attempt was lost: what follows it is a relaunch, not a retry. */
async function loadRuns({
  store,
  definitions,
  clock,
}: RecoveryModules): Promise<{ runs: LiveRun[]; lostLast: Set<number> }> {
  const rows = await store.read<OpenRow>(OPEN_OCCURRENCES, [], 'linearizable');
  const lostLast = new Set<number>();
  if (rows.length === 0) return { runs: [], lostLast };
  const attempts = new Map(
    (await store.read<AttemptRow>(OPEN_EXECUTIONS, [], 'linearizable')).map((row) => [row.group_id, row]),
  );
  const current = await definitions.load([...new Set(rows.map((row) => row.job_id))]);
  const now = clock.now();
  const runs: LiveRun[] = [];
  for (const row of rows) {
    const job = await definitions.ofVersion(row.job_id, row.job_version);
    if (job === undefined)
      throw new Error(
        `occurrence ${row.group_id} refers to version ${row.job_version} of job ${row.job_id}, which is gone`,
      );
    const attempt = attempts.get(row.group_id);
    if (attempt !== undefined && attempt.outcome === LOST) lostLast.add(row.group_id);
    runs.push({
      group: row.group_id,
      job,
      trigger: wordOf(TRIGGERS, row.trigger),
      nominalAt: row.nominal_at,
      dueAt: row.due_at,
      phase: wordOf(PHASES, row.phase) as LiveRun['phase'],
      key: attempt?.key ?? row.group_id,
      attempt: attempt?.attempt ?? 1,
      relaunches: attempt?.relaunches ?? 0,
      catchUp: now - row.due_at > job.misfire.graceMs,
      sent: false,
      startedAtUs: null,
      pid: null,
      stopping: whyNoMore(job, current.get(row.job_id)),
      stopAskedAt: null,
      wakeAt: row.wake_at,
      ending: false,
    });
  }
  return { runs, lostLast };
}

/** Runs of a job deleted or disabled meanwhile are followed to their end, and no attempt follows it. */
function whyNoMore(job: CompiledJob, current: CompiledJob | undefined): LiveRun['stopping'] {
  if (current === undefined) return 'job_deleted';
  return current.definition.disabled && !job.definition.disabled ? 'job_disabled' : null;
}

function adoptStart(run: LiveRun, entry: Extract<KnownExecution, { state: 'started' }>): void {
  run.startedAtUs = entry.started.startedAtUs;
  run.pid = entry.started.pid;
}

function resumeWaiting(
  runs: readonly LiveRun[],
  lostLast: ReadonlySet<number>,
  { scheduler, clock }: RecoveryModules,
): void {
  for (const run of runs) {
    if (run.phase === 'delayed') scheduler.delay(run);
    if (run.phase !== 'retrying') continue;
    scheduler.retry(run, Math.max(0, (run.wakeAt ?? 0) - clock.now()), lostLast.has(run.group));
  }
}

/** concurrency replace: what was asked to end before the crash is asked again. */
function giveWay(runs: readonly LiveRun[], { live, stop }: RecoveryModules): void {
  for (const run of runs) {
    if (run.phase !== 'queued' || run.job.concurrency !== 'replace') continue;
    for (const other of live.ofJob(run.job.id))
      if (other.phase === 'active' && other.group < run.group) stop(other, 'replaced');
  }
}

/** Waiters whose job runs nothing any more. */
async function promoteAll(runs: readonly LiveRun[], { launcher, live }: RecoveryModules): Promise<void> {
  const first = new Map<number, LiveRun>();
  for (const run of runs) if (run.phase === 'queued' && !first.has(run.job.id)) first.set(run.job.id, run);
  const intents = [...first.values()]
    .filter(
      (run) => ![...live.ofJob(run.job.id)].some((other) => other.phase === 'active' || other.phase === 'retrying'),
    )
    .map((run) => ({ kind: 'promote', run, beside: false }) as const);
  if (intents.length > 0) await launcher.commit(launcher.prepare(intents));
}

function lostAfterRestore(run: LiveRun, nowUs: number): ExecutionEnded {
  return {
    key: run.key,
    startedAtUs: null,
    finishedAtUs: nowUs,
    outcome: 'lost',
    reason: 'restored',
    exitCode: null,
    signal: null,
    message: 'the state was restored from a backup; whether this run started is unknown',
    tail: '',
    outputBytes: 0,
    logBytes: 0,
  };
}
