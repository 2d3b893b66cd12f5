// A job as it is read: Dkron's fields in Dkron's order, then what Belfry adds, as far as it is not the default.
import type { JobDefinition, StringRecord } from './job-schema.ts';
import { DEFAULTS } from './job-schema.ts';
import { ZERO_TIME, instantText } from './time.ts';

/** What changes with every run. Instants are epoch milliseconds. */
export interface JobState {
  readonly successCount: number;
  readonly errorCount: number;
  readonly lastSuccessAt: number | null;
  readonly lastErrorAt: number | null;
  readonly status: string;
  readonly nextAt: number | null;
  /** Names of the jobs whose parent this is. */
  readonly dependentJobs: readonly string[];
}

/** GET /v1/jobs/:job (dkron.md §2.1). Empty maps and lists are null, except processors. */
export interface JobView {
  id: string;
  name: string;
  displayname: string;
  timezone: string;
  schedule: string;
  owner: string;
  owner_email: string;
  success_count: number;
  error_count: number;
  last_success: string | null;
  last_error: string | null;
  disabled: boolean;
  tags: StringRecord | null;
  metadata: StringRecord | null;
  retries: number;
  dependent_jobs: readonly string[] | null;
  parent_job: string;
  processors: Record<string, StringRecord>;
  concurrency: string;
  executor: string;
  executor_config: StringRecord | null;
  status: string;
  next: string;
  ephemeral: boolean;
  starts_at: string | null;
  expires_at: string | null;
  targets?: 'one' | 'all';
  guarantee?: JobDefinition['guarantee'];
  misfire?: JobDefinition['misfire'];
  dst?: JobDefinition['dst'];
  jitter?: string;
  calendars?: JobDefinition['calendars'];
  timeout?: string;
  kill_grace?: string;
  start_deadline?: string;
  retry?: JobDefinition['retry'];
  run_if_past?: boolean;
}

/** The view of a stored job. Cheap on purpose: a list builds one per job. */
export function jobView(definition: JobDefinition, state: JobState): JobView {
  const view: JobView = {
    id: definition.name,
    name: definition.name,
    displayname: definition.displayname,
    timezone: definition.timezone,
    schedule: definition.schedule,
    owner: definition.owner,
    owner_email: definition.owner_email,
    success_count: state.successCount,
    error_count: state.errorCount,
    last_success: timeOrNull(state.lastSuccessAt),
    last_error: timeOrNull(state.lastErrorAt),
    disabled: definition.disabled,
    tags: mapOrNull(definition.tags),
    metadata: mapOrNull(definition.metadata),
    retries: definition.retries,
    dependent_jobs: state.dependentJobs.length === 0 ? null : state.dependentJobs,
    parent_job: definition.parent_job,
    processors: definition.processors,
    concurrency: definition.concurrency,
    executor: definition.executor,
    executor_config: mapOrNull(definition.executor_config),
    status: state.status,
    next: state.nextAt === null ? ZERO_TIME : instantText(state.nextAt),
    ephemeral: definition.ephemeral,
    starts_at: definition.starts_at,
    expires_at: definition.expires_at,
  };
  return addAdditions(view, definition);
}

const timeOrNull = (epochMs: number | null): string | null => (epochMs === null ? null : instantText(epochMs));

function mapOrNull(map: StringRecord): StringRecord | null {
  for (const _key in map) return map;
  return null;
}

function addAdditions(view: JobView, job: JobDefinition): JobView {
  if (job.targets !== null) view.targets = job.targets;
  if (job.guarantee !== 'at-most-once') view.guarantee = job.guarantee;
  if (Object.keys(job.misfire).length > 0) view.misfire = job.misfire;
  if (job.dst.gap !== undefined || job.dst.overlap !== undefined) view.dst = job.dst;
  if (job.jitter !== null) view.jitter = job.jitter;
  if (job.calendars.length > 0) view.calendars = job.calendars;
  if (job.timeout !== null) view.timeout = job.timeout;
  if (job.kill_grace !== DEFAULTS.killGrace) view.kill_grace = job.kill_grace;
  if (job.start_deadline !== null) view.start_deadline = job.start_deadline;
  if (!sameFields(job.retry, DEFAULTS.retry)) view.retry = job.retry;
  if (job.run_if_past) view.run_if_past = true;
  return view;
}

function sameFields<T extends object>(a: T, b: T): boolean {
  for (const key in b) if (a[key] !== b[key]) return false;
  return true;
}
