/**
 * From a posted body to a job: decoding as lenient as Dkron's, then validation in Dkron's order (dkron.md §2.3). The schedule's text and
 * the time zone are judged by core/schedule, where their grammar lives; everything else here.
 */
import type { z } from 'zod';
import { ADDED_FIELDS, DEFAULTS, DKRON_FIELDS, JOB_LIMITS, jobInputSchema } from './job-schema.ts';
import type { Concurrency, JobCounters, JobInput, StringRecord } from './job-schema.ts';
import { kindOf, shown } from './body-fault.ts';
import { decodeRefusal, refuse } from './job-refusal.ts';
import type { JobRefusal } from './job-refusal.ts';
import { validateJob } from './job-validate.ts';
import { ZERO_TIME, canonicalNullableTime, instantMs } from './time.ts';

export { JOB_LIMITS, calendarInputSchema, definitionOf, jobInputSchema } from './job-schema.ts';
export type { CalendarInput, Concurrency, JobDefinition, JobInput } from './job-schema.ts';
export type { JobRefusal } from './job-refusal.ts';
export { nameProblem } from './job-validate.ts';
export { jobView } from './job-view.ts';
export type { JobView } from './job-view.ts';

export type ParsedJob = { ok: true; job: JobInput; unknownFields: string[] } | JobRefusal;

const KNOWN = new Set<string>([...DKRON_FIELDS, ...ADDED_FIELDS]);
const BY_LOWER_CASE = new Map([...KNOWN].map((name) => [name.toLowerCase(), name]));

/**
 * A posted body as a job. Keys match exactly, else without regard to letter case (as Go's decoder); unknown ones are dropped and
 * named. Never throws.
 */
export function parseJobInput(body: unknown): ParsedJob {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return refuse('decode', '', `expected a JSON object, got ${kindOf(body)}`, 'send one job as a JSON object');
  }
  const { fields, unknownFields } = knownFields(body as Record<string, unknown>);
  const unsafe = mapRefusal(fields);
  if (unsafe !== undefined) return unsafe;
  const decoded = jobInputSchema.safeParse(fields);
  if (!decoded.success) return decodeRefusal(decoded.error, fields);
  const times = decodeTimes(decoded.data);
  if (!times.ok) return times;
  const job = normalise(decoded.data, times.times);
  return validateJob(job) ?? { ok: true, job, unknownFields };
}

type Decoded = z.infer<typeof jobInputSchema>;

/** Own properties only, on a fresh object without a prototype: nothing a body says can reach Object.prototype. */
function knownFields(body: Record<string, unknown>): { fields: Record<string, unknown>; unknownFields: string[] } {
  const fields = Object.create(null) as Record<string, unknown>;
  const unknownFields: string[] = [];
  const inOtherCase: [string, unknown][] = [];
  for (const key of Object.keys(body)) {
    if (KNOWN.has(key)) {
      fields[key] = body[key];
      continue;
    }
    const known = BY_LOWER_CASE.get(key.toLowerCase());
    if (known === undefined) unknownFields.push(key);
    else inOtherCase.push([known, body[key]]);
  }
  for (const [key, value] of inOtherCase) if (!(key in fields)) fields[key] = value;
  return { fields, unknownFields };
}

const TIME_FIELDS = ['starts_at', 'expires_at', 'last_success', 'last_error', 'next'] as const;
type Times = Record<(typeof TIME_FIELDS)[number], string | null>;

function decodeTimes(decoded: Decoded): { ok: true; times: Times } | JobRefusal {
  const times: Times = { starts_at: null, expires_at: null, last_success: null, last_error: null, next: null };
  for (const field of TIME_FIELDS) {
    const text = decoded[field];
    if (text === null || text === undefined) continue;
    const canonical = canonicalNullableTime(text);
    if (canonical === undefined) {
      return refuse(
        'decode',
        field,
        `${shown(text)} is not a time`,
        'write RFC 3339, for example "2026-11-22T17:00:00Z", or null',
      );
    }
    times[field] = canonical;
  }
  return { ok: true, times };
}

const MAPS = ['tags', 'metadata', 'executor_config', 'processors'] as const;

/**
 * Size limits over all maps, and the one key that is not data in JavaScript (zod would drop it in silence). Runs before the types
 * are known, so that it sees the body as it came.
 */
