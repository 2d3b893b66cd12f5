// Calendars: which instants a job leaves out. Days are wall days of the job's zone.
import type { Calendar } from '../../model/schedule.ts';
import { DAY_S, YEAR_MAX, dayNumber, packedDate, weekdayOf } from './civil.ts';
import { parseInstant } from './instant.ts';
import { zoneOf, type Zone } from './zone.ts';

const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
/** A run of excluded days longer than this is followed piece by piece: it bounds one step. */
const DAYS_PER_STEP = 400;

/** Calendars made ready for one zone. Instants here are epoch milliseconds. */
export interface Exclusions {
  readonly zone: Zone;
  /** Day numbers, and month × 32 + day for yearly ones. */
  readonly days: ReadonlySet<number>;
  readonly yearlyDays: ReadonlySet<number>;
  readonly weekdays: number;
  /** Both ends included; each may wrap over New Year. */
  readonly yearlyRanges: readonly (readonly [number, number])[];
  readonly dayRanges: readonly (readonly [number, number])[];
  /** Half-open and disjoint, in rising order. */
  readonly spans: readonly (readonly [number, number])[];
  readonly anyDays: boolean;
}

const cache = new WeakMap<readonly Calendar[], Map<string, Exclusions>>();

/** The exclusions of a list of calendars in a zone; kept as long as the list is. Undefined when nothing is excluded. */
export function exclusionsOf(calendars: readonly Calendar[] | undefined, zoneName: string): Exclusions | undefined {
  if (calendars === undefined || calendars.length === 0) return undefined;
  let byZone = cache.get(calendars);
  if (byZone === undefined) cache.set(calendars, (byZone = new Map()));
  let found = byZone.get(zoneName);
  if (found === undefined) byZone.set(zoneName, (found = compile(calendars, zoneOf(zoneName))));
  return found.anyDays || found.spans.length > 0 ? found : undefined;
}

/** When the exclusion that holds `ms` ends (or a step towards it), or undefined if `ms` is not excluded. */
export function excludedUntil(exclusions: Exclusions, ms: number): number | undefined {
  const span = exclusions.spans.find(([from, to]) => ms >= from && ms < to);
  if (span !== undefined) return span[1];
  if (!exclusions.anyDays) return undefined;
  const day = dayOf(exclusions.zone, ms);
  if (!isExcludedDay(exclusions, day)) return undefined;
  let end = day + 1;
  while (end - day < DAYS_PER_STEP && isExcludedDay(exclusions, end)) end++;
  return startOfDay(exclusions.zone, end);
}

/** The first instant of the exclusion that holds `ms` (or a step towards it), or undefined if `ms` is not excluded. */
export function excludedSince(exclusions: Exclusions, ms: number): number | undefined {
  const span = exclusions.spans.find(([from, to]) => ms >= from && ms < to);
  if (span !== undefined) return span[0];
  if (!exclusions.anyDays) return undefined;
  const day = dayOf(exclusions.zone, ms);
  if (!isExcludedDay(exclusions, day)) return undefined;
  let start = day;
  while (day - start < DAYS_PER_STEP && isExcludedDay(exclusions, start - 1)) start--;
  return startOfDay(exclusions.zone, start);
}

/** The first instant ≥ `ms` and ≤ `limit` at which an exclusion starts, else `limit` + 1. `ms` itself is not excluded. */
export function nextExclusionStart(exclusions: Exclusions, ms: number, limit: number): number {
  const span = exclusions.spans.find(([from]) => from >= ms);
  const end = Math.min(limit + 1, span?.[0] ?? Number.POSITIVE_INFINITY);
  if (!exclusions.anyDays) return end;
  for (let day = dayOf(exclusions.zone, ms) + 1; ; day++) {
    const start = startOfDay(exclusions.zone, day);
    if (start >= end) return end;
    if (isExcludedDay(exclusions, day)) return start;
  }
}

