/**
 * When a job was due, computed by brute force from its definitions and the times of their edits. Of the program only core/schedule is
 * used, to enumerate; what the scheduler, planner and store decided is not looked at.
 */
import { instantsBetween, nextAfter, parseSchedule, type ScheduleSpec } from '../../src/core/schedule/index.ts';
import { parseDuration } from '../../src/model/duration.ts';
import type { JobDefinition } from '../../src/model/job.ts';
import type { Calendar } from '../../src/model/schedule.ts';

/** One version of a job and the wall time at which it was written. */
export interface Version {
  readonly version: number;
  readonly definition: JobDefinition;
  readonly at: number;
}

export interface JobHistory {
  readonly id: number;
  readonly versions: readonly Version[];
  readonly deletedAt: number | null;
}

/** Wall times seen twice because the clock was stepped back: (from, to]. */
export type Grey = readonly (readonly [number, number])[];

const FAR = Number.MAX_SAFE_INTEGER;
const INSTANTS_MAX = 2_000_000;

/** Stretches (from, to] in which one version decided. */
interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly spec: ScheduleSpec;
}

/** The stretches in order of time; stretches of disabled or parent-driven versions are left out. */
function stretches(history: JobHistory, zone: string): Stretch[] {
  const found: Stretch[] = [];
  let anchor = 0;
  let before: JobDefinition | undefined;
  for (const [index, { definition, at }] of history.versions.entries()) {
    const newText = before?.schedule !== definition.schedule;
    if (newText) anchor = at;
    const to = history.versions[index + 1]?.at ?? history.deletedAt ?? FAR;
    const spec = specOf(definition, history.id, anchor, zone);
    if (spec !== null && !definition.disabled) found.push({ from: newText ? beginning(spec, at) : at, to, spec });
    before = definition;
  }
  return found;
}

/** `@after` may be due at the very moment it is stored. */
function beginning(spec: ScheduleSpec, at: number): number {
  return spec.schedule.kind === 'after' ? at - 1 : at;
}

/** Instants at which the job was due in (from, to], in order. */
export function dueInstants(history: JobHistory, zone: string, from: number, to: number): number[] {
  const found = new Set<number>();
  for (const stretch of stretches(history, zone)) {
    const start = Math.max(stretch.from, from);
    const end = Math.min(stretch.to, to);
    if (end <= start) continue;
    for (const at of instantsBetween(stretch.spec, start, end, INSTANTS_MAX)) found.add(at);
  }
  return [...found].sort((a, b) => a - b);
}

/** Whether an edit (or the beginning, or the end) of the job lies where the clock was seen twice: then both sides may claim an instant. */
export function isGrey(history: JobHistory, grey: Grey, at: number): boolean {
  return grey.some(([from, to]) => {
    if (at <= from || at > to) return false;
    return (
      history.versions.some((version) => version.at >= from && version.at <= to) ||
      (history.deletedAt !== null && history.deletedAt >= from && history.deletedAt <= to)
    );
  });
}

/** Whether any version of the job has this instant. */
export function isInstantOfAny(history: JobHistory, zone: string, at: number): boolean {
  let anchor = 0;
  let before: JobDefinition | undefined;
  for (const { definition, at: editedAt } of history.versions) {
    if (before?.schedule !== definition.schedule) anchor = editedAt;
    before = definition;
    const spec = specOf(definition, history.id, anchor, zone);
    if (spec !== null && nextAfter(spec, at - 1) === at) return true;
  }
  return false;
}

function specOf(definition: JobDefinition, id: number, anchorAt: number, zone: string): ScheduleSpec | null {
  if (definition.parent_job !== '') return null;
  const parsed = parseSchedule(definition.schedule, {
    name: definition.name,
    timezone: definition.timezone === '' ? undefined : definition.timezone,
    allowImpossible: true,
  });
  if (!parsed.ok) throw new Error(`stored schedule does not parse: ${definition.schedule}`);
  return {
    schedule: parsed.schedule,
    zone: parsed.zone ?? zone,
    dst: definition.dst,
    anchorAt,
    startsAt: definition.starts_at === null ? undefined : Temporal.Instant.from(definition.starts_at).epochMilliseconds,
    expiresAt:
      definition.expires_at === null ? undefined : Temporal.Instant.from(definition.expires_at).epochMilliseconds,
    jitterMs: definition.jitter === null ? undefined : parseDuration(definition.jitter),
    jitterSeed: id,
    calendars: definition.calendars.filter((entry): entry is Calendar => typeof entry !== 'string'),
  };
}
