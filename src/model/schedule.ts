// What a schedule's settings look like outside: clock-change policy, misfire policy, calendars, and the preview question and answer.
import { z } from 'zod';
import { parseDuration } from './duration.ts';
import { canonicalNullableTime } from './time.ts';

const LIST_MAX = 1_000;
const TEXT_MAX = 1_000;

/** A duration as text ("60s", "1h30m", "7d"), not negative. Stored as written; `parseDuration` gives milliseconds. */
export const DurationText = z
  .string()
  .max(100)
  .refine((text) => (parseDuration(text) ?? -1) >= 0, {
    error: 'not a duration; write for example "30s", "5m", "1h30m" or "7d"',
  });

/** RFC 3339 with Z or an offset. */
const InstantText = z.iso.datetime({
  offset: true,
  error: 'not an RFC 3339 time; write for example "2026-11-22T17:00:00Z"',
});

/**
 * What happens to wall times that clocks skip (gap) or repeat (overlap).
 * gap: `after` runs at the first instant after it, `skip` not at all, `shift` later by the length of the gap.
 * overlap: the first copy, the second copy, or both.
 * What is left out is decided by the schedule (SEMANTICS §4, "Clock changes").
 */
export const DstPolicy = z.strictObject({
  gap: z.enum(['after', 'skip', 'shift']).optional(),
  overlap: z.enum(['first', 'second', 'both']).optional(),
});
export type DstPolicy = z.infer<typeof DstPolicy>;

/** What to do with occurrences that are later than `grace` (SEMANTICS §2). What is left out follows the node's options. */
export const Misfire = z.strictObject({
  grace: DurationText.optional(),
  policy: z.enum(['skip', 'last', 'all']).optional(),
  window: DurationText.optional(),
  max: z.int().min(1).max(10_000).optional(),
});
export type Misfire = z.infer<typeof Misfire>;

const DAY = /^(?:(\d{4})-)?(\d{2})-(\d{2})$/;
const WALL = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})(?::(\d{2}))?$/;

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

/** "2026-12-25", or "12-25" for every year (29 February included). */
export function isCalendarDay(text: string): boolean {
  const match = DAY.exec(text);
  if (match === null) return false;
  const [month, day] = [Number(match[2]), Number(match[3])];
  return month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(Number(match[1] ?? 2000), month);
}

/** "2026-12-24T18:00" or with seconds: a wall-clock time in the job's zone. */
export function isWallTime(text: string): boolean {
  const match = WALL.exec(text);
  if (match === null || !isCalendarDay(text.slice(0, 10))) return false;
  return Number(match[4]) <= 23 && Number(match[5]) <= 59 && Number(match[6] ?? 0) <= 59;
}

const isBound = (text: string): boolean =>
  isCalendarDay(text) || isWallTime(text) || InstantText.safeParse(text).success;
const isYearly = (text: string): boolean => text.length === 5;

const CalendarDay = z
  .string()
  .refine(isCalendarDay, { error: 'not a day; write "2026-12-25", or "12-25" for every year' });

const CalendarBound = z.string().refine(isBound, {
  error:
    'not a day or time; write "2026-12-24", "12-24" (every year), "2026-12-24T18:00" (the job\'s zone) or RFC 3339',
});

/** From `from` up to `to`: a day as `to` is included whole, a time is not. Two yearly days may wrap over New Year. */
const CalendarRange = z
  .strictObject({ from: CalendarBound, to: CalendarBound })
  .refine(({ from, to }) => isYearly(from) === isYearly(to), {
    error: 'only one end is a yearly day; write both as "12-24", or neither',
  })
  .refine(({ from, to }) => !endsBefore(from, to), { error: 'ends before it begins; "to" must be the later one' });

/** Only of what can be compared without a zone: two instants, or two days or wall times of one. */
function endsBefore(from: string, to: string): boolean {
  if (isYearly(from) || isYearly(to)) return false;
  const instants = [from, to].filter((text) => InstantText.safeParse(text).success).length;
  if (instants === 2) return Temporal.Instant.compare(to, from) < 0;
  return instants === 0 && to < from.slice(0, to.length);
}

/** Sunday is 0 or 7, or "sun" … "sat". */
const Weekday = z.union([
  z.int().min(0).max(7),
  z.string().regex(/^(?:sun|mon|tue|wed|thu|fri|sat|[0-7])$/i, { error: 'not a weekday; write "sun" … "sat", or 0-7' }),
]);

/** Times at which a job does not run. Days are days of the job's own zone. */
export const Calendar = z.strictObject({
  name: z.string().max(200).optional(),
  dates: z.array(CalendarDay).max(LIST_MAX).default([]),
  weekdays: z.array(Weekday).max(14).default([]),
  ranges: z.array(CalendarRange).max(LIST_MAX).default([]),
});
export type Calendar = z.infer<typeof Calendar>;

/** As a job's starts_at and expires_at. */
const TimeText = z
  .string()
  .refine((text) => canonicalNullableTime(text) !== undefined, {
    error: 'not a time; write RFC 3339, for example "2026-11-22T17:00:00Z"',
  })
  .describe('RFC 3339, or YYYY-MM-DDTHH:MM in UTC.');

/** POST /v1/schedule/preview. As in a job, null stands for absent. */
export const PreviewRequest = z.strictObject({
  schedule: z.string().max(100_000), // the parser says what is wrong with long text, with a position
  timezone: z.string().max(TEXT_MAX).nullish().describe('IANA name; empty: the zone of this cluster.'),
  dst: DstPolicy.nullish(),
  jitter: DurationText.nullish(),
  starts_at: TimeText.nullish(),
  expires_at: TimeText.nullish(),
  calendars: z
    .array(z.union([z.string().max(200), Calendar]))
    .max(100)
    .nullish(),
  name: z.string().max(TEXT_MAX).nullish().describe("The job's: what H and ~ choose by."),
  from: TimeText.nullish().describe('Times after this one, now by default: RFC 3339, or YYYY-MM-DDTHH:MM in UTC.'),
  count: z.int().min(1).max(1_000).nullable().default(10),
});
export type PreviewRequest = z.input<typeof PreviewRequest>;

const Position = z.int().min(0).describe('Offset in the text, counted from 0 in UTF-16 code units.');

/** Something true about a valid schedule that its author may not expect. */
export const ScheduleWarning = z.object({
  code: z.string(),
  message: z.string(),
  field: z.string().optional(),
  position: Position.optional(),
});
export type ScheduleWarning = z.infer<typeof ScheduleWarning>;

export const PreviewTime = z.object({
  at: z.string(),
  local: z.string(),
  due: z.string().optional(),
  mark: z.enum(['gap', 'first', 'second']).optional(),
});
export type PreviewTime = z.infer<typeof PreviewTime>;

export const PreviewResponse = z.object({
  valid: z.boolean(),
  description: z.string(),
  times: z.array(PreviewTime),
  warnings: z.array(ScheduleWarning),
  error: z
    .object({
      code: z.string(),
      message: z.string(),
      field: z.string(),
      position: Position,
      suggestion: z.string().optional().describe('The text put right, where one repair is likely; it is valid.'),
    })
    .optional(),
});
export type PreviewResponse = z.infer<typeof PreviewResponse>;
