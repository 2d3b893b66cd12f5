// Other people's schedulers as oracles, where their rules are ours: croner and cron-parser for the grammar (in zones whose clocks
// never change, since no two libraries agree on clock changes), and what Dkron (robfig/cron) was observed to do.
import { CronExpressionParser } from 'cron-parser';
import { Cron } from 'croner';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { instantsBetween } from '../../src/core/schedule/index.ts';
import { local, ms, specOf } from './kit.ts';

const COUNT = 5;

function ours(text: string, zone: string, from: number): string[] {
  return instantsBetween(specOf(text, zone), from, Number.POSITIVE_INFINITY, COUNT).map((at) =>
    new Date(at).toISOString(),
  );
}

function croner(text: string, zone: string, from: number): string[] {
  return new Cron(text, { timezone: zone, paused: true })
    .nextRuns(COUNT, new Date(from))
    .map((date) => date.toISOString());
}

function cronParser(text: string, zone: string, from: number): string[] {
  const expression = CronExpressionParser.parse(text, { tz: zone, currentDate: new Date(from) });
  return Array.from({ length: COUNT }, () => expression.next().toDate().toISOString());
}

function fieldText(min: number, max: number): fc.Arbitrary<string> {
  const value = fc.integer({ min, max });
  const range = fc.tuple(value, value).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`);
  const step = fc.integer({ min: 2, max: Math.max(2, Math.floor(max / 2)) });
  return fc.oneof(
    { weight: 3, arbitrary: fc.constant('*') },
    { weight: 2, arbitrary: value.map(String) },
    fc.uniqueArray(value, { minLength: 2, maxLength: 4 }).map((values) => values.sort((a, b) => a - b).join(',')),
    range,
    step.map((n) => `*/${n}`),
  );
}

const texts = fc
  .tuple(
    fieldText(0, 59),
    fieldText(0, 59),
    fieldText(0, 23),
    fc.oneof(fieldText(1, 28), fc.constant('L')),
    fieldText(1, 12),
    fc.oneof(fieldText(0, 6), fc.constantFrom('mon-fri', 'SUN', '5L', '1#2', '7')),
  )
  .map((fields) => fields.join(' '));

const instants = fc.integer({ min: ms('2000-01-01T00:00:00Z'), max: ms('2080-01-01T00:00:00Z') });
const steadyZones = fc.constantFrom('UTC', 'Asia/Kathmandu', 'Asia/Kolkata');

describe('oracles', () => {
  test('croner gives the same times', () => {
    fc.assert(
      fc.property(texts, steadyZones, instants, (text, zone, from) => {
        expect([text, ours(text, zone, from)]).toEqual([text, croner(text, zone, from)]);
      }),
      { numRuns: 300 },
    );
  }, 30_000);

  test('cron-parser gives the same times', () => {
    fc.assert(
      fc.property(texts, steadyZones, instants, (text, zone, from) => {
        // It counts "7" beside other restrictions and mixes 5L with OR differently; both are croner's part above.
        fc.pre(!/[L#7]/.test(text.split(' ')[5] ?? '') && !text.includes('L'));
        expect([text, ours(text, zone, from)]).toEqual([text, cronParser(text, zone, from)]);
      }),
      { numRuns: 200 },
    );
  }, 30_000);

  test.each([
    '0 0 0 LW * *',
    '0 0 0 15W * *',
    '0 0 0 1W * *',
    '0 0 0 31W * *',
    '0 0 0 L * *',
    '0 0 0 * * 5#5',
    '0 0 0 * * FRI#L',
    '0 0 0 * * 5-7',
    '0 0 0 13 * +5',
    '0 0 0 13 * 5',
    '0 0 0 29 2 *',
    '0 0 0 */2 * 1',
    '0 30 12 ? * 1',
  ])('croner agrees on %s', (text) => {
    for (let month = 0; month < 60; month++) {
      const from = Date.UTC(2024, month, 1 + (month % 7));
      expect(ours(text, 'UTC', from)).toEqual(croner(text, 'UTC', from));
    }
  });

  // reference/dkron.md §4.5: observed in America/New_York 2025, which is the policy skip/both.
  test.each([
    ['0 30 2 * * *', '2025-03-08T12:00:00Z', ['2025-03-10T02:30-04:00']],
    ['0 30 1 * * *', '2025-11-02T04:00:00Z', ['2025-11-02T01:30-04:00', '2025-11-02T01:30-05:00']],
    [
      '0 0 * * * *',
      '2025-11-02T04:30:00Z',
      ['2025-11-02T01:00-04:00', '2025-11-02T01:00-05:00', '2025-11-02T02:00-05:00'],
    ],
    ['0 0 * * * *', '2025-03-09T06:30:00Z', ['2025-03-09T03:00-04:00']],
  ])('Dkron agrees under skip/both on %s', (text, from, expected) => {
    const zone = 'America/New_York';
    const spec = specOf(text, zone, { dst: { gap: 'skip', overlap: 'both' } });
    const found = instantsBetween(spec, ms(from), Number.POSITIVE_INFINITY, expected.length);
    expect(found.map((at) => local(at, zone))).toEqual(expected);
  });

  // reference/dkron.md §4.2.
  test.each([
    ['0 42/15 * * * *', ['00:42', '00:57', '01:42']],
    ['0 5/100 * * * *', ['00:05', '01:05', '02:05']],
    ['0 10,,20 * * * *', ['00:10', '00:20', '01:10']],
    ['0 0 ? * * ?', ['01:00', '02:00', '03:00']],
    ['  0 \t0   12 * *  * ', ['12:00', '12:00', '12:00']],
    ['@minutely', ['00:01', '00:02', '00:03']],
  ])('Dkron agrees on the grammar of %s', (text, expected) => {
    expect(
      instantsBetween(specOf(text), ms('2025-01-01T00:00:00Z'), Number.POSITIVE_INFINITY, 3).map((at) =>
        new Date(at).toISOString().slice(11, 16),
      ),
    ).toEqual(expected);
  });
});
