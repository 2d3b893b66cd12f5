// Matching wall-clock times of a cron schedule, as if clocks never changed. Times are wall seconds: the wall time read as UTC.
import { below, countBelow60, has60, lowestBit, next60, popcount, previous60 } from './bits.ts';
import { DAY_MAX, DAY_MIN, DAY_S, YEAR_MAX, YEAR_MIN, dayNumber, daysInMonth, packedDate } from './civil.ts';
import { countMatchingDays, matchingDays } from './day-rules.ts';
import type { CronSchedule } from './types.ts';

/** The first matching wall second ≥ `from`, or Infinity. */
export function nextWall(cron: CronSchedule, from: number): number {
  const day = Math.floor(from / DAY_S);
  if (day >= DAY_MIN && dayMatches(cron, day)) {
    const time = nextTime(cron, from - day * DAY_S);
    if (time >= 0) return day * DAY_S + time;
  }
  const next = nextDay(cron, Math.max(day + 1, DAY_MIN));
  return next > DAY_MAX ? Number.POSITIVE_INFINITY : next * DAY_S + nextTime(cron, 0);
}

/** The last matching wall second ≤ `from`, or -Infinity. */
export function previousWall(cron: CronSchedule, from: number): number {
  const day = Math.floor(from / DAY_S);
  if (day <= DAY_MAX && dayMatches(cron, day)) {
    const time = previousTime(cron, from - day * DAY_S);
    if (time >= 0) return day * DAY_S + time;
  }
  const previous = previousDay(cron, Math.min(day - 1, DAY_MAX));
  return previous < DAY_MIN ? Number.NEGATIVE_INFINITY : previous * DAY_S + previousTime(cron, DAY_S - 1);
}

/** How many matching wall seconds are in [from, to], by days and months, never one by one. */
export function countWall(cron: CronSchedule, from: number, to: number): number {
  if (to < from) return 0;
  const first = Math.floor(from / DAY_S);
  const last = Math.floor(to / DAY_S);
  const startsIn = dayMatches(cron, first) ? countTimesBelow(cron, from - first * DAY_S) : 0;
  const endsIn = dayMatches(cron, last) ? countTimesBelow(cron, to - last * DAY_S + 1) : 0;
  return countDays(cron, first, last - 1) * cron.perDay - startsIn + endsIn;
}

export function wallMatches(cron: CronSchedule, at: number): boolean {
  const day = Math.floor(at / DAY_S);
  return timeMatches(cron, at - day * DAY_S) && dayMatches(cron, day);
}

/** Whether the time of day alone matches (seconds since midnight). */
export function timeMatches(cron: CronSchedule, time: number): boolean {
  const hour = (time / 3600) | 0;
  const minute = ((time / 60) | 0) % 60;
  return (
    ((cron.hours >> hour) & 1) === 1 &&
    has60(cron.minutesLow, cron.minutesHigh, minute) &&
    has60(cron.secondsLow, cron.secondsHigh, time % 60)
  );
}

/** The first matching second of the day ≥ `from`, or -1. */
export function nextTime(cron: CronSchedule, from: number): number {
  const { secondsLow, secondsHigh, minutesLow, minutesHigh, hours } = cron;
  let hour = (from / 3600) | 0;
  if (((hours >> hour) & 1) === 1) {
    let minute = ((from / 60) | 0) % 60;
    if (has60(minutesLow, minutesHigh, minute)) {
      const second = next60(secondsLow, secondsHigh, from % 60);
      if (second >= 0) return hour * 3600 + minute * 60 + second;
    }
    minute = next60(minutesLow, minutesHigh, minute + 1);
    if (minute >= 0) return hour * 3600 + minute * 60 + next60(secondsLow, secondsHigh, 0);
  }
  const later = hours & (-1 << (hour + 1));
  if (later === 0) return -1;
  hour = lowestBit(later);
  return hour * 3600 + next60(minutesLow, minutesHigh, 0) * 60 + next60(secondsLow, secondsHigh, 0);
}

function previousTime(cron: CronSchedule, from: number): number {
  const { secondsLow, secondsHigh, minutesLow, minutesHigh, hours } = cron;
  let hour = (from / 3600) | 0;
  if (((hours >> hour) & 1) === 1) {
    let minute = ((from / 60) | 0) % 60;
    if (has60(minutesLow, minutesHigh, minute)) {
      const second = previous60(secondsLow, secondsHigh, from % 60);
      if (second >= 0) return hour * 3600 + minute * 60 + second;
    }
    minute = previous60(minutesLow, minutesHigh, minute - 1);
    if (minute >= 0) return hour * 3600 + minute * 60 + previous60(secondsLow, secondsHigh, 59);
  }
  const earlier = hours & below(hour);
  if (earlier === 0) return -1;
  hour = 31 - Math.clz32(earlier);
  return hour * 3600 + previous60(minutesLow, minutesHigh, 59) * 60 + previous60(secondsLow, secondsHigh, 59);
}

