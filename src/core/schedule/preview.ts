// The schedule builder's question: is this text right, what does it mean, and when would it run?
import { parseDuration } from '../../model/duration.ts';
import { nearest } from '../../model/nearest.ts';
import type { Calendar, PreviewRequest, PreviewResponse, PreviewTime, ScheduleWarning } from '../../model/schedule.ts';
import { canonicalNullableTime, instantMs } from '../../model/time.ts';
import { jumpAt } from './cron.ts';
import { describe } from './describe.ts';
import { formatLocal, formatUtc } from './instant.ts';
import { dueAt, instantsBetween } from './next.ts';
import { parseSchedule } from './parse.ts';
import type { CronSchedule, ScheduleSpec } from './types.ts';
import { wallMatches } from './wall.ts';
import { warnings } from './warnings.ts';
import { zoneOf, type Zone } from './zone.ts';

export interface PreviewContext {
  readonly nowMs: number;
  /** A resolved IANA name. */
  readonly defaultZone: string;
  readonly calendarsByName?: ReadonlyMap<string, Calendar> | undefined;
}

type PreviewError = NonNullable<PreviewResponse['error']>;

const COUNT = 10;
const COUNT_MAX = 1_000;

/** Answers a preview request; a schedule that is not valid is an answer, with its error, not a failure. Seen as if stored now. */
export function preview(request: PreviewRequest, context: PreviewContext): PreviewResponse {
  const from = instantField(request, 'from') ?? context.nowMs;
  const name = request.name ?? '';
  const timezone = request.timezone ?? undefined;
  const parsed = parseSchedule(request.schedule, { name, timezone, nowMs: context.nowMs });
  if (!parsed.ok) return invalid(parsed.error);
  const calendars = calendarsOf(request, context);
  if ('message' in calendars) return invalid(calendars);
  const spec: ScheduleSpec = {
    schedule: parsed.schedule,
    zone: parsed.zone ?? context.defaultZone,
    dst: request.dst ?? undefined,
    anchorAt: Math.min(context.nowMs, from),
    startsAt: instantField(request, 'starts_at'),
    expiresAt: instantField(request, 'expires_at'),
    jitterMs: parseDuration(request.jitter ?? ''),
    jitterSeed: name,
    calendars,
  };
  const count = Math.min(COUNT_MAX, request.count ?? COUNT);
  return {
    valid: true,
    description: describe(spec, from),
    times: instantsBetween(spec, from, Number.POSITIVE_INFINITY, count).map((at) => previewTime(spec, at)),
    warnings: [...warnings(spec, from, parsed.notes), ...invented(spec, name)],
  };
}

/** What a job would decide and there is none yet: such times are shown as examples. */
function invented({ schedule, jitterMs }: ScheduleSpec, name: string): ScheduleWarning[] {
  const found: ScheduleWarning[] = [];
  if (schedule.kind === 'cron' && schedule.hashed && name === '') {
    const message =
      "H and ~ stand for values that the job's name chooses, and no name was given: these times are an example. Give the name to see the job's own.";
    found.push({ code: 'no_name', message, field: 'name' });
  }
  if ((jitterMs ?? 0) > 0 && schedule.kind !== 'manual') {
    const message =
      'The starts shown are an example: a job spreads its own, by the number it gets when it is created, within the same limits.';
    found.push({ code: 'jitter_example', message, field: 'jitter' });
  }
  return found;
}

function invalid(error: PreviewError): PreviewResponse {
  return { valid: false, description: '', times: [], warnings: [], error };
}

/** Read as a job's; the request's schema has made sure that present ones are times. */
function instantField(request: PreviewRequest, field: 'from' | 'starts_at' | 'expires_at'): number | undefined {
  const canonical = canonicalNullableTime(request[field] ?? '');
  return canonical === undefined ? undefined : instantMs(canonical);
}

function calendarsOf(request: PreviewRequest, context: PreviewContext): Calendar[] | PreviewError {
  const found: Calendar[] = [];
  for (const entry of request.calendars ?? []) {
    if (typeof entry !== 'string') {
      found.push({ ...entry, dates: entry.dates ?? [], weekdays: entry.weekdays ?? [], ranges: entry.ranges ?? [] });
      continue;
    }
    const calendar = context.calendarsByName?.get(entry);
    if (calendar === undefined) return unknownCalendar(entry, context);
    found.push(calendar);
  }
  return found;
}

function unknownCalendar(name: string, context: PreviewContext): PreviewError {
  const suggestion = nearest(name, context.calendarsByName?.keys() ?? []);
  return {
    code: 'calendar',
    message: `there is no calendar ${JSON.stringify(name.slice(0, 64))}; GET /v1/calendars lists them`,
    field: 'calendars',
    position: 0,
    ...(suggestion === undefined ? {} : { suggestion }),
  };
}

function previewTime(spec: ScheduleSpec, at: number): PreviewTime {
  const zone = zoneOf(spec.zone);
  const time: PreviewTime = { at: formatUtc(at), local: formatLocal(at, zone.offsetOf(Math.floor(at / 1000))) };
  if (spec.jitterMs !== undefined && spec.jitterMs > 0) time.due = formatUtc(dueAt(spec, at));
  const mark = spec.schedule.kind === 'cron' ? markOf(spec.schedule, zone, Math.floor(at / 1000)) : undefined;
  if (mark !== undefined) time.mark = mark;
  return time;
}

/** Whether an instant stands for a wall time that does not exist, or is one copy of a wall time that comes twice. */
function markOf(cron: CronSchedule, zone: Zone, at: number): PreviewTime['mark'] {
  const i = zone.segmentAt(at);
  const jump = jumpAt(zone, i);
  const start = zone.starts[i] as number;
  if (jump > 0 && at < start + jump && !wallMatches(cron, at + (zone.offsets[i] as number))) return 'gap';
  if (jump < 0 && at < start - jump) return 'second';
  const following = zone.segmentAfter(i);
  if (following < 0) return undefined;
  return at >= (zone.starts[following] as number) + jumpAt(zone, following) ? 'first' : undefined;
}
