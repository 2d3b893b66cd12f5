// When a schedule is due: the questions the planner asks. Pure; every instant is epoch milliseconds.
//
// A job without starts_at, expires_at and calendars takes the short path through `rawNext`; the rest is layered over it.
import { countInstants, nextInstant, previousInstant, type ClockRules } from './cron.ts';
import { excludedSince, excludedUntil, exclusionsOf, nextExclusionStart, type Exclusions } from './exclusions.ts';
import { hashNumber, hashText } from './hash.ts';
import type { CronSchedule, EverySchedule, AfterSchedule, ScheduleSpec } from './types.ts';
import { zoneOf } from './zone.ts';

const NEVER = Number.POSITIVE_INFINITY;
const BEFORE_ALL = Number.NEGATIVE_INFINITY;

/** Calendars may hide this many instants in a row before a schedule counts as never due: enough for a century of weekends. */
const EXCLUSION_STEPS = 20_000;
export const COUNT_MAX = 100_000;

/** The first nominal instant strictly after `afterMs`, or undefined when there is none (cron: up to the end of 2199). */
export function nextAfter(spec: ScheduleSpec, afterMs: number): number | undefined {
  const after = spec.startsAt === undefined ? afterMs : Math.max(afterMs, spec.startsAt - 1);
  const exclusions = exclusionsOf(spec.calendars, spec.zone);
  const next = exclusions === undefined ? rawNext(spec, after) : nextAllowed(spec, exclusions, after);
  return next === NEVER || (spec.expiresAt !== undefined && next > spec.expiresAt) ? undefined : next;
}

/** The newest nominal instant ≤ `ms` and > `notBefore`, or undefined. */
export function previousAtOrBefore(spec: ScheduleSpec, ms: number, notBefore: number): number | undefined {
  const upTo = Math.min(ms, spec.expiresAt ?? NEVER);
  const after = Math.max(notBefore, (spec.startsAt ?? BEFORE_ALL) - 1);
  const exclusions = exclusionsOf(spec.calendars, spec.zone);
  let found = upTo > after ? rawPrevious(spec, upTo, after) : BEFORE_ALL;
  for (let steps = 0; exclusions !== undefined && found !== BEFORE_ALL && steps < EXCLUSION_STEPS; steps++) {
    const since = excludedSince(exclusions, found);
    if (since === undefined) return found;
    found = since - 1 > after ? rawPrevious(spec, since - 1, after) : BEFORE_ALL;
  }
  return found === BEFORE_ALL ? undefined : found;
}

/** How many nominal instants are in (fromExclusive, toInclusive], without visiting them: `exact` up to `max`, then `max` and not exact. */
export function countBetween(
  spec: ScheduleSpec,
  fromExclusive: number,
  toInclusive: number,
  max: number = COUNT_MAX,
): { count: number; exact: boolean } {
  const after = Math.max(fromExclusive, (spec.startsAt ?? BEFORE_ALL) - 1);
  const upTo = Math.min(toInclusive, spec.expiresAt ?? NEVER);
  const exclusions = exclusionsOf(spec.calendars, spec.zone);
  const count =
    exclusions === undefined ? rawCount(spec, after, upTo, max) : countAllowed(spec, exclusions, after, upTo, max);
  return count > max ? { count: max, exact: false } : { count, exact: true };
}

/** The first `limit` nominal instants in (fromExclusive, toInclusive], in order. */
export function instantsBetween(
  spec: ScheduleSpec,
  fromExclusive: number,
  toInclusive: number,
  limit: number,
): number[] {
  const found: number[] = [];
  let at = fromExclusive;
  while (found.length < limit) {
    const next = nextAfter(spec, at);
    if (next === undefined || next > toInclusive) break;
    found.push(next);
    at = next;
  }
  return found;
}

/**
 * When an occurrence really starts: its nominal instant plus a jitter that is always the same for this instant and seed,
 * below or at `jitterMs` and before the next nominal instant.
 */
export function dueAt(spec: ScheduleSpec, nominal: number): number {
  if (spec.jitterMs === undefined || spec.jitterMs <= 0) return nominal;
  const room = (nextAfter(spec, nominal) ?? NEVER) - nominal;
  // The range is cut, not the value: cut values would pile up just before the next instant.
  const span = Math.min(Math.floor(spec.jitterMs) + 1, room);
  return nominal + Math.floor((hashNumber(nominal, seedOf(spec)) / 4_294_967_296) * span);
}

/** The clock-change rules in force: the job's own, else those that suit its schedule. */
export function clockRules(spec: Pick<ScheduleSpec, 'dst'>, cron: CronSchedule): ClockRules {
  const usual = cron.elapsed ? ELAPSED_RULES : WALL_RULES;
  if (spec.dst === undefined) return usual;
  return { gap: spec.dst.gap ?? usual.gap, overlap: spec.dst.overlap ?? usual.overlap };
}

const WALL_RULES: ClockRules = { gap: 'after', overlap: 'first' };
const ELAPSED_RULES: ClockRules = { gap: 'skip', overlap: 'both' };

