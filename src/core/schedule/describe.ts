// Any schedule in English: "At 02:30 every day, America/New_York time; …".
import { below, members, members60 } from './bits.ts';
import { jumpAt } from './cron.ts';
import { clockRules } from './next.ts';
import { MONTH_NAMES, WEEKDAY_NAMES, durationWords, list, ordinal } from './names.ts';
import { formatUtc, two } from './instant.ts';
import type { CronSchedule, DayRule, ScheduleSpec } from './types.ts';
import { nextTime, nextWall } from './wall.ts';
import { zoneOf } from './zone.ts';

/** What may be told about; without a zone, nothing is said about one. */
export type Describable = Pick<ScheduleSpec, 'schedule'> & Partial<ScheduleSpec>;

/** More times of day than this are told as a rhythm. */
const TIMES_MAX = 6;
/** Clock changes are looked for this far ahead. */
const AHEAD_S = 3 * 366 * 86_400;
const HOURS_ALL = 0xff_ffff;

/** One line of English. `fromMs` is where to look for coming clock changes; without it, at the spec's anchor. */
export function describe(spec: Describable, fromMs: number = spec.anchorAt ?? 0): string {
  const parts = [main(spec)];
  if (spec.schedule.kind === 'cron') {
    if (spec.zone !== undefined) parts[0] += `, ${spec.zone} time`;
    if (spec.schedule.hashed) parts[0] += " (chosen by the job's name)";
    parts.push(...clockChangeWords(spec, spec.schedule, fromMs));
  }
  if (spec.jitterMs !== undefined && spec.jitterMs > 0) parts.push(`up to ${durationWords(spec.jitterMs)} later`);
  if (spec.startsAt !== undefined) parts.push(`from ${formatUtc(spec.startsAt)}`);
  if (spec.expiresAt !== undefined) parts.push(`until ${formatUtc(spec.expiresAt)}`);
  if (spec.calendars !== undefined && spec.calendars.length > 0) parts.push(calendarWords(spec.calendars));
  return parts.join('; ');
}

function main({ schedule }: Describable): string {
  switch (schedule.kind) {
    case 'cron':
      return cronWords(schedule);
    case 'every':
      return `Every ${durationWords(schedule.intervalMs).replace(/^1 (\w+)$/, '$1')}`;
    case 'at':
      return `Once, at ${formatUtc(schedule.at)}`;
    case 'after':
      return `Once, at ${formatUtc(schedule.at)} or up to ${durationWords(schedule.graceMs)} later`;
    case 'manual':
      return 'Never by itself, only when triggered';
  }
}

function calendarWords(calendars: NonNullable<ScheduleSpec['calendars']>): string {
  const names = calendars.map((calendar) => calendar.name).filter((name) => name !== undefined);
  return names.length === 0
    ? 'except on excluded days and times'
    : `except as in ${list(names.map((name) => `"${name}"`))}`;
}

