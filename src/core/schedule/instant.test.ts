import { describe, expect, test } from 'vitest';
import { formatLocal, formatUtc, parseInstant } from './instant.ts';

describe('instants', () => {
  test.each([
    '2026-11-22T17:00:00Z',
    '2026-11-22T17:00:00.123Z',
    '2026-11-22T17:00:00+05:30',
    '2024-02-29T23:59:59-08:00',
    '1969-12-31T23:59:59Z',
    '2199-12-31T00:00:00Z',
  ])('%s', (text) => {
    expect(parseInstant(text)).toBe(Date.parse(text));
    expect(parseInstant(formatUtc(Date.parse(text)))).toBe(Date.parse(text));
  });

  test('fractions beyond a millisecond are cut', () => {
    expect(parseInstant('2026-11-22T17:00:00.999999999999Z')).toBe(Date.parse('2026-11-22T17:00:00.999Z'));
  });

  test.each([
    '2026-11-22',
    '2026-11-22T17:00Z',
    '2026-11-22T17:00:00',
    '2026-11-22t17:00:00z',
    '2026-11-22 17:00:00Z',
    '2026-11-31T17:00:00Z',
    '2025-02-29T00:00:00Z',
    '2026-11-22T24:00:00Z',
    '2026-11-22T17:00:60Z',
    '2026-11-22T17:00:00+24:00',
    ' 2026-11-22T17:00:00Z',
    '',
  ])('%s is none', (text) => {
    expect(parseInstant(text)).toBeUndefined();
  });

  test('written', () => {
    const at = Date.parse('2026-11-22T17:00:00Z');
    expect([formatUtc(at), formatUtc(at + 5), formatLocal(at, -18_000), formatLocal(at, 20_700)]).toEqual([
      '2026-11-22T17:00:00Z',
      '2026-11-22T17:00:00.005Z',
      '2026-11-22T12:00:00-05:00',
      '2026-11-22T22:45:00+05:45',
    ]);
  });
});
