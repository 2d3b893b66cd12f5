// SEMANTICS §4 "Clock changes", zone by zone: what really happens when clocks skip or repeat a time.
import { describe, expect, test } from 'vitest';
import { instantsBetween } from '../../src/core/schedule/index.ts';
import type { DstPolicy } from '../../src/model/schedule.ts';
import { local, ms, specOf } from './kit.ts';

interface Row {
  readonly zone: string;
  readonly text: string;
  readonly from: string;
  readonly dst?: DstPolicy;
  readonly expected: readonly string[];
}

const NEW_YORK_GAP = { zone: 'America/New_York', text: '30 2 * * *', from: '2025-03-08T12:00:00Z' };
const NEW_YORK_OVERLAP = { zone: 'America/New_York', text: '30 1 * * *', from: '2025-11-01T12:00:00Z' };

const rows: readonly Row[] = [
  { ...NEW_YORK_GAP, expected: ['2025-03-09T03:00-04:00', '2025-03-10T02:30-04:00'] },
  { ...NEW_YORK_GAP, dst: { gap: 'skip' }, expected: ['2025-03-10T02:30-04:00'] },
  { ...NEW_YORK_GAP, dst: { gap: 'shift' }, expected: ['2025-03-09T03:30-04:00', '2025-03-10T02:30-04:00'] },
  { ...NEW_YORK_OVERLAP, expected: ['2025-11-02T01:30-04:00', '2025-11-03T01:30-05:00'] },
  { ...NEW_YORK_OVERLAP, dst: { overlap: 'second' }, expected: ['2025-11-02T01:30-05:00', '2025-11-03T01:30-05:00'] },
  {
    ...NEW_YORK_OVERLAP,
    dst: { overlap: 'both' },
    expected: ['2025-11-02T01:30-04:00', '2025-11-02T01:30-05:00', '2025-11-03T01:30-05:00'],
  },
  // Rhythms follow elapsed time.
  {
    zone: 'America/New_York',
    text: '*/30 * * * *',
    from: '2025-03-09T06:00:00Z',
    expected: ['2025-03-09T01:30-05:00', '2025-03-09T03:00-04:00', '2025-03-09T03:30-04:00'],
  },
  {
    zone: 'America/New_York',
    text: '*/30 * * * *',
    from: '2025-11-02T05:00:00Z',
    expected: ['2025-11-02T01:30-04:00', '2025-11-02T01:00-05:00', '2025-11-02T01:30-05:00', '2025-11-02T02:00-05:00'],
  },
  {
    zone: 'America/New_York',
    text: '@hourly',
    from: '2025-11-02T04:30:00Z',
    expected: ['2025-11-02T01:00-04:00', '2025-11-02T01:00-05:00', '2025-11-02T02:00-05:00'],
  },
  {
    zone: 'America/New_York',
    text: '? 2 * * *',
    from: '2025-03-08T12:00:00Z',
    expected: ['2025-03-10T02:00-04:00', '2025-03-10T02:01-04:00'],
  },
  // Several wall times in one gap, and one just after it, are one occurrence.
  {
    zone: 'America/New_York',
    text: '0,30 0-3 * * *',
    from: '2025-03-09T06:00:00Z',
    expected: ['2025-03-09T01:30-05:00', '2025-03-09T03:00-04:00', '2025-03-09T03:30-04:00', '2025-03-10T00:00-04:00'],
  },
  {
    zone: 'America/New_York',
    text: '*/20 30 2 * * *',
    from: '2025-03-09T06:00:00Z',
    expected: ['2025-03-09T03:00-04:00', '2025-03-10T02:30-04:00', '2025-03-10T02:30:20-04:00'],
  },
  // A shifted time may land between or on other ones.
  {
    zone: 'America/New_York',
    text: '45,15 2,3 * * *',
    from: '2025-03-09T06:00:00Z',
    dst: { gap: 'shift' },
    expected: ['2025-03-09T03:15-04:00', '2025-03-09T03:45-04:00', '2025-03-10T02:15-04:00'],
  },
  {
    zone: 'America/New_York',
    text: '15,30 2 * * *',
    from: '2025-03-09T06:00:00Z',
    dst: { gap: 'shift' },
    expected: ['2025-03-09T03:15-04:00', '2025-03-09T03:30-04:00', '2025-03-10T02:15-04:00'],
  },
  {
    zone: 'Europe/London',
    text: '30 1 * * *',
    from: '2025-03-29T12:00:00Z',
    expected: ['2025-03-30T02:00+01:00', '2025-03-31T01:30+01:00'],
  },
  {
    zone: 'Europe/London',
    text: '30 1 * * *',
    from: '2025-10-25T12:00:00Z',
    expected: ['2025-10-26T01:30+01:00', '2025-10-27T01:30+00:00'],
  },
  // Half an hour.
  {
    zone: 'Australia/Lord_Howe',
    text: '15 2 * * *',
    from: '2025-10-04T00:00:00Z',
    expected: ['2025-10-05T02:30+11:00', '2025-10-06T02:15+11:00'],
  },
  {
    zone: 'Australia/Lord_Howe',
    text: '15 2 * * *',
    from: '2025-10-04T00:00:00Z',
    dst: { gap: 'shift' },
    expected: ['2025-10-05T02:45+11:00'],
  },
  {
    zone: 'Australia/Lord_Howe',
    text: '45 1 * * *',
    from: '2025-04-05T00:00:00Z',
    expected: ['2025-04-06T01:45+11:00', '2025-04-07T01:45+10:30'],
  },
  {
    zone: 'Australia/Lord_Howe',
    text: '45 1 * * *',
    from: '2025-04-05T00:00:00Z',
    dst: { overlap: 'second' },
    expected: ['2025-04-06T01:45+10:30'],
  },
  // 30 December 2011 never was.
  {
    zone: 'Pacific/Apia',
    text: '0 12 * * *',
    from: '2011-12-29T00:00:00Z',
    expected: ['2011-12-29T12:00-10:00', '2011-12-31T00:00+14:00', '2011-12-31T12:00+14:00'],
  },
  {
    zone: 'Pacific/Apia',
    text: '0 12 * * *',
    from: '2011-12-29T00:00:00Z',
    dst: { gap: 'skip' },
    expected: ['2011-12-29T12:00-10:00', '2011-12-31T12:00+14:00'],
  },
  {
    zone: 'Pacific/Apia',
    text: '0 12 30 * *',
    from: '2011-12-01T00:00:00Z',
    expected: ['2011-12-31T00:00+14:00', '2012-01-30T12:00+14:00'],
  },
  // Midnight skipped and repeated.
  {
    zone: 'America/Sao_Paulo',
    text: '@daily',
    from: '2018-11-03T12:00:00Z',
    expected: ['2018-11-04T01:00-02:00', '2018-11-05T00:00-02:00'],
  },
  {
    zone: 'America/Sao_Paulo',
    text: '@daily',
    from: '2018-11-03T12:00:00Z',
    dst: { gap: 'skip' },
    expected: ['2018-11-05T00:00-02:00'],
  },
  {
    zone: 'America/Sao_Paulo',
    text: '30 23 * * *',
    from: '2018-02-17T12:00:00Z',
    expected: ['2018-02-17T23:30-02:00', '2018-02-18T23:30-03:00'],
  },
  {
    zone: 'America/Sao_Paulo',
    text: '@daily',
    from: '2018-02-17T12:00:00Z',
    expected: ['2018-02-18T00:00-03:00', '2018-02-19T00:00-03:00'],
  },
  // Two hours.
  {
    zone: 'Antarctica/Troll',
    text: '30 1 * * *',
    from: '2025-03-29T12:00:00Z',
    expected: ['2025-03-30T03:00+02:00', '2025-03-31T01:30+02:00'],
  },
  {
    zone: 'Antarctica/Troll',
    text: '30 1 * * *',
    from: '2025-03-29T12:00:00Z',
    dst: { gap: 'shift' },
    expected: ['2025-03-30T03:30+02:00'],
  },
  {
    zone: 'Antarctica/Troll',
    text: '30 2 * * *',
    from: '2025-10-25T12:00:00Z',
    dst: { overlap: 'both' },
    expected: ['2025-10-26T02:30+02:00', '2025-10-26T02:30+00:00', '2025-10-27T02:30+00:00'],
  },
  // Clocks go back for Ramadan and forward after it.
  {
    zone: 'Africa/Casablanca',
    text: '30 2 * * *',
    from: '2025-02-22T12:00:00Z',
    expected: ['2025-02-23T02:30+01:00', '2025-02-24T02:30+00:00'],
  },
  {
    zone: 'Africa/Casablanca',
    text: '30 2 * * *',
    from: '2025-04-05T12:00:00Z',
    expected: ['2025-04-06T03:00+01:00', '2025-04-07T02:30+01:00'],
  },
  // Winter time is the exception in law; in offsets nothing differs from London.
  { zone: 'Europe/Dublin', text: '30 1 * * *', from: '2025-03-29T12:00:00Z', expected: ['2025-03-30T02:00+01:00'] },
  {
    zone: 'Europe/Dublin',
    text: '30 1 * * *',
    from: '2025-10-25T12:00:00Z',
    dst: { overlap: 'second' },
    expected: ['2025-10-26T01:30+00:00'],
  },
  {
    zone: 'Asia/Kathmandu',
    text: '0 6 * * *',
    from: '2025-03-29T12:00:00Z',
    expected: ['2025-03-30T06:00+05:45', '2025-03-31T06:00+05:45'],
  },
];

