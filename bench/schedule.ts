/** What one call of core/schedule costs. With node --expose-gc also the memory of a parsed schedule. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ScheduleSpec } from '../src/core/schedule/index.ts';
import type { Benchmark } from './lib/benchmark.ts';
import { rounded } from './lib/samples.ts';

const NOW = Date.UTC(2026, 1, 1);
const YEAR_MS = 365 * 86_400_000;
const ZONE = 'America/New_York';
const TEXTS = [
  '* * * * * *',
  '*/5 * * * *',
  '30 2 * * *',
  '0 9 * * mon-fri',
  '0 0 LW * *',
  '0 0 29 2 +1',
  '@every 90s',
];

type Schedule = typeof import('../src/core/schedule/index.ts');

export const schedule: Benchmark = {
  name: 'schedule',
  about: 'parsing schedules and finding instants, µs a call',
  async run({ root }) {
    const source = pathToFileURL(join(root, 'src/core/schedule/index.ts')).href;
    const core = (await import(source)) as Schedule;
    const { parseSchedule, preview, dueAt } = core;
    const rows = TEXTS.map((text) => ({ name: text, figures: instants(core, specOf(core, text)) }));
    const jittered = specOf(core, '*/5 * * * *', { jitterMs: 60_000, jitterSeed: 7 });
    const excluded = specOf(core, '0 9 * * *', {
      calendars: [{ dates: ['12-25'], weekdays: ['sat', 'sun'], ranges: [{ from: '2026-07-01', to: '2026-07-14' }] }],
    });
    const parsing = {
      parse_known_us: measure(100_000, () => parseSchedule('*/5 9-17 * * mon-fri', { name: 'job', timezone: ZONE })),
      parse_new_us: measure(40_000, (i) =>
        parseSchedule(`${i % 60} ${Math.floor(i / 60) % 24} ${(Math.floor(i / 1440) % 28) + 1} 1-6 *`, { name: 'job' }),
      ),
      parse_hashed_us: measure(100_000, (i) => parseSchedule('H H * * *', { name: `job${i}` })),
      parse_refused_us: measure(20_000, (i) => parseSchedule(`${i % 60} 0 30 2 *`, { name: 'job' })),
      due_with_jitter_us: measure(100_000, (i) => dueAt(jittered, NOW + i * 300_000)),
      preview_of_1000_us: measure(200, () =>
        preview({ schedule: '30 2 * * *', count: 1000 }, { nowMs: NOW, defaultZone: ZONE }),
      ),
    };
    return [
      ...rows,
      { name: '0 9 * * * with a calendar', figures: instants(core, excluded) },
      { name: 'parsing and the rest', figures: parsing },
    ];
  },
};

function instants({ nextAfter, previousAtOrBefore, countBetween }: Schedule, spec: ScheduleSpec) {
  return {
    next_us: measure(100_000, (i) => nextAfter(spec, NOW + i * 7_919_000)),
    previous_us: measure(100_000, (i) => previousAtOrBefore(spec, NOW + i * 7_919_000, 0)),
    count_of_a_year_us: measure(5_000, (i) =>
      countBetween(spec, NOW + i * 7_919_000, NOW + i * 7_919_000 + YEAR_MS, 1e9),
    ),
  };
}

function specOf({ parseSchedule }: Schedule, text: string, more: Partial<ScheduleSpec> = {}): ScheduleSpec {
  const parsed = parseSchedule(text, { name: 'job', timezone: ZONE });
  if (!parsed.ok) throw new Error(parsed.error.message);
  return { schedule: parsed.schedule, zone: ZONE, dst: {}, anchorAt: NOW, jitterSeed: 1, ...more };
}

function measure(calls: number, call: (i: number) => unknown): number {
  for (let i = 0; i < calls / 5; i++) call(i);
  const from = performance.now();
  for (let i = 0; i < calls; i++) call(i);
  return rounded(((performance.now() - from) * 1000) / calls);
}
