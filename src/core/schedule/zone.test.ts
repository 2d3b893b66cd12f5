import { describe, expect, test } from 'vitest';
import { isKnownZone, resolveZone, suggestZone } from './index.ts';
import { Zone, zoneOf } from './zone.ts';

describe('zones', () => {
  test('offsets agree with Temporal for every zone there is', () => {
    for (const name of Intl.supportedValuesOf('timeZone')) {
      const zone = zoneOf(name);
      for (let i = 0; i < 30; i++) {
        const seconds = (i * 149_993_711 + name.length * 7_919_777) % 7_000_000_000;
        const expected =
          Temporal.Instant.fromEpochMilliseconds(seconds * 1000).toZonedDateTimeISO(name).offsetNanoseconds / 1e9;
        expect([name, seconds, zone.offsetOf(seconds)]).toEqual([name, seconds, Math.round(expected)]);
      }
    }
  });

  test('the table grows without a seam', () => {
    const [near, far] = [new Zone('America/New_York'), new Zone('America/New_York')];
    const before = near.starts.length;
    far.offsetOf(6_000_000_000);
    expect(far.starts.length).toBeGreaterThan(before);
    for (let i = 0; i >= 0; i = near.segmentAfter(i)) expect(near.starts[i]).toBe(far.starts[i]);
    expect(near.starts).toEqual(far.starts);
    expect(far.starts.every((start, i) => i === 0 || start > (far.starts[i - 1] as number))).toBe(true);
  });

  test('names', () => {
    expect(resolveZone('europe/MADRID')).toBe('Europe/Madrid');
    expect(isKnownZone('Asia/Calcutta')).toBe(true);
    for (const name of [
      '',
      'Local',
      '+02:00',
      'Europe/Nowhere',
      '../etc/passwd',
      'Z',
      'x'.repeat(1000),
      'constructor',
      '__proto__',
    ])
      expect([name, isKnownZone(name)]).toEqual([name, false]);
    expect(['Europe/Madird', 'madrid', 'New York', 'Amrica/Chicgo', 'Berln'].map(suggestZone)).toEqual([
      'Europe/Madrid',
      'Europe/Madrid',
      'America/New_York',
      'America/Chicago',
      'Europe/Berlin',
    ]);
    expect(suggestZone('qqqqqqqq')).toBeUndefined();
  });
});