describe('clock changes', () => {
  test.each(rows)('$zone $text $dst', ({ zone, text, from, dst, expected }) => {
    const found = instantsBetween(specOf(text, zone, { dst }), ms(from), Number.POSITIVE_INFINITY, expected.length);
    expect(found.map((at) => local(at, zone))).toEqual(expected);
  });

  test('names, H and descriptors of a day or longer count as wall times; minute and hour stars as rhythms', () => {
    const elapsed = (text: string): boolean => {
      const { schedule } = specOf(text);
      if (schedule.kind !== 'cron') throw new Error(`${text} is no cron expression`);
      return schedule.elapsed;
    };
    for (const text of [
      '@daily',
      '@weekly',
      '@monthly',
      '@yearly',
      'H H * * *',
      '~ ~ * * *',
      '* 5 2 * * *',
      '0,30 1-3 * * *',
      '5/10 2 * * *',
      'H/15 0-23 * * *',
    ])
      expect([text, elapsed(text)]).toEqual([text, false]);
    for (const text of [
      '@hourly',
      '@minutely',
      '* 2 * * *',
      '? 2 * * *',
      '5 * * * *',
      '*/5 2 * * *',
      '0 */2 * * *',
      'H * * * *',
      '0 30 *,2 * * *',
    ])
      expect([text, elapsed(text)]).toEqual([text, true]);
  });
});
