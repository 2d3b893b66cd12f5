// How fast schedules are: `node test/schedule/speed.ts` (with --expose-gc it also measures memory). Prints µs per call.
import {
  countBetween,
  dueAt,
  nextAfter,
  parseSchedule,
  preview,
  previousAtOrBefore,
  type Schedule,
} from '../../src/core/schedule/index.ts';
import { ms, specOf } from './kit.ts';

const NOW = ms('2026-02-01T00:00:00Z');
const YEAR_MS = 365 * 86_400_000;
const ZONE = 'America/New_York';

function measure(label: string, calls: number, call: (i: number) => unknown): void {
  for (let i = 0; i < calls / 5; i++) call(i);
  const started = performance.now();
  for (let i = 0; i < calls; i++) call(i);
  console.log(label.padEnd(44), (((performance.now() - started) * 1000) / calls).toFixed(3));
}

for (const text of [
  '* * * * * *',
  '*/5 * * * *',
  '30 2 * * *',
  '0 9 * * mon-fri',
  '0 0 LW * *',
  '0 0 29 2 +1',
  '@every 90s',
]) {
  const spec = specOf(text, ZONE);
  measure(`next ${text}`, 100_000, (i) => nextAfter(spec, NOW + i * 7_919_000));
  measure(`previous ${text}`, 100_000, (i) => previousAtOrBefore(spec, NOW + i * 7_919_000, 0));
  measure(`count of a year ${text}`, 20_000, (i) =>
    countBetween(spec, NOW + i * 7_919_000, NOW + i * 7_919_000 + YEAR_MS, 1e9),
  );
}

const calendars = [{ dates: ['12-25'], weekdays: ['sat', 'sun'], ranges: [{ from: '2026-07-01', to: '2026-07-14' }] }];
const excluded = specOf('0 9 * * *', ZONE, { calendars });
measure('next with a calendar', 100_000, (i) => nextAfter(excluded, NOW + i * 791_900));
measure('count of a year with a calendar', 1_000, (i) => countBetween(excluded, NOW + i, NOW + i + YEAR_MS));
const jittered = specOf('*/5 * * * *', ZONE, { jitterMs: 60_000, jitterSeed: 7 });
measure('dueAt', 100_000, (i) => dueAt(jittered, NOW + i * 300_000));

measure('parse, text known', 100_000, () => parseSchedule('*/5 9-17 * * mon-fri', { name: 'job', timezone: ZONE }));
measure('parse, text new', 40_000, (i) =>
  parseSchedule(`${i % 60} ${Math.floor(i / 60) % 24} ${(Math.floor(i / 1440) % 28) + 1} 1-6 *`, { name: 'job' }),
);
measure('parse, H', 100_000, (i) => parseSchedule('H H * * *', { name: `job${i}` }));
measure('parse, refused', 20_000, (i) => parseSchedule(`${i % 60} 0 30 2 *`, { name: 'job' }));
measure('preview of 1000', 200, () =>
  preview({ schedule: '30 2 * * *', count: 1000 }, { nowMs: NOW, defaultZone: ZONE }),
);

if (globalThis.gc !== undefined) {
  globalThis.gc();
  const before = process.memoryUsage().heapUsed;
  const kept: Schedule[] = Array.from(
    { length: 200_000 },
    (_, i) => specOf('H H H * * 1#1', ZONE, {}, `job${i}`).schedule,
  );
  globalThis.gc();
  console.log(
    'bytes of a schedule of its own'.padEnd(44),
    Math.round((process.memoryUsage().heapUsed - before) / kept.length),
  );
}
