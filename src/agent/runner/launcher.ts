/** Starts what has been accepted: a queue worked off in small pieces, so that exits and messages get their turn between starts. */
import { mkdirSync } from 'node:fs';
import { executorProblem } from '../../core/executor-keys.ts';
import type { Executor } from '../../executors/executor.ts';
import type { Clock } from '../../lib/clock.ts';
import { failpoint } from '../../lib/failpoint.ts';
import { logHourDirectory } from '../paths.ts';
import { readProcess } from '../process-table.ts';
import type { RunnerOptions } from '../protocol.ts';
import type { SpareMark, SpoolRecord } from '../spool.ts';
import { type Executors, planShell, type ProcessPlan } from './executors.ts';
import { InProcess } from './in-process.ts';
import { failure, type Run, type Verdict } from './run.ts';
import { type LogLimits, RunLog } from './run-log.ts';
import { type RunTable, startMarks } from './run-table.ts';
import type { SpareFiles } from './spare-files.ts';
import { forgetPrograms, resolveProgram, type Spawner, type SpawnRequest, type SpawnResult } from './spawner.ts';
import { notFound, startFailure } from './start-failure.ts';

export interface LauncherModules {
  readonly options: RunnerOptions;
  readonly clock: Clock;
  readonly table: RunTable;
  readonly spawner: Spawner;
  readonly executors: Executors;
  readonly logLimits: LogLimits;
  readonly spareFiles: SpareFiles | null;
  /** A run has begun: deadlines and output want watching. */
  readonly onBegun: (run: Run) => void;
}

/** Starts between two turns of the loop. */
export const PUMP_SIZE = 16;
/** Under `cgroups: auto` no run of a longer queue, or beyond so many starts in one second, gets a control group. */
const CGROUP_QUEUE_MAX = 8;
const CGROUP_STARTS_PER_SECOND = 50;

/** A process about to be started. */
interface PreparedProcess {
  readonly run: Run;
  readonly plan: ProcessPlan;
  readonly log: RunLog;
  readonly program: string;
  readonly ownGroup: boolean;
}

/** What one turn of the loop starts: first their marks go to disk together, then everything begins. */
interface Turn {
  readonly processes: PreparedProcess[];
  readonly inProcess: { readonly run: Run; readonly executor: Executor }[];
}

export class Launcher {
  readonly #m: LauncherModules;
  readonly #inProcess: InProcess;
  #queue: Run[] = [];
  #head = 0;
  #pumping = false;
  /** Starts handed to the spawner and not answered; at its depth the queue waits. */
  #underWay = 0;
  #waitsForSpawner = false;
  /** Started, with marks not on disk yet: between two calls of the spawner only. */
  #spawnedNow: Run[] = [];
  #hourDirectory = '';
  #second = 0;
  #startsThisSecond = 0;

  constructor(modules: LauncherModules) {
    this.#m = modules;
    const { options, clock, table, logLimits } = modules;
    this.#inProcess = new InProcess({ node: options.node, clock, table, logLimits, onRoom: () => this.#pumpSoon() });
  }

