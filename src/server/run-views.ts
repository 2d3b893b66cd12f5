/** Stored occurrences and executions in the shapes the API shows. */
import {
  OUTCOMES,
  type Outcome,
  PHASES,
  type Phase,
  type Reason,
  REASONS,
  type Trigger,
  TRIGGERS,
  wordOf,
} from '../model/occurrence.ts';
import { instantText, instantTextUs, ZERO_TIME, zonedTextUs } from '../model/time.ts';
import type { ExecutionRow, OccurrenceRow } from '../store/runs.ts';
import { executionId } from './identity.ts';
import type { LiveRun } from './live.ts';

/** An execution as Dkron shows it (dkron.md §3), with what it is sorted by. */
export interface ExecutionShown {
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
  order: { startedAtUs: number; finishedAtUs: number; attempt: number };
}

export interface RunExecutionShown {
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

export interface RunShown {
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
  stopping: { since: string; reason: NonNullable<LiveRun['stopping']> } | null;
  finished_at: string | null;
  last_scheduled_at: string | null;
  count: number;
  count_exact: boolean;
  executions: RunExecutionShown[];
}

/** Up to here a range row's count is exact (SEMANTICS §1.3). */
const COUNT_EXACT_MAX = 100_000;

/** `liveStartUs`: when an unfinished execution started, from memory. `zone` '' is UTC. */
export function executionShown(
  row: ExecutionRow,
  liveStartUs: number | null,
  job: string,
  zone: string,
): ExecutionShown {
  const startedAtUs = row.started_at_us ?? liveStartUs;
  const tail = row.tail ?? '';
  return {
    id: executionId(row.key, row.node),
    job_name: job,
    started_at: startedAtUs === null ? ZERO_TIME : zonedTextUs(startedAtUs, zone),
    finished_at: row.finished_at_us === null ? ZERO_TIME : zonedTextUs(row.finished_at_us, zone),
    success: wordOf(OUTCOMES, row.outcome) === 'succeeded',
    output: row.message === null ? tail : `${row.message}\n${tail}`,
    node_name: row.node,
    group: row.group_id,
    attempt: row.attempt,
    output_truncated: row.output_bytes > Buffer.byteLength(tail),
    order: { startedAtUs: startedAtUs ?? row.key, finishedAtUs: row.finished_at_us ?? 0, attempt: row.attempt },
  };
}

/** A running execution, from memory alone. */
export function liveShown(
  run: LiveRun,
  node: string,
  { output, truncated }: { output: string; truncated: boolean },
): ExecutionShown {
  return {
    id: executionId(run.key, node),
    job_name: run.job.name,
    started_at: instantTextUs(run.startedAtUs ?? run.key),
    finished_at: ZERO_TIME,
    success: false,
    output,
    node_name: node,
    group: run.group,
    attempt: run.attempt,
    output_truncated: truncated,
    order: { startedAtUs: run.startedAtUs ?? run.key, finishedAtUs: 0, attempt: run.attempt },
  };
}

/** An execution's bytes of output so far, and how many of them are kept. */
export type LogSizes = (key: number) => { readonly written: number; readonly kept: number };

/** What the store does not know of what runs. */
export interface RunsNow {
  readonly live: (key: number) => LiveRun | undefined;
  readonly logSizes: LogSizes;
}

export function runShown(row: OccurrenceRow, executions: readonly ExecutionRow[], now: RunsNow): RunShown {
  const outcome = wordOf(OUTCOMES, row.outcome);
  const newest = executions.at(-1);
  return {
    group: row.group_id,
    job: row.job,
    job_id: row.job_id,
    job_version: row.job_version,
    trigger: wordOf(TRIGGERS, row.trigger),
    scheduled_at: instantText(row.nominal_at),
    due_at: instantText(row.due_at),
    parent_group: row.parent_group,
    phase: wordOf(PHASES, row.phase),
    outcome: outcome === 'unfinished' ? null : outcome,
    reason: wordOf(REASONS, row.reason),
    stopping: outcome !== 'unfinished' || newest === undefined ? null : stoppingShown(now.live(newest.key)),
    finished_at: row.finished_at === null ? null : instantText(row.finished_at),
    last_scheduled_at: row.last_at === null ? null : instantText(row.last_at),
    count: row.count,
    count_exact: row.count < COUNT_EXACT_MAX,
    executions: executions.map((execution) => runExecutionShown(execution, now)),
  };
}

function stoppingShown(run: LiveRun | undefined): RunShown['stopping'] {
  if (run === undefined || run.stopAskedAt === null || run.stopping === null) return null;
  return { since: instantText(run.stopAskedAt), reason: run.stopping };
}

function runExecutionShown(row: ExecutionRow, now: RunsNow): RunExecutionShown {
  const finished = row.finished_at_us !== null;
  const startedAtUs = row.started_at_us ?? (finished ? null : (now.live(row.key)?.startedAtUs ?? null));
  const sizes = finished ? { written: row.output_bytes, kept: row.log_bytes } : now.logSizes(row.key);
  const outcome = wordOf(OUTCOMES, row.outcome);
  return {
    id: executionId(row.key, row.node),
    attempt: row.attempt,
    node: row.node,
    state: finished ? 'finished' : startedAtUs === null ? 'waiting' : 'running',
    started_at: startedAtUs === null ? null : instantTextUs(startedAtUs),
    finished_at: row.finished_at_us === null ? null : instantTextUs(row.finished_at_us),
    outcome: outcome === 'unfinished' ? null : outcome,
    reason: wordOf(REASONS, row.reason),
    exit_code: row.exit_code,
    signal: row.signal,
    message: row.message,
    output_bytes: sizes.written,
    log_bytes: sizes.kept,
  };
}
