/** So many jobs every second, for a while: every (job, second) exactly once, and how late. */
import { bareStarts } from '../floor/starts.ts';
import type { BenchContext, Figures } from '../lib/benchmark.ts';
import { latencies, rounded } from '../lib/samples.ts';
import { createJobs } from './jobs.ts';
import { sleep, startNode } from './node.ts';
import { openTarget, type Way } from './targets.ts';

/** Time for what is late to arrive after the window. */
const AFTER_MS = 3_000;
const WARM_UP_MS = 2_000;

export async function sustain(context: BenchContext, way: Way, jobs: number, seconds: number): Promise<Figures> {
  const target = await openTarget(context, way);
  const bare = bareStarts(context, way === 'sh' ? 'sh' : 'direct');
  const node = await startNode(context);
  await createJobs(node, jobs, '* * * * * *', target);
  await sleep(WARM_UP_MS);
  const from = Math.ceil(Date.now() / 1000) * 1000;
  const cpu = node.cpuSeconds();
  await sleep(from + seconds * 1000 - Date.now());
  const used = node.cpuSeconds() - cpu;
  await sleep(AFTER_MS);
  const memory = node.pssMb();
  await node.stop();
  const seen = target.arrivals().filter(({ due }) => due >= from && due < from + seconds * 1000);
  const late = seen.map(({ at, due }) => at - due);
  const slots = new Set(seen.map(({ job, due }) => `${job} ${due}`)).size;
  return {
    runs_per_s: rounded(seen.length / seconds),
    bare_starts_per_s: bare,
    missing: jobs * seconds - slots,
    doubled: seen.length - slots,
    over_a_second_late: late.filter((ms) => ms > 1000).length,
    ...latencies('late', late),
    tree_cpu_per_run_us: rounded((used * 1e6) / Math.max(1, seen.length)),
    tree_pss_mb: rounded(memory),
  };
}
