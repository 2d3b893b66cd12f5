import { describe, expect, test } from 'vitest';
import { Calendar, DstPolicy, DurationText, Misfire } from './schedule.ts';

describe('schedule settings', () => {
  test('misfire keeps what is given and adds nothing', () => {
    expect(Misfire.parse({ policy: 'last' })).toEqual({ policy: 'last' });
    expect(Misfire.safeParse({ grace: 'soon' }).success).toBe(false);
    expect(Misfire.safeParse({ policy: 'some' }).success).toBe(false);
    expect(Misfire.safeParse({ gracee: '1s' }).success).toBe(false);
  });

  test('durations are not negative', () => {
    expect([
      DurationText.safeParse('1d').success,
      DurationText.safeParse('-1s').success,
      DurationText.safeParse('').success,
    ]).toEqual([true, false, false]);
  });

  test('policies may be partial', () => {
    expect(DstPolicy.parse({ gap: 'skip' })).toEqual({ gap: 'skip' });
    expect(DstPolicy.safeParse({ gap: 'first' }).success).toBe(false);
  });

  test('calendars', () => {
    expect(Calendar.parse({})).toEqual({ dates: [], weekdays: [], ranges: [] });
    const good = {
      dates: ['2026-12-25', '02-29'],
      weekdays: [0, 7, 'Sat', '3'],
      ranges: [
        { from: '12-24', to: '01-02' },
        { from: '2026-01-01', to: '2026-01-02T12:00' },
        { from: '2026-01-01T00:00:00Z', to: '2026-01-02T00:00:00+02:00' },
      ],
    };
    expect(Calendar.safeParse(good).error).toBeUndefined();
    for (const bad of [
      { dates: ['2025-02-29'] },
      { dates: ['13-01'] },
      { dates: ['2025-1-1'] },
      { weekdays: [8] },
      { weekdays: ['monday'] },
      { ranges: [{ from: '12-24', to: '2026-01-02' }] },
      { ranges: [{ from: '2027-02-10', to: '2027-02-01' }] },
      { ranges: [{ from: '2027-02-10T10:00', to: '2027-02-09' }] },
      { ranges: [{ from: '2027-02-10T10:00:00Z', to: '2027-02-10T10:00:00+01:00' }] },
      { ranges: [{ from: '2026-01-01T25:00', to: '2026-01-02' }] },
      { dates: Array.from({ length: 1001 }, () => '12-25') },
    ]) {
      expect([bad, Calendar.safeParse(bad).success]).toEqual([bad, false]);
    }
  });
});
