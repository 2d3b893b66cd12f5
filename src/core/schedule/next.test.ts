import { describe, expect, test } from 'vitest';
import type { Calendar } from '../../model/schedule.ts';
import {
  COUNT_MAX,
  countBetween,
  dueAt,
  instantsBetween,
  nextAfter,
  parseSchedule,
  previousAtOrBefore,
  type ScheduleSpec,
} from './index.ts';

/** CPU time of this process: a busy machine does not change it. */
const cpuMs = (): number => process.cpuUsage().user / 1000;

const ms = (text: string): number => Date.parse(text);
const iso = (at: number): string => new Date(at).toISOString().replace('.000', '');
const T0 = ms('2025-01-01T00:00:00Z');

function specOf(text: string, extra: Partial<ScheduleSpec> = {}): ScheduleSpec {
  const parsed = parseSchedule(text, { name: 'job', allowImpossible: true });
  if (!parsed.ok) throw new Error(parsed.error.message);
  return { schedule: parsed.schedule, zone: 'UTC', anchorAt: T0, ...extra };
}

function times(spec: ScheduleSpec, from: string | number, limit: number): string[] {
  return instantsBetween(spec, typeof from === 'string' ? ms(from) : from, Number.POSITIVE_INFINITY, limit).map(iso);
}

const calendar = (part: Partial<Calendar>): Calendar[] => [{ dates: [], weekdays: [], ranges: [], ...part }];

describe('@every', () => {
  test('keeps the phase of its anchor, whatever the moment of asking', () => {
    const spec = specOf('@every 90m', { anchorAt: ms('2025-01-01T10:07:30.750Z') });
    expect(times(spec, '2025-01-01T00:00:00Z', 2)).toEqual(['2025-01-01T11:37:30Z', '2025-01-01T13:07:30Z']);
    expect(times(spec, '2025-06-01T00:00:00Z', 1)).toEqual(['2025-06-01T01:07:30Z']);
    expect(previousAtOrBefore(spec, ms('2025-01-01T11:37:29Z'), 0)).toBeUndefined();
    expect(nextAfter(spec, spec.anchorAt)).toBe(ms('2025-01-01T11:37:30Z'));
  });

  test('starts at starts_at itself', () => {
    const spec = specOf('@every 1h', { startsAt: ms('2025-03-01T08:15:00Z') });
    expect(times(spec, T0, 2)).toEqual(['2025-03-01T08:15:00Z', '2025-03-01T09:15:00Z']);
    expect(times(specOf('@every 1h', { startsAt: ms('2025-03-01T08:15:00.5Z') }), T0, 1)).toEqual([
      '2025-03-01T08:15:01Z',
    ]);
  });

  test('is a pure duration through clock changes, and counts in closed form', () => {
    const spec = specOf('@every 1h', { zone: 'America/New_York' });
    expect(times(spec, '2025-03-09T06:30:00Z', 2)).toEqual(['2025-03-09T07:00:00Z', '2025-03-09T08:00:00Z']);
    expect(countBetween(spec, T0, T0 + 365 * 86_400_000)).toEqual({ count: 8760, exact: true });
  });
});

