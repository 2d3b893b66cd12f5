// Laws that hold for every schedule, zone and instant, checked against a walker that knows only Temporal and tries every wall time.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  countBetween,
  dueAt,
  instantsBetween,
  nextAfter,
  previousAtOrBefore,
  type ScheduleSpec,
} from '../../src/core/schedule/index.ts';
import type { Calendar, DstPolicy } from '../../src/model/schedule.ts';
import { ms, specOf } from './kit.ts';

const ZONES = [
  'America/New_York',
  'Europe/London',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'America/Sao_Paulo',
  'Antarctica/Troll',
  'Africa/Casablanca',
  'Europe/Dublin',
  'Asia/Kathmandu',
  'UTC',
  'Asia/Tehran',
  'America/St_Johns',
  'Asia/Gaza',
  'Pacific/Chatham',
];
const DAY_MS = 86_400_000;

/** A field as text together with what it means, so that the walker needs no parser. */
interface Field {
  readonly text: string;
  readonly has: (value: number) => boolean;
}

const star: Field = { text: '*', has: () => true };

function fieldOf(min: number, max: number): fc.Arbitrary<Field> {
  const value = fc.integer({ min, max });
  const single = value.map((v): Field => ({ text: `${v}`, has: (x) => x === v }));
  const list = fc
    .uniqueArray(value, { minLength: 2, maxLength: 4 })
    .map((vs): Field => ({ text: vs.join(','), has: (x) => vs.includes(x) }));
  const range = fc
    .tuple(value, value)
    .map(([a, b]): Field => ({ text: `${a}-${b}`, has: (x) => (a <= b ? x >= a && x <= b : x >= a || x <= b) }));
  const step = fc
    .tuple(value, fc.integer({ min: 2, max: 20 }))
    .map(([a, n]): Field => ({ text: `${a}/${n}`, has: (x) => x >= a && (x - a) % n === 0 }));
  const stars = fc
    .integer({ min: 2, max: 20 })
    .map((n): Field => ({ text: `*/${n}`, has: (x) => (x - min) % n === 0 }));
  return fc.oneof(fc.constant(star), single, list, range, step, stars);
}

interface Pattern {
  readonly text: string;
  readonly second: Field;
  readonly minute: Field;
  readonly hour: Field;
  readonly isDay: (date: Temporal.PlainDate) => boolean;
}

const seconds = fc.oneof(
  fc.constant<Field>({ text: '0', has: (x) => x === 0 }),
  fc.constant<Field>({ text: '7,37', has: (x) => x === 7 || x === 37 }),
);

const weekdayField = fieldOf(0, 6);

const patterns: fc.Arbitrary<Pattern> = fc
  .record({
    second: seconds,
    minute: fieldOf(0, 59),
    hour: fieldOf(0, 23),
    day: fc.oneof({ weight: 3, arbitrary: fc.constant(star) }, { weight: 1, arbitrary: fieldOf(1, 31) }),
    month: fc.constant(star),
    week: fc.oneof({ weight: 3, arbitrary: fc.constant(star) }, { weight: 1, arbitrary: weekdayField }),
  })
  .map(({ second, minute, hour, day, month, week }) => ({
    text: [second, minute, hour, day, month, week].map((field) => field.text).join(' '),
    second,
    minute,
    hour,
    isDay: dayRule(day, month, week),
  }));

function dayRule(day: Field, month: Field, week: Field): (date: Temporal.PlainDate) => boolean {
  const bothRestricted = day.text !== '*' && week.text !== '*';
  return (date) => {
    const [inMonth, inWeek] = [day.has(date.day), week.has(date.dayOfWeek % 7)];
    return month.has(date.month) && (bothRestricted ? inMonth || inWeek : inMonth && inWeek);
  };
}

const policies: fc.Arbitrary<DstPolicy | undefined> = fc.option(
  fc.record({
    gap: fc.constantFrom('after', 'skip', 'shift' as const),
    overlap: fc.constantFrom('first', 'second', 'both' as const),
  }),
  { nil: undefined },
);

