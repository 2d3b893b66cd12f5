// Shared by the schedule tests: text to spec, and instants to local text.
import { parseSchedule, type ScheduleSpec } from '../../src/core/schedule/index.ts';
import { formatLocal } from '../../src/core/schedule/instant.ts';
import { zoneOf } from '../../src/core/schedule/zone.ts';

export const ms = (text: string): number => Date.parse(text);

/** The spec of a schedule that must be valid; anchored at 2025-01-01 unless told. */
export function specOf(text: string, zone = 'UTC', extra: Partial<ScheduleSpec> = {}, name = 'job'): ScheduleSpec {
  const parsed = parseSchedule(text, { name });
  if (!parsed.ok) throw new Error(`${text}: ${parsed.error.message}`);
  return { schedule: parsed.schedule, zone: parsed.zone ?? zone, anchorAt: ms('2025-01-01T00:00:00Z'), ...extra };
}

/** "2025-03-09T03:00-04:00": minutes are enough for the tables unless seconds matter. */
export function local(at: number, zone: string): string {
  return formatLocal(at, zoneOf(zone).offsetOf(Math.floor(at / 1000))).replace(/:00(?=[+-]\d\d:\d\d$)/, '');
}
