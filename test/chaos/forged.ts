/** A small run in which everything is as it should be, for planting faults in: one place to change, everything else stays true. */
import type { ChaosJob, Evidence, FaultLog, HistoryExecution, HistoryRun, Observed, ShownJob } from './types.ts';

export const T0 = Date.UTC(2026, 10, 22, 17, 0, 0);
const INSTANTS = 10;
const RUN_MS = 200;
const HASH = 'cbf29ce484222325';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
export type MutableExecution = Mutable<HistoryExecution>;
export type MutableRun = Mutable<Omit<HistoryRun, 'executions'>> & { executions: MutableExecution[] };
export type MutableEvidence = Mutable<Evidence>;

export interface Forged {
  readonly jobs: { job: Mutable<ChaosJob>; askedAtNode: number; answeredAtNode: number }[];
  readonly evidence: Map<string, MutableEvidence>;
  history: MutableRun[];
  log: Mutable<FaultLog>;
  acknowledgedRuns: Map<number, string>;
  acknowledgedJobs: Map<string, number>;
  storedJobs: Map<string, number>;
  logs: Map<string, { id: string; bytes: number; hash: string }>;
  unfinishedAfterFaults: MutableRun[];
  /** Replaces what follows from the history. */
  shown: Map<string, ShownJob> | null;
}

/** One job due every second, ten times, each run 200 ms long with 10 bytes of output; a child after each of them when asked for. */
export function forge(options: Partial<ChaosJob> = {}, withChild = false): Forged {
  const world: Forged = {
    jobs: [],
    evidence: new Map(),
    history: [],
    log: emptyLog(),
    acknowledgedRuns: new Map(),
    acknowledgedJobs: new Map(),
    storedJobs: new Map(),
    logs: new Map(),
    unfinishedAfterFaults: [],
    shown: null,
  };
  addJob(world, forgedJob({ name: 'one', ...options }));
  if (withChild) addJob(world, forgedJob({ name: 'child', parent: 'one', schedule: { kind: 'none' } }));
  for (let i = 1; i <= INSTANTS; i++) {
    const run = addRun(world, 'one', T0 + i * 1000, 'schedule', null);
    if (withChild) addRun(world, 'child', T0 + i * 1000 + RUN_MS + 10, 'parent', run.group);
  }
  return world;
}

export function observe(world: Forged): Observed {
  const judgedToNode = T0 + INSTANTS * 1000;
  const { jobs, evidence, history, log, storedJobs, logs, unfinishedAfterFaults } = world;
  return {
    jobs,
    evidence,
    history,
    log,
    acknowledged: { runs: world.acknowledgedRuns, jobs: world.acknowledgedJobs },
    storedJobs,
    logs,
    shown: world.shown ?? shownOf(world),
    judgedToNode,
    disabledAt: judgedToNode + 10_000,
    calm: { from: T0 + 8_500, to: judgedToNode },
    unfinishedAfterFaults,
  };
}

/** What the API would show of this history. */
export function shownOf({ jobs, history }: Forged): Map<string, ShownJob> {
  return new Map(
    jobs.map(({ job }) => {
      const executions = history
        .filter((run) => run.job === job.name)
        .flatMap((run) => run.executions.map((one) => ({ ...one, group: run.group })));
      const listed = executions.map(({ id, group, attempt, outcome }) => ({
        id,
        group,
        attempt,
        success: outcome === 'succeeded',
      }));
      const successCount = listed.filter(({ success }) => success).length;
      return [job.name, { successCount, errorCount: listed.length - successCount, executions: listed }];
    }),
  );
}

/** The nth run of a job, from 0, with its parts. */
export function pick(
  world: Forged,
  n: number,
  job = 'one',
): { run: MutableRun; execution: MutableExecution; evidence: MutableEvidence } {
  const run = world.history.filter((one) => one.job === job)[n];
  const execution = run?.executions[0];
  const evidence = execution === undefined ? undefined : world.evidence.get(execution.id);
  if (run === undefined || execution === undefined || evidence === undefined) throw new Error(`no run ${n} of ${job}`);
  return { run, execution, evidence };
}

/** Another attempt of a run, right after the one before. */
export function addAttempt(world: Forged, run: MutableRun, changes: Partial<HistoryExecution> = {}): MutableExecution {
  const attempt = run.executions.length + 1;
  const execution = attemptOf(world, run, run.scheduledAt + attempt * 300, attempt);
  Object.assign(execution, changes);
  run.executions.push(execution);
  return execution;
}

function addRun(world: Forged, job: string, at: number, trigger: string, parentGroup: number | null): MutableRun {
  const run: MutableRun = {
    group: at * 1000 + world.history.length,
    job,
    trigger,
    scheduledAt: at,
    dueAt: at,
    parentGroup,
    phase: 'final',
    outcome: 'succeeded',
    reason: '',
    finishedAt: at + RUN_MS + 5,
    lastScheduledAt: null,
    count: 1,
    executions: [],
  };
  run.executions.push(attemptOf(world, run, at, 1));
  world.history.push(run);
  return run;
}

function attemptOf(world: Forged, run: MutableRun, at: number, attempt: number): MutableExecution {
  const key = attempt === 1 ? run.group : run.group + attempt * 300_000;
  const id = `${key}000-chaos`;
  const start = {
    at: at + 5,
    attempt,
    group: run.group,
    scheduledAt: new Date(run.scheduledAt).toISOString(),
    job: run.job,
    pid: 4711,
    parentPid: 99,
  };
  world.evidence.set(id, {
    id,
    starts: [start],
    overlaps: [],
    termAt: null,
    end: { at: at + RUN_MS, code: 0, bytes: 10, hash: HASH },
    cutAt: null,
  });
  world.logs.set(id, { id, bytes: 10, hash: HASH });
  return {
    id,
    attempt,
    state: 'finished',
    startedAt: at + 3,
    finishedAt: at + RUN_MS + 2,
    outcome: 'succeeded',
    reason: '',
    exitCode: 0,
    signal: null,
    outputBytes: 10,
    logBytes: 10,
  };
}

function addJob(world: Forged, job: Mutable<ChaosJob>): void {
  world.jobs.push({ job, askedAtNode: T0 - 20, answeredAtNode: T0 });
}

function forgedJob(options: Partial<ChaosJob>): Mutable<ChaosJob> {
  return {
    name: 'one',
    family: 'forged',
    executor: 'shell',
    schedule: { kind: 'every', startsAt: T0 - 60_000, intervalMs: 1000 },
    concurrency: 'allow',
    parent: null,
    retries: 0,
    atLeastOnce: false,
    timeoutMs: null,
    killGraceMs: 1000,
    throughShell: false,
    jitterMs: 0,
    misfire: { graceMs: 5_000, policy: 'last', max: 100 },
    body: {},
    ...options,
  };
}

function emptyLog(): FaultLog {
  const none = {
    faults: [],
    nodeDeaths: [],
    runnerDeaths: [],
    jobKills: [],
    nodeDown: [],
    runnerDown: [],
    nodeStopped: [],
    runnerStopped: [],
    diskFull: [],
  };
  return { ...none, clock: [{ from: T0 - 100_000, offsetMs: 0 }] };
}
