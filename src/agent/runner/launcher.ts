/** Starts what has been accepted: a queue worked off in small pieces, so that exits and messages get their turn between starts. */
import { mkdirSync, statSync } from 'node:fs';
import type { Executor, ExecutorResult } from '../../executors/executor.ts';
import type { Clock } from '../../lib/clock.ts';
import { failpoint } from '../../lib/failpoint.ts';
import { logHourDirectory } from '../paths.ts';
import { readProcess } from '../process-table.ts';
import type { RunnerOptions } from '../protocol.ts';
import { type Cgroups, enterCgroup } from './cgroup.ts';
import { type Executors, planShell, type ProcessPlan } from './executors.ts';
import { failure, type Run, type Verdict, verdictOfEnding } from './run.ts';
import { type LogLimits, RunLog } from './run-log.ts';
import { BufferedOutput } from './run-output.ts';
import { type RunTable, startMark } from './run-table.ts';
import { forgetPrograms, resolveProgram, type Spawner, type SpawnRequest, type SpawnResult } from './spawner.ts';

export interface LauncherModules {
  readonly options: RunnerOptions;
  readonly clock: Clock;
  readonly table: RunTable;
  readonly spawner: Spawner;
  readonly executors: Executors;
  readonly cgroups: Cgroups | null;
  readonly logLimits: LogLimits;
  /** A run has begun: deadlines and output want watching. */
  readonly onBegun: (run: Run) => void;
}

/** Starts between two turns of the loop. */
export const PUMP_SIZE = 16;
/** Under `cgroups: auto` no run of a longer queue, or beyond so many starts in one second, gets a control group. */
const CGROUP_QUEUE_MAX = 8;
const CGROUP_STARTS_PER_SECOND = 50;

export class Launcher {
  readonly #m: LauncherModules;
  #queue: Run[] = [];
  #head = 0;
  #pumping = false;
  #hourDirectory = '';
  #second = 0;
  #startsThisSecond = 0;

  constructor(modules: LauncherModules) {
    this.#m = modules;
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
    const end = Math.min(this.#queue.length, this.#head + PUMP_SIZE);
    for (; this.#head < end; this.#head += 1) {
      const run = this.#queue[this.#head] as Run;
      // A stop may have ended it while it waited.
      if (run.state === 'queued') this.#launch(run);
    }
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
    void this.#m.clock.yield().then(() => this.#pump());
  }

  #launch(run: Run): void {
    run.state = 'starting';
    const { executor } = run.request;
    if (executor === 'shell') return this.#launchProcess(run);
    const loaded = this.#m.executors.get(executor);
    if (loaded !== undefined) return this.#launchInProcess(run, loaded);
    const loading = this.#m.executors.load(executor);
    if (loading === null)
      return this.#m.table.finish(run, failure('start', `executor ${JSON.stringify(executor)} is not in this version`));
    loading.then(
      (ready) => {
        if (run.state !== 'starting') return;
        this.#launchInProcess(run, ready);
      },
      (error: unknown) =>
        this.#m.table.finish(run, failure('start', `executor ${executor} could not be loaded: ${String(error)}`)),
    );
  }

  // Processes

