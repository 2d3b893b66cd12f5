import { describe, expect, test } from 'vitest';
import { parseSchedule, type ParseOptions, type ScheduleError } from './index.ts';

/** CPU time of this process: a busy machine does not change it. */
const cpuMs = (): number => process.cpuUsage().user / 1000;

const NOW = Date.parse('2026-02-01T00:00:00Z');

function errorOf(text: string, options: Partial<ParseOptions> = {}): ScheduleError {
  const parsed = parseSchedule(text, { name: 'job', nowMs: NOW, ...options });
  if (parsed.ok) throw new Error(`"${text}" was accepted`);
  return parsed.error;
}

function accepted(text: string, options: Partial<ParseOptions> = {}) {
  const parsed = parseSchedule(text, { name: 'job', nowMs: NOW, ...options });
  if (!parsed.ok) throw new Error(`"${text}": ${parsed.error.message}`);
  return parsed;
}

describe('refusals', () => {
  // text, code, position, part of the message, the whole text put right
  test.each<[string, ScheduleError['code'], number, string, string?]>([
    ['', 'empty', 0, 'missing'],
    ['   ', 'empty', 3, 'missing'],
    ['TZ=UTC', 'empty', 6, 'must follow the zone'],
    ['TZ= 0 0 * * *', 'zone', 3, 'must follow the "="'],
    ['TZ=Europe/Berln 0 0 * * *', 'zone', 3, 'not a known time zone', 'TZ=Europe/Berlin 0 0 * * *'],
    ['CRON_TZ=berlin @daily', 'zone', 8, 'not a known time zone', 'CRON_TZ=Europe/Berlin @daily'],
    ['TZ=+02:00 @daily', 'zone', 3, 'not an offset, which knows no clock changes'],
    ['* * *', 'field_count', 5, 'this has 3'],
    ['* * * * * * * *', 'field_count', 14, 'this has 8'],
    ['daily', 'descriptor', 0, 'begin with "@"', '@daily'],
    ['every 5 minutes', 'field_count', 0, '@every', '@every 5m'],
    ['@dayly', 'descriptor', 0, 'known are @yearly', '@daily'],
    ['@Daily', 'descriptor', 0, 'known are @yearly', '@daily'],
    ['  @dayly', 'descriptor', 2, 'known are @yearly', '  @daily'],
    ['@sometimes', 'descriptor', 0, 'known are @yearly'],
    ['@reboot', 'descriptor', 0, 'no meaning in a cluster', '@manually'],
    ['@daily 5', 'syntax', 7, 'nothing may follow @daily', '@daily'],
    ['@every', 'duration', 6, 'needs a duration'],
    ['@every 5 minutes', 'duration', 7, 'not a duration', '@every 5m'],
    ['@every 0s', 'duration', 7, 'zero or less', '@every 1s'],
    ['@every -5m', 'duration', 7, 'zero or less', '@every 1s'],
    ['@every 200000h0', 'duration', 7, 'not a duration', '@every 200000h0m'],
    ['@every 5000000h', 'duration', 7, '100 years'],
    ['@at', 'instant', 3, 'needs a time'],
    ['@at 2026-13-01T00:00:00Z', 'instant', 4, 'there is no such day'],
    ['@at 2026-02-30T00:00:00Z', 'instant', 4, 'there is no such day'],
    ['@at 2027-01-01 10:00', 'instant', 4, 'RFC 3339', '@at 2027-01-01T10:00:00Z'],
    ['@at 2020-01-01T00:00:00Z', 'past', 4, 'in the past'],
    ['@after 2027-01-01T00:00:00Z', 'syntax', 7, 'a time and a grace'],
    ['@after 2027-01-01T00:00:00Z <PT', 'duration', 29, 'longer than zero'],
    ['@after 2027-01-01T00:00:00Z <P2H', 'duration', 29, 'not a grace'],
    ['@after 2026-01-31T00:00:00Z <PT1H', 'past', 7, 'in the past'],
    ['60 * * * *', 'range', 0, 'minute 60 is out of range: 0-59', '0 * * * *'],
    ['0 60 * * * *', 'range', 2, 'minute 60', '0 0 * * * *'],
    ['60 0 * * * *', 'range', 0, 'second 60', '0 0 * * * *'],
    ['0 24 * * *', 'range', 2, 'hour 24 is out of range: 0-23', '0 0 * * *'],
    ['0 0 0 * *', 'range', 4, 'day of month 0 is out of range: 1-31', '0 0 1 * *'],
    ['0 0 32 * *', 'range', 4, 'day of month 32'],
    ['0 0 * 13 *', 'range', 6, 'month 13 is out of range: 1-12'],
    ['0 0 * * 8', 'range', 8, 'day of week 8 is out of range: 0-7'],
    ['0 0 0 1 1 * 1969', 'range', 12, 'year 1969'],
    ['TZ=UTC 0 0 * * 1,8', 'range', 17, 'day of week 8'],
    ['0 0 * * monn', 'syntax', 8, 'expected 0-7 (0 and 7 are Sunday) or sun-sat', '0 0 * * mon'],
    ['0 0 * * mon,tuesday', 'syntax', 12, 'expected 0-7 (0 and 7 are Sunday) or sun-sat', '0 0 * * mon,tue'],
    ['0 0 * january *', 'syntax', 6, 'expected 1-12 or jan-dec', '0 0 * jan *'],
    ['0 0 monday * *', 'syntax', 4, 'belongs in the day of week field'],
    ['0 0 * mon *', 'syntax', 6, 'belongs in the day of week field'],
    ['0 0 * * jan', 'syntax', 8, 'belongs in the month field'],
    ['*/0 * * * *', 'syntax', 2, 'step of 0', '*/1 * * * *'],
    ['*/x * * * *', 'syntax', 2, 'must be a whole number'],
    ['*/ * * * *', 'syntax', 2, 'must be a whole number'],
    ['/5 * * * *', 'syntax', 0, 'before the "/"', '*/5 * * * *'],
    ['1-2-3 * * * *', 'syntax', 2, '"2-3"'],
    ['5- * * * *', 'syntax', 2, 'a minute is missing here'],
    [', * * * *', 'syntax', 0, 'list is empty'],
    ['1.5 * * * *', 'syntax', 0, '"1.5" is not a minute'],
    ['99999999999999999999 * * * *', 'syntax', 0, 'is not a minute'],
    ['+1 * * * *', 'syntax', 0, 'only begin the day of week field'],
    ['0 0 * * +', 'syntax', 9, 'a weekday must follow'],
    ['0 L * * *', 'syntax', 2, '"L" has no meaning in the hour field'],
    ['0 0 L-31 * *', 'syntax', 6, 'L-30'],
    ['0 0 15W-17 * *', 'syntax', 4, '"15W" has no meaning'],
    ['0 0 xW * *', 'syntax', 4, 'not a day of month'],
    ['0 0 L/2 * *', 'syntax', 5, 'no meaning'],
    ['0 0 * * L', 'syntax', 8, 'needs a weekday', '0 0 * * 5L'],
    ['0 0 * * 5#6', 'syntax', 10, '1 to 5'],
    ['0 0 * * 5#', 'syntax', 10, '1 to 5'],
    ['H(0-5 * * * *', 'syntax', 5, 'never closed', 'H(0-5) * * * *'],
    ['H(5-0) * * * *', 'syntax', 2, 'must rise', 'H(0-5) * * * *'],
    ['H(5) * * * *', 'syntax', 2, 'needs a range'],
    ['H(0-60) * * * *', 'range', 4, 'minute 60'],
    ['Hx * * * *', 'syntax', 0, 'not understood'],
    ['0 0 0 1 1 * H', 'syntax', 12, 'cannot choose a year'],
    ['0 0 0 1 1 * 2030-2028', 'syntax', 12, 'backwards', '0 0 0 1 1 * 2028-2030'],
    ['0 0 0 1 1 * 2020', 'past', 12, 'the year 2020 is over', '0 0 0 1 1 * *'],
    ['0 0 30 2 *', 'impossible', 4, 'February never has a day 30', '0 0 L 2 *'],
    ['TZ=UTC 0 0 0 31 4,6 *', 'impossible', 13, 'April or June never has a day 31', 'TZ=UTC 0 0 0 L 4,6 *'],
    ['0 0 31W 2 *', 'impossible', 4, 'can never fire'],
    ['0 0 L-29 2 *', 'impossible', 4, 'can never fire'],
    ['0 0 0 29 2 * 2027', 'impossible', 6, 'can never fire'],
    ['0 0 20 * +5#1', 'impossible', 4, 'can never fire'],
  ])('%s', (text, code, position, message, suggestion) => {
    const error = errorOf(text);
    expect({ code: error.code, position: error.position }).toEqual({ code, position });
    expect(error.message).toContain(message);
    expect(error.suggestion).toBe(suggestion);
    expect(error.field).toBe('schedule');
  });

  test('a suggestion is itself accepted', () => {
    for (const text of [
      '@dayly',
      '0 0 * * monn',
      '/5 * * * *',
      '0 0 30 2 *',
      '@every 5 minutes',
      'TZ=berlin @daily',
      'H(5-0) * * * *',
      '@at 2027-01-01 10:00',
      'every 2 hours',
    ]) {
      expect(accepted(errorOf(text).suggestion ?? '').ok).toBe(true);
    }
  });

  test('an unknown timezone names its field', () => {
    expect(errorOf('@daily', { timezone: 'Europe/Madird' })).toMatchObject({
      code: 'zone',
      field: 'timezone',
      position: 0,
      suggestion: 'Europe/Madrid',
    });
  });

  test('very long and hostile texts are refused at once', () => {
    const started = cpuMs();
    expect(errorOf('*,'.repeat(50_000))).toMatchObject({ code: 'too_long', position: 1000 });
    expect(errorOf(`@every ${'1h'.repeat(400)}`).code).toBe('duration');
    expect(errorOf(`@after ${' '.repeat(900)}x`).code).toBe('syntax');
    expect(errorOf(`TZ=${'a'.repeat(900)} @daily`).code).toBe('zone');
    expect(errorOf('@'.repeat(1000)).code).toBe('descriptor');
    expect(errorOf(`0 0 29 2 +${'1#1,'.repeat(240)}1#1`).code).toBe('impossible');
    expect(cpuMs() - started).toBeLessThan(800);
  });

  test('a restore keeps what can never fire', () => {
    for (const text of ['0 0 30 2 *', '@at 2020-01-01T00:00:00Z', '0 0 0 1 1 * 2020', '@every 0s']) {
      expect(accepted(text, { allowImpossible: true }).ok).toBe(true);
      expect(errorOf(text).code).toMatch(/impossible|past|duration/); // and the leniency is not remembered
    }
  });

  test('run_if_past keeps a past @at', () => {
    expect(accepted('@at 2020-01-01T00:00:00Z', { runIfPast: true }).schedule.kind).toBe('at');
  });
});

