/** Whether a run costs the same whatever else is there: the engine (bench/engine.ts) with growing stores. --runs 100000  --most 1000000 */
import type { Benchmark } from './lib/benchmark.ts';
import { measureEngine } from './engine.ts';

/** Jobs due every second in all of these; the others only exist. */
const DUE = 1_000;

export const flat: Benchmark = {
  name: 'flat',
  about: 'CPU per run as jobs and kept executions grow',
  async run(context) {
    const runs = context.option('runs', 100_000);
    const most = context.option('most', 1_000_000);
    const rows = [];
    for (const [name, load] of [
      [`${DUE} jobs`, {}],
      [`${most / 10} other jobs`, { sleepers: most / 10 }],
      [`${most} other jobs`, { sleepers: most }],
      [`${most} executions kept`, { kept: most }],
      [`${most} jobs, other ones every second`, { sleepers: most, wave: true }],
    ] as const) {
      rows.push({ name, figures: await measureEngine(context, { jobs: DUE, runs, kept: 0, ...load }) });
    }
    return rows;
  },
};
