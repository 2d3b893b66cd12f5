import { describe, expect, test } from 'vitest';
import { neverFires, parseSchedule, warnings, type ScheduleSpec } from './index.ts';

const FROM = Date.parse('2026-02-01T00:00:00Z');

function warned(text: string, extra: Partial<ScheduleSpec> = {}): Record<string, string> {
  const parsed = parseSchedule(text, { name: 'x', allowImpossible: true });
  if (!parsed.ok) throw new Error(parsed.error.message);
  const found = warnings(
    { schedule: parsed.schedule, zone: parsed.zone ?? 'America/New_York', anchorAt: FROM, ...extra },
    FROM,
    parsed.notes,
  );
  return Object.fromEntries(found.map(({ code, message }) => [code, message]));
}

describe('warnings', () => {
  test.each([
    ['30 12 * * *', {}, []],
    ['*/5 * * * *', {}, []],
    ['5 * * * *', {}, []],
    ['*/5 * * * *', { dst: { overlap: 'first' } }, ['gap', 'double']],
    ['@manually', {}, []],
    ['* * * * * *', {}, ['every_second']],
    ['* 30 12 * * *', {}, ['every_second']],
    ['0 12 13 * 5', {}, ['day_or']],
    ['0 12 13 * +5', {}, []],
    ['0 12 31 * *', {}, ['short_months']],
    ['0 12 30 * *', {}, ['short_months']],
    ['0 12 29 2 *', {}, ['short_months']],
    ['0 12 31 1 *', {}, []],
    ['0 12 28,31 * *', {}, []],
    ['30 2 * * *', {}, ['gap']],
    ['TZ=UTC 30 2 * * *', {}, []],
    ['30 2 * 6 *', {}, []],
    ['30 1 * * *', {}, ['double']],
    ['* 1 * * *', {}, ['double']],
    ['0 */2 * * *', {}, ['gap']],
    ['0 0-23 * * *', {}, ['gap', 'double']],
    ['30 2 * * *', { expiresAt: FROM + 86_400_000 }, []],
    ['*/7 * * * *', {}, ['uneven_step']],
    ['@every 1500ms', {}, ['rounded', 'every_second']],
    ['@every 500ms', {}, ['rounded', 'every_second']],
    ['@every 1s', {}, ['every_second']],
    ['@every 2s', {}, []],
    ['5-1 * * * *', {}, ['wrapped_range']],
    ['0 12 28-2 * *', {}, ['wrapped_range']],
    ['0 12 * nov-feb fri-mon', {}, []],
    ['*/90 * * * *', {}, ['large_step']],
    ['*/5 * * * *', { jitterMs: 300_000 }, ['jitter_cut']],
    ['*/5 * * * *', { jitterMs: 299_999 }, []],
    ['@at 2020-01-01T00:00:00Z', {}, ['never_fires']],
    ['0 0 30 2 *', {}, ['never_fires']],
    ['@daily', { expiresAt: FROM - 1 }, ['never_fires']],
  ] as [string, Partial<ScheduleSpec>, string[]][])('%s %j: %j', (text, extra, codes) => {
    expect(Object.keys(warned(text, extra))).toEqual(codes);
  });

  test('say what happens and when', () => {
    expect(warned('30 2 * * *')['gap']).toBe(
      'On 2026-03-08 clocks in America/New_York go from 02:00 to 03:00: 02:30 does not exist, and it runs at 03:00.',
    );
    expect(warned('30 2 * * *', { dst: { gap: 'shift' } })['gap']).toContain('it runs at 03:30');
    expect(warned('30 2 * * *', { dst: { gap: 'skip' } })['gap']).toContain('it does not run');
    expect(warned('30 1 * * *')['double']).toBe(
      'On 2026-11-01 clocks in America/New_York go back from 02:00 to 01:00: 01:30 comes twice, and it runs the first time only.',
    );
    expect(warned('TZ=Australia/Lord_Howe 15 2 * * *')['gap']).toContain('it runs at 02:30');
  });

  test('a day that clocks leave out, and changes over midnight', () => {
    const from = Temporal.Instant.from('2011-12-01T00:00:00Z').epochMilliseconds;
    const gap = (policy: 'after' | 'skip' | 'shift'): string | undefined => {
      const parsed = parseSchedule('0 12 * * *', { name: 'x' });
      if (!parsed.ok) throw new Error(parsed.error.message);
      const spec: ScheduleSpec = {
        schedule: parsed.schedule,
        zone: 'Pacific/Apia',
        anchorAt: from,
        dst: { gap: policy },
      };
      return warnings(spec, from).find(({ code }) => code === 'gap')?.message;
    };
    const noSuchDay =
      'Pacific/Apia has no 2011-12-30: its clocks go from the end of the day before to 2011-12-31 00:00, so 12:00 that day does not exist, and ';
    expect(gap('after')).toBe(`${noSuchDay}it runs at 2011-12-31 00:00.`);
    expect(gap('shift')).toBe(`${noSuchDay}it runs at 2011-12-31 12:00.`);
    expect(gap('skip')).toBe(`${noSuchDay}it does not run.`);
    const nuuk = warned('TZ=America/Nuuk 30 23 * * *');
    expect(nuuk['gap']).toBe(
      'On 2026-03-28 clocks in America/Nuuk go from 23:00 to 2026-03-29 00:00: 23:30 does not exist, and it runs at 2026-03-29 00:00.',
    );
    expect(nuuk['double']).toContain('go back from 2026-10-25 00:00 to 23:00: 23:30 comes twice');
  });

  test('say why nothing is left', () => {
    const never = (text: string, extra: Partial<ScheduleSpec>) => warned(text, extra)['never_fires'];
    expect(never('@daily', { startsAt: FROM + 2, expiresAt: FROM + 1 })).toContain('starts_at is after expires_at');
    expect(never('@daily', { expiresAt: FROM - 1 })).toContain('expires_at is over');
    expect(never('@daily', { expiresAt: FROM + 1000 })).toContain('expires_at comes before the next time');
    expect(never('@daily', { calendars: [{ dates: [], weekdays: [0, 1, 2, 3, 4, 5, 6], ranges: [] }] })).toContain(
      'calendars exclude every time',
    );
    expect(never('0 0 30 2 *', {})).toContain('no matching date');
    expect(never('@at 2026-01-31T23:59:59Z', {})).toContain('its time is over');
    expect(neverFires({ schedule: { kind: 'manual' }, zone: 'UTC', anchorAt: FROM, expiresAt: FROM }, FROM)).toBe(
      undefined,
    );
  });
});
