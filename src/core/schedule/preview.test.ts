import { describe, expect, test } from 'vitest';
import { PreviewRequest, PreviewResponse, type Calendar } from '../../model/schedule.ts';
import { preview, type PreviewContext } from './index.ts';

const holidays: Calendar = { name: 'holidays', dates: ['2026-03-10'], weekdays: [], ranges: [] };
const context: PreviewContext = {
  nowMs: Date.parse('2026-03-07T12:00:00Z'),
  defaultZone: 'America/New_York',
  calendarsByName: new Map([['holidays', holidays]]),
};

function ask(request: PreviewRequest, where = context): PreviewResponse {
  expect(PreviewRequest.safeParse(request).error).toBeUndefined();
  return PreviewResponse.parse(preview(request, where));
}

describe('preview', () => {
  test('times, marks, words and warnings', () => {
    const answer = ask({ schedule: '30 2 * * *', count: 3, calendars: ['holidays'] });
    expect(answer.valid).toBe(true);
    expect(answer.times).toEqual([
      { at: '2026-03-08T07:00:00Z', local: '2026-03-08T03:00:00-04:00', mark: 'gap' },
      { at: '2026-03-09T06:30:00Z', local: '2026-03-09T02:30:00-04:00' },
      { at: '2026-03-11T06:30:00Z', local: '2026-03-11T02:30:00-04:00' },
    ]);
    expect(answer.warnings.map(({ code }) => code)).toEqual(['gap']);
    expect(answer.description).toContain('At 02:30 every day, America/New_York time');
    expect(answer.error).toBeUndefined();
  });

  test('both copies of a doubled time are marked', () => {
    const answer = ask({ schedule: '30 1 * * *', from: '2026-10-31T12:00:00Z', count: 3, dst: { overlap: 'both' } });
    expect(answer.times.map(({ at, mark }) => [at, mark])).toEqual([
      ['2026-11-01T05:30:00Z', 'first'],
      ['2026-11-01T06:30:00Z', 'second'],
      ['2026-11-02T06:30:00Z', undefined],
    ]);
    const marks = ask({ schedule: '0 * * * *', from: '2026-11-01T03:30:00Z', count: 5 }).times.map(({ mark }) => mark);
    expect(marks).toEqual([undefined, 'first', 'second', undefined, undefined]);
  });

  test('a regular time at the end of a gap is not marked', () => {
    expect(ask({ schedule: '0 2,3 * * *', count: 1 }).times).toEqual([
      { at: '2026-03-08T07:00:00Z', local: '2026-03-08T03:00:00-04:00' },
    ]);
  });

  test('ten by default, a thousand at most, strictly after from', () => {
    expect(ask({ schedule: '* * * * *' }).times).toHaveLength(10);
    expect(ask({ schedule: '* * * * * *', count: 1000 }).times).toHaveLength(1000);
    expect(ask({ schedule: '* * * * *', count: 1, from: '2026-03-07T12:01:00Z' }).times[0]?.at).toBe(
      '2026-03-07T12:02:00Z',
    );
    expect(PreviewRequest.safeParse({ schedule: '* * * * *', count: 1001 }).success).toBe(false);
  });

  test('@every counts from now, or from an earlier from, or from starts_at', () => {
    expect(ask({ schedule: '@every 1h', count: 1 }).times[0]?.at).toBe('2026-03-07T13:00:00Z');
    expect(ask({ schedule: '@every 1h', count: 1, from: '2026-03-01T00:00:00Z' }).times[0]?.at).toBe(
      '2026-03-01T01:00:00Z',
    );
    expect(ask({ schedule: '@every 1h', count: 1, starts_at: '2026-03-08T08:15:00Z' }).times[0]?.at).toBe(
      '2026-03-08T08:15:00Z',
    );
  });

  test('jitter shows when runs are due; limits are kept; zones come from prefix, timezone, default', () => {
    const answer = ask({
      schedule: '@hourly',
      jitter: '5m',
      timezone: 'Asia/Kathmandu',
      expires_at: '2026-03-07T14:00:00Z',
      name: 'a',
    });
    expect(answer.times).toHaveLength(2);
    for (const { at, due = '', local } of answer.times) {
      expect(Date.parse(due) - Date.parse(at)).toBeGreaterThanOrEqual(0);
      expect(Date.parse(due) - Date.parse(at)).toBeLessThanOrEqual(300_000);
      expect(local).toMatch(/\+05:45$/);
    }
    expect(ask({ schedule: 'TZ=UTC @daily', timezone: 'Asia/Kathmandu', count: 1 }).times[0]?.local).toBe(
      '2026-03-08T00:00:00+00:00',
    );
  });

  test('errors are answers, with field and position', () => {
    expect(ask({ schedule: '0 0 * * monn' })).toEqual({
      valid: false,
      description: '',
      times: [],
      warnings: [],
      error: {
        code: 'syntax',
        message: '"monn" is not a day of week: expected 0-7 (0 and 7 are Sunday) or sun-sat',
        field: 'schedule',
        position: 8,
        suggestion: '0 0 * * mon',
      },
    });
    expect(ask({ schedule: '@daily', timezone: 'Nowhere/Land' }).error).toMatchObject({
      field: 'timezone',
      position: 0,
    });
    expect(ask({ schedule: '@daily', calendars: ['holidys'] }).error).toMatchObject({
      field: 'calendars',
      suggestion: 'holidays',
    });
    expect(ask({ schedule: '@at 2020-01-01T00:00:00Z' }).error).toMatchObject({
      code: 'past',
      field: 'schedule',
      position: 4,
    });
    expect(ask({ schedule: 'x'.repeat(50_000) }).error).toMatchObject({ code: 'too_long' });
  });

  test('what a job decides by its name or number is shown as an example', () => {
    const codes = (request: PreviewRequest): string[] => ask(request).warnings.map(({ code }) => code);
    expect(codes({ schedule: 'H 12 * * *' })).toEqual(['no_name']);
    expect(codes({ schedule: '~ 12 * * *', name: '' })).toEqual(['no_name']);
    expect(codes({ schedule: 'H 12 * * *', name: 'backup' })).toEqual([]);
    expect(codes({ schedule: '30 12 * * *' })).toEqual([]);
    expect(codes({ schedule: '30 12 * * *', jitter: '5m', name: 'backup' })).toEqual(['jitter_example']);
    expect(codes({ schedule: '30 12 * * *', jitter: '0s' })).toEqual([]);
    expect(codes({ schedule: '@manually', jitter: '5m' })).toEqual([]);
  });

  test('times are read as in a job, and null is absent', () => {
    const limits = { starts_at: '2028-01-01T10:00', expires_at: '2028-01-01T12:00+01:00' };
    expect(PreviewRequest.safeParse({ schedule: '@hourly', ...limits }).success).toBe(false);
    const answer = ask({ schedule: '@hourly', ...limits, expires_at: '2028-01-01T12:00', from: '2028-01-01T09:00' });
    expect(answer.times.map(({ at }) => at)).toEqual([
      '2028-01-01T10:00:00Z',
      '2028-01-01T11:00:00Z',
      '2028-01-01T12:00:00Z',
    ]);
    const nothing = { timezone: null, dst: null, jitter: null, starts_at: null, expires_at: null, calendars: null };
    expect(ask({ schedule: '30 12 * * *', ...nothing, name: null, from: null })).toEqual(
      ask({ schedule: '30 12 * * *' }),
    );
  });

  test('a valid schedule without times says so', () => {
    const answer = ask({
      schedule: '@daily',
      calendars: [{ weekdays: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] }],
    });
    expect([answer.valid, answer.times.length, answer.warnings.map(({ code }) => code)]).toEqual([
      true,
      0,
      ['never_fires'],
    ]);
  });
});
