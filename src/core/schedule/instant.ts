// RFC 3339 instants, strictly: a date-time with Z or an offset, as Go's time.RFC3339 reads it.
import { DAY_S, dayNumber, daysInMonth, packedDate } from './civil.ts';

const RFC3339 = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:[.,](\d+))?(?:Z|([+-])(\d{2}):(\d{2}))$/;

/** Epoch milliseconds (fractions beyond are cut), or undefined. Leap seconds and days that do not exist are no instants. */
export function parseInstant(text: string): number | undefined {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const [offsetHours, offsetMinutes] = [Number(match[9] ?? 0), Number(match[10] ?? 0)];
  if (offsetHours > 23 || offsetMinutes > 59) return undefined;
  const offset = (match[8] === '-' ? -1 : 1) * (offsetHours * 3600 + offsetMinutes * 60);
  const seconds = dayNumber(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second - offset;
  return seconds * 1000 + Math.floor(Number((match[7] ?? '').padEnd(3, '0').slice(0, 3)));
}

/** `2026-11-22T17:00:00Z`; `.mmm` only when not zero. */
export function formatUtc(ms: number): string {
  return `${wallText(ms)}Z`;
}

/** The same instant with its offset in seconds east of UTC: `2026-11-22T12:00:00-05:00`. */
export function formatLocal(ms: number, offset: number): string {
  const minutes = Math.round(Math.abs(offset) / 60);
  return `${wallText(ms + offset * 1000)}${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

function wallText(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const day = Math.floor(seconds / DAY_S);
  const time = seconds - day * DAY_S;
  const rest = ms - seconds * 1000;
  const fraction = rest === 0 ? '' : `.${String(Math.floor(rest)).padStart(3, '0')}`;
  return `${dateText(day)}T${two(Math.floor(time / 3600))}:${two(Math.floor(time / 60) % 60)}:${two(time % 60)}${fraction}`;
}

/** `2026-11-22` for a day number. */
export function dateText(day: number): string {
  const date = packedDate(day);
  return `${String(date >> 9).padStart(4, '0')}-${two((date >> 5) & 15)}-${two(date & 31)}`;
}

export function two(n: number): string {
  return String(n).padStart(2, '0');
}
