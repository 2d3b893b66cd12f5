import { describe, expect, test } from 'vitest';
import { parseSchedule, type ScheduleError } from './index.ts';

const NOW = Temporal.Instant.from('2026-02-01T00:00:00Z').epochMilliseconds;

function errorOf(text: string): ScheduleError {
  const parsed = parseSchedule(text, { name: 'job', nowMs: NOW });
  if (parsed.ok) throw new Error(`"${text}" was accepted`);
  return parsed.error;
}

/** What people type, what they meant, and where the error is. */
const SLIPS: [string, string, number][] = [
  // one field too few, too many, or two in one
  ['* * * *', '* * * * *', 7],
  ['30 9 * *', '30 9 * * *', 8],
  ['30 9 * mon-fri', '30 9 * * mon-fri', 14],
  ['30 9 * 1-5', '30 9 * * 1-5', 10],
  ['*/5', '*/5 * * * *', 3],
  ['*/5****', '*/5 * * * *', 1],
  ['0 9:30 * * *', '30 9 * * *', 0],
  ['9:05', '5 9 * * *', 0],
  ['0 0 1 1 * 2027', '0 0 0 1 1 * 2027', 10],
  ['0 0 * * mon - fri', '0 0 * * mon-fri', 11],
  ['* /5 * * * *', '*/5 * * * *', 1],
  ['*/5 * * * * /usr/bin/true', '*/5 * * * *', 12],
  ['0 0 * * * root /bin/true --all', '0 0 * * *', 10],
  // values
  ['0 25 * * *', '25 0 * * *', 2],
  ['0 24 * * *', '0 0 * * *', 2],
  ['60 * * * *', '0 * * * *', 0],
  ['0 0-24 * * *', '0 0-23 * * *', 4],
  ['0 0 12 25 *', '0 0 25 12 *', 7],
  ['0 0 0 1 *', '0 0 1 1 *', 4],
  ['0 0 31 2 *', '0 0 L 2 *', 4],
  ['1-5/0 * * * *', '1-5/1 * * * *', 4],
  ['0 0 * * MOM', '0 0 * * mon', 8],
  ['0 0 * * Thurs', '0 0 * * thu', 8],
  ['0 0 * * mondays', '0 0 * * mon', 8],
  ['0 0 * Sept *', '0 0 * sep *', 6],
  ['0 24 * * MOM', '0 0 * * mon', 2],
  ['0 1..5 * * *', '0 1-5 * * *', 2],
  ['0 0 * * 1;3', '0 0 * * 1,3', 8],
  ['0 5 ;,15 * *', '0 5 15 * *', 4],
  ['0 0 1,15 * *.', '0 0 1,15 * *', 11],
  // intervals
  ['@every 5', '@every 5m', 7],
  ['@every1h', '@every 1h', 0],
  ['@evry 5m', '@every 5m', 0],
  ['@every 5M', '@every 5m', 7],
  ['@every 1h 30m', '@every 1h30m', 7],
  ['@every 1h30', '@every 1h30m', 7],
  ['@every 1 hour and 30 minutes', '@every 1h30m', 7],
  ['@every PT90S', '@every 1m30s', 7],
  ['@every month', '@monthly', 7],
  ['every day', '@daily', 0],
  ['every 2 weeks', '@every 2w', 0],
  ['5 minutes', '@every 5m', 9],
  // names and times
  ['@daily 5', '@daily', 7],
  ['@noon', '0 12 * * *', 0],
  ['@weekdays', '0 0 * * 1-5', 0],
  ['@never', '@manually', 0],
  ['@at 2027-1-5', '@at 2027-01-05T00:00:00Z', 4],
  ['at 2027-01-01T00:00:00Z', '@at 2027-01-01T00:00:00Z', 23],
  ['2027-01-01T00:00:00Z', '@at 2027-01-01T00:00:00Z', 20],
  ['@after 2027-01-01T00:00:00Z <2h30', '@after 2027-01-01T00:00:00Z <2h30m', 29],
  // zones
  ['CRON_TZ=Europe/Berln  0 0 * * *', 'CRON_TZ=Europe/Berlin  0 0 * * *', 8],
  ['TZ="Europe/Madrid" @daily', 'TZ=Europe/Madrid @daily', 3],
  ['Europe/Madrid 0 0 * * *', 'TZ=Europe/Madrid 0 0 * * *', 0],
  ['tz=UTC @daily', 'TZ=UTC @daily', 0],
  ['0 0 * * * UTC', 'TZ=UTC 0 0 * * *', 10],
  ['@daily Europe/Madrid', 'TZ=Europe/Madrid @daily', 7],
  ['TZ=UTC 0 24 * * *', 'TZ=UTC 0 0 * * *', 9],
  // what was copied from elsewhere
  ['"0 0 * * *"', '0 0 * * *', 0],
  ['0 9–17 * * *', '0 9-17 * * *', 3],
  ['0\u00a00 * * *', '0 0 * * *', 1],
  ['∗ * * * *', '* * * * *', 0],
  ['cron(0 12 * * ? *)', '0 0 12 * * ? *', 0],
  ['rate(5 minutes)', '@every 5m', 0],
];

describe('what was probably meant', () => {
  test.each(SLIPS)('%s', (text, meant, position) => {
    const error = errorOf(text);
    expect({ suggestion: error.suggestion, position: error.position }).toEqual({ suggestion: meant, position });
    expect(parseSchedule(meant, { name: 'job', nowMs: NOW }).ok).toBe(true);
    // Whoever prints both would say it twice.
    expect(error.message).not.toMatch(/did you mean/i);
  });

  test.each([
    ['5', 'this has 1'],
    ['1 1', 'this has 2'],
    ['0 0 1 1', 'this has 4'],
    ['0 0 15 mon', 'this has 4'],
    ['@everyx', 'known are @yearly'],
    ['0 0 * * 5W', 'expected 0-7 (0 and 7 are Sunday) or sun-sat'],
    ['0 0 * * 8', '0-7 (0 and 7 are Sunday)'],
    ['0 0 32 * *', '1-31'],
    ['0 1-24 * * *', '0-23'],
    ['0 -1 * * *', 'an hour is missing here: expected 0-23'],
    ['5-* * * * *', 'write 0-59 for all'],
    ['@every 5 5m', 'write for example 30s'],
    ['@every yeer', 'write for example 30s'],
    ['@at tomorrow', 'such as 2026-11-22T17:00:00Z'],
    ['@at 2026-13-01', 'there is no such day'],
    ['@at 2027-02-30', 'there is no such day'],
    ['TZ=UTC+2 @daily', 'not an offset'],
    ['TZ=PST @daily', 'an IANA name such as Europe/Madrid'],
    ['0 0 12 * * frrri', 'sun-sat'],
    ['0 0 * * monfri', 'sun-sat'],
  ])('%s: what is allowed, and no guess', (text, allowed) => {
    expect(errorOf(text).suggestion).toBeUndefined();
    expect(errorOf(text).message).toContain(allowed);
  });

  test('letters that only look right are named', () => {
    expect(errorOf('0 9–17 * * *').message).toBe('"–" (U+2013) only looks like a character of schedules');
    expect(errorOf('0\u00a00 * * *').message).toContain('U+00A0');
  });
});
