/** SQL of the sweeper: what leaves the history and the disk, in slices small enough not to delay a launch. */
import type { SqlValue, Statement } from './database.ts';

/** The nominal instant of the occurrence that has `keep` newer ones in its job. */
export const NTH_NEWEST =
  'SELECT nominal_at FROM occurrences WHERE job_id = ? ORDER BY nominal_at DESC LIMIT 1 OFFSET ?';
/** Finished occurrences of a job at or before an instant, oldest first. */
export const OLD_OCCURRENCES =
  'SELECT group_id FROM occurrences WHERE job_id = ? AND nominal_at <= ? AND phase = 0 AND (? IS NULL OR finished_at < ?) ORDER BY nominal_at LIMIT ?';
/** Keys of executions of these groups (a JSON array) that have logs on disk. */
export const LOGS_OF_GROUPS =
  'SELECT e.key, e.log_bytes FROM json_each(?) g JOIN executions e ON e.group_id = g.value WHERE e.log_bytes > 0';
/** The next jobs of a pass over all of them, deleted ones included. */
export const JOB_PASS = 'SELECT id, version, deleted_at FROM jobs WHERE id > ? ORDER BY id LIMIT ?';
export const OLDEST_LOGS = 'SELECT key, log_bytes FROM executions WHERE log_bytes > 0 ORDER BY key LIMIT ?';
/** The newest logs of a job, for its limits. */
export const JOB_LOGS = 'SELECT key, log_bytes FROM executions WHERE job_id = ? AND log_bytes > 0 ORDER BY key DESC';
export const LOG_BYTES = 'SELECT coalesce(sum(log_bytes), 0) AS bytes FROM executions WHERE log_bytes > 0';

const DELETE_OUTPUTS =
  'DELETE FROM outputs WHERE key IN (SELECT e.key FROM json_each(?) g JOIN executions e ON e.group_id = g.value)';
const DELETE_EXECUTIONS = 'DELETE FROM executions WHERE group_id IN (SELECT value FROM json_each(?))';
const DELETE_OCCURRENCES = 'DELETE FROM occurrences WHERE group_id IN (SELECT value FROM json_each(?)) AND phase = 0';
const FORGET_LOGS = 'UPDATE executions SET log_bytes = 0 WHERE key IN (SELECT value FROM json_each(?))';
const DROP_VERSIONS =
  'DELETE FROM job_versions WHERE job_id = ? AND version <= ? AND NOT EXISTS (SELECT 1 FROM occurrences o WHERE o.job_id = job_versions.job_id AND o.phase > 0)';
const DROP_JOB =
  'DELETE FROM jobs WHERE id = ? AND deleted_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM occurrences o WHERE o.job_id = jobs.id)';
const DROP_VERSIONS_OF_GONE =
  'DELETE FROM job_versions WHERE job_id = ? AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = job_versions.job_id)';

export function deleteOccurrences(groups: readonly number[]): Statement[] {
  const list = JSON.stringify(groups);
  return [DELETE_OUTPUTS, DELETE_EXECUTIONS, DELETE_OCCURRENCES].map((sql) => ({ sql, params: [list] }));
}

/** The files of these executions are gone. */
export function forgetLogs(keys: readonly number[]): Statement {
  return { sql: FORGET_LOGS, params: [JSON.stringify(keys)] };
}

/** Definitions older than the newest `keep` versions. */
export function dropOldVersions(jobId: number, version: number, keep: number): Statement {
  const params: SqlValue[] = [jobId, version - keep];
  return { sql: DROP_VERSIONS, params };
}

/** A deleted job goes with its last occurrence. */
export function dropDeletedJob(jobId: number): Statement[] {
  return [
    { sql: DROP_JOB, params: [jobId] },
    { sql: DROP_VERSIONS_OF_GONE, params: [jobId] },
  ];
}

/** The oldest first; the table is looked at from its beginning and no further than that. */
const DROP_ORPHANS =
  'DELETE FROM orphan_results WHERE key IN (SELECT key FROM orphan_results ORDER BY key LIMIT 1000) AND seen_at < ?';

/** Results of executions in no history, seen before `before` (epoch ms). */
export function dropOrphans(before: number): Statement {
  return { sql: DROP_ORPHANS, params: [before] };
}
