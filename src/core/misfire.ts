/** What becomes of instants that are already late when the scheduler sees them (SEMANTICS §2). */
import type { Reason } from '../model/occurrence.ts';

/** A job's misfire policy with its durations in ms. */
export interface MisfirePolicy {
  readonly graceMs: number;
  readonly policy: 'skip' | 'last' | 'all';
  readonly windowMs: number;
  readonly max: number;
}

/** The schedule's questions, answered by core/schedule; instants are nominal epoch ms, ranges are (from, to]. */
export interface Instants {
  count(from: number, to: number): { count: number; exact: boolean };
  first(from: number, to: number): number | undefined;
  newest(to: number, after: number): number | undefined;
}

/** Consecutive dropped instants, recorded as one range row. */
export interface DroppedRange {
  readonly first: number;
  readonly last: number;
  readonly count: number;
  readonly exact: boolean;
  readonly reason: Extract<Reason, 'policy' | 'superseded' | 'window' | 'max'>;
}

/** Which of the instants in (from, to], all older than grace, still run, and which are dropped and why. */
export interface MisfireDecision {
  readonly run: readonly number[];
  readonly dropped: readonly DroppedRange[];
}

/**
 * Decides about the instants of (from, to], all of them later than `graceMs` by now. `laterDue` says whether an occurrence within
 * grace is due by now as well: then `last` runs none of the old ones.
 */
export function decideMisfires(
  policy: MisfirePolicy,
  instants: Instants,
  range: { from: number; to: number; now: number; laterDue: boolean },
): MisfireDecision {
  const { from, to, now, laterDue } = range;
  if (policy.policy === 'skip') return { run: [], dropped: drop(instants, from, to, 'policy') };
  // A window shorter than grace ends after the range: nothing of it is inside then.
  const windowStart = Math.min(to, Math.max(from, now - policy.windowMs - 1));
  if (policy.policy === 'last') {
    const newest = laterDue ? undefined : instants.newest(to, windowStart);
    if (newest === undefined) return { run: [], dropped: drop(instants, from, to, laterDue ? 'superseded' : 'window') };
    return { run: [newest], dropped: drop(instants, from, newest - 1, 'superseded') };
  }
  const run = newestOf(instants, windowStart, to, policy.max);
  const firstRun = run[0] ?? to + 1;
  return {
    run,
    dropped: [...drop(instants, from, windowStart, 'window'), ...drop(instants, windowStart, firstRun - 1, 'max')],
  };
}

/**
 * Decides about one occurrence that waited for its jitter and is later than grace by now; null: it runs. `laterDue` says whether a later
 * instant of its job has come. It alone is never more than `max`.
 */
export function decideDelayed(
  policy: MisfirePolicy,
  late: { dueAt: number; now: number; laterDue: boolean },
): DroppedRange['reason'] | null {
  if (late.now - late.dueAt <= policy.graceMs) return null;
  if (policy.policy === 'skip') return 'policy';
  if (policy.policy === 'last' && late.laterDue) return 'superseded';
  return late.now - late.dueAt > policy.windowMs ? 'window' : null;
}

/** The newest `max` instants of (from, to], oldest first; walks back from the end so that its cost does not grow with the gap. */
function newestOf(instants: Instants, from: number, to: number, max: number): number[] {
  const found: number[] = [];
  let end = to;
  while (found.length < max) {
    const instant = instants.newest(end, from);
    if (instant === undefined) break;
    found.push(instant);
    end = instant - 1;
  }
  return found.reverse();
}

function drop(instants: Instants, from: number, to: number, reason: DroppedRange['reason']): DroppedRange[] {
  if (to <= from) return [];
  const first = instants.first(from, to);
  const last = instants.newest(to, from);
  if (first === undefined || last === undefined) return [];
  const { count, exact } = instants.count(from, to);
  return [{ first, last, count, exact, reason }];
}
