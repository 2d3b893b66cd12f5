/** Runs a job's processors over one finished execution. Whatever one of them does, the execution's result goes on. */
import type { Clock } from '../lib/clock.ts';
import { unknownProcessor } from './check.ts';
import type { ProcessedExecution, Processor, ProcessorContext, ProcessorResult } from './processor.ts';

/** A processor that takes longer is left behind: results wait for it before they are committed. */
export const PROCESSOR_DEADLINE_MS_DEFAULT = 30_000;

export interface ProcessingContext extends ProcessorContext {
  readonly clock: Clock;
  /** Per processor. */
  readonly deadlineMs?: number;
}

export interface Processing {
  /** What is stored as the execution's output. */
  readonly output: string;
  /** One line each, for the node's log: what went wrong, by processor. */
  readonly problems: readonly string[];
}

/** Of a problem that is told in the output. */
const PROBLEM_CHARACTERS_MAX = 500;

/** A processor's own keys, by processor name, as the job has them. */
export type JobProcessors = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** In the order of their names, so that a job's output does not depend on how its JSON was written; each sees the output of the one before. */
export async function applyProcessors(
  execution: ProcessedExecution,
  jobProcessors: JobProcessors,
  registry: ReadonlyMap<string, Processor>,
  context: ProcessingContext,
): Promise<Processing> {
  let { output } = execution;
  const problems: string[] = [];
  const untaken: string[] = [];
  for (const name of Object.keys(jobProcessors).sort()) {
    const processor = registry.get(name);
    if (processor === undefined) {
      problems.push(`${unknownProcessor(name)} (job ${execution.job})`);
      untaken.push(unknownProcessor(name));
      continue;
    }
    const result = await runOne(processor, { ...execution, output }, jobProcessors[name] ?? {}, context);
    if (result.problem !== undefined) {
      problems.push(`processor ${name} of job ${execution.job}, execution ${execution.id}: ${result.problem}`);
      if (result.output === output) untaken.push(`processor ${name}: ${result.problem}`);
    }
    output = result.output;
  }
  return { output: withProblems(output, untaken), problems };
}

/** Whoever misses an output in the place it was meant for looks at the execution first; a marker, which clients compare, stays as it is. */
function withProblems(output: string, untaken: readonly string[]): string {
  if (untaken.length === 0) return output;
  const lines = untaken.map((text) => `warning: ${text.slice(0, PROBLEM_CHARACTERS_MAX)}\n`);
  return `${output}${output === '' || output.endsWith('\n') ? '' : '\n'}${lines.join('')}`;
}

async function runOne(
  processor: Processor,
  execution: ProcessedExecution,
  config: Readonly<Record<string, string>>,
  context: ProcessingContext,
): Promise<ProcessorResult> {
  const deadlineMs = context.deadlineMs ?? PROCESSOR_DEADLINE_MS_DEFAULT;
  const abort = new AbortController();
  const ended = Promise.withResolvers<ProcessorResult>();
  const end = (problem: string) => {
    abort.abort(new Error(problem));
    ended.resolve({ output: execution.output, problem });
  };
  const onAbort = () => end('ended before it was done');
  const timer = context.clock.setTimer(deadlineMs, () =>
    end(`took longer than ${deadlineMs / 1000}s and was left behind`),
  );
  context.signal.addEventListener('abort', onAbort);
  try {
    if (context.signal.aborted) onAbort();
    const work = abort.signal.aborted
      ? ended.promise
      : guarded(processor, execution, config, { openLog: () => context.openLog(), signal: abort.signal });
    return await Promise.race([work, ended.promise]);
  } finally {
    timer.cancel();
    context.signal.removeEventListener('abort', onAbort);
  }
}

/** A processor that throws has failed as one that says so. */
async function guarded(
  processor: Processor,
  execution: ProcessedExecution,
  config: Readonly<Record<string, string>>,
  context: ProcessorContext,
): Promise<ProcessorResult> {
  try {
    return await processor.process(execution, config, context);
  } catch (error) {
    return { output: execution.output, problem: error instanceof Error ? error.message : String(error) };
  }
}
