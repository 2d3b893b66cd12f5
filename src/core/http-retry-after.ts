/** The Retry-After header (RFC 9110 §10.2.3): how long a server asks not to be called again. */

/** A server may ask for a day at most; what is longer is cut, so that no header can switch a job's retries off for good. */
export const RETRY_AFTER_MS_MAX = 86_400_000;

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const IMF = /^[a-z]{3}, (\d\d) ([a-z]{3}) (\d{4}) (\d\d):(\d\d):(\d\d) gmt$/i;
const RFC850 = /^[a-z]{6,9}, (\d\d)-([a-z]{3})-(\d\d) (\d\d):(\d\d):(\d\d) gmt$/i;
const ASCTIME = /^[a-z]{3} ([a-z]{3}) ([ \d]\d) (\d\d):(\d\d):(\d\d) (\d{4})$/i;

/** Milliseconds from `nowMs` (wall) for seconds or any of the three HTTP date forms; a past date is 0; undefined when it is neither. */
export function parseRetryAfter(text: string, nowMs: number): number | undefined {
  const trimmed = text.trim();
  if (/^\d{1,15}$/.test(trimmed)) return Math.min(Number(trimmed) * 1000, RETRY_AFTER_MS_MAX);
  const at = parseHttpDate(trimmed, nowMs);
  if (at === undefined) return undefined;
  return Math.min(Math.max(0, Math.ceil(at - nowMs)), RETRY_AFTER_MS_MAX);
}

function parseHttpDate(text: string, nowMs: number): number | undefined {
  const imf = IMF.exec(text);
  if (imf !== null) return utc(imf[3], imf[2], imf[1], imf.slice(4, 7));
  const rfc850 = RFC850.exec(text);
  if (rfc850 !== null) return utc(fullYear(Number(rfc850[3]), nowMs), rfc850[2], rfc850[1], rfc850.slice(4, 7));
  const asctime = ASCTIME.exec(text);
  if (asctime !== null) return utc(asctime[6], asctime[1], asctime[2], asctime.slice(3, 6));
  return undefined;
}

/** A two-digit year more than 50 years ahead belongs to the past century (RFC 9110 §5.6.7). */
function fullYear(twoDigits: number, nowMs: number): number {
  const year = Temporal.Instant.fromEpochMilliseconds(Math.trunc(nowMs)).toZonedDateTimeISO('UTC').year;
  const candidate = Math.floor(year / 100) * 100 + twoDigits;
  return candidate > year + 50 ? candidate - 100 : candidate;
}

function utc(
  year: string | number | undefined,
  month: string | undefined,
  day: string | undefined,
  time: readonly string[],
): number | undefined {
  const index = MONTHS.indexOf((month ?? '').toLowerCase());
  const [hour, minute, second] = time.map(Number);
  if (index < 0 || hour === undefined || minute === undefined || second === undefined) return undefined;
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  // A leap second has no instant of its own: the second before it stands for it.
  const fields = { year: Number(year), month: index + 1, day: Number(day), hour, minute, second: Math.min(second, 59) };
  try {
    return Temporal.PlainDateTime.from(fields, { overflow: 'reject' }).toZonedDateTime('UTC').epochMilliseconds;
  } catch {
    return undefined; // well formed, but no such day
  }
}
