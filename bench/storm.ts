/** Many jobs at one second. --way direct|sh|http  --jobs N (else every size of the table). http needs nginx. */
import { type Way } from './drive/targets.ts';
import type { Benchmark } from './lib/benchmark.ts';
import { stormAt } from './drive/storm.ts';

const STORMS: readonly { way: Way; jobs: readonly number[] }[] = [
  { way: 'direct', jobs: [1, 1_000, 5_000] },
  { way: 'sh', jobs: [1_000, 5_000] },
  { way: 'http', jobs: [1, 1_000, 10_000] },
];

export const storm: Benchmark = {
  name: 'storm',
  about: 'jobs all due at one second: how late they start',
  async run(context) {
    const rows = [];
    for (const { way, jobs } of STORMS.filter((one) => (context.text('way') ?? one.way) === one.way)) {
      const sizes = context.text('jobs') === undefined ? jobs : [context.option('jobs', 0)];
      for (const size of sizes) rows.push({ name: `${size} ${way}`, figures: await stormAt(context, way, size) });
    }
    return rows;
  },
};
