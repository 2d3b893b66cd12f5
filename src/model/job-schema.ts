/**
 * A job as it is posted (jobInputSchema) and as it is kept (JobDefinition). Field names and
 * types are Dkron's (snake_case, maps string → string); what Belfry adds is optional and has a default.
 */
import { z } from 'zod';
import { Calendar, DstPolicy, DurationText, Misfire } from './schedule.ts';

/** Limits on one job. Dkron has none; these are far above what its users write and keep every job readable in one piece. */
export const JOB_LIMITS = {
  /** UTF-8 bytes of a name, so that it can be a file name with a suffix. */
  nameBytesMax: 240,
  /** displayname, owner, owner_email, timezone, executor. */
  textCharactersMax: 1_000,
  scheduleCharactersMax: 1_000,
  /** Entries of one map, and processors of a job. */
  mapEntriesMax: 1_000,
  mapKeyCharactersMax: 1_000,
  /** All maps of a job together. */
  mapCharactersMax: 1_048_576,
  retriesMax: 1_000_000,
  calendarsMax: 100,
} as const;

export const CONCURRENCY = ['allow', 'forbid', 'queue', 'replace'] as const;
export type Concurrency = (typeof CONCURRENCY)[number];

/** Waits between attempts: `delay` × `factor`^(attempt − 1), at most `max_delay`, ± `jitter` as a share; `elsewhere`: on another node. */
export const Retry = z.strictObject({
  delay: DurationText.default('1s'),
  factor: z.number().min(1).max(100).default(2),
  max_delay: DurationText.default('1h'),
  jitter: z.number().min(0).max(1).default(0.1),
  elsewhere: z.boolean().default(false),
});
export type Retry = z.infer<typeof Retry>;

/** What an absent field means. */
export const DEFAULTS = { retry: Retry.parse({}), killGrace: '10s' } as const;

const Text = z.string().max(JOB_LIMITS.textCharactersMax).nullish();
/** As Go decodes map[string]string: every value a string, null an empty one. */
const StringMap = z.record(z.string(), z.string().nullable()).nullish();
const NullableTime = z.string().nullish();
const Counter = z.int().nullish();

/** Dkron's fields with Dkron's types; null stands for absent everywhere, as in Go's decoder. */
const dkronFields = {
  id: z.string().nullish().describe('Ignored; always the name.'),
  name: z.string().nullish().describe('Unique key: lower-case letters of any script, 0-9, "_" and "-".'),
  displayname: Text,
  timezone: Text.describe('IANA name; empty: the zone of this cluster.'),
  schedule: z.string().nullish().describe('Required unless parent_job is set.'),
  owner: Text,
  owner_email: Text,
  success_count: Counter.describe('Read-only, except that a restore or update can raise it.'),
  error_count: Counter.describe('Read-only, except that a restore or update can raise it.'),
  last_success: NullableTime,
  last_error: NullableTime,
  disabled: z.boolean().nullish(),
  tags: StringMap.describe('Which nodes run it: all of `key: value` or `key: value:count`.'),
  metadata: StringMap,
  retries: z.int().min(0).max(JOB_LIMITS.retriesMax).nullish().describe('Extra attempts after a failed one.'),
  dependent_jobs: z.array(z.string().nullable()).nullish().describe('Ignored; derived from the children.'),
  parent_job: z.string().nullish().describe('Runs after this job succeeded instead of by schedule.'),
  processors: z.record(z.string(), StringMap).nullish(),
  concurrency: z.string().nullish().describe('allow | forbid | queue | replace; empty: allow.'),
  executor: Text,
  executor_config: StringMap,
  status: z.string().nullish(),
  next: z.string().nullish(),
  ephemeral: z.boolean().nullish().describe('Deleted after a successful run.'),
  starts_at: NullableTime.describe('RFC 3339, or YYYY-MM-DDTHH:MM in UTC.'),
  expires_at: NullableTime.describe('RFC 3339, or YYYY-MM-DDTHH:MM in UTC.'),
};

/** What Belfry adds. */
const additions = {
  targets: z
    .enum(['one', 'all'])
    .nullish()
    .describe('How many nodes; absent: one without tags, every match with tags.'),
  guarantee: z
    .enum(['at-most-once', 'at-least-once'])
    .nullish()
    .describe('What happens to a run whose end a crash hides.'),
  misfire: Misfire.nullish().describe('What happens to occurrences that are late.'),
  dst: DstPolicy.nullish().describe('What happens when clocks change.'),
  jitter: DurationText.nullish().describe('Spread starts by up to this much, only ever later.'),
  calendars: z
    .array(z.union([z.string().min(1).max(JOB_LIMITS.nameBytesMax), Calendar]))
    .max(JOB_LIMITS.calendarsMax)
    .nullish()
    .describe('Times at which it does not run: names of shared calendars, or calendars.'),
  timeout: DurationText.nullish().describe('Ends a run after this much; any executor.'),
  kill_grace: DurationText.nullish().describe('Between SIGTERM and SIGKILL.'),
  start_deadline: DurationText.nullish().describe('A run that could not start for this long is missed.'),
  retry: Retry.nullish().describe('Waits between attempts.'),
  run_if_past: z.boolean().nullish().describe('Accept an @at in the past and run it at once.'),
};

/** A job as posted. Unknown fields are dropped here and named by parseJobInput. */
export const jobInputSchema = z.object({ ...dkronFields, ...additions });

/** Fields added by Belfry, in the order they are shown. */
export const ADDED_FIELDS = Object.keys(additions) as (keyof typeof additions)[];
/** Dkron's fields in Dkron's order. */
export const DKRON_FIELDS = Object.keys(dkronFields) as (keyof typeof dkronFields)[];

export type StringRecord = Record<string, string>;

/** What is stored of a job: everything a person decides, defaults filled in. Durations stay text (model/duration.ts reads them). */
export interface JobDefinition {
  name: string;
  displayname: string;
  timezone: string;
  schedule: string;
  owner: string;
  owner_email: string;
  disabled: boolean;
  tags: StringRecord;
  metadata: StringRecord;
  retries: number;
  parent_job: string;
  processors: Record<string, StringRecord>;
  concurrency: Concurrency;
  executor: string;
  executor_config: StringRecord;
  ephemeral: boolean;
  /** Canonical UTC text (model/time.ts), or null. */
  starts_at: string | null;
  expires_at: string | null;
  /** null: one node without tags, every match with tags (SEMANTICS §5). */
  targets: 'one' | 'all' | null;
  guarantee: 'at-most-once' | 'at-least-once';
  misfire: Misfire;
  dst: DstPolicy;
  jitter: string | null;
  calendars: (string | Calendar)[];
  timeout: string | null;
  kill_grace: string;
  start_deadline: string | null;
  retry: Retry;
  run_if_past: boolean;
}

/**
 * Counters a body may carry (a backup does): an update keeps the larger count and the later time, so restoring works and nothing
 * is lowered (dkron.md §2.5). Times are epoch milliseconds.
 */
export interface JobCounters {
  successCount: number;
  errorCount: number;
  lastSuccessAt: number | null;
  lastErrorAt: number | null;
  status: string;
}

/** A job as posted, checked and normalised. */
export interface JobInput extends JobDefinition {
  counters: JobCounters;
}

/** The definition alone, in storage order. */
export function definitionOf(input: JobInput): JobDefinition {
  const { counters: _counters, ...definition } = input;
  return definition;
}

/** A calendar shared between jobs by name. */
export const calendarInputSchema = Calendar.required({ name: true });
export type CalendarInput = z.infer<typeof calendarInputSchema>;
