import { describe, expect, test } from 'vitest';
import { canonicalInstant, canonicalNullableTime, instantMs, instantText, instantTextUs, zonedTextUs } from './time.ts';

describe('instants as text', () => {
  test.each([
    ['2025-12-20T10:10:00+01:00', '2025-12-20T09:10:00Z'],
    ['2025-12-20T10:10:00.120Z', '2025-12-20T10:10:00.12Z'],
    ['2025-12-20T10:10:00.123456789Z', '2025-12-20T10:10:00.123456789Z'],
    ['2025-12-20T10:10:00.1234567891Z', '2025-12-20T10:10:00.123456789Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00Z'],
    ['2024-02-29t23:59:59z', '2024-02-29T23:59:59Z'],
  ])('%s is %s', (text, canonical) => expect(canonicalInstant(text)).toBe(canonical));

  test.each([
    '2025-02-29T00:00:00Z',
    '2025-13-01T00:00:00Z',
    '2025-12-20T24:00:00Z',
    '2025-12-20T23:59:60Z',
    '2025-12-20 10:10:00Z',
    '2025-12-20',
    '2025-12-20T10:10:00',
    '2025-12-20T10:10Z',
    '2025-12-20T10:10:00+1:00',
    '2025-12-20T10:10:00+24:00',
    '+002025-12-20T10:10:00Z',
    'now',
    '',
    '0000-01-01T00:00:00+23:59',
    '2025-12-20T10:10:00Z[UTC]',
  ])('%s is no instant', (text) => expect(canonicalInstant(text)).toBeUndefined());

  test('what an HTML field gives is UTC', () => {
    expect(canonicalNullableTime('2026-11-22T17:30')).toBe('2026-11-22T17:30:00Z');
    expect(canonicalNullableTime('2026-11-22T25:30')).toBeUndefined();
    expect(canonicalInstant('2026-11-22T17:30')).toBeUndefined();
  });

  test('numbers to text', () => {
    expect(instantText(1_766_221_800_000)).toBe('2025-12-20T09:10:00Z');
    expect(instantText(1_766_221_800_500)).toBe('2025-12-20T09:10:00.5Z');
    expect(instantTextUs(1_766_221_800_123_456)).toBe('2025-12-20T09:10:00.123456Z');
    expect(zonedTextUs(1_766_221_800_123_456, 'Europe/Berlin')).toBe('2025-12-20T10:10:00.123456+01:00');
    expect(zonedTextUs(1_766_221_800_000_000, '')).toBe('2025-12-20T09:10:00Z');
    expect(instantMs('2025-12-20T09:10:00.123456Z')).toBe(1_766_221_800_123);
  });
});