describe('once', () => {
  test('@at fires at its instant only', () => {
    const spec = specOf('@at 2025-05-01T12:00:00Z');
    const at = ms('2025-05-01T12:00:00Z');
    expect([nextAfter(spec, at - 1), nextAfter(spec, at)]).toEqual([at, undefined]);
    expect([
      previousAtOrBefore(spec, at, at - 1),
      previousAtOrBefore(spec, at - 1, 0),
      previousAtOrBefore(spec, at, at),
    ]).toEqual([at, undefined, undefined]);
    expect(countBetween(spec, at - 1, at)).toEqual({ count: 1, exact: true });
    expect(countBetween(spec, at, at + 1)).toEqual({ count: 0, exact: true });
  });

  test('@after fires once: at its time, at once inside the grace, never later', () => {
    const text = '@after 2025-05-01T12:00:00Z <PT2H';
    const at = ms('2025-05-01T12:00:00Z');
    expect(times(specOf(text), T0, 5)).toEqual(['2025-05-01T12:00:00Z']);
    const inside = specOf(text, { anchorAt: at + 3_600_000 });
    expect(instantsBetween(inside, inside.anchorAt, Number.POSITIVE_INFINITY, 5)).toEqual([inside.anchorAt + 1]);
    expect(times(specOf(text, { anchorAt: at + 7_200_001 }), T0, 5)).toEqual([]);
    expect(previousAtOrBefore(inside, at + 7_200_000, at)).toBe(inside.anchorAt + 1);
  });

  test('@manually never fires', () => {
    const spec = specOf('@manually');
    expect([nextAfter(spec, 0), previousAtOrBefore(spec, 1e15, 0), countBetween(spec, 0, 1e15).count]).toEqual([
      undefined,
      undefined,
      0,
    ]);
  });
});

describe('cron', () => {
  test('is strictly later, also inside a second', () => {
    const spec = specOf('* * * * * *');
    expect(nextAfter(spec, T0)).toBe(T0 + 1000);
    expect(nextAfter(spec, T0 - 1)).toBe(T0);
    expect(nextAfter(spec, T0 + 0.5)).toBe(T0 + 1000);
    expect(previousAtOrBefore(spec, T0 + 999, 0)).toBe(T0);
    expect(previousAtOrBefore(spec, T0, T0)).toBeUndefined();
  });

  test('sparse dates', () => {
    expect(times(specOf('0 0 29 2 +1'), T0, 3)).toEqual([
      '2044-02-29T00:00:00Z',
      '2072-02-29T00:00:00Z',
      '2112-02-29T00:00:00Z',
    ]);
    expect(times(specOf('0 0 0 1 1 * 2027,2150'), T0, 3)).toEqual(['2027-01-01T00:00:00Z', '2150-01-01T00:00:00Z']);
    expect(times(specOf('0 0 LW * *'), T0, 3)).toEqual([
      '2025-01-31T00:00:00Z',
      '2025-02-28T00:00:00Z',
      '2025-03-31T00:00:00Z',
    ]);
    expect(times(specOf('0 0 1W * *'), '2025-02-01T00:00:00Z', 2)).toEqual([
      '2025-02-03T00:00:00Z',
      '2025-03-03T00:00:00Z',
    ]);
    expect(times(specOf('0 0 31W * *'), '2025-08-01T00:00:00Z', 2)).toEqual([
      '2025-08-29T00:00:00Z',
      '2025-10-31T00:00:00Z',
    ]);
    expect(times(specOf('0 0 L-3W * *'), '2025-03-01T00:00:00Z', 1)).toEqual(['2025-03-28T00:00:00Z']);
    expect(times(specOf('0 0 * * 1#5'), T0, 2)).toEqual(['2025-03-31T00:00:00Z', '2025-06-30T00:00:00Z']);
    expect(times(specOf('0 0 * * friL'), T0, 2)).toEqual(['2025-01-31T00:00:00Z', '2025-02-28T00:00:00Z']);
    expect(times(specOf('0 0 30 2 *'), T0, 1)).toEqual([]);
    expect(previousAtOrBefore(specOf('0 0 29 2 +1'), ms('2044-02-28T00:00:00Z'), 0)).toBe(ms('2016-02-29T00:00:00Z'));
  });

  test('holds from 1970 to the end of 2199', () => {
    const spec = specOf('0 0 1 1 *', { zone: 'America/New_York' });
    expect(times(spec, Number.NEGATIVE_INFINITY, 1)).toEqual(['1970-01-01T05:00:00Z']);
    expect(times(spec, '2198-06-01T00:00:00Z', 3)).toEqual(['2199-01-01T05:00:00Z']);
    expect(previousAtOrBefore(spec, ms('2300-01-01T00:00:00Z'), 0)).toBe(ms('2199-01-01T05:00:00Z'));
    // Summer time is known beyond the part of the table that is read first.
    expect(times(specOf('0 12 1 7 *', { zone: 'America/New_York' }), '2150-01-01T00:00:00Z', 1)).toEqual([
      '2150-07-01T16:00:00Z',
    ]);
  });

  test('starts_at and expires_at are both included', () => {
    const spec = specOf('0 * * * *', { startsAt: ms('2025-01-02T03:00:00Z'), expiresAt: ms('2025-01-02T05:00:00Z') });
    expect(times(spec, T0, 9)).toEqual(['2025-01-02T03:00:00Z', '2025-01-02T04:00:00Z', '2025-01-02T05:00:00Z']);
    expect(previousAtOrBefore(spec, ms('2026-01-01T00:00:00Z'), T0)).toBe(ms('2025-01-02T05:00:00Z'));
    expect(countBetween(spec, T0, ms('2026-01-01T00:00:00Z'))).toEqual({ count: 3, exact: true });
  });
});

