/**
 * More than the node can do, for a minute; meanwhile the API is probed; then the jobs are deleted. --way direct|http  --seconds 60
 * --jobs N: twice what the sustained benchmark of that way reaches.
 */
import { deleteJobs, createJobs } from './drive/jobs.ts';
import { type DrivenNode, sleep, startNode } from './drive/node.ts';
import { openTarget, type Target, type Way } from './drive/targets.ts';
import type { Benchmark, BenchContext, Figures } from './lib/benchmark.ts';
import { latencies, rounded } from './lib/samples.ts';

const TWICE: Readonly<Record<Way, number>> = { direct: 3_000, sh: 2_000, http: 10_000 };
const PROBE_MS = 500;
const QUIET_MS = 4_000;
const QUIET_WITHIN_MS = 120_000;

export const overload: Benchmark = {
  name: 'overload',
  about: 'twice the capacity, then the jobs are deleted: the API meanwhile, memory, how long until it is quiet',
  async run(context) {
    const way = (context.text('way') ?? 'direct') as Way;
    const jobs = context.option('jobs', TWICE[way]);
    return [{ name: `${jobs} ${way}`, figures: await measure(context, way, jobs, context.option('seconds', 60)) }];
  },
};

async function measure(context: BenchContext, way: Way, jobs: number, seconds: number): Promise<Figures> {
  const target = await openTarget(context, way);
  const node = await startNode(context);
  await createJobs(node, jobs, '* * * * * *', target);
  const from = Date.now();
  const { probes, peakMb } = await probe(node, seconds);
  const to = Date.now();
  const ran = target.arrivals().filter(({ at }) => at >= from && at < to).length;
  const deletesPerSecond = await deleteJobs(node, jobs);
  const quietMs = await untilQuiet(target);
  const after: number[] = [];
  for (let i = 0; i < 20; i++) after.push(await node.client.timed('/v1/jobs?_start=0&_end=10'));
  const unfinished = await unfinishedRuns(node);
  return {
    runs_per_s: rounded(ran / ((to - from) / 1000)),
    ...latencies('probe', probes),
    peak_pss_mb: rounded(peakMb),
    deletes_per_s: deletesPerSecond,
    quiet_after_ms: rounded(quietMs),
    ...latencies('probe_after', after),
    unfinished_after: unfinished,
  };
}

async function probe(node: DrivenNode, seconds: number): Promise<{ probes: number[]; peakMb: number }> {
  const until = Date.now() + seconds * 1000;
  const probes: number[] = [];
  let peakMb = 0;
  while (Date.now() < until) {
    probes.push(await node.client.timed('/v1/jobs?_start=0&_end=10'));
    peakMb = Math.max(peakMb, node.pssMb());
    await sleep(PROBE_MS);
  }
  return { probes, peakMb };
}

/** From the last delete to the last start. */
async function untilQuiet(target: Target): Promise<number> {
  const from = Date.now();
  let [seen, last] = [target.arrivals().length, from];
  while (Date.now() - last < QUIET_MS) {
    if (Date.now() - from > QUIET_WITHIN_MS) return Number.NaN;
    await sleep(PROBE_MS);
    const now = target.arrivals().length;
    if (now !== seen) [seen, last] = [now, Date.now()];
  }
  return last - from;
}

/** Every occurrence must be on record with its end by now. */
async function unfinishedRuns(node: DrivenNode): Promise<number> {
  const { body } = await node.client.call('GET', '/v1/runs?outcome=unfinished&limit=100');
  return (JSON.parse(body) as { runs?: unknown[] }).runs?.length ?? Number.NaN;
}
