/** Runs that executors carry out inside this process, and how many of them are under way at once. */
import type { Executor, ExecutorContext, ExecutorResult } from '../../executors/executor.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import { Stop } from '../../lib/stop.ts';
import type { StartRequest } from '../../model/agent.ts';
import { failure, type Run, type Verdict, verdictOfEnding } from './run.ts';
import type { LogLimits } from './run-log.ts';
import { BufferedOutput } from './run-output.ts';
import type { RunTable } from './run-table.ts';

export interface InProcessModules {
  readonly node: string;
  readonly clock: Clock;
  readonly table: RunTable;
  readonly logLimits: LogLimits;
  /** There is room again, after `awaitRoom`. */
  readonly onRoom: () => void;
}

/**
 * So many are begun at once. What waits in the launcher's queue is a few words; what waits for a connection is a request with its timer and
 * promises, and thousands of them cost more memory and garbage collection than the requests themselves.
 */
const EAGER_MAX = 256;
/** Others must not wait for slow ones: each time none has had room for so long, so many more are begun all the same. */
const PATIENCE_MS = 5;
const MORE = 64;

export class InProcess {
  readonly #m: InProcessModules;
  #underWay = 0;
  #max = EAGER_MAX;
  #patience: Timer | null = null;

  constructor(modules: InProcessModules) {
    this.#m = modules;
  }

  /** Whether one more may begin, besides so many that are about to. */
  hasRoom(besides: number): boolean {
    return this.#underWay + besides < this.#max;
  }

  awaitRoom(): void {
    this.#patience ??= this.#m.clock.setTimer(PATIENCE_MS, () => this.#makeRoom(this.#underWay + MORE));
  }

  execute(run: Run, executor: Executor): void {
    const { node, logLimits } = this.#m;
    const output = new BufferedOutput(logLimits, run.request.key);
    const stop = new Stop();
    run.output = output;
    run.stop = stop;
    this.#underWay += 1;
    void this.#carryOut(run, output, resultOf(executor, run.request, { output, stop, node }));
  }

  async #carryOut(run: Run, output: BufferedOutput, resulting: Promise<ExecutorResult>): Promise<void> {
    const { table } = this.#m;
    const result = await resulting;
    try {
      this.#ended();
      const settling = output.settle();
      if (settling !== null) await settling;
      table.finish(run, verdictOfResult(run, result));
    } catch (error) {
      // Its output file could not be finished: the result is known all the same.
      table.finish(run, failure('resources', `output: ${String(error)}`));
    }
  }

  #ended(): void {
    this.#underWay -= 1;
    if (this.#underWay < EAGER_MAX - MORE) this.#makeRoom(EAGER_MAX);
  }

  #makeRoom(max: number): void {
    this.#max = max;
    if (this.#patience === null) return;
    this.#patience.cancel();
    this.#patience = null;
    this.#m.onRoom();
  }
}

async function resultOf(executor: Executor, request: StartRequest, context: ExecutorContext): Promise<ExecutorResult> {
  try {
    return await executor.execute(request, context);
  } catch (error) {
    const message = `executor ${executor.name} broke: ${String(error)}`;
    return { success: false, reason: 'start', message, exitCode: null };
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
