// From matching wall times to instants: the clock-change rules of SEMANTICS §4. Works in whole epoch seconds.
//
// Between two clock changes a wall time is an instant minus a constant, so each segment of the zone is searched by itself.
// At its start a segment may also hold instants that stand for wall times the clocks skipped (`gap`), and it leaves out the
// copies of repeated wall times the policy does not want (`overlap`).
import { countWall, nextWall, previousWall, wallMatches } from './wall.ts';
import type { CronSchedule } from './types.ts';
import type { Zone } from './zone.ts';

export interface ClockRules {
  readonly gap: 'after' | 'skip' | 'shift';
  readonly overlap: 'first' | 'second' | 'both';
}

/** The first instant ≥ `from`, or Infinity. */
export function nextInstant(cron: CronSchedule, zone: Zone, rules: ClockRules, from: number): number {
  for (let i = zone.segmentAt(from), at = from; ; at = zone.starts[i] as number) {
    const found = nextInSegment(cron, zone, rules, i, at);
    if (found !== Number.POSITIVE_INFINITY) return found;
    i = zone.segmentAfter(i);
    if (i < 0) return Number.POSITIVE_INFINITY;
  }
}

/** The last instant ≤ `upTo`, or -Infinity. One before `notBefore` may be given or not: the search need not go further back. */
export function previousInstant(
  cron: CronSchedule,
  zone: Zone,
  rules: ClockRules,
  upTo: number,
  notBefore: number,
): number {
  for (let i = zone.segmentAt(upTo), at = upTo; i >= 0; i--, at = (zone.starts[i + 1] as number) - 1) {
    const found = previousInSegment(cron, zone, rules, i, at);
    if (found !== Number.NEGATIVE_INFINITY) return found;
    if ((zone.starts[i] as number) <= notBefore) break;
  }
  return Number.NEGATIVE_INFINITY;
}

/** How many instants are in [from, to]; stops counting once past `max`. */
export function countInstants(
  cron: CronSchedule,
  zone: Zone,
  rules: ClockRules,
  from: number,
  to: number,
  max: number,
): number {
  let count = 0;
  for (let i = zone.segmentAt(from); i >= 0 && count <= max; i = zone.segmentAfter(i)) {
    const start = zone.starts[i] as number;
    if (start > to) break;
    count += countInSegment(cron, zone, rules, i, Math.max(from, start), to);
  }
  return count;
}

/** What is special about the start of a segment: seconds skipped (positive) or repeated (negative). */
export function jumpAt(zone: Zone, i: number): number {
  return i === 0 ? 0 : (zone.offsets[i] as number) - (zone.offsets[i - 1] as number);
}

/** The first instant of segment `i` that stands for itself under the overlap rule. */
function firstOf(zone: Zone, rules: ClockRules, i: number): number {
  const start = zone.starts[i] as number;
  const jump = jumpAt(zone, i);
  return jump < 0 && rules.overlap === 'first' ? start - jump : start;
}

/** One past the last instant of segment `i` that stands for itself under the overlap rule. */
function endOf(zone: Zone, rules: ClockRules, i: number): number {
  const end = zone.starts[i + 1] as number;
  if (rules.overlap !== 'second' || i + 1 >= zone.offsets.length) return end;
  return end + Math.min(0, jumpAt(zone, i + 1));
}

function nextInSegment(cron: CronSchedule, zone: Zone, rules: ClockRules, i: number, from: number): number {
  const offset = zone.offsets[i] as number;
  const found = nextWall(cron, Math.max(from, firstOf(zone, rules, i)) + offset) - offset;
  const regular = found < endOf(zone, rules, i) ? found : Number.POSITIVE_INFINITY;
  const jump = jumpAt(zone, i);
  const start = zone.starts[i] as number;
  if (jump <= 0 || rules.gap === 'skip' || from >= start + jump) return regular;
  return Math.min(regular, nextFromGap(cron, zone, rules, i, Math.max(from, start)));
}

/** The first instant ≥ `from` that stands for a wall time skipped at the start of segment `i`, or Infinity. */
function nextFromGap(cron: CronSchedule, zone: Zone, rules: ClockRules, i: number, from: number): number {
  const start = zone.starts[i] as number;
  const before = zone.offsets[i - 1] as number;
  const gapEnd = start + (zone.offsets[i] as number);
  if (rules.gap === 'after')
    return from <= start && nextWall(cron, start + before) < gapEnd ? start : Number.POSITIVE_INFINITY;
  const wall = nextWall(cron, from + before);
  return wall < gapEnd && wall - before < (zone.starts[i + 1] as number) ? wall - before : Number.POSITIVE_INFINITY;
}

function previousInSegment(cron: CronSchedule, zone: Zone, rules: ClockRules, i: number, upTo: number): number {
  const offset = zone.offsets[i] as number;
  const found = previousWall(cron, Math.min(upTo, endOf(zone, rules, i) - 1) + offset) - offset;
  const regular = found >= firstOf(zone, rules, i) ? found : Number.NEGATIVE_INFINITY;
  if (jumpAt(zone, i) <= 0 || rules.gap === 'skip') return regular;
  return Math.max(regular, previousFromGap(cron, zone, rules, i, upTo));
}

function previousFromGap(cron: CronSchedule, zone: Zone, rules: ClockRules, i: number, upTo: number): number {
  const start = zone.starts[i] as number;
  const before = zone.offsets[i - 1] as number;
  const gapEnd = start + (zone.offsets[i] as number);
  if (rules.gap === 'after') return nextWall(cron, start + before) < gapEnd ? start : Number.NEGATIVE_INFINITY;
  const wall = previousWall(cron, Math.min(gapEnd - 1, upTo + before));
  return wall >= start + before ? wall - before : Number.NEGATIVE_INFINITY;
}

function countInSegment(
  cron: CronSchedule,
  zone: Zone,
  rules: ClockRules,
  i: number,
  from: number,
  to: number,
): number {
  const offset = zone.offsets[i] as number;
  const first = Math.max(from, firstOf(zone, rules, i));
  const last = Math.min(to, endOf(zone, rules, i) - 1);
  return countWall(cron, first + offset, last + offset) + countFromGap(cron, zone, rules, i, from, to);
}

/** Instants that stand for skipped wall times and are not there anyway. Walks the gap itself: an hour, once a year. */
function countFromGap(cron: CronSchedule, zone: Zone, rules: ClockRules, i: number, from: number, to: number): number {
  const jump = jumpAt(zone, i);
  const start = zone.starts[i] as number;
  if (jump <= 0 || rules.gap === 'skip' || from >= start + jump) return 0;
  let count = 0;
  for (let at = nextFromGap(cron, zone, rules, i, from); at <= to; at = nextFromGap(cron, zone, rules, i, at + 1)) {
    if (!wallMatches(cron, at + (zone.offsets[i] as number))) count++;
  }
  return count;
}