function seedOf(spec: ScheduleSpec): number {
  const seed = spec.jitterSeed ?? 0;
  return typeof seed === 'number' ? hashNumber(seed, 0) : hashText(seed, 0);
}

function rawNext(spec: ScheduleSpec, after: number): number {
  const { schedule } = spec;
  switch (schedule.kind) {
    case 'cron':
      return nextInstant(schedule, zoneOf(spec.zone), clockRules(spec, schedule), Math.floor(after / 1000) + 1) * 1000;
    case 'every':
      return nextTick(schedule, spec, after);
    case 'at':
      return schedule.at > after ? schedule.at : NEVER;
    case 'after': {
      const at = onceAt(schedule, spec);
      return at > after ? at : NEVER;
    }
    case 'manual':
      return NEVER;
  }
}

function rawPrevious(spec: ScheduleSpec, upTo: number, after: number): number {
  const found = newestUpTo(spec, upTo, after);
  return found > after ? found : BEFORE_ALL;
}

function newestUpTo(spec: ScheduleSpec, upTo: number, after: number): number {
  const { schedule } = spec;
  switch (schedule.kind) {
    case 'cron': {
      const from = Math.floor(after / 1000) + 1;
      return (
        previousInstant(schedule, zoneOf(spec.zone), clockRules(spec, schedule), Math.floor(upTo / 1000), from) * 1000
      );
    }
    case 'every':
      return previousTick(schedule, spec, upTo);
    case 'at':
      return schedule.at <= upTo ? schedule.at : BEFORE_ALL;
    case 'after': {
      const at = onceAt(schedule, spec);
      return at <= upTo ? at : BEFORE_ALL;
    }
    case 'manual':
      return BEFORE_ALL;
  }
}

function rawCount(spec: ScheduleSpec, after: number, upTo: number, max: number): number {
  if (upTo <= after) return 0;
  const { schedule } = spec;
  switch (schedule.kind) {
    case 'cron': {
      const from = Math.floor(after / 1000) + 1;
      return countInstants(schedule, zoneOf(spec.zone), clockRules(spec, schedule), from, Math.floor(upTo / 1000), max);
    }
    case 'every':
      return ticksUpTo(schedule, spec, upTo) - ticksUpTo(schedule, spec, after);
    case 'at':
    case 'after':
    case 'manual': {
      const at = rawNext(spec, after);
      return at <= upTo ? 1 : 0;
    }
  }
}

/** `@after` is due at its time, or the moment it was stored if that was within the grace; once in any case. */
function onceAt(schedule: AfterSchedule, spec: ScheduleSpec): number {
  if (spec.anchorAt < schedule.at) return schedule.at;
  // One millisecond on: the cursor of a new job is its anchor, and instants are strictly after the cursor.
  return spec.anchorAt <= schedule.at + schedule.graceMs ? spec.anchorAt + 1 : NEVER;
}

/** Tick 0: starts_at itself is due; the moment of storing is not, one interval later is. Ticks are whole seconds. */
function firstTick(schedule: EverySchedule, spec: ScheduleSpec): number {
  if (spec.startsAt !== undefined) return Math.ceil(spec.startsAt / 1000) * 1000;
  return Math.floor(spec.anchorAt / 1000) * 1000 + schedule.intervalMs;
}

function ticksUpTo(schedule: EverySchedule, spec: ScheduleSpec, ms: number): number {
  return Math.max(0, Math.floor((ms - firstTick(schedule, spec)) / schedule.intervalMs) + 1);
}

function nextTick(schedule: EverySchedule, spec: ScheduleSpec, after: number): number {
  return firstTick(schedule, spec) + ticksUpTo(schedule, spec, after) * schedule.intervalMs;
}

function previousTick(schedule: EverySchedule, spec: ScheduleSpec, upTo: number): number {
  const ticks = ticksUpTo(schedule, spec, upTo);
  return ticks === 0 ? BEFORE_ALL : firstTick(schedule, spec) + (ticks - 1) * schedule.intervalMs;
}

function nextAllowed(spec: ScheduleSpec, exclusions: Exclusions, after: number): number {
  let next = rawNext(spec, after);
  for (let steps = 0; steps < EXCLUSION_STEPS && next !== NEVER; steps++) {
    const until = excludedUntil(exclusions, next);
    if (until === undefined) return next;
    next = rawNext(spec, until - 1);
  }
  return NEVER;
}

/** Counts the stretches between exclusions. */
function countAllowed(spec: ScheduleSpec, exclusions: Exclusions, after: number, upTo: number, max: number): number {
  let count = 0;
  let at = Math.max(after, 0) + 1;
  for (let steps = 0; steps < EXCLUSION_STEPS && at <= upTo && count <= max; steps++) {
    const until = excludedUntil(exclusions, at);
    if (until !== undefined) {
      at = until;
      continue;
    }
    const end = nextExclusionStart(exclusions, at, upTo);
    count += rawCount(spec, at - 1, end - 1, max);
    at = end;
  }
  return count;
}
