/** A node that has nothing to do, and one with one job every second. --seconds 20 */
import { createJobs } from './drive/jobs.ts';
import { sleep, startNode } from './drive/node.ts';
import { openTarget, type Way } from './drive/targets.ts';
import type { Benchmark, BenchContext, Figures } from './lib/benchmark.ts';
import { latencies, rounded } from './lib/samples.ts';

/** After the start the garbage collector still tidies up. */
const SETTLE_MS = 15_000;

export const idle: Benchmark = {
  name: 'idle',
  about: 'memory (PSS) and CPU of the whole tree with nothing to do; lateness of one job',
  async run(context) {
    const seconds = context.option('seconds', 20);
    const rows = [{ name: 'nothing', figures: await nothing(context, seconds) }];
    for (const way of ['direct', 'http'] as const)
      rows.push({ name: `1 ${way} job`, figures: await oneJob(context, way, seconds) });
    return rows;
  },
};

async function nothing(context: BenchContext, seconds: number): Promise<Figures> {
  const node = await startNode(context);
  const startMs = node.startMs;
  await sleep(SETTLE_MS);
  const cpu = node.cpuSeconds();
  await sleep(seconds * 1000);
  const used = node.cpuSeconds() - cpu;
  const memory = node.pssMb();
  await node.stop();
  return { start_ms: rounded(startMs), tree_pss_mb: rounded(memory), cpu_pct: rounded((used / seconds) * 100) };
}

async function oneJob(context: BenchContext, way: Way, seconds: number): Promise<Figures> {
  const target = await openTarget(context, way);
  const node = await startNode(context);
  await createJobs(node, 1, '* * * * * *', target);
  await sleep(seconds * 1000);
  const late = target.arrivals().map(({ at, due }) => at - due);
  const memory = node.pssMb();
  await node.stop();
  return { runs: late.length, ...latencies('late', late), tree_pss_mb: rounded(memory) };
}
