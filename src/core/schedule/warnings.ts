// True things about a valid schedule that its author may not expect.
import type { ScheduleWarning } from '../../model/schedule.ts';
import { below, countBelow60 } from './bits.ts';
import { DAY_S } from './civil.ts';
import { jumpAt } from './cron.ts';
import { isThroughoutDay } from './describe.ts';
import { durationWords } from './names.ts';
import { dateText, two } from './instant.ts';
import { clockRules, countBetween, nextAfter } from './next.ts';
import type { CronSchedule, ScheduleSpec } from './types.ts';
import { nextWall } from './wall.ts';
import { zoneOf } from './zone.ts';

/** Clock changes are looked for this far ahead. */
const AHEAD_S = 2 * 366 * DAY_S;

/**
 * Warnings for a schedule seen from `fromMs`, in a fixed order; `notes` are those its text gave rise to (`ParseResult.notes`).
 * Codes besides theirs: every_second, day_or, short_months, gap, double, jitter_cut, never_fires.
 */
export function warnings(
  spec: ScheduleSpec,
  fromMs: number,
  notes: readonly ScheduleWarning[] = [],
): ScheduleWarning[] {
  const { schedule } = spec;
  const found = [...notes];
  if (schedule.kind === 'cron') found.push(...cronWarnings(spec, schedule, fromMs));
  if (schedule.kind === 'every' && schedule.intervalMs === 1000)
    found.push({ code: 'every_second', message: EVERY_SECOND, field: 'schedule' });
  const never = neverFires(spec, fromMs);
  if (never !== undefined) found.push(never);
  const first = nextAfter(spec, fromMs);
  const second = first === undefined ? undefined : nextAfter(spec, first);
  if (first !== undefined && second !== undefined && (spec.jitterMs ?? 0) >= second - first) {
    const message = `The jitter of ${durationWords(spec.jitterMs ?? 0)} is not shorter than the ${durationWords(second - first)} between runs, so it is cut to stay before the next one.`;
    found.push({ code: 'jitter_cut', message, field: 'jitter' });
  }
  return found;
}

/** That no instant after `fromMs` is left, and why; undefined when there is one, or when only a trigger starts it (@manually). */
export function neverFires(spec: ScheduleSpec, fromMs: number): ScheduleWarning | undefined {
  if (spec.schedule.kind === 'manual' || nextAfter(spec, fromMs) !== undefined) return undefined;
  return { code: 'never_fires', message: whyNever(spec, fromMs) };
}

function cronWarnings(spec: ScheduleSpec, cron: CronSchedule, fromMs: number): ScheduleWarning[] {
  return [everySecond(cron), dayOr(cron), shortMonths(cron), ...clockChanges(spec, cron, fromMs)].filter(
    (warning) => warning !== undefined,
  );
}

const EVERY_SECOND = 'Runs every second: 86,400 runs a day.';

function everySecond(cron: CronSchedule): ScheduleWarning | undefined {
  if (countBelow60(cron.secondsLow, cron.secondsHigh, 60) !== 60) return undefined;
  const message =
    cron.perDay === DAY_S
      ? EVERY_SECOND
      : 'Runs every second of each matching minute, 60 times; for once a minute write 0 as the seconds field.';
  return { code: 'every_second', message, field: 'second' };
}

function dayOr(cron: CronSchedule): ScheduleWarning | undefined {
  if (cron.dayMode !== 'or') return undefined;
  const message =
    'Day of month and day of week are both restricted, and either one is enough, as in every cron. To ask for both, begin the day of week field with "+".';
  return { code: 'day_or', message, field: 'dayOfWeek' };
}

/** Only days that some of its months lack. */
function shortMonths(cron: CronSchedule): ScheduleWarning | undefined {
  if (cron.dayMode !== 'month' || cron.monthRules !== undefined || (cron.days & below(28)) !== 0) return undefined;
  const day = 32 - Math.clz32(cron.days & -cron.days);
  const lacking = day === 29 ? 0b10 : day === 30 ? 0b10 : 0b0101_0010_1010;
  if ((cron.months & lacking) === 0 || (day !== 29 && (cron.months & ~lacking) === 0)) return undefined;
  const when = day === 29 && cron.months === 0b10 ? 'years that are not leap years' : `months without a day ${day}`;
  return {
    code: 'short_months',
    message: `There is no run in ${when}; L is the last day of every month.`,
    field: 'dayOfMonth',
  };
}