/** Three days around a clock change of the zone (or any three days, if it has none). */
const windows = fc
  .record({
    zone: fc.constantFrom(...ZONES),
    year: fc.integer({ min: 2000, max: 2060 }),
    day: fc.integer({ min: 0, max: 364 }),
    shiftS: fc.integer({ min: -DAY_MS / 1000, max: DAY_MS / 1000 }),
  })
  .map(({ zone, year, day, shiftS }) => {
    const start = ms(`${year}-01-01T00:00:00Z`) + day * DAY_MS;
    const change = Temporal.Instant.fromEpochMilliseconds(start).toZonedDateTimeISO(zone).getTimeZoneTransition('next');
    const from = (change === null ? start : change.epochMilliseconds) - 1.5 * DAY_MS + shiftS * 1000;
    return { zone, from, to: from + 3 * DAY_MS };
  });

/** Every instant of a pattern in (from, to], by trying every wall time and asking Temporal what it is. */
function walk(pattern: Pattern, zone: string, rules: Required<DstPolicy>, from: number, to: number): number[] {
  const found = new Set<number>();
  const first = Temporal.Instant.fromEpochMilliseconds(from - 2 * DAY_MS)
    .toZonedDateTimeISO('UTC')
    .toPlainDate();
  for (let d = 0; d < (to - from) / DAY_MS + 4; d++) {
    const date = first.add({ days: d });
    if (!pattern.isDay(date)) continue;
    for (let hour = 0; hour < 24; hour++) {
      if (!pattern.hour.has(hour)) continue;
      for (let minute = 0; minute < 60; minute++) {
        if (!pattern.minute.has(minute)) continue;
        for (let second = 0; second < 60; second++) {
          if (pattern.second.has(second))
            for (const at of resolve(date.toPlainDateTime({ hour, minute, second }), zone, rules)) found.add(at);
        }
      }
    }
  }
  return [...found].filter((at) => at > from && at <= to).sort((a, b) => a - b);
}

function resolve(wall: Temporal.PlainDateTime, zone: string, rules: Required<DstPolicy>): number[] {
  const earlier = wall.toZonedDateTime(zone, { disambiguation: 'earlier' });
  if (earlier.toPlainDateTime().equals(wall)) {
    const later = wall.toZonedDateTime(zone, { disambiguation: 'later' });
    if (rules.overlap === 'both') return [earlier.epochMilliseconds, later.epochMilliseconds];
    return [(rules.overlap === 'first' ? earlier : later).epochMilliseconds];
  }
  if (rules.gap === 'skip') return [];
  if (rules.gap === 'shift') return [wall.toZonedDateTime(zone, { disambiguation: 'later' }).epochMilliseconds];
  return [earlier.getTimeZoneTransition('next')?.epochMilliseconds ?? Number.NaN];
}

function usualRules({ minute, hour }: Pattern): Required<DstPolicy> {
  const rhythm = minute.text.startsWith('*') || hour.text.startsWith('*');
  return rhythm ? { gap: 'skip', overlap: 'both' } : { gap: 'after', overlap: 'first' };
}

/** Newest first, by asking for the previous one again and again. */
function backwards(spec: ScheduleSpec, from: number, to: number): number[] {
  const found: number[] = [];
  for (let at = previousAtOrBefore(spec, to, from); at !== undefined; at = previousAtOrBefore(spec, at - 1, from))
    found.push(at);
  return found.reverse();
}

