/** A stored definition made ready for decisions: schedule parsed, durations in ms. One per job version, shared by all its runs. */
import { parseDuration } from '../model/duration.ts';
import type { Concurrency, JobDefinition } from '../model/job.ts';
import type { Calendar } from '../model/schedule.ts';
import { instantMs } from '../model/time.ts';
import type { LifecyclePolicy } from './lifecycle.ts';
import type { MisfirePolicy } from './misfire.ts';
import { parseSchedule, type Schedule, type ScheduleSpec } from './schedule/index.ts';

/** What a node adds to a definition: its defaults and the shared calendars. */
export interface CompileContext {
  readonly zone: string;
  readonly misfire: MisfirePolicy;
  readonly startDeadlineMs: number | null;
  readonly relaunchMax: number;
  readonly calendar: (name: string) => Calendar | undefined;
}

export interface CompiledJob {
  readonly id: number;
  readonly version: number;
  readonly name: string;
  readonly definition: JobDefinition;
  /** null: never launched by time (manual, or runs after a parent). */
  readonly spec: ScheduleSpec | null;
  readonly misfire: MisfirePolicy;
  readonly concurrency: Concurrency;
  readonly lifecycle: LifecyclePolicy;
  readonly timeoutMs: number | null;
  readonly killGraceMs: number;
  readonly startDeadlineMs: number | null;
}

const NEVER: Schedule = { kind: 'manual' };

/**
 * Compiles a stored definition. Its schedule was accepted when it was stored; one that no longer parses (a newer version's form, a zone
 * that is gone) never fires and is left to the caller to report: `spec` is null and `problem` says why.
 */
export function compileJob(
  stored: { id: number; version: number; anchorAt: number; definition: JobDefinition },
  context: CompileContext,
): { job: CompiledJob; problem: string | null } {
  const { definition } = stored;
  const { spec, problem } = specOf(definition, stored.id, stored.anchorAt, context);
  const retry = definition.retry;
  const job: CompiledJob = {
    id: stored.id,
    version: stored.version,
    name: definition.name,
    definition,
    spec,
    misfire: misfireOf(definition, spec?.schedule ?? NEVER, context.misfire),
    concurrency: definition.concurrency,
    lifecycle: {
      retry: {
        retries: definition.retries,
        delayMs: durationMs(retry.delay),
        factor: retry.factor,
        delayMaxMs: durationMs(retry.max_delay),
        jitter: retry.jitter,
      },
      atLeastOnce: definition.guarantee === 'at-least-once',
      relaunchMax: context.relaunchMax,
    },
    timeoutMs: definition.timeout === null ? null : durationMs(definition.timeout),
    killGraceMs: durationMs(definition.kill_grace),
    startDeadlineMs:
      definition.start_deadline === null ? context.startDeadlineMs : durationMs(definition.start_deadline),
  };
  return { job, problem };
}

/** The schedule with everything that decides its instants; null for jobs that time never starts. */
export function specOf(
  definition: JobDefinition,
  id: number,
  anchorAt: number,
  context: Pick<CompileContext, 'zone' | 'calendar'>,
): { spec: ScheduleSpec | null; problem: string | null } {
  if (definition.parent_job !== '' || definition.schedule === '') return { spec: null, problem: null };
  const parsed = parseSchedule(definition.schedule, {
    name: definition.name,
    timezone: definition.timezone === '' ? undefined : definition.timezone,
    allowImpossible: true,
  });
  if (!parsed.ok) return { spec: null, problem: parsed.error.message };
  const spec: ScheduleSpec = {
    schedule: parsed.schedule,
    zone: parsed.zone ?? context.zone,
    dst: definition.dst,
    anchorAt,
    startsAt: definition.starts_at === null ? undefined : instantMs(definition.starts_at),
    expiresAt: definition.expires_at === null ? undefined : instantMs(definition.expires_at),
    jitterMs: definition.jitter === null ? undefined : durationMs(definition.jitter),
    jitterSeed: id,
    calendars: definition.calendars.length === 0 ? undefined : calendarsOf(definition, context),
  };
  return { spec, problem: null };
}

function calendarsOf(definition: JobDefinition, context: Pick<CompileContext, 'calendar'>): Calendar[] {
  return definition.calendars.flatMap((entry) => {
    const calendar = typeof entry === 'string' ? context.calendar(entry) : entry;
    return calendar === undefined ? [] : [calendar];
  });
}

/** What the job leaves out follows the node's option. One-shot forms bring their own grace. */
function misfireOf(definition: JobDefinition, schedule: Schedule, node: MisfirePolicy): MisfirePolicy {
  const { grace, policy, window, max } = definition.misfire;
  const own: MisfirePolicy = {
    graceMs: grace === undefined ? node.graceMs : durationMs(grace),
    policy: policy ?? node.policy,
    windowMs: window === undefined ? node.windowMs : durationMs(window),
    max: max ?? node.max,
  };
  if (schedule.kind === 'after') return { ...own, graceMs: Math.max(own.graceMs, schedule.graceMs) };
  if (schedule.kind === 'at' && definition.run_if_past)
    return { ...own, policy: 'last', windowMs: Number.MAX_SAFE_INTEGER };
  return own;
}

function durationMs(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms < 0) throw new Error(`stored duration is not valid: ${text}`);
  return ms;
}

/** Whether `now` (epoch ms) lies between starts_at and expires_at, both included. */
export function isWithin({ starts_at, expires_at }: JobDefinition, now: number): boolean {
  const at = Temporal.Instant.fromEpochMilliseconds(now);
  if (starts_at !== null && Temporal.Instant.compare(at, Temporal.Instant.from(starts_at)) < 0) return false;
  return expires_at === null || Temporal.Instant.compare(at, Temporal.Instant.from(expires_at)) <= 0;
}