function cronWords(cron: CronSchedule): string {
  const days = dayWords(cron);
  const text = [timeWords(cron), days === '' && cron.perDay <= TIMES_MAX ? 'every day' : days, yearWords(cron)]
    .filter((part) => part !== '')
    .join(' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

// Times of day

function timeWords(cron: CronSchedule): string {
  if (cron.perDay <= TIMES_MAX) return `at ${list(timesOfDay(cron))}`;
  const seconds = members60(cron.secondsLow, cron.secondsHigh);
  const minutes = members60(cron.minutesLow, cron.minutesHigh);
  if (seconds.length === 1 && minutes.length === 1)
    return hourlyWords(cron, minutes[0] as number, seconds[0] as number);
  const onTheMinute = seconds.length === 1 && seconds[0] === 0;
  const rhythm = onTheMinute ? unitWords(minutes, 'minute') : withinWords(seconds, minutes);
  return cron.hours === HOURS_ALL ? rhythm : `${rhythm} ${hoursWords(cron)}`;
}

function timesOfDay(cron: CronSchedule): string[] {
  const found: string[] = [];
  for (let at = nextTime(cron, 0); at >= 0; at = at >= 86_399 ? -1 : nextTime(cron, at + 1)) found.push(clock(at));
  return found;
}

function clock(seconds: number): string {
  const text = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}`;
  return seconds % 60 === 0 ? text : `${text}:${two(seconds % 60)}`;
}

/** One time an hour, in more hours than one lists. */
function hourlyWords(cron: CronSchedule, minute: number, second: number): string {
  const hours = members(cron.hours);
  const at = (hour: number): string => clock(hour * 3600 + minute * 60 + second);
  const [first, last] = [hours[0] as number, hours.at(-1) as number];
  if (hours.length === 24)
    return minute === 0 && second === 0
      ? 'every hour'
      : `every hour at minute ${minute}${second === 0 ? '' : `, second ${second}`}`;
  const step = stepOf(hours);
  if (step === undefined) return `at ${list(hours.map(at))}`;
  return `every ${step === 1 ? 'hour' : `${step} hours`} from ${at(first)} to ${at(last)}`;
}

function hoursWords(cron: CronSchedule): string {
  const hours = members(cron.hours);
  const step = stepOf(hours);
  if (hours.length === 1 || step === 1)
    return `from ${two(hours[0] as number)}:00 to ${two(hours.at(-1) as number)}:59`;
  if (step !== undefined && hours.length > 3)
    return `of every ${ordinal(step)} hour from ${two(hours[0] as number)}:00 to ${two(hours.at(-1) as number)}:59`;
  return `in the hours ${list(hours.map((hour) => `${two(hour)}:00`))}`;
}

function withinWords(seconds: readonly number[], minutes: readonly number[]): string {
  const rhythm = unitWords(seconds, 'second');
  return minutes.length === 60
    ? rhythm.startsWith('every')
      ? rhythm
      : `${rhythm} of every minute`
    : `${rhythm} of ${partWords(minutes, 'minute')}`;
}

/** Values of 0-59: "every 5 minutes", "at minutes 5 and 10". */
function unitWords(values: readonly number[], unit: string): string {
  const step = stepOf(values);
  if (values.length === 60) return `every ${unit}`;
  const first = values[0] as number;
  if (step !== undefined && 60 % step === 0 && values.length === 60 / step && values.length > 1) {
    return first === 0 ? `every ${step} ${unit}s` : `every ${step} ${unit}s from ${unit} ${first}`;
  }
  return `at ${partWords(values, unit)}`;
}

function partWords(values: readonly number[], unit: string): string {
  return `${unit}${values.length === 1 ? '' : 's'} ${list(runs(values, String))}`;
}

/** The common difference of two or more values, or undefined. */
function stepOf(values: readonly number[]): number | undefined {
  const [first, second] = values;
  if (first === undefined || second === undefined) return undefined;
  const step = second - first;
  return values.every((value, i) => value === first + i * step) ? step : undefined;
}

/** Three or more in a row become "a to b". */
function runs(values: readonly number[], word: (value: number) => string): string[] {
  const words: string[] = [];
  for (let i = 0; i < values.length;) {
    let end = i;
    while (end + 1 < values.length && values[end + 1] === (values[end] as number) + 1) end++;
    const [from, to] = [values[i] as number, values[end] as number];
    if (end - i >= 2) words.push(`${word(from)} to ${word(to)}`);
    else for (let value = from; value <= to; value++) words.push(word(value));
    i = end + 1;
  }
  return words;
}

// Days, months, years

function dayWords(cron: CronSchedule): string {
  const months = cron.months === 0xfff ? '' : list(runs(members(cron.months), (month) => MONTH_NAMES[month] as string));
  const ofMonths = months === '' ? 'of every month' : `of ${months}`;
  const inMonths = months === '' ? '' : ` in ${months}`;
  switch (cron.dayMode) {
    case 'all':
      return months === '' ? '' : `every day${inMonths}`;
    case 'month':
      return `on ${monthDayWords(cron)} ${ofMonths}`;
    case 'week':
      return `on ${weekDayWords(cron, 'and')}${inMonths}`;
    case 'or':
      return `on ${monthDayWords(cron)} ${ofMonths} or on ${weekDayWords(cron, 'and')}${inMonths} (either is enough)`;
    case 'and':
      return `on ${monthDayWords(cron)} ${ofMonths}, only if it is ${weekDayWords(cron, 'or')}`;
  }
}

function monthDayWords(cron: CronSchedule): string {
  const days = members(cron.days).map((day) => day + 1);
  const step = stepOf(days);
  const rules = (cron.monthRules ?? []).map(ruleWords);
  if (
    rules.length === 0 &&
    step !== undefined &&
    step > 1 &&
    days.length > 4 &&
    days.length === Math.floor((31 - (days[0] as number)) / step) + 1
  ) {
    return `every ${ordinal(step)} day from the ${ordinal(days[0] as number)}`;
  }
  const named = runs(days, ordinal);
  if (named[0] !== undefined) named[0] = `the ${named[0]}`;
  return list([...named, ...rules]);
}

function weekDayWords(cron: CronSchedule, joint: 'and' | 'or'): string {
  const name = (weekday: number): string => WEEKDAY_NAMES[weekday % 7] as string;
  // Weeks are told from Monday, so that "Saturday and Sunday" is one run.
  const mondayFirst = members(cron.weekdays)
    .map((weekday) => (weekday === 0 ? 7 : weekday))
    .sort((a, b) => a - b);
  return list([...runs(mondayFirst, name), ...(cron.weekRules ?? []).map(ruleWords)], joint);
}

function ruleWords(rule: DayRule): string {
  switch (rule.kind) {
    case 'fromEnd': {
      const day =
        rule.offset === 0
          ? 'the last day'
          : rule.offset === 1
            ? 'the day before the last'
            : `the ${ordinal(rule.offset)} day before the last`;
      if (!rule.nearest) return day;
      return rule.offset === 0
        ? 'the last weekday (Monday to Friday)'
        : `the weekday (Monday to Friday) nearest ${day}`;
    }
    case 'nearest':
      return `the weekday (Monday to Friday) nearest the ${ordinal(rule.day)}`;
    case 'nth':
      return `the ${ordinal(rule.nth)} ${WEEKDAY_NAMES[rule.weekday]} of the month`;
    case 'last':
      return `the last ${WEEKDAY_NAMES[rule.weekday]} of the month`;
  }
}

function yearWords(cron: CronSchedule): string {
  if (cron.years === undefined) return '';
  const words = runs(cron.years, String);
  return words.length <= TIMES_MAX
    ? `in ${list(words)}`
    : `in ${cron.years.length} years from ${cron.years[0]} to ${cron.years.at(-1)}`;
}

// Clock changes

/** What happens when clocks change over one of the schedule's times of day; nothing for rhythms that run through every hour. */
function clockChangeWords(spec: Describable, cron: CronSchedule, fromMs: number): string[] {
  if (spec.zone === undefined || isThroughoutDay(spec, cron)) return [];
  const rules = clockRules(spec, cron);
  const touched = changesTouching(cron, spec.zone, fromMs);
  const words: string[] = [];
  if (touched.gap) {
    const effect = {
      after: 'it runs right after the gap',
      skip: 'it does not run',
      shift: 'it runs later by the length of the gap',
    };
    words.push(`when clocks skip its time, ${effect[rules.gap]}`);
  }
  if (touched.overlap) {
    const effect = {
      first: 'it runs the first time only',
      second: 'it runs the second time only',
      both: 'it runs both times',
    };
    words.push(
      `when they repeat it, ${effect[rules.overlap]}`
        .replace(/^when they/, touched.gap ? 'when they' : 'when clocks')
        .replace(/it,/, touched.gap ? 'it,' : 'its time,'),
    );
  }
  return words;
}

/** A rhythm through every hour that follows elapsed time: a clock change takes nothing from it and doubles nothing. */
export function isThroughoutDay(spec: Pick<ScheduleSpec, 'dst'>, cron: CronSchedule): boolean {
  return cron.elapsed && cron.hours === HOURS_ALL && clockRules(spec, cron).overlap === 'both';
}

function changesTouching(cron: CronSchedule, zoneName: string, fromMs: number): { gap: boolean; overlap: boolean } {
  const everyDay: CronSchedule = { ...cron, dayMode: 'all', months: below(12), years: undefined };
  const zone = zoneOf(zoneName);
  const from = Math.floor(fromMs / 1000);
  const touched = { gap: false, overlap: false };
  for (
    let i = zone.segmentAfter(zone.segmentAt(from));
    i >= 0 && (zone.starts[i] as number) < from + AHEAD_S;
    i = zone.segmentAfter(i)
  ) {
    const jump = jumpAt(zone, i);
    const wall = (zone.starts[i] as number) + Math.min(zone.offsets[i] as number, zone.offsets[i - 1] as number);
    if (nextWall(everyDay, wall) < wall + Math.abs(jump)) touched[jump > 0 ? 'gap' : 'overlap'] = true;
  }
  return touched;
}