describe('forms', () => {
  test('a prefix wins over timezone, in any letter case; Local and "" are the default zone', () => {
    expect(accepted('TZ=europe/madrid 0 0 * * *', { timezone: 'Asia/Tokyo' }).zone).toBe('Europe/Madrid');
    expect(accepted('CRON_TZ=UTC @every 5m').zone).toBe('UTC');
    expect(accepted('TZ=Asia/Tokyo @manually').zone).toBe('Asia/Tokyo');
    expect(accepted('@daily', { timezone: 'US/Eastern' }).zone).toBe('US/Eastern');
    expect(accepted('TZ=Local @daily', { timezone: 'Asia/Tokyo' }).zone).toBeUndefined();
    expect(accepted('@daily', { timezone: '' }).zone).toBeUndefined();
  });

  test('equal texts share one schedule, and 5 fields are 6 with second 0', () => {
    expect(accepted('*/5 * * * *').schedule).toBe(accepted('TZ=UTC */5 * * * *').schedule);
    expect(accepted('*/5 1 2 3 4').schedule).toEqual(accepted('0 */5 1 2 3 4').schedule);
    expect(accepted('@daily').schedule).toEqual(accepted('0 0 0 * * *').schedule);
    expect(accepted('H H * * *', { name: 'a' }).schedule).toBe(accepted('0 H H * * *', { name: 'a' }).schedule);
  });

  test.each([
    ['0 0 * * 7', '0 0 * * 0'],
    ['0 0 * * 5-7', '0 0 * * 0,5,6'],
    ['0 0 * * 7-2', '0 0 * * 0-2'],
    ['0 0 * * fri-mon', '0 0 * * 0,1,5,6'],
    ['0 0 * * sun-sat', '0 0 * * 0-6'],
    ['0 22-2 * * *', '0 0,1,2,22,23 * * *'],
    ['0 22-4/2 * * *', '0 22,0,2,4 * * *'],
    ['0 0 28-2 * *', '0 0 28,29,30,31,1,2 * *'],
    ['0 0 * nov-feb *', '0 0 * 1,2,11,12 *'],
    ['0 0 * JAN,Feb Mon', '0 0 * 1,2 1'],
    ['50/3 * * * *', '50,53,56,59 * * * *'],
    ['0 0 * * 5/1', '0 0 * * 5,6'],
    ['05 00 * * *', '5 0 * * *'],
    ['0 0 ? * ?', '0 0 * * *'],
    ['0 0 */1 * 1', '0 0 * * 1'],
    ['0 0 *,5 * 1', '0 0 * * 1'],
  ])('%s is %s', (text, same) => {
    const [a, b] = [accepted(text).schedule, accepted(same).schedule];
    expect({ ...a, elapsed: false }).toEqual({ ...b, elapsed: false });
  });

  test('the day rule', () => {
    const mode = (text: string) => (accepted(text).schedule as { dayMode?: string }).dayMode;
    expect(
      [
        '0 0 * * *',
        '0 0 13 * *',
        '0 0 * * 5',
        '0 0 13 * 5',
        '0 0 13 * +5',
        '0 0 */2 * 5',
        '0 0 */1 * 5',
        '0 0 L * 5',
        '0 0 1-31 * 5',
        '0 0 * * +5',
      ].map(mode),
    ).toEqual(['all', 'month', 'week', 'or', 'and', 'or', 'week', 'or', 'or', 'week']);
  });

  test('one-off forms', () => {
    expect(accepted('@at 2027-01-01T00:00:00.5+02:00').schedule).toEqual({
      kind: 'at',
      at: Date.parse('2026-12-31T22:00:00.500Z'),
    });
    const at = Date.parse('2026-12-31T23:59:00Z');
    expect(accepted('@after 2026-12-31T23:59:00Z <PT2H').schedule).toEqual({ kind: 'after', at, graceMs: 7_200_000 });
    expect(accepted('@after 2026-12-31T23:59:00Z <P1DT1.5S').schedule).toEqual({
      kind: 'after',
      at,
      graceMs: 86_401_500,
    });
    expect(accepted('@after 2026-12-31T23:59:00Z 90m').schedule).toEqual({ kind: 'after', at, graceMs: 5_400_000 });
    expect(accepted('@after 2026-12-31T23:59:00Z <P1Y2M').schedule).toEqual({
      kind: 'after',
      at,
      graceMs: 425 * 86_400_000,
    });
    expect(accepted('@every 10ms').schedule).toEqual({ kind: 'every', intervalMs: 1000 });
    expect(accepted('@every 2.9s').schedule).toEqual({ kind: 'every', intervalMs: 2000 });
    expect(accepted('@every 1h30m').schedule).toEqual({ kind: 'every', intervalMs: 5_400_000 });
    expect(accepted('@every 2d').schedule).toEqual({ kind: 'every', intervalMs: 172_800_000 });
    expect(accepted(' @manually ').schedule).toEqual({ kind: 'manual' });
  });

  test('notes say what the text shows, where', () => {
    const notes = (text: string) => accepted(text).notes.map(({ code, field, position }) => [code, field, position]);
    expect(notes('TZ=UTC */7 * * * *')).toEqual([['uneven_step', 'minute', 7]]);
    expect(notes('*/7 * * * *')).toEqual([['uneven_step', 'minute', 0]]);
    expect(notes('0 */90 * * * *')).toEqual([['large_step', 'minute', 2]]);
    expect(notes('1,,2 * * * *')).toEqual([['empty_item', 'minute', 2]]);
    expect(notes('@every 1500ms')).toEqual([['rounded', 'schedule', 7]]);
    expect(notes('@every 10ms')).toEqual([['rounded', 'schedule', 7]]);
    expect(notes('*/15 9-17 * * mon-fri')).toEqual([]);
  });
});

