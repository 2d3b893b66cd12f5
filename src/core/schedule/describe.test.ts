import { describe as suite, expect, test } from 'vitest';
import { describe, parseSchedule, type Describable } from './index.ts';

const FROM = Date.parse('2026-02-01T00:00:00Z');

function words(text: string, extra: Partial<Describable> = {}): string {
  const parsed = parseSchedule(text, { name: 'x' });
  if (!parsed.ok) throw new Error(parsed.error.message);
  return describe({ schedule: parsed.schedule, ...extra }, FROM);
}

suite('words', () => {
  test.each([
    ['30 2 * * *', 'At 02:30 every day'],
    ['@hourly', 'Every hour'],
    ['@minutely', 'Every minute'],
    ['@weekly', 'At 00:00 on Sunday'],
    ['@monthly', 'At 00:00 on the 1st of every month'],
    ['@yearly', 'At 00:00 on the 1st of January'],
    ['* * * * * *', 'Every second'],
    ['*/10 * * * * *', 'Every 10 seconds'],
    ['5 * * * * *', 'At second 5 of every minute'],
    ['* 30 2 * * *', 'Every second of minute 30 from 02:00 to 02:59'],
    ['*/5 * * * *', 'Every 5 minutes'],
    ['3/5 * * * *', 'Every 5 minutes from minute 3'],
    ['5 * * * *', 'Every hour at minute 5'],
    ['*/7 * * * *', 'At minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56'],
    ['*/5 9-17 * * mon-fri', 'Every 5 minutes from 09:00 to 17:59 on Monday to Friday'],
    ['0 9-17 * * *', 'Every hour from 09:00 to 17:00'],
    ['15 */2 * * *', 'Every 2 hours from 00:15 to 22:15'],
    ['*/15 */6 * * *', 'Every 15 minutes of every 6th hour from 00:00 to 18:59'],
    ['15,45 8,12 * * sat,sun', 'At 08:15, 08:45, 12:15 and 12:45 on Saturday and Sunday'],
    ['0 9 * * 1,3,5', 'At 09:00 on Monday, Wednesday and Friday'],
    ['0 0 1,15 * *', 'At 00:00 on the 1st and 15th of every month'],
    ['0 0 */2 * *', 'At 00:00 on every 2nd day from the 1st of every month'],
    ['0 12 25 12 *', 'At 12:00 on the 25th of December'],
    ['0 0 * 6-8 *', 'At 00:00 every day in June to August'],
    ['0 0 L * *', 'At 00:00 on the last day of every month'],
    ['0 0 L-1,L-3 * *', 'At 00:00 on the day before the last and the 3rd day before the last of every month'],
    ['0 0 LW * *', 'At 00:00 on the last weekday (Monday to Friday) of every month'],
    ['0 0 15W * *', 'At 00:00 on the weekday (Monday to Friday) nearest the 15th of every month'],
    ['0 0 * * 5#2', 'At 00:00 on the 2nd Friday of the month'],
    ['0 0 * * friL', 'At 00:00 on the last Friday of the month'],
    ['0 0 13 * 5', 'At 00:00 on the 13th of every month or on Friday (either is enough)'],
    ['0 0 13 * +5', 'At 00:00 on the 13th of every month, only if it is Friday'],
    ['0 0 0 1 1 * 2027-2029', 'At 00:00 on the 1st of January in 2027 to 2029'],
    ['@every 1h', 'Every hour'],
    ['@every 90m', 'Every 1 hour 30 minutes'],
    ['@at 2026-05-01T00:00:00+02:00', 'Once, at 2026-04-30T22:00:00Z'],
    ['@after 2026-05-01T00:00:00Z <PT2H', 'Once, at 2026-05-01T00:00:00Z or up to 2 hours later'],
    ['@manually', 'Never by itself, only when triggered'],
    ['~/15 * * * *', "Every 15 minutes from minute 2 (chosen by the job's name)"],
  ])('%s: %s', (text, expected) => {
    expect(words(text)).toBe(expected);
  });

  test('zone and clock changes, where they touch the schedule', () => {
    const zone = 'America/New_York';
    expect(words('30 2 * * *', { zone })).toBe(
      'At 02:30 every day, America/New_York time; when clocks skip its time, it runs right after the gap',
    );
    expect(words('30 2 * * *', { zone, dst: { gap: 'skip' } })).toContain('when clocks skip its time, it does not run');
    expect(words('30 1 * * *', { zone, dst: { overlap: 'both' } })).toBe(
      'At 01:30 every day, America/New_York time; when clocks repeat its time, it runs both times',
    );
    expect(words('0 0-3 * * *', { zone })).toBe(
      'At 00:00, 01:00, 02:00 and 03:00 every day, America/New_York time; when clocks skip its time, it runs right after the gap; when they repeat it, it runs the first time only',
    );
    expect(words('30 12 * * *', { zone })).toBe('At 12:30 every day, America/New_York time');
    expect(words('*/5 * * * *', { zone })).toBe('Every 5 minutes, America/New_York time');
    expect(words('30 2 * * *', { zone: 'Asia/Kathmandu' })).toBe('At 02:30 every day, Asia/Kathmandu time');
  });

  test('jitter, limits and calendars', () => {
    const calendars = [{ name: 'holidays', dates: ['12-25'], weekdays: [], ranges: [] }];
    expect(words('@daily', { jitterMs: 300_000, startsAt: FROM, expiresAt: FROM + 1000, calendars })).toBe(
      'At 00:00 every day; up to 5 minutes later; from 2026-02-01T00:00:00Z; until 2026-02-01T00:00:01Z; except as in "holidays"',
    );
  });
});
