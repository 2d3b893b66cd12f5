/** So many jobs all due at one second. */
import { bareStarts } from '../floor/starts.ts';
import type { BenchContext, Figures } from '../lib/benchmark.ts';
import { latencies, rounded } from '../lib/samples.ts';
import { createJobs, onceAt } from './jobs.ts';
import { sleep, startNode } from './node.ts';
import { openTarget, type Way } from './targets.ts';

const WINDOW_MS = 60_000;
/** Creating them takes longer on a busy machine; the instant lies so far ahead that it never overtakes. */
const LEAD_PER_JOB_MS = 2;
const LEAD_MIN_MS = 8_000;

export async function stormAt(context: BenchContext, way: Way, jobs: number): Promise<Figures> {
  const target = await openTarget(context, way);
  const bare = bareStarts(context, way === 'sh' ? 'sh' : 'direct');
  const node = await startNode(context);
  const due = Math.ceil((Date.now() + LEAD_MIN_MS + jobs * LEAD_PER_JOB_MS) / 1000) * 1000;
  await createJobs(node, jobs, onceAt(due), target);
  if (Date.now() > due - 1000) throw new Error('the jobs were not there in time; the machine is too busy to measure');
  await sleep(due - Date.now() - 500);
  const cpu = node.cpuSeconds();
  const deadline = due + WINDOW_MS;
  while (target.arrivals().length < jobs && Date.now() < deadline) await sleep(250);
  await sleep(1_000);
  const used = node.cpuSeconds() - cpu;
  const memory = node.pssMb();
  await node.stop();
  const seen = target.arrivals();
  const unique = new Set(seen.map(({ job }) => job)).size;
  return {
    bare_starts_per_s: bare,
    missing: jobs - unique,
    doubled: seen.length - unique,
    ...latencies(
      'late',
      seen.map(({ at }) => at - due),
    ),
    tree_cpu_per_run_us: rounded((used * 1e6) / Math.max(1, seen.length)),
    tree_pss_mb: rounded(memory),
  };
}
