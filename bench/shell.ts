/** Shell jobs every second. --jobs (else 1,500 started directly and 1,000 through sh)  --seconds 60  --way direct|sh */
import type { Benchmark } from './lib/benchmark.ts';
import { sustain } from './drive/sustain.ts';

const WAYS = [
  { way: 'direct', jobs: 1_500 },
  { way: 'sh', jobs: 1_000 },
] as const;

export const shell: Benchmark = {
  name: 'shell',
  about: 'shell jobs, each every second: all run, none a second late',
  async run(context) {
    const wanted = WAYS.filter(({ way }) => (context.text('way') ?? way) === way);
    const rows = [];
    for (const { way, jobs } of wanted) {
      const count = context.option('jobs', jobs);
      rows.push({
        name: `${count} ${way}`,
        figures: await sustain(context, way, count, context.option('seconds', 60)),
      });
    }
    return rows;
  },
};
