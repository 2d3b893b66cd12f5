// Which days of a month a cron schedule takes, as one 31-bit word (bit 0 is day 1).
import { below, popcount } from './bits.ts';
import { dayNumber, daysInMonth, weekdayOf } from './civil.ts';
import type { CronSchedule, DayRule } from './types.ts';

/** The matching days of a month, whatever the month and year fields say. */
export function matchingDays(cron: CronSchedule, year: number, month: number): number {
  const length = daysInMonth(year, month);
  const all = below(length);
  if (cron.dayMode === 'all') return all;
  const first = weekdayOf(dayNumber(year, month, 1));
  switch (cron.dayMode) {
    case 'month':
      return all & monthDays(cron, length, first);
    case 'week':
      return all & weekDays(cron, length, first);
    case 'or':
      return all & (monthDays(cron, length, first) | weekDays(cron, length, first));
    case 'and':
      return all & monthDays(cron, length, first) & weekDays(cron, length, first);
  }
}

export function countMatchingDays(cron: CronSchedule, year: number, month: number, mask: number): number {
  return popcount(matchingDays(cron, year, month) & mask);
}

function monthDays(cron: CronSchedule, length: number, first: number): number {
  let days = cron.days;
  if (cron.monthRules !== undefined) for (const rule of cron.monthRules) days |= ruleDays(rule, length, first);
  return days;
}

function weekDays(cron: CronSchedule, length: number, first: number): number {
  // Rotate so that bit 0 is the weekday of day 1, then repeat it through the month.
  const week = ((cron.weekdays >> first) | (cron.weekdays << (7 - first))) & 0x7f;
  let days = week | (week << 7) | (week << 14) | (week << 21) | ((week & 0x7) << 28);
  if (cron.weekRules !== undefined) for (const rule of cron.weekRules) days |= ruleDays(rule, length, first);
  return days;
}

function ruleDays(rule: DayRule, length: number, first: number): number {
  switch (rule.kind) {
    case 'fromEnd': {
      const day = length - rule.offset;
      return rule.nearest ? nearestWorkday(day, length, first) : bit(day, length);
    }
    case 'nearest':
      return nearestWorkday(rule.day, length, first);
    case 'nth':
      return bit(1 + ((rule.weekday - first + 7) % 7) + (rule.nth - 1) * 7, length);
    case 'last': {
      const lastWeekday = (first + length - 1) % 7;
      return bit(length - ((lastWeekday - rule.weekday + 7) % 7), length);
    }
  }
}

/** Saturday goes to Friday and Sunday to Monday, but never out of the month. A day the month lacks has none. */
function nearestWorkday(day: number, length: number, first: number): number {
  if (day < 1 || day > length) return 0;
  const weekday = (first + day - 1) % 7;
  if (weekday === 6) return bit(day === 1 ? 3 : day - 1, length);
  if (weekday === 0) return bit(day === length ? day - 2 : day + 1, length);
  return bit(day, length);
}

function bit(day: number, length: number): number {
  return day < 1 || day > length ? 0 : 1 << (day - 1);
}