describe('H and ~', () => {
  const hashed = (text: string, name: string) =>
    accepted(text, { name }).schedule as { minutesLow: number; minutesHigh: number; hours: number; days: number };

  test('are stable: these values are a promise to every job that has them', () => {
    const { minutesLow, minutesHigh, hours } = hashed('H H * * *', 'backup');
    expect(hashed('~ ~ * * *', 'backup')).toBe(hashed('H H * * *', 'backup'));
    expect({ minutesLow, minutesHigh, hours }).toMatchInlineSnapshot(`
      {
        "hours": 2,
        "minutesHigh": 268435456,
        "minutesLow": 0,
      }
    `);
  });

  test('stay in their range, ~/15 is four times an hour, days stop at 28', () => {
    for (let i = 0; i < 500; i++) {
      const quarter = hashed('~/15 * * * *', `job${i}`);
      expect(bitCount(quarter.minutesLow) + bitCount(quarter.minutesHigh)).toBe(4);
      const some = hashed('H(10-12) H(22-23)/1 H * *', `job${i}`);
      expect(some.minutesLow & ~(7 << 10)).toBe(0);
      expect(some.days >>> 28).toBe(0);
    }
  });

  test('spread: anagrams and neighbours part, 6000 jobs leave no minute empty or crowded', () => {
    expect(hashed('H H * * *', 'abc')).not.toEqual(hashed('H H * * *', 'cba'));
    const perMinute = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const { minutesLow, minutesHigh } = hashed('H * * * *', `job-${i}`);
      const key = `${minutesLow},${minutesHigh}`;
      perMinute.set(key, (perMinute.get(key) ?? 0) + 1);
    }
    expect(perMinute.size).toBe(60);
    expect(Math.max(...perMinute.values())).toBeLessThan(150);
    expect(Math.min(...perMinute.values())).toBeGreaterThan(60);
  });
});

function bitCount(word: number): number {
  return word.toString(2).replaceAll('0', '').length;
}