describe('laws', () => {
  test('next, previous and count agree with the walker around clock changes, under every policy', () => {
    fc.assert(
      fc.property(patterns, windows, policies, (pattern, { zone, from, to }, dst) => {
        const expected = walk(pattern, zone, (dst as Required<DstPolicy> | undefined) ?? usualRules(pattern), from, to);
        const spec = specOf(pattern.text, zone, { dst });
        expect(instantsBetween(spec, from, to, 1e6)).toEqual(expected);
        expect(backwards(spec, from, to)).toEqual(expected);
        expect(countBetween(spec, from, to, 1e6)).toEqual({ count: expected.length, exact: true });
      }),
      { numRuns: 250 },
    );
  }, 30_000);

  const monthDays: fc.Arbitrary<DaySet> = fc.oneof(
    fieldOf(1, 31).map((field): DaySet => ({
      text: field.text,
      has: (date) => field.has(date.day),
      restricted: field.text !== '*',
    })),
    fc.integer({ min: 0, max: 30 }).map((n): DaySet => ({
      text: n === 0 ? 'L' : `L-${n}`,
      has: (date) => date.day === date.daysInMonth - n,
      restricted: true,
    })),
    fc.constant<DaySet>({
      text: 'LW',
      has: (date) => date.equals(nearestWorkday(date.with({ day: date.daysInMonth }))),
      restricted: true,
    }),
    fc.integer({ min: 1, max: 31 }).map((n): DaySet => ({
      text: `${n}W`,
      has: (date) => n <= date.daysInMonth && date.equals(nearestWorkday(date.with({ day: n }))),
      restricted: true,
    })),
  );
  const weekDays: fc.Arbitrary<DaySet> = fc.oneof(
    fieldOf(0, 6).map((field): DaySet => ({
      text: field.text,
      has: (date) => field.has(date.dayOfWeek % 7),
      restricted: field.text !== '*',
    })),
    fc.tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 1, max: 5 })).map(([w, n]): DaySet => ({
      text: `${w}#${n}`,
      has: (date) => date.dayOfWeek % 7 === w % 7 && Math.ceil(date.day / 7) === n,
      restricted: true,
    })),
    fc.integer({ min: 0, max: 7 }).map((w): DaySet => ({
      text: `${w}L`,
      has: (date) => date.dayOfWeek % 7 === w % 7 && date.day + 7 > date.daysInMonth,
      restricted: true,
    })),
  );

  test('days agree with the calendar: L, W, #, either and both', () => {
    const years = fc.integer({ min: 1972, max: 2195 });
    fc.assert(
      fc.property(monthDays, fieldOf(1, 12), weekDays, fc.boolean(), years, (day, month, week, plus, year) => {
        const text = `0 12 ${day.text} ${month.text} ${plus ? '+' : ''}${week.text}`;
        const parsed = trySpec(text);
        const start = Temporal.PlainDate.from({ year, month: 1, day: 1 });
        const expected: number[] = [];
        for (let d = 0; d < 1461; d++) {
          const date = start.add({ days: d });
          const either = day.restricted && week.restricted && !plus;
          const matches = either ? day.has(date) || week.has(date) : day.has(date) && week.has(date);
          if (matches && month.has(date.month))
            expected.push(date.toZonedDateTime({ timeZone: 'UTC', plainTime: '12:00' }).epochMilliseconds);
        }
        if (parsed === undefined) {
          expect([text, expected]).toEqual([text, []]);
          return;
        }
        const from = ms(`${year}-01-01T00:00:00Z`);
        const to = from + 1461 * DAY_MS - 1;
        expect([text, instantsBetween(parsed, from, to, 1e6)]).toEqual([text, expected]);
        expect([text, backwards(parsed, from, to)]).toEqual([text, expected]);
        expect(countBetween(parsed, from, to, 1e6).count).toBe(expected.length);
      }),
      { numRuns: 200 },
    );
  }, 30_000);

  const calendars: fc.Arbitrary<Calendar[]> = fc
    .record({
      weekdays: fc.uniqueArray(fc.integer({ min: 0, max: 7 }), { maxLength: 3 }),
      dates: fc.uniqueArray(fc.constantFrom('03-09', '11-02', '2025-03-10', '2025-11-03', '12-25'), { maxLength: 3 }),
      ranges: fc.uniqueArray(
        fc.constantFrom(
          { from: '2025-03-08', to: '2025-03-09' },
          { from: '2025-11-02T00:30', to: '2025-11-02T01:30' },
          { from: '12-30', to: '01-02' },
          { from: '2025-03-09T05:00:00Z', to: '2025-03-09T12:00:00Z' },
        ),
        { maxLength: 2 },
      ),
    })
    .map((calendar) => [calendar]);

  test('calendars, starts_at and expires_at take instants away and change none', () => {
    const from = fc.constantFrom(ms('2025-03-07T00:00:00Z'), ms('2025-10-31T00:00:00Z'), ms('2025-12-28T00:00:00Z'));
    const texts = fc.constantFrom('30 * * * *', '15 1,2 * * *', '@every 7h', '@daily', '*/20 * * * *');
    fc.assert(
      fc.property(
        texts,
        from,
        calendars,
        fc.integer({ min: 0, max: 6 * DAY_MS }),
        fc.integer({ min: 0, max: 6 * DAY_MS }),
        (text, start, excluded, startsIn, expiresIn) => {
          const zone = 'America/New_York';
          const bare = specOf(text, zone, { anchorAt: start });
          const spec = {
            ...bare,
            calendars: excluded,
            ...(text.startsWith('@every') ? {} : { startsAt: start + startsIn }),
            expiresAt: start + expiresIn,
          };
          const to = start + 6 * DAY_MS;
          const expected = instantsBetween(bare, start, to, 1e6).filter(
            (at) =>
              at >= (spec.startsAt ?? 0) && at <= spec.expiresAt && !isExcluded(excluded[0] as Calendar, at, zone),
          );
          expect(instantsBetween(spec, start, to, 1e6)).toEqual(expected);
          expect(backwards(spec, start, to)).toEqual(expected);
          expect(countBetween(spec, start, to)).toEqual({ count: expected.length, exact: true });
        },
      ),
      { numRuns: 150 },
    );
  });

  test('next is strictly later, strictly increasing, and skips nothing, whatever the instant', () => {
    fc.assert(
      fc.property(
        patterns,
        fc.constantFrom(...ZONES),
        fc.integer({ min: 0, max: ms('2190-01-01T00:00:00Z') }),
        fc.integer({ min: 1, max: 3 * DAY_MS }),
        (pattern, zone, after, back) => {
          const spec = specOf(pattern.text, zone);
          const next = nextAfter(spec, after);
          expect(next).toBeGreaterThan(after);
          // Asking from an earlier instant can only give the same or an earlier answer, and between the two there is none.
          const earlier = nextAfter(spec, after - back) as number;
          expect(earlier).toBeLessThanOrEqual(next as number);
          if (earlier > after) expect(earlier).toBe(next);
          expect(previousAtOrBefore(spec, (next as number) - 1, after)).toBeUndefined();
          expect(previousAtOrBefore(spec, next as number, after)).toBe(next);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('jitter is stable, never early, within its limit, and before the next instant', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('* * * * * *', '*/5 * * * *', '@every 10s', '@daily'),
        fc.integer({ min: 1, max: 600_000 }),
        fc.string(),
        fc.integer({ min: ms('2025-01-01'), max: ms('2027-01-01') }),
        (text, jitterMs, jitterSeed, after) => {
          const spec = specOf(text, 'UTC', { jitterMs, jitterSeed });
          const nominal = nextAfter(spec, after) as number;
          const due = dueAt(spec, nominal);
          expect(due).toBe(dueAt({ ...spec }, nominal));
          expect(due).toBeGreaterThanOrEqual(nominal);
          expect(due).toBeLessThanOrEqual(nominal + jitterMs);
          expect(due).toBeLessThan(nextAfter(spec, nominal) as number);
        },
      ),
    );
  });
});

