/** Very many jobs. --jobs N (else 100,000 and 1,000,000)  --samples 200 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../src/lib/clock.ts';
import { sleep, startNode } from './drive/node.ts';
import { openTarget } from './drive/targets.ts';
import type { Benchmark, BenchContext, Figures } from './lib/benchmark.ts';
import { fillStore } from './lib/fill.ts';
import { latencies, rounded } from './lib/samples.ts';
import { loadSources } from './lib/sources.ts';

const SIZES = [100_000, 1_000_000];
/** Until the garbage of the start is gone. */
const SETTLE_MS = 20_000;
const IDLE_S = 15;

export const scale: Benchmark = {
  name: 'scale',
  about: 'very many jobs: start to first launch, memory, idle CPU, page of 50, find, get',
  async run(context) {
    const sizes = context.text('jobs') === undefined ? SIZES : [context.option('jobs', 0)];
    const rows = [];
    for (const jobs of sizes) rows.push({ name: `${jobs} jobs`, figures: await measure(context, jobs) });
    return rows;
  },
};

async function measure(context: BenchContext, jobs: number): Promise<Figures> {
  const target = await openTarget(context, 'direct');
  const dataDir = join(context.scratch, `scale-${jobs}`);
  mkdirSync(dataDir);
  // The one job that runs tells when the first launch was.
  const first = [{ name: 'every-second', schedule: '* * * * * *', ...target.job('every-second') }];
  await fillStore(await loadSources(context.root), {
    path: join(dataDir, 'belfry.db'),
    clock: systemClock,
    jobs,
    when: 'rare',
    first,
  });
  const seenBefore = target.arrivals().length;
  const startedAt = Date.now();
  const node = await startNode(context, { dataDir });
  while (target.arrivals().length === seenBefore) await sleep(5);
  const firstLaunchMs = (target.arrivals()[seenBefore]?.at ?? Number.NaN) - startedAt;
  await sleep(SETTLE_MS);
  const cpu = node.cpuSeconds();
  await sleep(IDLE_S * 1000);
  const idleCpu = node.cpuSeconds() - cpu;
  const memory = node.pssMb();
  const reads = await sample(node.client, jobs, context.option('samples', 200));
  await node.stop();
  return {
    api_up_ms: rounded(node.startMs),
    first_launch_ms: rounded(firstLaunchMs),
    tree_pss_mb: rounded(memory),
    cpu_pct_with_1_job_a_second: rounded((idleCpu / IDLE_S) * 100),
    ...reads,
  };
}

async function sample(
  client: { timed(path: string): Promise<number> },
  jobs: number,
  samples: number,
): Promise<Figures> {
  const some = (i: number) => ((i * 2_654_435_761) >>> 0) % (jobs - 50);
  const [page, find, get]: [number[], number[], number[]] = [[], [], []];
  for (let i = 0; i < samples; i++) {
    page.push(await client.timed(`/v1/jobs?_start=${some(i)}&_end=${some(i) + 50}&_sort=name&_order=ASC`));
    find.push(await client.timed(`/v1/jobs?q=job-${some(i)}&_start=0&_end=50`));
    get.push(await client.timed(`/v1/jobs/job-${some(i)}`));
  }
  return { ...latencies('page', page), ...latencies('find', find), ...latencies('get', get) };
}
