// What the planner decides about (cursor, now]: every instant once, in a launch or in a dropped range.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MisfirePolicy } from './misfire.ts';
import { dueRange, planJob } from './plan.ts';
import { instantsBetween, parseSchedule, type ScheduleSpec } from './schedule/index.ts';

const START = Date.UTC(2026, 2, 29, 0, 0, 0);
const LAST: MisfirePolicy = { graceMs: 60_000, policy: 'last', windowMs: 7 * 86_400_000, max: 100 };

function specOf(text: string, more: Partial<ScheduleSpec> = {}): ScheduleSpec {
  const parsed = parseSchedule(text, { name: 'job' });
  if (!parsed.ok) throw new Error(parsed.error.message);
  return { schedule: parsed.schedule, zone: 'Europe/London', anchorAt: START, ...more };
}

describe('planJob', () => {
  test('one instant, on time', () => {
    const plan = planJob(specOf('* * * * *'), LAST, START, START + 60_000);
    expect(plan).toEqual({
      launches: [{ nominalAt: START + 60_000, dueAt: START + 60_000, catchUp: false }],
      dropped: [],
      cursorAt: START + 60_000,
      nextAt: START + 120_000,
    });
  });

  test('a clock behind the cursor emits nothing and leaves the cursor', () => {
    const plan = planJob(specOf('* * * * *'), LAST, START, START - 3_600_000);
    expect(plan).toMatchObject({ launches: [], dropped: [], cursorAt: START, nextAt: START + 60_000 });
  });

  test('a window shorter than grace drops nothing that still runs', () => {
    const policy: MisfirePolicy = { graceMs: 60_000, policy: 'all', windowMs: 30_000, max: 2 };
    const plan = planJob(specOf('* * * * * *'), policy, START, START + 100_000);
    expect(plan.launches.length).toBe(61);
    expect(plan.dropped.map(({ last, count }) => [last, count])).toEqual([[START + 39_000, 39]]);
  });

  test('a gap of a year costs no more than a gap of an hour', () => {
    const plan = planJob(specOf('* * * * * *'), LAST, START, START + 365 * 86_400_000);
    expect(plan.dropped).toEqual([expect.objectContaining({ count: 100_000, exact: false, reason: 'superseded' })]);
  });

  test('every instant of the range is launched or dropped exactly once', () => {
    const schedules = fc.constantFrom(
      '* * * * *',
      '*/20 * * * * *',
      '30 1 * * *',
      '@every 7m',
      '@hourly',
      '15 1,2 * * *',
    );
    const policies = fc.record({
      graceMs: fc.constantFrom(0, 5_000, 60_000, 600_000),
      policy: fc.constantFrom('skip' as const, 'last' as const, 'all' as const),
      windowMs: fc.constantFrom(0, 30_000, 3_600_000, 7 * 86_400_000),
      max: fc.integer({ min: 1, max: 20 }),
    });
    const jitters = fc.constantFrom(undefined, 10_000, 900_000);
    fc.assert(
      fc.property(
        schedules,
        policies,
        jitters,
        fc.nat(7_200_000),
        fc.integer({ min: 1, max: 172_800_000 }),
        (text, policy, jitterMs, offset, gap) => {
          const spec = specOf(text, { jitterMs, jitterSeed: 7 });
          const from = START + offset;
          const plan = planJob(spec, policy, from, from + gap);
          const due = instantsBetween(spec, from, plan.cursorAt, 1_000_000);
          const covered = [
            ...plan.launches.map(({ nominalAt }) => [nominalAt, nominalAt, 1] as const),
            ...plan.dropped.map(({ first, last, count }) => [first, last, count] as const),
          ].sort((a, b) => a[0] - b[0]);
          let at = 0;
          for (const [first, last, count] of covered) {
            expect(due[at]).toBe(first);
            expect(due[at + count - 1]).toBe(last);
            at += count;
          }
          expect(at).toBe(due.length);
        },
      ),
      { numRuns: 300 },
    );
  });
});

test('dueRange counts what lies between', () => {
  const spec = specOf('* * * * *');
  expect(dueRange(spec, START, START + 59_000)).toBeUndefined();
  expect(dueRange(spec, START, START + 180_000)).toEqual({ first: START + 60_000, last: START + 180_000, count: 3 });
});
