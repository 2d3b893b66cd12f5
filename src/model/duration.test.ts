import { describe, expect, test } from 'vitest';
import { formatDuration, parseDuration } from './duration.ts';

describe('durations', () => {
  test.each([
    ['0', 0],
    ['60s', 60_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['.5s', 500],
    ['1.s', 1000],
    ['250ms', 250],
    ['2d', 172_800_000],
    ['1w', 604_800_000],
    ['1d12h', 129_600_000],
    ['-2m', -120_000],
    ['+5s', 5000],
    ['1500us', 1.5],
    ['1000µs', 1],
    ['1000000ns', 1],
  ])('%s', (text, ms) => {
    expect(parseDuration(text)).toBeCloseTo(ms, 9);
  });

  test.each([
    '',
    '5',
    '5 m',
    's',
    '1h 30m',
    '5minutes',
    '1e3s',
    '-',
    '.s',
    '5M',
    '1s-1s',
    '1s'.repeat(60),
    '9'.repeat(90) + 'h',
  ])('%j is none', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  test('written and read back', () => {
    for (const [ms, text] of [
      [0, '0s'],
      [1, '1ms'],
      [5_400_000, '1h30m'],
      [90_061_001, '1d1h1m1s1ms'],
      [-60_000, '-1m'],
    ] as const) {
      expect(formatDuration(ms)).toBe(text);
      expect(parseDuration(text)).toBe(ms);
    }
  });
});