  enqueue(runs: readonly Run[]): void {
    for (const run of runs) this.#queue.push(run);
    if (this.#pumping) return;
    this.#pumping = true;
    this.#pump();
  }

  /** Makes the directory of this hour's logs ahead of need; also after somebody removed it. */
  #prepareLogs(key: number): void {
    const directory = logHourDirectory(this.#m.logLimits.dataDir, key);
    if (directory === this.#hourDirectory) return;
    mkdirSync(directory, { recursive: true });
    this.#hourDirectory = directory;
  }

  #pump(): void {
    const turn: Turn = { processes: [], inProcess: [] };
    const end = Math.min(this.#queue.length, this.#head + PUMP_SIZE);
    for (; this.#head < end && this.#full(turn) === null; this.#head += 1) {
      const run = this.#queue[this.#head] as Run;
      // A stop may have ended it while it waited.
      if (run.state === 'queued') this.#prepare(run, turn);
    }
    this.#begin(turn);
    if (this.#head >= this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
      this.#pumping = false;
      return;
    }
    if (this.#head > 1024) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    const full = this.#full({ processes: [], inProcess: [] });
    if (full === 'spawner') this.#waitsForSpawner = true;
    else if (full === 'executors') this.#inProcess.awaitRoom();
    else this.#pumpSoon();
  }

  #pumpSoon(): void {
    void this.#m.clock.yield().then(() => this.#pump());
  }

  /** What has no room for one more besides the turn's. */
  #full({ processes, inProcess }: Turn): 'spawner' | 'executors' | null {
    if (this.#underWay + processes.length >= this.#m.spawner.depth) return 'spawner';
    return this.#inProcess.hasRoom(inProcess.length) ? null : 'executors';
  }

  #prepare(run: Run, turn: Turn): void {
    run.state = 'starting';
    const { executor } = run.request;
    if (executor === 'shell') return this.#prepareProcess(run, turn);
    const loaded = this.#m.executors.get(executor);
    if (loaded !== undefined) {
      turn.inProcess.push({ run, executor: loaded });
      return;
    }
    const loading = this.#m.executors.load(executor);
    if (loading === null)
      return this.#m.table.finish(run, failure('start', executorProblem(executor) ?? `no executor ${executor}`));
    loading.then(
      (ready) => {
        if (run.state === 'starting') this.#begin({ processes: [], inProcess: [{ run, executor: ready }] });
      },
      (error: unknown) =>
        this.#m.table.finish(run, failure('start', `executor ${executor} could not be loaded: ${String(error)}`)),
    );
  }

  #begin({ processes, inProcess }: Turn): void {
    for (const { run } of inProcess) this.#enter(run);
    const marks: SpoolRecord[] = startMarks(inProcess.map(({ run }) => run));
    const spare = this.#takeSpareFiles(processes);
    if (spare !== null) marks.push(spare);
    // Without room for the mark a run with spare files could lose its output to a takeover; one of ours is found as `start_unknown`.
    const written = marks.length === 0 || this.#m.table.journal.append(marks);
    for (const { run } of inProcess) this.#begun(run);
    for (const { run, executor } of inProcess) this.#inProcess.execute(run, executor);
    for (const { run, plan, log, program, ownGroup } of processes) {
      if (!written) log.disuse();
      const { words, environment, cwd, stdin, memLimitBytes } = plan;
      const { stdinPath, outPath, errPath, filesRecur } = log;
      const files = { cwd, stdin, stdinPath, outPath, errPath, filesRecur };
      this.#spawn(run, plan, { program, words, environment, ...files, ownGroup, memLimitBytes }, true);
    }
  }

  // Processes

  #prepareProcess(run: Run, turn: Turn): void {
    const { options, table, logLimits } = this.#m;
    const planned = planShell(run.request, { node: options.node, base: options.baseEnvironment });
    if (planned.kind === 'invalid') return table.finish(run, failure('start', planned.message));
    const { plan } = planned;
    const log = new RunLog(logLimits, run.request.key);
    run.output = log;
    const failed = (verdict: Verdict) => table.finish(run, verdict);
    try {
      this.#prepareLogs(run.request.key);
    } catch (error) {
      return failed(
        failure('resources', `the log directory could not be made: ${(error as NodeJS.ErrnoException).code}`),
      );
    }
    const [name = ''] = plan.words;
    const path = plan.environment['PATH'] ?? '';
    const program = resolveProgram(name, path);
    if (program === null) return failed(notFound(name, path));
    if (resolveProgram(plan.command, path) === null) return failed(notFound(plan.command, path));
    turn.processes.push({ run, plan, log, program, ownGroup: this.#mayHaveGroup() });
  }

  #takeSpareFiles(processes: readonly PreparedProcess[]): SpareMark | null {
    const { spareFiles } = this.#m;
    if (spareFiles === null) return null;
    const files: [number, number, number][] = [];
    for (const { run, log } of processes) {
      const { key, jobId } = run.request;
      const stdout = spareFiles.takeFor(jobId, 'stdout');
      const stderr = spareFiles.takeFor(jobId, 'stderr');
      log.use({ files: spareFiles, jobId, stdout, stderr });
      run.spare = [stdout?.name ?? 0, stderr?.name ?? 0];
      if (stdout !== null || stderr !== null) files.push([key, ...run.spare]);
    }
    return files.length === 0 ? null : { r: 'spare', files };
  }

