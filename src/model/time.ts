// Instants as text: RFC 3339 in, canonical UTC text out (`Z`, fraction only when not zero), as Go prints them.

/** Go's zero time: "not finished", "no next". */
export const ZERO_TIME = '0001-01-01T00:00:00Z';

const RFC3339 =
  /^\d{4}-(\d\d)-(\d\d)[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,18})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/;
/** What an HTML datetime-local field gives; read as UTC. */
const DATETIME_LOCAL = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d$/;

/** Canonical UTC text of an RFC 3339 time with any offset, nanoseconds kept; undefined when it is none. */
export function canonicalInstant(text: string): string | undefined {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const fraction = match[4];
  // Temporal takes nine digits at most; Go drops the rest.
  const short = fraction !== undefined && fraction.length > 10 ? text.replace(fraction, fraction.slice(0, 10)) : text;
  try {
    const canonical = Temporal.Instant.from(short).toString();
    return canonical.length > 0 && canonical[0] !== '-' && canonical[0] !== '+' ? canonical : undefined;
  } catch {
    return undefined; // well formed, but no such day
  }
}

/** As `canonicalInstant`, and "YYYY-MM-DDTHH:MM" read as UTC: Dkron's nullable times. */
export function canonicalNullableTime(text: string): string | undefined {
  return canonicalInstant(DATETIME_LOCAL.test(text) ? `${text}:00Z` : text);
}

/** Text of an instant in epoch milliseconds: "2026-11-22T17:00:00Z", with a fraction only when it is not zero. */
export function instantText(epochMs: number): string {
  return Temporal.Instant.fromEpochMilliseconds(epochMs).toString();
}

/** Text of an instant in epoch microseconds (an integer below 2^53). */
export function instantTextUs(epochUs: number): string {
  return Temporal.Instant.fromEpochNanoseconds(BigInt(epochUs) * 1000n).toString();
}

/** Text of an instant in epoch microseconds in a zone: RFC 3339 with its offset, `Z` in UTC. */
export function zonedTextUs(epochUs: number, zone: string): string {
  const instant = Temporal.Instant.fromEpochNanoseconds(BigInt(epochUs) * 1000n);
  return zone === '' || zone === 'UTC' ? instant.toString() : instant.toString({ timeZone: zone });
}

/** Epoch milliseconds (rounded down) of canonical text. */
export function instantMs(text: string): number {
  return Temporal.Instant.from(text).epochMilliseconds;
}
