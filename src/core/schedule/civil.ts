// The Gregorian calendar in integers. A day number counts from 1970-01-01, which was a Thursday.

export const DAY_S = 86_400;
export const YEAR_MIN = 1970;
/** The last year any cron schedule is asked about: a bound for every search. */
export const YEAR_MAX = 2199;

/** Day number of a date (Howard Hinnant, chrono-Compatible Low-Level Date Algorithms). */
export function dayNumber(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = (((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) | 0) + day - 1;
  return era * 146_097 + yearOfEra * 365 + ((yearOfEra / 4) | 0) - ((yearOfEra / 100) | 0) + dayOfYear - 719_468;
}

export const DAY_MIN: number = dayNumber(YEAR_MIN, 1, 1);
export const DAY_MAX: number = dayNumber(YEAR_MAX, 12, 31);

/** year × 512 + month × 32 + day, packed so that the hot path allocates nothing. */
export function packedDate(day: number): number {
  const z = day + 719_468;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const yearOfEra =
    ((dayOfEra - ((dayOfEra / 1460) | 0) + ((dayOfEra / 36_524) | 0) - ((dayOfEra / 146_096) | 0)) / 365) | 0;
  const dayOfYear = dayOfEra - (365 * yearOfEra + ((yearOfEra / 4) | 0) - ((yearOfEra / 100) | 0));
  const shifted = ((5 * dayOfYear + 2) / 153) | 0;
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return year * 512 + month * 32 + (dayOfYear - (((153 * shifted + 2) / 5) | 0) + 1);
}

export function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return 30 + ((month + (month >> 3)) & 1);
}

/** 0 is Sunday. */
export function weekdayOf(day: number): number {
  const w = (day + 4) % 7;
  return w < 0 ? w + 7 : w;
}