/** Matching seconds of a matching day before second `end`. */
function countTimesBelow(cron: CronSchedule, end: number): number {
  const { secondsLow, secondsHigh, minutesLow, minutesHigh, hours } = cron;
  const perMinute = countBelow60(secondsLow, secondsHigh, 60);
  const hour = (end / 3600) | 0;
  let count = popcount(hours & below(hour)) * countBelow60(minutesLow, minutesHigh, 60) * perMinute;
  if (((hours >> hour) & 1) === 0) return count;
  const minute = ((end / 60) | 0) % 60;
  count += countBelow60(minutesLow, minutesHigh, minute) * perMinute;
  return has60(minutesLow, minutesHigh, minute) ? count + countBelow60(secondsLow, secondsHigh, end % 60) : count;
}

/** Whether every day matches, so that no calendar is needed. */
function isDaily(cron: CronSchedule): boolean {
  return cron.dayMode === 'all' && cron.months === 0xfff && cron.years === undefined;
}

function dayMatches(cron: CronSchedule, day: number): boolean {
  if (isDaily(cron)) return day >= DAY_MIN && day <= DAY_MAX;
  const date = packedDate(day);
  const month = (date >> 5) & 15;
  if (((cron.months >> (month - 1)) & 1) === 0) return false;
  const year = date >> 9;
  if (year < YEAR_MIN || year > YEAR_MAX || (cron.years !== undefined && !cron.years.includes(year))) return false;
  return ((matchingDays(cron, year, month) >> ((date & 31) - 1)) & 1) === 1;
}

/** The first matching day ≥ `from`, or Infinity. Walks months, at most those of YEAR_MIN … YEAR_MAX. */
function nextDay(cron: CronSchedule, from: number): number {
  if (isDaily(cron)) return from;
  const date = packedDate(from);
  let year = date >> 9;
  let month = (date >> 5) & 15;
  let mask = -1 << ((date & 31) - 1);
  while (year <= YEAR_MAX) {
    const laterMonths = isYear(cron, year) ? cron.months & (-1 << (month - 1)) : 0;
    if (laterMonths === 0) {
      year = yearAfter(cron, year);
      month = 1;
      mask = -1;
      continue;
    }
    const found = lowestBit(laterMonths) + 1;
    if (found !== month) mask = -1;
    const days = matchingDays(cron, year, found) & mask;
    if (days !== 0) return dayNumber(year, found, 1) + lowestBit(days);
    mask = -1;
    month = found + 1;
  }
  return Number.POSITIVE_INFINITY;
}

/** The last matching day ≤ `from`, or -Infinity. */
function previousDay(cron: CronSchedule, from: number): number {
  if (isDaily(cron)) return from;
  if (from < DAY_MIN) return Number.NEGATIVE_INFINITY;
  const date = packedDate(from);
  let year = date >> 9;
  let month = (date >> 5) & 15;
  let mask = below(date & 31);
  while (year >= YEAR_MIN) {
    const earlierMonths = isYear(cron, year) ? cron.months & below(month) : 0;
    if (earlierMonths === 0) {
      year = yearBefore(cron, year);
      month = 12;
      mask = -1;
      continue;
    }
    const found = 32 - Math.clz32(earlierMonths);
    if (found !== month) mask = -1;
    const days = matchingDays(cron, year, found) & mask;
    if (days !== 0) return dayNumber(year, found, 1) + 31 - Math.clz32(days);
    mask = -1;
    month = found - 1;
  }
  return Number.NEGATIVE_INFINITY;
}

/** Matching days in [from, to]. */
function countDays(cron: CronSchedule, from: number, to: number): number {
  if (isDaily(cron)) return Math.max(0, Math.min(to, DAY_MAX) - Math.max(from, DAY_MIN) + 1);
  const start = packedDate(Math.max(from, DAY_MIN));
  const end = packedDate(Math.min(to, DAY_MAX));
  if (to < from || to < DAY_MIN || from > DAY_MAX) return 0;
  let count = 0;
  for (let month = start >> 5; month <= end >> 5; month++) {
    if ((month & 15) === 0 || (month & 15) > 12) continue; // 16 month slots per year, 12 used
    if (((cron.months >> ((month & 15) - 1)) & 1) === 0 || !isYear(cron, month >> 4)) continue;
    let mask = month === start >> 5 ? -1 << ((start & 31) - 1) : -1;
    if (month === end >> 5) mask &= below(end & 31);
    count += countMatchingDays(cron, month >> 4, month & 15, mask);
  }
  return count;
}

function isYear(cron: CronSchedule, year: number): boolean {
  return cron.years === undefined || cron.years.includes(year);
}

function yearAfter(cron: CronSchedule, year: number): number {
  return cron.years === undefined ? year + 1 : (cron.years.find((y) => y > year) ?? YEAR_MAX + 1);
}

function yearBefore(cron: CronSchedule, year: number): number {
  return cron.years === undefined ? year - 1 : (cron.years.findLast((y) => y < year) ?? YEAR_MIN - 1);
}

/** Whether some day in YEAR_MIN … YEAR_MAX matches at all. */
export function hasAnyDay(cron: CronSchedule): boolean {
  return nextDay(cron, DAY_MIN) <= DAY_MAX;
}

/** The last day of the schedule's last month of `year`, for messages about impossible dates. */
export function longestMonth(months: number): number {
  let longest = 0;
  for (let month = 1; month <= 12; month++)
    if (((months >> (month - 1)) & 1) === 1) longest = Math.max(longest, daysInMonth(2000, month));
  return longest;
}
