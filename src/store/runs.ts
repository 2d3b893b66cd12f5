/** SQL for reading occurrences and executions, newest first by nominal instant. */
import type { SqlValue } from './database.ts';

export interface OccurrenceRow {
  group_id: number;
  job_id: number;
  job: string;
  job_version: number;
  trigger: number;
  nominal_at: number;
  due_at: number;
  parent_group: number | null;
  phase: number;
  outcome: number;
  reason: number;
  wake_at: number | null;
  finished_at: number | null;
  last_at: number | null;
  count: number;
}

export interface ExecutionRow {
  key: number;
  group_id: number;
  job_id: number;
  attempt: number;
  relaunch: number;
  node: string;
  started_at_us: number | null;
  finished_at_us: number | null;
  outcome: number;
  reason: number;
  exit_code: number | null;
  signal: string | null;
  message: string | null;
  output_bytes: number;
  log_bytes: number;
  tail: string | null;
}

const OCCURRENCE =
  'o.group_id, o.job_id, j.name AS job, o.job_version, o.trigger, o.nominal_at, o.due_at, o.parent_group, o.phase, o.outcome, o.reason, o.wake_at, o.finished_at, o.last_at, o.count';
const EXECUTION =
  'e.key, e.group_id, e.job_id, e.attempt, e.relaunch, e.node, e.started_at_us, e.finished_at_us, e.outcome, e.reason, e.exit_code, e.signal, e.message, e.output_bytes, e.log_bytes';
/** Strictly before (nominal, group), newest first; group settles equal instants. */
const PAGE =
  'o.nominal_at >= ? AND o.nominal_at <= ? AND (o.nominal_at < ? OR o.group_id < ?) ORDER BY o.nominal_at DESC, o.group_id DESC LIMIT ?';

/** One outcome over all jobs: a walk along the index (outcome, nominal_at). */
export const RUNS_BY_OUTCOME = `SELECT ${OCCURRENCE} FROM occurrences o JOIN jobs j ON j.id = o.job_id WHERE o.outcome = ? AND o.outcome > 0 AND ${PAGE}`;
/** Those without an outcome yet, over all jobs. */
export const RUNS_UNFINISHED = `SELECT ${OCCURRENCE} FROM occurrences o INDEXED BY occurrences_open JOIN jobs j ON j.id = o.job_id WHERE o.phase > 0 AND ${PAGE}`;
/** One job, any outcome (null) or one: a walk along the identity index. */
export const RUNS_BY_JOB = `SELECT ${OCCURRENCE} FROM occurrences o JOIN jobs j ON j.id = o.job_id WHERE o.job_id = ? AND (? IS NULL OR o.outcome = ?) AND ${PAGE}`;
export const RUN_BY_GROUP = `SELECT ${OCCURRENCE} FROM occurrences o JOIN jobs j ON j.id = o.job_id WHERE o.group_id = ?`;
/** Every job that has or had the name; the newest first. */
export const JOB_IDS_OF_NAME =
  'SELECT id FROM jobs WHERE name = ? AND deleted_at IS NULL UNION ALL SELECT id FROM jobs WHERE name = ? AND deleted_at IS NOT NULL ORDER BY id DESC';
/** Executions of these groups (a JSON array), without output. */
export const EXECUTIONS_OF_GROUPS = `SELECT ${EXECUTION}, NULL AS tail FROM json_each(?) g JOIN executions e ON e.group_id = g.value ORDER BY e.group_id, e.attempt`;
/** The newest executions of a job with their tails, by occurrence. */
export const EXECUTIONS_OF_JOB =
  `SELECT ${EXECUTION}, t.tail FROM occurrences o JOIN executions e ON e.group_id = o.group_id LEFT JOIN outputs t ON t.key = e.key ` +
  'WHERE o.job_id = ? ORDER BY o.nominal_at DESC, e.attempt DESC LIMIT ?';
export const EXECUTION_OF_KEY = `SELECT ${EXECUTION}, t.tail FROM executions e LEFT JOIN outputs t ON t.key = e.key WHERE e.key = ?`;
export const LOGS_OF_JOB = 'SELECT e.key FROM executions e WHERE e.job_id = ? AND e.log_bytes > 0 ORDER BY e.key';
export const DAILY_STATS = 'SELECT day, success, failed FROM daily_stats WHERE day >= ? ORDER BY day';

/**
 * Everything unfinished, for the index in memory at start. The small index of open ones has to be named: left alone the engine walks the
 * whole history in the order that is asked for.
 */
export const OPEN_OCCURRENCES =
  'SELECT o.group_id, o.job_id, o.job_version, o.trigger, o.nominal_at, o.due_at, o.phase, o.wake_at FROM occurrences o INDEXED BY occurrences_open WHERE o.phase > 0 ORDER BY o.group_id';
/** The newest execution of each unfinished occurrence, with how many attempts were relaunches. */
export const OPEN_EXECUTIONS =
  'SELECT e.group_id, max(e.key) AS key, e.attempt AS attempt, e.outcome AS outcome, sum(e.relaunch) AS relaunches FROM occurrences o INDEXED BY occurrences_open CROSS JOIN executions e ON e.group_id = o.group_id WHERE o.phase > 0 GROUP BY o.group_id';
/** The greatest id ever given: of the rows there are, and of those that retention took (see rememberLastId). */
export const LAST_ID =
  "SELECT max(coalesce((SELECT max(group_id) FROM occurrences), 0), coalesce((SELECT max(key) FROM executions), 0), coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'last_id'), 0)) AS last";

const REMEMBER_LAST_ID =
  "INSERT INTO meta (key, value) VALUES ('last_id', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE CAST(meta.value AS INTEGER) < CAST(excluded.value AS INTEGER)";

/** Goes with every delete of history: after a clock stepped back, a restart would else give deleted ids a second time. */
export function rememberLastId(last: number): { sql: string; params: SqlValue[] } {
  return { sql: REMEMBER_LAST_ID, params: [String(last)] };
}

const DELETE_OUTPUTS_OF_JOB =
  'DELETE FROM outputs WHERE key IN (SELECT e.key FROM occurrences o JOIN executions e ON e.group_id = o.group_id WHERE o.job_id = ? AND o.phase = 0)';
const DELETE_EXECUTIONS_OF_JOB =
  'DELETE FROM executions WHERE group_id IN (SELECT o.group_id FROM occurrences o WHERE o.job_id = ? AND o.phase = 0)';
const DELETE_OCCURRENCES_OF_JOB = 'DELETE FROM occurrences WHERE job_id = ? AND phase = 0';
const ZERO_COUNTERS =
  'UPDATE job_state SET success_count = 0, error_count = 0, last_success_at = NULL, last_error_at = NULL WHERE job_id = ?';

/** Wipes a job's finished history and its counters; what is unfinished stays (dkron.md §1.10). */
export function wipeHistory(jobId: number): { sql: string; params: SqlValue[] }[] {
  return [DELETE_OUTPUTS_OF_JOB, DELETE_EXECUTIONS_OF_JOB, DELETE_OCCURRENCES_OF_JOB, ZERO_COUNTERS].map((sql) => ({
    sql,
    params: [jobId],
  }));
}
