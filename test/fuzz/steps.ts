/**
 * Counts what one input costs in steps instead of milliseconds: how often each block of the program's JavaScript (ours and the libraries')
 * ran. The same input gives the same number on any machine, so a budget of steps holds where a time limit would only be likely.
 *
 * A worker of its own does the counting, because the engine counts blocks only in code it has compiled since it was asked to.
 */
import { Session } from 'node:inspector';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

interface Input {
  readonly target: string;
  readonly seed: number;
}

interface Coverage {
  readonly result: readonly { url: string; functions: readonly { ranges: readonly { count: number }[] }[] }[];
}

/** Steps of one input. Rejects when the input throws: a fault is found by running it plainly. */
export function countSteps(target: string, seed: number): Promise<number> {
  const input: Input = { target, seed };
  const worker = new Worker(new URL(import.meta.url), { workerData: { counted: input }, execArgv: ['--no-warnings'] });
  return new Promise((done, fail) => {
    worker.once('message', (steps: number) => void worker.terminate().then(() => done(steps)));
    worker.once('error', fail);
  });
}

if (!isMainThread && isCounting(workerData)) parentPort?.postMessage(await count(workerData.counted));

function isCounting(data: unknown): data is { counted: Input } {
  return typeof data === 'object' && data !== null && 'counted' in data;
}

async function count({ target: name, seed }: Input): Promise<number> {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  const { closeTargets, TARGETS } = await import('./run.ts');
  const { Dice } = await import('./dice.ts');
  const target = TARGETS.find((one) => one.name === name);
  if (target === undefined) throw new Error(`no target ${name}`);
  // The first time also builds what is built once.
  await target.run(new Dice(seed));
  taken(session);
  await target.run(new Dice(seed));
  const steps = taken(session);
  await closeTargets();
  return steps;
}

/** Since the last time. */
function taken(session: Session): number {
  let steps = 0;
  session.post('Profiler.takePreciseCoverage', (error, answer) => {
    if (error !== null) throw error;
    const { result } = answer as unknown as Coverage;
    for (const { functions } of result.filter(({ url }) => url.startsWith('file:') && !url.includes('/test/')))
      for (const { ranges } of functions) for (const range of ranges) steps += range.count;
  });
  return steps;
}
