/**
 * `npm run fuzz`: a million inputs, or `--count N`, `--minutes N`; `--seed N` repeats a run, `--only TARGET --input SEED` one input. The
 * inputs run in a worker thread, so that one that hangs is named and ends the run. What the slowest inputs of each target cost in steps
 * is counted and held to a budget.
 */
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { closeTargets, fuzz, type FuzzReport, TARGETS, tryInput } from './run.ts';
import { countSteps } from './steps.ts';
import { STEPS_MAX } from './target.ts';

interface Options {
  readonly seed: number;
  readonly count: number;
  readonly minutes: number;
  readonly only: string | undefined;
  readonly input: number | undefined;
  /** [number of inputs so far, index of the target, its seed] */
  readonly progress: SharedArrayBuffer;
}

/** One input on its own never takes this long, whatever else the machine does. */
const HANG_MS = 30_000;
const LOOK_MS = 1_000;

if (isMainThread) await main();
else await work(workerData as Options);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      count: { type: 'string', default: '1000000' },
      minutes: { type: 'string', default: '30' },
      only: { type: 'string' },
      input: { type: 'string' },
    },
  });
  const options: Options = {
    seed: Number(values.seed ?? Math.floor(Math.random() * 2 ** 31)),
    count: Number(values.count),
    minutes: Number(values.minutes),
    only: values.only,
    input: values.input === undefined ? undefined : Number(values.input),
    progress: new SharedArrayBuffer(16),
  };
  console.log(`seed ${options.seed}`);
  const outcome = await watched(options);
  // This thread has loaded the targets too, with what they hold.
  await closeTargets();
  if (typeof outcome === 'string') {
    console.log(`${outcome}\n0 passed, 1 failed`);
    process.exitCode = 1;
  } else process.exitCode = say(outcome, options.seed) ? 0 : 1;
}

/** The worker's report, or what it hung in. */
function watched(options: Options): Promise<FuzzReport | string> {
  const progress = new Uint32Array(options.progress);
  const worker = new Worker(new URL(import.meta.url), { workerData: options, execArgv: ['--no-warnings'] });
  return new Promise((done, fail) => {
    let last = -1;
    let since = performance.now();
    const look = setInterval(() => {
      if (progress[0] !== last) {
        last = progress[0] ?? 0;
        since = performance.now();
      } else if (performance.now() - since > HANG_MS) {
        const target = TARGETS[progress[1] ?? 0]?.name;
        finish(() => done(`an input hangs: npm run fuzz -- --only "${target}" --input ${progress[2]}`));
      }
    }, LOOK_MS);
    const finish = (tell: () => void) => {
      clearInterval(look);
      void worker.terminate().then(tell);
    };
    worker.on('message', (report: FuzzReport) => finish(() => done(report)));
    worker.on('error', (error) => finish(() => fail(error)));
  });
}

async function work(options: Options): Promise<void> {
  const progress = new Uint32Array(options.progress);
  const until = performance.now() + options.minutes * 60_000;
  const report =
    options.input === undefined
      ? await fuzz({
          seed: options.seed,
          count: options.count,
          only: options.only,
          over: () => performance.now() > until,
          countSteps,
          onInput: (target, inputSeed) => {
            progress[1] = TARGETS.indexOf(target);
            progress[2] = inputSeed;
            progress[0] = (progress[0] ?? 0) + 1;
          },
        })
      : await single(options.only ?? '', options.input);
  await closeTargets();
  parentPort?.postMessage(report);
}

async function single(name: string, inputSeed: number): Promise<FuzzReport> {
  const target = TARGETS.find((one) => one.name === name);
  if (target === undefined) throw new Error('--input needs --only TARGET');
  const { message, tookMs } = await tryInput(target, inputSeed, countSteps);
  const steps = message === null ? await countSteps(name, inputSeed) : null;
  return {
    counts: new Map([[name, 1]]),
    slowest: new Map([[name, [{ inputSeed, tookMs, steps }]]]),
    faults: message === null ? [] : [{ target: name, inputSeed, message }],
  };
}

/** A line per target; a target is one check. */
function say({ counts, faults, slowest }: FuzzReport, seed: number): boolean {
  for (const { target, inputSeed, message } of faults) {
    console.log(`\nFAILED ${target}: ${message}\n  again: npm run fuzz -- --only "${target}" --input ${inputSeed}`);
  }
  const failed = new Set(faults.map(({ target }) => target));
  let inputs = 0;
  for (const [name, count] of counts) {
    inputs += count;
    const slow = slowest.get(name) ?? [];
    const steps = Math.max(0, ...slow.map((input) => input.steps ?? 0));
    const cost = `${slow[0]?.tookMs.toFixed(1) ?? '?'} ms, at most ${steps} of ${STEPS_MAX} steps`;
    console.log(`${failed.has(name) ? 'FAILED' : 'ok    '} ${name}: ${count} inputs, slowest ${cost}`);
  }
  console.log(`${inputs} inputs with seed ${seed}`);
  console.log(`${counts.size - failed.size} passed, ${failed.size} failed`);
  return failed.size === 0;
}