  #launchProcess(run: Run): void {
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
    const program = resolveProgram(plan.words[0] as string, plan.environment['PATH'] ?? '');
    if (program === null)
      return failed(failure('start', `exec: ${JSON.stringify(plan.words[0])}: executable file not found in $PATH`));
    const { words, environment, cwd, stdin } = plan;
    const request = {
      program,
      words,
      environment,
      cwd,
      stdin,
      stdinPath: log.stdinPath,
      outPath: log.outPath,
      errPath: log.errPath,
    };
    this.#spawn(run, plan, request, true);
  }

  #spawn(run: Run, plan: ProcessPlan, request: SpawnRequest, mayRepeat: boolean): void {
    const { spawner, clock, table } = this.#m;
    const startedAtUs = clock.nowUs();
    spawner.spawn(request, (result) => {
      if (result.kind === 'spawned') return this.#spawned(run, plan, result, startedAtUs);
      const repair = mayRepeat ? this.#repair(run, plan, request, result.code) : null;
      if (repair !== null) return this.#spawn(run, plan, repair, false);
      table.finish(run, startFailure(result, request));
    });
  }

  /** A second try, when the failure came from something remembered or from our own files: the request for it, or null. */
  #repair(run: Run, plan: ProcessPlan, request: SpawnRequest, code: string): SpawnRequest | null {
    if (code === 'ENOSPC' || code === 'EDQUOT') return { ...request, outPath: '/dev/null', errPath: '/dev/null' };
    if (code !== 'ENOENT') return null;
    forgetPrograms();
    this.#hourDirectory = '';
    this.#prepareLogs(run.request.key);
    const program = resolveProgram(plan.words[0] as string, plan.environment['PATH'] ?? '');
    return program === null ? null : { ...request, program };
  }

  #spawned(
    run: Run,
    plan: ProcessPlan,
    { pid, startTicks }: Extract<SpawnResult, { kind: 'spawned' }>,
    startedAtUs: number,
  ): void {
    failpoint('runner.spawned');
    run.pid = pid;
    run.startedAtUs = startedAtUs;
    run.startTicks = startTicks ?? startTicksOf(pid);
    run.successCodes = plan.successCodes;
    run.timeoutMs = plan.timeoutMs;
    run.memLimitBytes = plan.memLimitBytes;
    if (this.#mayHaveCgroup()) {
      run.cgroup = this.#m.cgroups?.create(run.request.key, plan.memLimitBytes) ?? null;
      if (run.cgroup !== null) enterCgroup(run.cgroup, pid);
    }
    this.#begun(run);
  }

  #mayHaveCgroup(): boolean {
    const { cgroups, options, clock } = this.#m;
    if (cgroups === null) return false;
    if (options.cgroups === 'on') return true;
    const second = Math.floor(clock.monotonic() / 1000);
    if (second !== this.#second) this.#startsThisSecond = 0;
    this.#second = second;
    this.#startsThisSecond += 1;
    return this.#startsThisSecond <= CGROUP_STARTS_PER_SECOND && this.#queue.length - this.#head <= CGROUP_QUEUE_MAX;
  }

  // In-process executors

  #launchInProcess(run: Run, executor: Executor): void {
    const { clock, options, logLimits } = this.#m;
    const output = new BufferedOutput(logLimits, run.request.key);
    const abort = new AbortController();
    run.output = output;
    run.abort = abort;
    run.startedAtUs = clock.nowUs();
    run.timeoutMs = run.request.timeoutMs;
    this.#begun(run);
    executor
      .execute(run.request, { output, signal: abort.signal, node: options.node })
      .catch((error: unknown): ExecutorResult => {
        return {
          success: false,
          reason: 'start',
          message: `executor ${executor.name} broke: ${String(error)}`,
          exitCode: null,
        };
      })
      .then(async (result) => {
        await output.settle();
        this.#m.table.finish(run, verdictOfResult(run, result));
      })
      .catch((error: unknown) => {
        // Its output file could not be finished: the result is known all the same.
        this.#m.table.finish(run, failure('resources', `output: ${String(error)}`));
      });
  }

  // Both

  #begun(run: Run): void {
    const { table, clock, onBegun } = this.#m;
    if (run.timeoutMs !== null) run.deadline = clock.monotonic() + run.timeoutMs;
    table.begin(run);
    const mark = startMark(run);
    // At once, not for a batch: dying before the mark costs the knowledge of a run that ends before the next runner looks. Without room for
    // the mark the process is still found by its environment.
    if (mark !== null) table.journal.append([mark]);
    failpoint('runner.start.written');
    onBegun(run);
  }
}

function verdictOfResult(run: Run, result: ExecutorResult): Verdict {
  const { message, exitCode } = result;
  if (run.ending !== null) {
    const verdict = verdictOfEnding(run.ending, null);
    // The executor says at which point the time was up.
    return result.reason === 'timeout' && verdict.reason === 'timeout'
      ? { ...verdict, message: message ?? verdict.message }
      : verdict;
  }
  const retry = result.retryAfterMs === undefined ? {} : { retryAfterMs: result.retryAfterMs };
  if (result.success) return { outcome: 'succeeded', reason: '', message: null, exitCode, signal: null, ...retry };
  return {
    outcome: 'failed',
    reason: result.reason === '' ? 'exit' : result.reason,
    message,
    exitCode,
    signal: null,
    ...retry,
  };
}

/** Unreaped it cannot be gone from /proc, however short it was; 0 only when there is no descriptor left to look, and then it is found by its environment. */
function startTicksOf(pid: number): number {
  try {
    return readProcess(pid)?.startTicks ?? 0;
  } catch {
    return 0; // EMFILE, ENFILE
  }
}

const RESOURCE_CODES = new Set(['EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM', 'ENOSPC', 'EDQUOT']);

const CODE_WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOTDIR: 'not a directory',
  ENOEXEC: 'exec format error',
  E2BIG: 'argument list too long',
  EINVAL: 'invalid argument',
  ELOOP: 'too many levels of symbolic links',
  ENAMETOOLONG: 'file name too long',
  ETXTBSY: 'text file busy',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files in system',
  EAGAIN: 'resource temporarily unavailable',
  ENOMEM: 'cannot allocate memory',
  ENOSPC: 'no space left on device',
  EDQUOT: 'disk quota exceeded',
};

/** The kernel gives one code for a missing program and a missing directory; looking afterwards tells which. */
function startFailure(result: Extract<SpawnResult, { kind: 'failed' }>, request: SpawnRequest): Verdict {
  const words = CODE_WORDS[result.code] ?? result.code;
  if (RESOURCE_CODES.has(result.code)) return failure('resources', `fork/exec ${request.program}: ${words}`);
  if (request.cwd !== null) {
    const stat = statSync(request.cwd, { throwIfNoEntry: false });
    if (stat === undefined || !stat.isDirectory())
      return failure(
        'start',
        `chdir ${request.cwd}: ${stat === undefined ? 'no such file or directory' : 'not a directory'}`,
      );
  }
  return failure('start', `fork/exec ${request.program}: ${words}`);
}