interface DaySet {
  readonly text: string;
  readonly has: (date: Temporal.PlainDate) => boolean;
  readonly restricted: boolean;
}

function nearestWorkday(date: Temporal.PlainDate): Temporal.PlainDate {
  const candidates = [0, -1, 1, -2, 2].map((days) => date.add({ days }));
  return candidates.find((d) => d.month === date.month && d.dayOfWeek <= 5) as Temporal.PlainDate;
}

function trySpec(text: string): ScheduleSpec | undefined {
  try {
    return specOf(text);
  } catch {
    return undefined;
  }
}

function isExcluded(calendar: Calendar, at: number, zone: string): boolean {
  const zoned = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone);
  const date = zoned.toPlainDate().toString();
  if (calendar.weekdays.some((weekday) => Number(weekday) % 7 === zoned.dayOfWeek % 7)) return true;
  if (calendar.dates.some((day) => date.endsWith(day))) return true;
  return calendar.ranges.some(({ from, to }) => {
    if (from.endsWith('Z')) return at >= ms(from) && at < ms(to);
    if (from.length === 5) return date.slice(5) >= from || date.slice(5) <= to; // the one yearly range above wraps
    if (from.length === 10) return date >= from && date <= to;
    const bound = (text: string): number =>
      Temporal.PlainDateTime.from(text).toZonedDateTime(zone, { disambiguation: 'earlier' }).epochMilliseconds;
    return at >= bound(from) && at < bound(to);
  });
}
