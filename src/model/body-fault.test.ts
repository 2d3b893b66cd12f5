import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { bodyFault } from './body-fault.ts';
import { PreviewRequest } from './schedule.ts';

const FALLBACK = 'send for example {"schedule":"@daily"}';

function faultOf(body: unknown, schema: z.ZodType = PreviewRequest): [string, string, string] {
  const { error } = schema.safeParse(body);
  if (error === undefined) throw new Error('it was accepted');
  const { field, message, remedy } = bodyFault(error, schema, body, FALLBACK);
  return [field, message, remedy];
}

const job = (more: object): object => ({ schedule: '@daily', ...more });
const KNOWN = 'known are schedule, timezone, dst, jitter, starts_at, expires_at, calendars, name, from, count';
const BOUND = 'write "2026-12-24", "12-24" (every year), "2026-12-24T18:00" (the job\'s zone) or RFC 3339';

describe('what is wrong with a body', () => {
  test.each<[unknown, string, string, string]>([
    [undefined, '', 'expected a JSON object, got nothing', FALLBACK],
    [null, '', 'expected a JSON object, got nothing', FALLBACK],
    [[], '', 'expected a JSON object, got an array', FALLBACK],
    ['@daily', '', 'expected a JSON object, got a string', FALLBACK],
    [{}, 'schedule', 'is missing', FALLBACK],
    [{ schedule: 5 }, 'schedule', 'expected a string, got a number (5)', 'write the value in double quotes'],
    [
      { schedule: ['@daily'] },
      'schedule',
      'expected a string, got an array',
      'write it as one text in double quotes; JSON inside it with \\" for its own quotes',
    ],
    [{ schedule: null }, 'schedule', 'expected a string, got nothing', FALLBACK],
    [{ shedule: '@daily' }, 'shedule', 'is not a known field', 'did you mean schedule?'],
    [{ Schedule: '@daily' }, 'Schedule', 'is not a known field', 'did you mean schedule?'],
    [job({ timzone: 'UTC' }), 'timzone', 'is not a known field', 'did you mean timezone?'],
    [job({ executor: 'shell' }), 'executor', 'is not a known field', KNOWN],
    [job({ dst: 'skip' }), 'dst', 'expected an object, got a string', 'give an object, or leave it out'],
    [job({ dst: { gapp: 'skip' } }), 'dst.gapp', 'is not a known field', 'did you mean gap?'],
    [job({ dst: { gap: 'skp' } }), 'dst.gap', 'must be one of after, skip, shift, got "skp"', 'did you mean skip?'],
    [
      job({ dst: { gap: 1 } }),
      'dst.gap',
      'must be one of after, skip, shift, got a number (1)',
      'give one of them, or leave it out',
    ],
    [job({ jitter: 'soon' }), 'jitter', '"soon" is not a duration', 'write for example "30s", "5m", "1h30m" or "7d"'],
    [
      job({ starts_at: '2028-01-01' }),
      'starts_at',
      '"2028-01-01" is not a time',
      'write RFC 3339, for example "2026-11-22T17:00:00Z"',
    ],
    [job({ count: 1001 }), 'count', 'must be at most 1000', 'give 1000 or less'],
    [job({ count: 0 }), 'count', 'must be at least 1, got a number (0)', 'give 1 or more'],
    [job({ count: '5' }), 'count', 'expected a number, got a string', 'give a number without quotes, or leave it out'],
    [job({ calendars: 'holidays' }), 'calendars', 'expected an array, got a string', 'give an array, or leave it out'],
    [job({ calendars: [5] }), 'calendars.0', 'expected a string or an object, got a number (5)', FALLBACK],
    [job({ calendars: [{ date: ['12-25'] }] }), 'calendars.0.date', 'is not a known field', 'did you mean dates?'],
    [
      job({ calendars: ['a', { dates: ['25.12.'] }] }),
      'calendars.1.dates.0',
      '"25.12." is not a day',
      'write "2026-12-25", or "12-25" for every year',
    ],
    [
      job({ calendars: [{ weekdays: ['monday'] }] }),
      'calendars.0.weekdays.0',
      '"monday" is not a weekday',
      'write "sun" … "sat", or 0-7',
    ],
    [job({ calendars: [{ ranges: [{ from: '12-24' }] }] }), 'calendars.0.ranges.0.to', 'is missing', FALLBACK],
    [
      job({ calendars: [{ ranges: [{ from: 'x', to: '12-24' }] }] }),
      'calendars.0.ranges.0.from',
      '"x" is not a day or time',
      BOUND,
    ],
    [
      job({ calendars: [{ ranges: [{ from: '2027-01-02', to: '2027-01-01' }] }] }),
      'calendars.0.ranges.0',
      'ends before it begins',
      '"to" must be the later one',
    ],
    [
      job({ calendars: Array.from({ length: 101 }, () => 'a') }),
      'calendars',
      'has more than 100 entries',
      'give 100 or fewer',
    ],
    [job({ timezone: 'x'.repeat(1001) }), 'timezone', 'is longer than 1000 characters', 'shorten it'],
  ])('%j', (body, field, message, remedy) => {
    expect(faultOf(body)).toEqual([field, message, remedy]);
  });

  test('one allowed value', () => {
    const schema = z.strictObject({ to: z.literal('now') });
    expect(faultOf({ to: 'then' }, schema)).toEqual(['to', 'must be "now", got "then"', FALLBACK]);
    expect(faultOf({}, schema)).toEqual(['to', 'is missing', FALLBACK]);
  });

  test('values are shown short, and objects never', () => {
    expect(faultOf(job({ jitter: 'x'.repeat(90) }))[1]).toBe(`"${'x'.repeat(40)}" is not a duration`);
    expect(faultOf(job({ ['k'.repeat(500)]: 1 }))[0]).toBe('k'.repeat(60));
    expect(faultOf(job({ timezone: { password: 'secret' } }))[1]).toBe('expected a string, got an object');
  });
});