function mapRefusal(fields: Record<string, unknown>): JobRefusal | undefined {
  let characters = 0;
  const maps: [string, unknown][] = MAPS.map((field) => [field, fields[field]]);
  const processors = fields['processors'];
  for (const name of keysOf(processors))
    maps.push([`processors.${name.slice(0, 60)}`, (processors as Record<string, unknown>)[name]]);
  for (const [field, map] of maps) {
    const keys = keysOf(map);
    const wrong = keysRefusal(field, keys);
    if (wrong !== undefined) return wrong;
    for (const key of keys) {
      const value = (map as Record<string, unknown>)[key];
      characters += key.length + (typeof value === 'string' ? value.length : 0);
    }
    if (characters > JOB_LIMITS.mapCharactersMax) {
      return refuse(
        'decode',
        field,
        'makes the job too large',
        `keep all maps of a job under ${JOB_LIMITS.mapCharactersMax} characters`,
      );
    }
  }
  return undefined;
}

function keysRefusal(field: string, keys: readonly string[]): JobRefusal | undefined {
  if (keys.length > JOB_LIMITS.mapEntriesMax) {
    return refuse('decode', field, `has ${keys.length} entries`, `give at most ${JOB_LIMITS.mapEntriesMax}`);
  }
  if (keys.includes('__proto__')) return refuse('decode', field, 'has a key "__proto__"', 'choose another key');
  if (keys.some((key) => key.length > JOB_LIMITS.mapKeyCharactersMax)) {
    return refuse(
      'decode',
      field,
      'has a key that is too long',
      `use keys of at most ${JOB_LIMITS.mapKeyCharactersMax} characters`,
    );
  }
  return undefined;
}

const keysOf = (map: unknown): string[] =>
  typeof map === 'object' && map !== null && !Array.isArray(map) ? Object.keys(map) : [];

function stringMap(map: Record<string, string | null> | null | undefined): StringRecord {
  const copy: StringRecord = {};
  for (const key in map) copy[key] = map[key] ?? '';
  return copy;
}

function processorMaps(processors: Decoded['processors']): Record<string, StringRecord> {
  const copy: Record<string, StringRecord> = {};
  for (const name in processors) copy[name] = stringMap(processors[name]);
  return copy;
}

function normalise(input: Decoded, times: Times): JobInput {
  return {
    name: input.name ?? '',
    displayname: input.displayname ?? '',
    timezone: input.timezone ?? '',
    schedule: input.schedule ?? '',
    owner: input.owner ?? '',
    owner_email: input.owner_email ?? '',
    disabled: input.disabled ?? false,
    tags: stringMap(input.tags),
    metadata: stringMap(input.metadata),
    retries: input.retries ?? 0,
    parent_job: input.parent_job ?? '',
    processors: processorMaps(input.processors),
    concurrency: (input.concurrency || 'allow') as Concurrency,
    executor: input.executor ?? '',
    executor_config: stringMap(input.executor_config),
    ephemeral: input.ephemeral ?? false,
    starts_at: times.starts_at,
    expires_at: times.expires_at,
    targets: input.targets ?? null,
    guarantee: input.guarantee ?? 'at-most-once',
    misfire: input.misfire ?? {},
    dst: input.dst ?? {},
    jitter: input.jitter ?? null,
    calendars: input.calendars ?? [],
    timeout: input.timeout ?? null,
    kill_grace: input.kill_grace ?? DEFAULTS.killGrace,
    start_deadline: input.start_deadline ?? null,
    retry: input.retry ?? DEFAULTS.retry,
    run_if_past: input.run_if_past ?? false,
    counters: countersOf(input, times),
  };
}

/** Words clients know; any other status a body brings is dropped. */
const STATUSES = new Set(['', 'success', 'failed', 'partially_failed', 'running']);

function countersOf(input: Decoded, times: Times): JobCounters {
  return {
    successCount: Math.max(0, input.success_count ?? 0),
    errorCount: Math.max(0, input.error_count ?? 0),
    lastSuccessAt: millis(times.last_success),
    lastErrorAt: millis(times.last_error),
    status: STATUSES.has(input.status ?? '') ? (input.status ?? '') : '',
  };
}

const millis = (text: string | null): number | null => (text === null || text === ZERO_TIME ? null : instantMs(text));
