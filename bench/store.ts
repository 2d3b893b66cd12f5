/**
 * The store alone, with the statements of real runs: intents and results of a batch, two durable commits.
 * --jobs 1000  --batch 300  --runs 60000  --kept 0  --pause 0 (ms after each)  --checkpoint-pages (SQLite's default of this program)
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { systemClock } from '../src/lib/clock.ts';
import type { ExecutionEnded } from '../src/model/agent.ts';
import type { Statement } from '../src/store/database.ts';
import type { Benchmark, BenchContext, Figures } from './lib/benchmark.ts';
import { latencies, rounded } from './lib/samples.ts';
import { loadSources } from './lib/sources.ts';

export const store: Benchmark = {
  name: 'store',
  about: 'SQLite with the statements of real runs: intents in one durable commit, results in another',
  async run(context) {
    const batch = context.option('batch', 300);
    return [{ name: `batches of ${batch}`, figures: await measure(context, batch) }];
  },
};

const START = Date.UTC(2026, 0, 1);

async function measure(context: BenchContext, batch: number): Promise<Figures> {
  const jobs = context.option('jobs', 1_000);
  const { database, path, write } = await openStore(context);
  const statements = await statementsOf(context);
  await write(Array.from({ length: jobs }, (_, i) => ({ sql: ADD_JOB, params: [i + 1] })));
  let next = 0;
  const pause = context.option('pause', 0);
  const tick = async () => {
    const runs = Array.from({ length: batch }, () => next++);
    if (pause > 0) await systemClock.sleep(pause);
    return [await write(statements.intents(runs, jobs)), await write(statements.results(runs, jobs))];
  };
  while (next < context.option('kept', 0)) await tick();
  const kept = next;
  const commits: number[] = [];
  const [cpu, from] = [process.cpuUsage(), performance.now()];
  while (next < kept + context.option('runs', 60_000)) commits.push(...(await tick()));
  const runs = next - kept;
  const seconds = (performance.now() - from) / 1000;
  const used = process.cpuUsage(cpu);
  // Frames of one tick in a -wal that starts afresh: every page a run touches is written here and again at the checkpoint.
  await database.read('local', 'PRAGMA wal_checkpoint(RESTART)');
  await database.read('local', 'PRAGMA wal_autocheckpoint = 1000000');
  await tick();
  const [frames] = await database.read('local', 'PRAGMA wal_checkpoint(PASSIVE)');
  return {
    runs_per_s: rounded(runs / seconds),
    cpu_per_run_us: rounded((used.user + used.system) / runs),
    pages_per_run: rounded(Number(frames?.['log']) / batch),
    ...latencies('commit', commits),
    database_mb: rounded(statSync(path).size / 2 ** 20),
  };
}

const load = <T>({ root }: BenchContext, path: string) =>
  import(pathToFileURL(join(root, 'src/store', path)).href) as Promise<T>;

async function openStore(context: BenchContext) {
  const sources = await loadSources(context.root);
  const { fence } = await load<typeof import('../src/store/database.ts')>(context, 'database.ts');
  const path = join(context.scratch, 'store.db');
  const checkpointPages = context.option('checkpoint-pages', 0);
  const database = sources.openSqlite(path, {
    clock: systemClock,
    ...(checkpointPages === 0 ? {} : { checkpointPages }),
  });
  context.defer(() => database.close());
  await sources.migrate(database);
  const epoch = await sources.claimLeadership(database, 'bench');
  /** Answers how long it took, ms. */
  const write = async (statements: readonly Statement[]) => {
    const from = performance.now();
    const outcome = await database.write([fence(epoch), ...statements]);
    if (outcome.kind !== 'committed') throw new Error(`not committed: ${outcome.kind}`);
    return performance.now() - from;
  };
  return { database, path, write };
}

async function statementsOf(context: BenchContext) {
  const { plainLaunches, firstExecutions } = await load<typeof import('../src/store/occurrences.ts')>(
    context,
    'occurrences.ts',
  );
  const { finishStatements } = await load<typeof import('../src/store/results.ts')>(context, 'results.ts');
  return {
    intents: (runs: readonly number[], jobs: number) => [
      ...plainLaunches(runs.map((run) => occurrenceOf(run, jobs))).map(({ statement }) => statement),
      firstExecutions(START * 1000 + (runs[0] ?? 0), START * 1000 + (runs.at(-1) ?? 0), 'bench'),
    ],
    results: (runs: readonly number[], jobs: number) => finishStatements(runs.map((run) => finishOf(run, jobs))),
  };
}

const ADD_JOB =
  "INSERT INTO job_state (job_id, version, cursor_at, next_at, anchor_at, success_count, error_count, status) VALUES (?, 1, 0, NULL, 0, 0, 0, '')";

function occurrenceOf(run: number, jobs: number) {
  const nominalAt = START + Math.floor(run / jobs) * 1000;
  const job = {
    group: START * 1000 + run,
    jobId: (run % jobs) + 1,
    jobVersion: 1,
    trigger: 'schedule',
    concurrency: 'allow',
  } as const;
  return { ...job, nominalAt, dueAt: nominalAt, parentGroup: null, delayed: false, forced: false, extend: null };
}

function finishOf(run: number, jobs: number) {
  const how = { phase: 'final', outcome: 'succeeded', reason: '', wakeAt: null } as const;
  return {
    ended: ended(START * 1000 + run),
    group: START * 1000 + run,
    jobId: (run % jobs) + 1,
    ...how,
    now: START,
    output: 'a line of output\n',
  };
}

function ended(key: number): ExecutionEnded {
  const how = { outcome: 'succeeded', reason: '', exitCode: 0, signal: null, message: null } as const;
  return {
    key,
    startedAtUs: key,
    finishedAtUs: key + 1000,
    ...how,
    tail: 'a line of output\n',
    outputBytes: 17,
    logBytes: 17,
  };
}
