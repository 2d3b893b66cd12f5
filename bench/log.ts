/** A job that prints far more than is kept, beside others. --mb-per-s 100  --seconds 30  --jobs 20 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { createJobs } from './drive/jobs.ts';
import { type DrivenNode, sleep, startNode } from './drive/node.ts';
import { openTarget } from './drive/targets.ts';
import type { Benchmark } from './lib/benchmark.ts';
import { latencies, rounded } from './lib/samples.ts';

const LOOK_MS = 500;

export const log: Benchmark = {
  name: 'log',
  about: 'one job prints without end: what is kept, other jobs, memory',
  async run(context) {
    const [rate, seconds] = [context.option('mb-per-s', 100), context.option('seconds', 30)];
    const program = join(context.scratch, 'flood');
    execFileSync('gcc', ['-O2', '-o', program, join(import.meta.dirname, 'flood.c')]);
    const target = await openTarget(context, 'direct');
    const node = await startNode(context);
    await createJobs(node, context.option('jobs', 20), '* * * * * *', target);
    const config = { command: `${program} ${rate} ${seconds}` };
    await node.client.call('POST', '/v1/jobs?runoncreate=true', {
      name: 'flood',
      schedule: '@manually',
      executor: 'shell',
      executor_config: config,
    });
    const from = Date.now();
    let peakMb = 0;
    let run = await lastRun(node);
    while (run.finished_at === null && Date.now() - from < seconds * 4_000) {
      await sleep(LOOK_MS);
      peakMb = Math.max(peakMb, node.pssMb());
      run = await lastRun(node);
    }
    const to = Date.now();
    const late = target.arrivals().flatMap(({ at, due }) => (due >= from && due < to ? at - due : []));
    await node.stop();
    const figures = {
      printed_mb: rounded(run.output_bytes / 1e6),
      miscounted_bytes: run.output_bytes - rate * 1e6 * seconds,
      kept_mb: rounded(run.log_bytes / 1e6),
      took_s: rounded((to - from) / 1000),
      others_runs: late.length,
      ...latencies('others_late', late),
      peak_pss_mb: rounded(peakMb),
    };
    return [{ name: `${rate} MB/s for ${seconds} s`, figures }];
  },
};

interface Execution {
  readonly finished_at: string | null;
  readonly output_bytes: number;
  readonly log_bytes: number;
}

async function lastRun(node: DrivenNode): Promise<Execution> {
  const { body } = await node.client.call('GET', '/v1/runs?job=flood&limit=1');
  const { runs } = JSON.parse(body) as { runs: { executions: Execution[] }[] };
  return runs[0]?.executions[0] ?? { finished_at: null, output_bytes: 0, log_bytes: 0 };
}
