/** The API with 16 requests in flight. --jobs 5000 */
import { createJobs, deleteJobs, NOTHING } from './drive/jobs.ts';
import { startNode } from './drive/node.ts';
import type { Benchmark } from './lib/benchmark.ts';
import { latencies, rounded } from './lib/samples.ts';

export const api: Benchmark = {
  name: 'api',
  about: 'create, list, read, run by hand and delete jobs, 16 in flight, durable',
  async run(context) {
    const jobs = context.option('jobs', 5_000);
    const node = await startNode(context);
    const { client } = node;
    const cpu = node.cpuSeconds();
    const creates = await createJobs(node, jobs, '@manually', NOTHING);
    const used = node.cpuSeconds() - cpu;
    const page: number[] = [];
    const get: number[] = [];
    for (let i = 0; i < 200; i++) page.push(await client.timed('/v1/jobs?_start=0&_end=50&_sort=name&_order=ASC'));
    for (let i = 0; i < 500; i++) get.push(await client.timed(`/v1/jobs/bench-${(i * 7919) % jobs}`));
    const updates = await createJobs(node, jobs, '@yearly', NOTHING);
    const deletes = await deleteJobs(node, jobs);
    const figures = {
      creates_per_s: creates,
      create_cpu_us: rounded((used * 1e6) / jobs),
      updates_per_s: updates,
      deletes_per_s: deletes,
    };
    return [{ name: `${jobs} jobs`, figures: { ...figures, ...latencies('page', page), ...latencies('get', get) } }];
  },
};
