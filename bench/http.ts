/** http jobs every second. --jobs 5000  --seconds 60. Needs nginx. */
import type { Benchmark } from './lib/benchmark.ts';
import { sustain } from './drive/sustain.ts';

export const http: Benchmark = {
  name: 'http',
  about: 'http jobs, each every second: all run, none a second late',
  async run(context) {
    const jobs = context.option('jobs', 5_000);
    return [{ name: `${jobs} http`, figures: await sustain(context, 'http', jobs, context.option('seconds', 60)) }];
  },
};
