/**
 * A long past: a job's history, runs of all jobs by outcome and time, and whether deleting the old delays the new.
 * --jobs 1000  --kept 1000000  --samples 200  --seconds 30
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../src/lib/clock.ts';
import { createJobs } from './drive/jobs.ts';
import { type DrivenNode, sleep, startNode } from './drive/node.ts';
import { openTarget } from './drive/targets.ts';
import type { Benchmark, BenchContext, Figures } from './lib/benchmark.ts';
import { fillStore } from './lib/fill.ts';
import { latencies, rounded } from './lib/samples.ts';
import { loadSources } from './lib/sources.ts';

const OUTCOMES = ['succeeded', 'failed', 'missed', 'lost'];
/** Jobs that run each second while the past is swept. */
const LAUNCHED = 20;
const KEPT_SWEPT = 100;

export const history: Benchmark = {
  name: 'history',
  about: 'executions kept: reading them, and sweeping them while jobs are due',
  async run(context) {
    const load = { jobs: context.option('jobs', 1_000), kept: context.option('kept', 1_000_000) };
    const dataDir = join(context.scratch, 'history');
    mkdirSync(dataDir);
    const first = Array.from({ length: load.jobs }, (_, i) => ({ name: `old-${i}`, schedule: '@yearly' }));
    const path = join(dataDir, 'belfry.db');
    await fillStore(await loadSources(context.root), {
      path,
      clock: systemClock,
      jobs: 1,
      when: 'rare',
      first,
      kept: load.kept,
    });
    const name = `${load.kept} executions of ${load.jobs} jobs`;
    return [
      { name, figures: await reading(context, dataDir, load) },
      { name: 'nothing to sweep', figures: await launching(context, dataDir, []) },
      {
        name: `sweeping to ${KEPT_SWEPT} a job`,
        figures: await launching(context, dataDir, [
          '--retention-runs',
          String(KEPT_SWEPT),
          '--retention-keep',
          String(KEPT_SWEPT),
        ]),
      },
    ];
  },
};

async function reading(context: BenchContext, dataDir: string, load: { jobs: number; kept: number }): Promise<Figures> {
  const node = await startNode(context, { dataDir });
  const spanMs = (load.kept / load.jobs) * 60_000;
  const [ofJob, byOutcome, byTime, both]: [number[], number[], number[], number[]] = [[], [], [], []];
  const newest = Date.now() - 3_600_000;
  for (let i = 0; i < context.option('samples', 200); i++) {
    const from = new Date(newest - ((i * 7919) % 1000) * (spanMs / 1000));
    const window = `from=${from.toISOString()}&to=${new Date(from.getTime() + spanMs / 10).toISOString()}`;
    const outcome = `outcome=${OUTCOMES[i % OUTCOMES.length]}`;
    ofJob.push(await node.client.timed(`/v1/jobs/old-${(i * 7919) % load.jobs}/executions`));
    byOutcome.push(await node.client.timed(`/v1/runs?${outcome}`));
    byTime.push(await node.client.timed(`/v1/runs?${window}`));
    both.push(await node.client.timed(`/v1/runs?${outcome}&${window}`));
  }
  await node.stop();
  const all = [
    ...latenciesOf('runs_by_outcome', byOutcome),
    ...latenciesOf('runs_by_time', byTime),
    ...latenciesOf('runs_by_both', both),
  ];
  return { start_ms: rounded(node.startMs), ...latencies('job_history', ofJob), ...Object.fromEntries(all) };
}

const latenciesOf = (name: string, samples: readonly number[]) => Object.entries(latencies(name, samples));

async function launching(context: BenchContext, dataDir: string, args: readonly string[]): Promise<Figures> {
  const target = await openTarget(context, 'direct');
  const node = await startNode(context, { dataDir, args });
  await createJobs(node, LAUNCHED, '* * * * * *', target);
  const from = Date.now() + 1_000;
  const before = await executionsKept(node);
  await sleep(context.option('seconds', 30) * 1000);
  const swept = before - (await executionsKept(node));
  const late = target.arrivals().flatMap(({ at, due }) => (due > from ? at - due : []));
  await node.client.forAll(LAUNCHED, async (i) => void (await node.client.call('DELETE', `/v1/jobs/bench-${i}`)));
  await node.stop();
  return { runs: late.length, swept_of_sampled_jobs: swept, ...latencies('late', late) };
}

/** Of ten old jobs. */
async function executionsKept(node: DrivenNode): Promise<number> {
  let kept = 0;
  for (let i = 0; i < 10; i++) {
    for (let cursor: string | null = ''; cursor !== null;) {
      const { body } = await node.client.call(
        'GET',
        `/v1/runs?job=old-${i}&limit=100${cursor === '' ? '' : `&cursor=${cursor}`}`,
      );
      const page = JSON.parse(body) as { runs: unknown[]; cursor: string | null };
      kept += page.runs.length;
      cursor = page.cursor;
    }
  }
  return kept;
}
