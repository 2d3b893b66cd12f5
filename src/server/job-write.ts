/** What a create or update of a job writes, computed from the stored row before it (dkron.md §2.5, SEMANTICS §2 and §4). */
import { type CompileContext, type CompiledJob, specOf } from '../core/compiled-job.ts';
import { neverFires, nextAfter, parseSchedule, type ScheduleSpec } from '../core/schedule/index.ts';
import { AppError } from '../model/errors.ts';
import { definitionOf, type JobDefinition, type JobInput } from '../model/job.ts';
import type { JobRow, JobWrite } from '../store/jobs.ts';

export interface PlannedWrite {
  readonly write: JobWrite;
  readonly definition: JobDefinition;
  /** null: the job does not exist yet. */
  readonly jobId: number | null;
  /** What is accepted and will not do what its author seems to mean. */
  readonly warnings: readonly string[];
}

interface WriteContext {
  readonly now: number;
  readonly restore: boolean;
  readonly context: CompileContext;
}

/** Checks the schedule and computes the row, or says what is wrong. */
export function planJobWrite(
  input: JobInput,
  before: JobRow | undefined,
  options: WriteContext,
): PlannedWrite | AppError {
  const definition = definitionOf(input);
  const old = before === undefined ? undefined : (JSON.parse(before.definition) as JobDefinition);
  const problem = scheduleProblem(definition, old, options) ?? calendarProblem(definition, options.context);
  if (problem !== undefined) return problem;
  const now = Math.floor(options.now);
  const sameText = old !== undefined && old.schedule === definition.schedule;
  const anchorAt = sameText && before !== undefined ? before.anchor_at : now;
  const { spec } = specOf(definition, before?.id ?? 0, anchorAt, options.context);
  const cursor = cursorOf(definition, old, before, spec, now);
  const first = spec === null ? undefined : nextAfter(spec, cursor.at);
  const nextAt = definition.disabled ? null : (first ?? null);
  const never = spec === null || first !== undefined ? undefined : neverFires(spec, cursor.at);
  const { counters } = input;
  return {
    definition,
    warnings: never === undefined ? [] : [`schedule: ${never.message}`],
    jobId: before?.id ?? null,
    write: {
      name: definition.name,
      displayname: definition.displayname,
      parent: definition.parent_job,
      disabled: definition.disabled,
      schedule: definition.schedule,
      definition: JSON.stringify(definition),
      version: before?.version ?? 0,
      now,
      cursorAt: cursor.at,
      rewind: cursor.rewind,
      nextAt,
      anchorAt,
      successCount: counters.successCount,
      errorCount: counters.errorCount,
      lastSuccessAt: counters.lastSuccessAt,
      lastErrorAt: counters.lastErrorAt,
      status: counters.status,
    },
  };
}

/** First instant of a job after `from`, null when there is none. */
planJobWrite.nextAt = (job: CompiledJob, from: number): number | null =>
  job.spec === null ? null : (nextAfter(job.spec, from) ?? null);

/**
 * Where the job's cursor stands after the write. It stays when nothing that decides instants changed; else it is now: an edit never fires
 * times before itself, and time spent disabled is not missed. One-shot forms that are to run at once begin just before their instant.
 */
function cursorOf(
  definition: JobDefinition,
  old: JobDefinition | undefined,
  before: JobRow | undefined,
  spec: ScheduleSpec | null,
  now: number,
): { at: number; rewind: boolean } {
  if (before !== undefined && old !== undefined && !old.disabled && sameInstants(definition, old))
    return { at: before.cursor_at, rewind: false };
  const newText = old?.schedule !== definition.schedule;
  if (newText && spec?.schedule.kind === 'after') return { at: now - 1, rewind: true };
  if (newText && spec?.schedule.kind === 'at' && definition.run_if_past && spec.schedule.at <= now) {
    return { at: spec.schedule.at - 1, rewind: true };
  }
  return { at: now, rewind: false };
}

const DECIDING = [
  'schedule',
  'timezone',
  'dst',
  'calendars',
  'starts_at',
  'expires_at',
  'jitter',
  'parent_job',
  'disabled',
] as const;

function sameInstants(a: JobDefinition, b: JobDefinition): boolean {
  return DECIDING.every((field) => JSON.stringify(a[field]) === JSON.stringify(b[field]));
}

/** Impossible and past schedules are refused when their text is new or changed, never in a restore. */
function scheduleProblem(
  definition: JobDefinition,
  old: JobDefinition | undefined,
  options: WriteContext,
): AppError | undefined {
  if (definition.schedule === '' && definition.parent_job !== '') return undefined;
  const unchanged = old !== undefined && old.schedule === definition.schedule && old.timezone === definition.timezone;
  const parsed = parseSchedule(definition.schedule, {
    name: definition.name,
    timezone: definition.timezone === '' ? undefined : definition.timezone,
    nowMs: options.now,
    runIfPast: definition.run_if_past,
    allowImpossible: options.restore || unchanged,
  });
  if (parsed.ok) return undefined;
  const { field, message, position, suggestion } = parsed.error;
  const remedy = suggestion === undefined ? undefined : `did you mean ${JSON.stringify(suggestion)}?`;
  // People count from 1.
  const place = field === 'schedule' ? ` (at character ${position + 1})` : '';
  return new AppError('invalid', `${message}${place}`, {
    field,
    ...(remedy === undefined ? {} : { remedy }),
  });
}

function calendarProblem(definition: JobDefinition, context: CompileContext): AppError | undefined {
  const missing = definition.calendars.find(
    (entry) => typeof entry === 'string' && context.calendar(entry) === undefined,
  );
  if (missing === undefined) return undefined;
  return new AppError('invalid', `no calendar named ${JSON.stringify(missing)}`, {
    field: 'calendars',
    remedy: 'PUT /v1/calendars/NAME creates it; GET /v1/calendars lists them',
  });
}

/** A job that was stored under a clock running ahead: `@every` would begin only at its anchor, so that goes back by whole intervals. */
export function anchorBy({ spec }: CompiledJob, anchorAt: number, now: number): number {
  if (spec?.schedule.kind !== 'every' || anchorAt <= now) return anchorAt;
  const { intervalMs } = spec.schedule;
  return anchorAt - Math.ceil((anchorAt - now) / intervalMs) * intervalMs;
}