/** The next gap and the next overlap that touch one of the schedule's times. */
function clockChanges(spec: ScheduleSpec, cron: CronSchedule, fromMs: number): ScheduleWarning[] {
  if (isThroughoutDay(spec, cron)) return [];
  const zone = zoneOf(spec.zone);
  const from = Math.floor(Math.max(fromMs, spec.startsAt ?? 0) / 1000);
  let gap: ScheduleWarning | undefined;
  let double: ScheduleWarning | undefined;
  for (
    let i = zone.segmentAfter(zone.segmentAt(from));
    i >= 0 && (zone.starts[i] as number) < from + AHEAD_S;
    i = zone.segmentAfter(i)
  ) {
    const jump = jumpAt(zone, i);
    const start = zone.starts[i] as number;
    if (spec.expiresAt !== undefined && start * 1000 > spec.expiresAt) break;
    const wall = start + Math.min(zone.offsets[i] as number, zone.offsets[i - 1] as number);
    const at = nextWall(cron, wall);
    if (at >= wall + Math.abs(jump)) continue;
    if (jump > 0) gap ??= gapWarning(spec, cron, wall, jump, at);
    else double ??= doubleWarning(spec, cron, wall, -jump, at);
  }
  return [gap, double].filter((warning) => warning !== undefined);
}

function gapWarning(spec: ScheduleSpec, cron: CronSchedule, wall: number, length: number, at: number): ScheduleWarning {
  const on = dayOf(wall);
  const end = moment(wall + length, on);
  const effect = {
    after: `it runs at ${end}`,
    skip: 'it does not run',
    shift: `it runs at ${moment(at + length, on)}`,
  }[clockRules(spec, cron).gap];
  const change = isWholeDay(wall, length)
    ? `${spec.zone} has no ${on}: its clocks go from the end of the day before to ${end}, so ${moment(at, on)} that day`
    : `On ${on} clocks in ${spec.zone} go from ${clock(wall)} to ${end}: ${moment(at, on)}`;
  return { code: 'gap', message: `${change} does not exist, and ${effect}.` };
}

/** Samoa left out 30 December 2011, and others a day of theirs, to move across the date line. */
function isWholeDay(wall: number, length: number): boolean {
  return wall % DAY_S === 0 && length === DAY_S;
}

function doubleWarning(
  spec: ScheduleSpec,
  cron: CronSchedule,
  wall: number,
  length: number,
  at: number,
): ScheduleWarning {
  const effect = {
    first: 'it runs the first time only',
    second: 'it runs the second time only',
    both: 'it runs both times',
  }[clockRules(spec, cron).overlap];
  const on = dayOf(wall + length - 1);
  const message = `On ${on} clocks in ${spec.zone} go back from ${moment(wall + length, on)} to ${moment(wall, on)}: ${moment(at, on)} comes twice, and ${effect}.`;
  return { code: 'double', message };
}

/** A time of day, with its date where that is not the day spoken of. */
function moment(wall: number, on: string): string {
  return dayOf(wall) === on ? clock(wall) : `${dayOf(wall)} ${clock(wall)}`;
}

function dayOf(wall: number): string {
  return dateText(Math.floor(wall / DAY_S));
}

function clock(wall: number): string {
  const time = wall - Math.floor(wall / DAY_S) * DAY_S;
  const text = `${two(Math.floor(time / 3600))}:${two(Math.floor(time / 60) % 60)}`;
  return time % 60 === 0 ? text : `${text}:${two(time % 60)}`;
}

function whyNever(spec: ScheduleSpec, fromMs: number): string {
  const { startsAt, expiresAt, calendars, ...bare } = spec;
  if (startsAt !== undefined && expiresAt !== undefined && startsAt > expiresAt)
    return 'It never runs: starts_at is after expires_at.';
  if (expiresAt !== undefined && expiresAt <= fromMs) return 'It never runs again: expires_at is over.';
  const next = nextAfter({ ...bare, startsAt }, fromMs);
  if (next === undefined)
    return spec.schedule.kind === 'cron'
      ? 'It never runs again: no matching date is left.'
      : 'It never runs again: its time is over.';
  if (expiresAt !== undefined && countBetween({ ...bare, startsAt }, fromMs, expiresAt, 1).count === 0)
    return 'It never runs again: expires_at comes before the next time.';
  return calendars === undefined
    ? 'It never runs again.'
    : 'It never runs: its calendars exclude every time that is left.';
}