describe('count', () => {
  test('is exact to 100,000 and says so when it is not', () => {
    const spec = specOf('* * * * * *');
    expect(countBetween(spec, T0, T0 + 100_000_000)).toEqual({ count: COUNT_MAX, exact: true });
    expect(countBetween(spec, T0, T0 + 100_001_000)).toEqual({ count: COUNT_MAX, exact: false });
    expect(countBetween(spec, T0, T0 + 10_000, 5)).toEqual({ count: 5, exact: false });
    expect(countBetween(spec, T0, T0)).toEqual({ count: 0, exact: true });
    expect(countBetween(spec, T0 + 5000, T0)).toEqual({ count: 0, exact: true });
  });

  test('a thousand per-second jobs and a gap of a year cost milliseconds', () => {
    const spec = specOf('* * * * * *', { zone: 'America/New_York' });
    const started = cpuMs();
    for (let i = 0; i < 1000; i++) countBetween(spec, T0 + i, T0 + 365 * 86_400_000);
    expect(cpuMs() - started).toBeLessThan(400);
    expect(countBetween(spec, T0, T0 + 365 * 86_400_000, 1e9)).toEqual({ count: 31_536_000, exact: true });
  });
});

describe('calendars', () => {
  test('dates, yearly dates and weekdays are days of the job zone', () => {
    const daily = specOf('0 22 * * *', {
      zone: 'America/New_York',
      calendars: calendar({ dates: ['2025-12-24', '12-25'], weekdays: ['Sun', 6] }),
    });
    // 22:00 in New York is 03:00 UTC of the next day; the 27th and 28th are a weekend.
    expect(times(daily, '2025-12-23T12:00:00Z', 3)).toEqual([
      '2025-12-24T03:00:00Z',
      '2025-12-27T03:00:00Z',
      '2025-12-30T03:00:00Z',
    ]);
  });

  test('ranges: whole days, wall times, instants, and over New Year', () => {
    const ranges = [
      { from: '2025-07-01', to: '2025-07-02' },
      { from: '2025-07-04T06:00', to: '2025-07-04T18:00' },
      { from: '2025-07-05T00:00:00+02:00', to: '2025-07-05T12:00:00Z' },
      { from: '12-24', to: '01-06' },
    ];
    const spec = specOf('0 0,12 * * *', { zone: 'Europe/Madrid', calendars: calendar({ ranges }) });
    // Madrid is two hours ahead of UTC then.
    expect(times(spec, '2025-06-30T12:00:00Z', 5)).toEqual([
      '2025-07-02T22:00:00Z',
      '2025-07-03T10:00:00Z',
      '2025-07-03T22:00:00Z',
      '2025-07-05T22:00:00Z',
      '2025-07-06T10:00:00Z',
    ]);
    expect(times(spec, '2025-12-23T12:00:00Z', 1)).toEqual(['2026-01-06T23:00:00Z']);
  });

  test('several lists add up, and apply to every form', () => {
    const calendars = [...calendar({ dates: ['2025-01-01'] }), ...calendar({ dates: ['2025-01-02'] })];
    expect(times(specOf('@every 6h', { calendars }), T0, 1)).toEqual(['2025-01-03T00:00:00Z']);
    expect(times(specOf('@at 2025-01-02T10:00:00Z', { calendars }), T0, 1)).toEqual([]);
    expect(countBetween(specOf('@every 6h', { calendars }), T0, ms('2025-01-03T06:00:00Z'))).toEqual({
      count: 2,
      exact: true,
    });
    expect(previousAtOrBefore(specOf('@every 6h', { calendars }), ms('2025-01-02T23:00:00Z'), T0)).toBeUndefined();
  });

  test('a calendar that leaves nothing ends the search', () => {
    const started = cpuMs();
    const never = specOf('* * * * * *', { calendars: calendar({ weekdays: [0, 1, 2, 3, 4, 5, 6] }) });
    expect(nextAfter(never, T0)).toBeUndefined();
    const weekdaysOnly = specOf('0 0 * * 1-5', { calendars: calendar({ weekdays: [1, 2, 3, 4, 5] }) });
    expect(nextAfter(weekdaysOnly, T0)).toBeUndefined();
    expect(countBetween(never, T0, ms('2026-01-01T00:00:00Z'))).toEqual({ count: 0, exact: true });
    expect(cpuMs() - started).toBeLessThan(1000);
  });

  test('a year of an every-second job with holidays is counted, not walked', () => {
    const spec = specOf('* * * * * *', { calendars: calendar({ weekdays: [0, 6], dates: ['05-01'] }) });
    const started = cpuMs();
    // 2025 has 261 weekdays, and 1 May is a Thursday; T0 itself is not counted, midnight of 2026 is.
    expect(countBetween(spec, T0, ms('2026-01-01T00:00:00Z'), 1e9)).toEqual({ count: 260 * 86_400, exact: true });
    expect(cpuMs() - started).toBeLessThan(80);
  });
});