  #spawn(run: Run, plan: ProcessPlan, request: SpawnRequest, mayRepeat: boolean): void {
    const { spawner, table } = this.#m;
    this.#underWay += 1;
    spawner.spawn(request, (result) => {
      this.#underWay -= 1;
      if (result.kind === 'spawned') return this.#spawned(run, plan, result);
      const repair = mayRepeat ? this.#repair(run, plan, request, result.code) : null;
      if (repair !== null) return this.#spawn(run, plan, repair, false);
      table.finish(run, startFailure(result, request));
    });
  }

  /** A second try, when the failure came from something remembered or from our own files: the request for it, or null. */
  #repair(run: Run, plan: ProcessPlan, request: SpawnRequest, code: string): SpawnRequest | null {
    if (code === 'ENOSPC' || code === 'EDQUOT')
      return { ...request, outPath: '/dev/null', errPath: '/dev/null', filesRecur: true };
    if (code !== 'ENOENT') return null;
    forgetPrograms();
    this.#hourDirectory = '';
    this.#prepareLogs(run.request.key);
    const log = run.output as RunLog;
    log.disuse();
    const program = resolveProgram(plan.words[0] as string, plan.environment['PATH'] ?? '');
    return program === null
      ? null
      : { ...request, program, outPath: log.outPath, errPath: log.errPath, filesRecur: false };
  }

  #spawned(
    run: Run,
    plan: ProcessPlan,
    { pid, startedAtUs, startTicks, cgroup }: Extract<SpawnResult, { kind: 'spawned' }>,
  ): void {
    failpoint('runner.spawned');
    run.pid = pid;
    run.startedAtUs = startedAtUs;
    run.startTicks = startTicks ?? startTicksOf(pid);
    run.successCodes = plan.successCodes;
    run.timeoutMs = plan.timeoutMs;
    run.memLimitBytes = plan.memLimitBytes;
    run.cgroup = cgroup;
    this.#enter(run);
    this.#spawnedNow.push(run);
  }

  /** What the spawner has just answered gets its marks: dying before them costs the knowledge of runs that end before the next runner looks. */
  settled(): void {
    const runs = this.#spawnedNow;
    this.#spawnedNow = [];
    // Without room for the mark the process is still found by its environment.
    if (runs.length > 0) this.#m.table.journal.append(startMarks(runs));
    for (const run of runs) this.#begun(run);
    if (!this.#waitsForSpawner) return;
    this.#waitsForSpawner = false;
    this.#pumpSoon();
  }

  #mayHaveGroup(): boolean {
    const { options, clock } = this.#m;
    if (options.cgroups !== 'auto') return options.cgroups === 'on';
    const second = Math.floor(clock.monotonic() / 1000);
    if (second !== this.#second) this.#startsThisSecond = 0;
    this.#second = second;
    this.#startsThisSecond += 1;
    const waiting = this.#queue.length - this.#head + this.#underWay;
    return waiting <= CGROUP_QUEUE_MAX && this.#startsThisSecond <= CGROUP_STARTS_PER_SECOND;
  }

  // Both

  /** From here on it counts as running; its mark is written by the caller, before anybody is told. */
  #enter(run: Run): void {
    const { table, clock } = this.#m;
    // A process knows since the call that started it.
    run.startedAtUs ??= clock.nowUs();
    if (run.pid === null) run.timeoutMs = run.request.timeoutMs;
    if (run.timeoutMs !== null) run.deadline = clock.monotonic() + run.timeoutMs;
    table.begin(run);
  }

  #begun(run: Run): void {
    failpoint('runner.start.written');
    this.#m.onBegun(run);
  }
}

/** Unreaped it cannot be gone from /proc, however short it was; 0 only when there is no descriptor left to look, and then it is found by its environment. */
function startTicksOf(pid: number): number {
  try {
    return readProcess(pid)?.startTicks ?? 0;
  } catch {
    return 0; // EMFILE, ENFILE
  }
}
