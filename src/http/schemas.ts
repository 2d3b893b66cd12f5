// What answers look like, for the OpenAPI document.
import { z } from 'zod';
import { calendarInputSchema, jobInputSchema } from '../model/job.ts';
import { OUTCOMES, PHASES, REASONS, TRIGGERS } from '../model/occurrence.ts';
import { Calendar, PreviewRequest, PreviewResponse } from '../model/schedule.ts';

const Instant = z.string().meta({ format: 'date-time' });
const StringMap = z.record(z.string(), z.string());

const Job = z.object({
  id: z.string().describe('Always the name.'),
  name: z.string(),
  displayname: z.string(),
  timezone: z.string(),
  schedule: z.string(),
  owner: z.string(),
  owner_email: z.string(),
  success_count: z.int(),
  error_count: z.int(),
  last_success: Instant.nullable(),
  last_error: Instant.nullable(),
  disabled: z.boolean(),
  tags: StringMap.nullable(),
  metadata: StringMap.nullable(),
  retries: z.int(),
  dependent_jobs: z.array(z.string()).nullable(),
  parent_job: z.string(),
  processors: z.record(z.string(), StringMap),
  concurrency: z.enum(['allow', 'forbid', 'queue', 'replace']),
  executor: z.string(),
  executor_config: StringMap.nullable(),
  status: z
    .enum(['', 'success', 'failed', 'partially_failed'])
    .describe('Empty: never finished a run ("untriggered" as a filter).'),
  next: Instant.describe('0001-01-01T00:00:00Z when no run is planned.'),
  ephemeral: z.boolean(),
  starts_at: Instant.nullable(),
  expires_at: Instant.nullable(),
  ...additionsShown(),
});

/** Shown only where they differ from the default. */
function additionsShown() {
  const {
    targets,
    guarantee,
    misfire,
    dst,
    jitter,
    calendars,
    timeout,
    kill_grace,
    start_deadline,
    retry,
    run_if_past,
  } = jobInputSchema.shape;
  return {
    targets,
    guarantee,
    misfire,
    dst,
    jitter,
    calendars,
    timeout,
    kill_grace,
    start_deadline,
    retry,
    run_if_past,
  };
}

const Execution = z.object({
  id: z.string().optional().describe('<started at, epoch ns>-<node>'),
  job_name: z.string().optional(),
  started_at: Instant,
  finished_at: Instant.describe('0001-01-01T00:00:00Z while it runs.'),
  success: z.boolean(),
  output: z.string().optional().describe('Left out when empty.'),
  node_name: z.string().optional(),
  group: z.int().optional(),
  attempt: z.int().optional(),
  output_truncated: z.boolean().optional(),
});

const RunExecution = z.object({
  id: z.string(),
  attempt: z.int(),
  node: z.string(),
  state: z.enum(['waiting', 'running', 'finished']),
  started_at: Instant.nullable(),
  finished_at: Instant.nullable(),
  outcome: z.enum(OUTCOMES).nullable(),
  reason: z.enum(REASONS),
  exit_code: z.int().nullable(),
  signal: z.string().nullable(),
  message: z.string().nullable(),
  output_bytes: z.int().describe('Bytes written; so far, while it runs.'),
  log_bytes: z.int().describe('How many of them are kept.'),
});

const Run = z.object({
  group: z.int(),
  job: z.string(),
  job_id: z.int(),
  job_version: z.int(),
  trigger: z.enum(TRIGGERS),
  scheduled_at: Instant,
  due_at: Instant,
  parent_group: z.int().nullable(),
  phase: z.enum(PHASES),
  outcome: z.enum(OUTCOMES).nullable(),
  reason: z.enum(REASONS),
  stopping: z
    .object({ since: Instant, reason: z.enum(REASONS) })
    .nullable()
    .describe('Its end was asked for and its processes have not gone yet; the reason is the one it will have.'),
  finished_at: Instant.nullable(),
  last_scheduled_at: Instant.nullable().describe('Set on a row that stands for several dropped occurrences.'),
  count: z.int(),
  count_exact: z.boolean().describe('false: count is a lower bound.'),
  executions: z.array(RunExecution),
});

const LogPage = z.object({
  execution: z.string(),
  from: z.int(),
  next: z.int().describe('Where to read on.'),
  total_bytes: z.int(),
  first_kept_byte: z.int(),
  data: z.string().describe('base64'),
  chunks: z.array(
    z.object({
      stream: z.enum(['stdout', 'stderr']),
      observed_at: Instant,
      from: z.int(),
      length: z.int(),
      observed_late: z.boolean(),
    }),
  ),
});

const Member = z.object({
  Name: z.string(),
  Addr: z.string(),
  Port: z.int().describe('Gossip port; 0 on a node that is alone.'),
  Tags: StringMap,
  Status: z.int().describe('1 alive, 2 leaving, 3 left, 4 failed'),
  ProtocolMin: z.int(),
  ProtocolMax: z.int(),
  ProtocolCur: z.int(),
  DelegateMin: z.int(),
  DelegateMax: z.int(),
  DelegateCur: z.int(),
});

const ApiError = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    field: z.string().optional(),
    remedy: z.string().optional(),
    group: z.int().optional(),
  }),
});

/** Named schemas of the document. */
export const Schemas = {
  Job,
  JobInput: jobInputSchema,
  Execution,
  Run,
  RunExecution,
  RunList: z.object({
    runs: z.array(Run),
    cursor: z.string().nullable().describe('Give it back for the next page; null: no more.'),
  }),
  LogPage,
  Member,
  Calendar: calendarInputSchema,
  InlineCalendar: Calendar,
  PreviewRequest,
  PreviewResponse,
  Error: ApiError,
  Paused: z.object({ paused: z.boolean() }),
  Health: z.object({
    issues: z.array(z.string()).optional(),
    warnings: z.array(z.string()).optional(),
    leader: z.boolean(),
    status: z.enum(['healthy', 'unhealthy', 'draining']),
  }),
  Status: z.object({ agent: StringMap, serf: StringMap, tags: StringMap }),
  Stats: z.object({ stats: z.array(z.object({ date: Instant, success_count: z.int(), failed_count: z.int() })) }),
} as const;