describe('jitter', () => {
  test('spreads over its whole length, and differs by seed', () => {
    const spec = specOf('0 * * * *', { jitterMs: 600_000, jitterSeed: 'a' });
    const delays = instantsBetween(spec, T0, Number.POSITIVE_INFINITY, 1000).map((at) => dueAt(spec, at) - at);
    expect(Math.min(...delays)).toBeLessThan(10_000);
    expect(Math.max(...delays)).toBeGreaterThan(590_000);
    expect(delays.reduce((a, b) => a + b, 0) / 1000).toBeGreaterThan(270_000);
    expect(delays.reduce((a, b) => a + b, 0) / 1000).toBeLessThan(330_000);
    expect(dueAt({ ...spec, jitterSeed: 'b' }, T0)).not.toBe(dueAt(spec, T0));
    expect(dueAt({ ...spec, jitterSeed: 7 }, T0)).not.toBe(dueAt({ ...spec, jitterSeed: 8 }, T0));
  });

  test('longer than the interval it stays before the next instant, and is still spread', () => {
    const spec = specOf('* * * * * *', { jitterMs: 3_600_000, jitterSeed: 'a' });
    const delays = instantsBetween(spec, T0, Number.POSITIVE_INFINITY, 500).map((at) => dueAt(spec, at) - at);
    expect(Math.max(...delays)).toBeLessThan(1000);
    expect(new Set(delays).size).toBeGreaterThan(300);
  });

  test('none is none', () => {
    expect(dueAt(specOf('0 * * * *'), T0)).toBe(T0);
    expect(dueAt(specOf('0 * * * *', { jitterMs: 0 }), T0)).toBe(T0);
  });
});