function isExcludedDay(exclusions: Exclusions, day: number): boolean {
  if (((exclusions.weekdays >> weekdayOf(day)) & 1) === 1 || exclusions.days.has(day)) return true;
  if (exclusions.dayRanges.some(([from, to]) => day >= from && day <= to)) return true;
  if (exclusions.yearlyDays.size === 0 && exclusions.yearlyRanges.length === 0) return false;
  const yearly = packedDate(day) & 511;
  return exclusions.yearlyDays.has(yearly) || exclusions.yearlyRanges.some((range) => inYearlyRange(yearly, range));
}

function inYearlyRange(day: number, [from, to]: readonly [number, number]): boolean {
  return from <= to ? day >= from && day <= to : day >= from || day <= to;
}

function dayOf(zone: Zone, ms: number): number {
  const seconds = Math.floor(ms / 1000);
  return Math.floor((seconds + zone.offsetOf(seconds)) / DAY_S);
}

/** The first instant of a wall day; of the next day that exists when clocks skip it whole (Apia, 30 December 2011). */
function startOfDay(zone: Zone, day: number): number {
  return wallToMs(zone, day * DAY_S);
}

/** The first instant whose wall time is ≥ `wall`. */
function wallToMs(zone: Zone, wall: number): number {
  let i = zone.segmentAt(wall - DAY_S);
  while (i > 0 && (zone.starts[i] as number) > wall - 2 * DAY_S) i--;
  for (;;) {
    const at = Math.max(wall - (zone.offsets[i] as number), zone.starts[i] as number);
    if (at < (zone.starts[i + 1] as number)) return at * 1000;
    i = zone.segmentAfter(i);
  }
}

function compile(calendars: readonly Calendar[], zone: Zone): Exclusions {
  const days = new Set<number>();
  const yearlyDays = new Set<number>();
  const dayRanges: [number, number][] = [];
  const yearlyRanges: [number, number][] = [];
  const spans: [number, number][] = [];
  let weekdays = 0;
  for (const calendar of calendars) {
    for (const weekday of calendar.weekdays) weekdays |= 1 << weekdayNumber(weekday);
    for (const date of calendar.dates) (date.length === 5 ? yearlyDays : days).add(dayValue(date));
    for (const { from, to } of calendar.ranges) {
      if (from.length === 5) yearlyRanges.push([dayValue(from), dayValue(to)]);
      else if (from.length === 10 && to.length === 10) dayRanges.push([dayValue(from), dayValue(to)]);
      else spans.push([boundMs(zone, from, 0), boundMs(zone, to, 1)]);
    }
  }
  const anyDays =
    weekdays !== 0 || days.size > 0 || yearlyDays.size > 0 || dayRanges.length > 0 || yearlyRanges.length > 0;
  return { zone, days, yearlyDays, weekdays, dayRanges, yearlyRanges, spans: merged(spans), anyDays };
}

function weekdayNumber(weekday: string | number): number {
  const named = WEEKDAYS.indexOf(String(weekday).toLowerCase());
  return named >= 0 ? named : Number(weekday) % 7;
}

function dayValue(text: string): number {
  const [day, month, year] = text.split('-').map(Number).reverse() as [number, number, number | undefined];
  return year === undefined ? month * 32 + day : dayNumber(Math.min(year, YEAR_MAX + 1), month, day);
}

/** A bound of a range as an instant; `dayAdd` makes a day at the end of a range count whole. */
function boundMs(zone: Zone, text: string, dayAdd: 0 | 1): number {
  if (text.length === 10) return startOfDay(zone, dayValue(text) + dayAdd);
  const instant = parseInstant(text);
  if (instant !== undefined) return instant;
  const [hour, minute, second] = text.slice(11).split(':').map(Number) as [number, number, number | undefined];
  return wallToMs(zone, dayValue(text.slice(0, 10)) * DAY_S + hour * 3600 + minute * 60 + (second ?? 0));
}

function merged(spans: [number, number][]): [number, number][] {
  const result: [number, number][] = [];
  for (const [from, to] of spans.filter((span) => span[0] < span[1]).sort((a, b) => a[0] - b[0])) {
    const last = result.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else result.push([from, to]);
  }
  return result;
}
