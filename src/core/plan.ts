/**
 * From a job's cursor and the time now: which occurrences come into being, which instants are dropped, and where the cursor goes. Pure:
 * the scheduler calls it and writes what it says in one commit.
 */
import { decideMisfires, type DroppedRange, type Instants, type MisfirePolicy } from './misfire.ts';
import {
  countBetween,
  dueAt,
  instantsBetween,
  nextAfter,
  previousAtOrBefore,
  type ScheduleSpec,
} from './schedule/index.ts';

/** An occurrence to come into being. catchUp: it was older than grace and obeys the catch-up rate. */
export interface PlannedLaunch {
  readonly nominalAt: number;
  readonly dueAt: number;
  readonly catchUp: boolean;
}

export interface JobPlan {
  readonly launches: readonly PlannedLaunch[];
  readonly dropped: readonly DroppedRange[];
  readonly cursorAt: number;
  readonly nextAt: number | null;
}

/** More than this many instants within grace at one wake-up means grace is longer than it should be; the rest waits for the next tick. */
const IN_GRACE_MAX = 10_000;

/** Decides the range (cursorAt, now]. Nothing at or before the cursor is ever emitted, so a clock stepped back emits nothing. */
export function planJob(spec: ScheduleSpec, misfire: MisfirePolicy, cursorAt: number, now: number): JobPlan {
  if (now <= cursorAt) return idle(spec, cursorAt);
  const first = nextAfter(spec, cursorAt);
  if (first === undefined || first > now) return { launches: [], dropped: [], cursorAt: now, nextAt: first ?? null };
  const second = nextAfter(spec, first);
  if ((second === undefined || second > now) && now - dueAt(spec, first) <= misfire.graceMs) {
    return { launches: [launch(spec, first, false)], dropped: [], cursorAt: now, nextAt: second ?? null };
  }
  return planRange(spec, misfire, cursorAt, now);
}

/** The instants of (cursorAt, now] as one range; undefined when there are none. `count` is exact to 100,000. */
export function dueRange(
  spec: ScheduleSpec,
  cursorAt: number,
  now: number,
): { first: number; last: number; count: number } | undefined {
  const first = nextAfter(spec, cursorAt);
  if (first === undefined || first > now) return undefined;
  return {
    first,
    last: previousAtOrBefore(spec, now, cursorAt) ?? first,
    count: countBetween(spec, cursorAt, now).count,
  };
}

function idle(spec: ScheduleSpec, cursorAt: number): JobPlan {
  return { launches: [], dropped: [], cursorAt, nextAt: nextAfter(spec, cursorAt) ?? null };
}

function planRange(spec: ScheduleSpec, misfire: MisfirePolicy, cursorAt: number, now: number): JobPlan {
  // Lateness counts from due_at, which is never before nominal: an instant is within grace if its nominal is, or its jitter brings it there.
  const jitterMs = spec.jitterMs ?? 0;
  const candidates = instantsBetween(spec, Math.max(cursorAt, now - misfire.graceMs - jitterMs - 1), now, IN_GRACE_MAX);
  const cut = candidates.length === IN_GRACE_MAX;
  const upTo = cut ? (candidates.at(-1) as number) : now;
  // due_at is cut before the next nominal instant, so it grows with it and what is within grace is a suffix.
  const inGrace = candidates.filter((nominal) => now - dueAt(spec, nominal) <= misfire.graceMs);
  const oldTo = (inGrace[0] ?? upTo + 1) - 1;
  const old = decideMisfires(misfire, instantsOf(spec), {
    from: cursorAt,
    to: oldTo,
    now,
    laterDue: inGrace.length > 0,
  });
  return {
    launches: [
      ...old.run.map((nominal) => launch(spec, nominal, true)),
      ...inGrace.map((nominal) => launch(spec, nominal, false)),
    ],
    dropped: old.dropped,
    cursorAt: upTo,
    nextAt: nextAfter(spec, upTo) ?? null,
  };
}

function launch(spec: ScheduleSpec, nominalAt: number, catchUp: boolean): PlannedLaunch {
  return { nominalAt, dueAt: dueAt(spec, nominalAt), catchUp };
}

function instantsOf(spec: ScheduleSpec): Instants {
  return {
    count: (from, to) => countBetween(spec, from, to),
    first: (from, to) => {
      const next = nextAfter(spec, from);
      return next !== undefined && next <= to ? next : undefined;
    },
    newest: (to, after) => previousAtOrBefore(spec, to, after),
  };
}
