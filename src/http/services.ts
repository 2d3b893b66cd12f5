/**
 * What the HTTP layer is handed: the leader's commands and queries as plain functions. Everything here throws AppError for what a caller
 * must be told; the routes map it (model/errors.ts).
 */
import type { CalendarInput, JobInput, JobView } from '../model/job.ts';
import type { Outcome, Phase, Reason, Trigger } from '../model/occurrence.ts';
import type { PreviewRequest, PreviewResponse } from '../model/schedule.ts';

/** GET /v1/jobs after parsing (dkron.md §1.4). `sort` is already checked against the allowed columns. */
export interface JobQuery {
  sort: 'name' | 'displayname' | 'schedule' | 'success_count' | 'error_count' | 'last_success' | 'last_error' | 'next';
  descending: boolean;
  start: number;
  /** null: to the end. */
  end: number | null;
  q: string | null;
  status: string | null;
  disabled: boolean | null;
  metadata: Record<string, string>;
}

/** An execution in Dkron's shape (dkron.md §3); `output` is the tail unless the full one was asked for. */
export interface ExecutionView {
  id: string;
  job_name: string;
  started_at: string;
  finished_at: string;
  success: boolean;
  output: string;
  node_name: string;
  group: number;
  attempt: number;
  output_truncated: boolean;
}

/** One attempt as /v1/runs tells it. */
export interface RunExecution {
  id: string;
  attempt: number;
  node: string;
  state: 'waiting' | 'running' | 'finished';
  started_at: string | null;
  finished_at: string | null;
  outcome: Outcome | null;
  reason: Reason;
  exit_code: number | null;
  signal: string | null;
  message: string | null;
  output_bytes: number;
  log_bytes: number;
}

/** One occurrence, or a range row of dropped ones (`last_scheduled_at`, `count`, exact to 100,000). */
export interface RunView {
  group: number;
  job: string;
  job_id: number;
  job_version: number;
  trigger: Trigger;
  scheduled_at: string;
  due_at: string;
  parent_group: number | null;
  phase: Phase;
  outcome: Outcome | null;
  reason: Reason;
  /** Its end was asked for, and its processes have not gone yet. */
  stopping: { since: string; reason: Reason } | null;
  finished_at: string | null;
  last_scheduled_at: string | null;
  count: number;
  /** false: count is a lower bound. */
  count_exact: boolean;
  executions: RunExecution[];
}

export interface RunQuery {
  job: string | null;
  outcome: Outcome | null;
  /** Nominal instants, epoch ms, inclusive from, exclusive to. */
  from: number | null;
  to: number | null;
  cursor: string | null;
  limit: number;
}

export interface LogPage {
  execution: string;
  from: number;
  total_bytes: number;
  first_kept_byte: number;
  /** Raw bytes from `from`. */
  bytes: Uint8Array;
  chunks: { stream: 'stdout' | 'stderr'; observed_at: string; from: number; length: number; observed_late: boolean }[];
}

/** Who asks, for the record; a single node has no users yet. */
export interface JobsService {
  /** Create or replace. Answers the stored job and what of its schedule is odd. Throws invalid, parent_not_found, paused, disk_full, unavailable. */
  put(
    input: JobInput,
    options: { runOnCreate: boolean },
  ): Promise<{ readonly job: JobView; readonly warnings: readonly string[] }>;
  get(name: string): Promise<JobView>;
  /** `jobs` may make its views one by one: a list of 100,000 is written piece by piece. */
  list(query: JobQuery): Promise<{ total: number; jobs: Iterable<JobView> | AsyncIterable<JobView> }>;
  /** Optional: the next launches by time, soonest first, for the status page. */
  upcoming?(limit: number): Promise<{ job: string; at: string }[]>;
  /** Throws not_found, has_dependents. */
  delete(name: string, running: 'detach' | 'kill'): Promise<JobView>;
  toggle(name: string): Promise<JobView>;
  /** Manual run. Throws not_found, overlap (with `group`). */
  run(name: string, options: { force: boolean }): Promise<{ job: JobView; group: number }>;
  /** Moves the schedule's cursor to now (SEMANTICS §2). */
  resetCursor(name: string): Promise<JobView>;
  /** Dkron's restore: a tree of jobs; one line per job ("success create x" / "fail create x"). Throws invalid. */
  restore(jobs: readonly JobInput[]): Promise<string[]>;
}

export interface CalendarsService {
  list(): Promise<CalendarInput[]>;
  put(calendar: CalendarInput): Promise<CalendarInput>;
  delete(name: string): Promise<void>;
}

export interface RunsService {
  /** Newest 100 executions of a job. `descending` and `sort` as dkron.md §1.9. Throws not_found. */
  executions(
    job: string,
    order: { sort: 'started_at' | 'finished_at' | 'attempt'; descending: boolean },
  ): Promise<ExecutionView[]>;
  /** One execution with up to 256,000 bytes of output. Throws not_found. */
  execution(job: string, id: string): Promise<ExecutionView>;
  /** Wipes history and counters; unfinished occurrences stay. Answers the job. Throws not_found. */
  deleteExecutions(job: string): Promise<JobView>;
  busy(): Promise<ExecutionView[]>;
  stats(days: number): Promise<{ date: string; success_count: number; failed_count: number }[]>;
  runs(query: RunQuery): Promise<{ runs: RunView[]; cursor: string | null }>;
  run(group: number): Promise<RunView>;
  /** Stops every execution of the occurrence and cancels what waits; answers at once with the run as it stands. Throws not_found. */
  stop(group: number): Promise<RunView>;
  log(group: number, execution: string | null, from: number, limit: number): Promise<LogPage>;
}

export interface NodeService {
  readonly name: string;
  readonly version: string;
  readonly tags: Record<string, string>;
  /** Whether a job with these tags may run here. */
  matches(tags: Readonly<Record<string, string>>): boolean;
  paused(): Promise<boolean>;
  setPaused(paused: boolean): Promise<boolean>;
  /** What a person should know; healthy when there are no issues. */
  health(): {
    leader: boolean;
    status: 'healthy' | 'unhealthy' | 'draining';
    issues: string[];
    warnings: string[];
  };
  /** Why nothing can be stored now, as a sentence; null: it can. */
  storeSilence(): string | null;
  /** POST /v1/leave: begins a graceful stop of this process. */
  leave(): void;
  httpAddress(): { host: string; port: number };
  /** The Prometheus text and its content type. */
  metrics(): Promise<{ contentType: string; body: string }>;
}

export interface Services {
  jobs: JobsService;
  calendars: CalendarsService;
  runs: RunsService;
  node: NodeService;
  /** What of a job's executor and processors is accepted and will not do as written, one sentence each. */
  check(input: JobInput): Promise<string[]>;
  preview(request: PreviewRequest): Promise<PreviewResponse>;
}
