/** SQL for job definitions, their versions and their running state. */
import type { SqlValue, Statement } from './database.ts';

/** A job's row joined with its state. Instants epoch ms. */
export interface JobRow {
  id: number;
  name: string;
  version: number;
  definition: string;
  created_at: number;
  updated_at: number;
  cursor_at: number;
  next_at: number | null;
  anchor_at: number;
  success_count: number;
  error_count: number;
  last_success_at: number | null;
  last_error_at: number | null;
  status: string;
}

/** What a create or update writes, all of it computed from what was read before; `version` is the one it replaces (0: create). */
export interface JobWrite {
  readonly name: string;
  readonly displayname: string;
  readonly parent: string;
  readonly disabled: boolean;
  readonly schedule: string;
  readonly definition: string;
  readonly version: number;
  readonly now: number;
  readonly cursorAt: number;
  /** The cursor goes where it is told, backwards too. */
  readonly rewind: boolean;
  readonly nextAt: number | null;
  readonly anchorAt: number;
  readonly successCount: number;
  readonly errorCount: number;
  readonly lastSuccessAt: number | null;
  readonly lastErrorAt: number | null;
  readonly status: string;
}

const ROW =
  'j.id, j.name, j.version, j.definition, j.created_at, j.updated_at, s.cursor_at, s.next_at, s.anchor_at, s.success_count, s.error_count, s.last_success_at, s.last_error_at, s.status';

/** Live jobs by name; the names are a JSON array. */
export const JOBS_BY_NAME = `SELECT ${ROW} FROM json_each(?) n JOIN jobs j ON j.name = n.value AND j.deleted_at IS NULL JOIN job_state s ON s.job_id = j.id`;
/** Live jobs by id; the ids are a JSON array. */
export const JOBS_BY_ID = `SELECT ${ROW} FROM json_each(?) n JOIN jobs j ON j.id = n.value AND j.deleted_at IS NULL JOIN job_state s ON s.job_id = j.id`;
/** Every job that has a next instant, for the scheduler's start. */
export const DUE_INDEX =
  'SELECT s.job_id, s.next_at, s.cursor_at FROM job_state s WHERE s.next_at IS NOT NULL AND s.job_id > ? ORDER BY s.job_id LIMIT 50000';
export const DEFINITION_OF_VERSION = 'SELECT definition FROM job_versions WHERE job_id = ? AND version = ?';
/** Children of many parents at once, for pages of jobs; the parents are a JSON array of names. */
export const CHILDREN_OF =
  "SELECT j.parent, j.name FROM json_each(?) n JOIN jobs j ON j.parent = n.value AND j.parent <> '' AND j.deleted_at IS NULL ORDER BY j.name";
/** Every job that has a parent, for the index of children in memory. */
export const PARENTS = "SELECT id, parent FROM jobs WHERE parent <> '' AND deleted_at IS NULL";

const PARENT_OK =
  "(? = '' OR (EXISTS (SELECT 1 FROM jobs p WHERE p.name = ? AND p.deleted_at IS NULL) AND NOT EXISTS (" +
  'WITH RECURSIVE up (name) AS (SELECT ? UNION SELECT a.parent FROM jobs a JOIN up ON a.name = up.name WHERE a.deleted_at IS NULL) ' +
  'SELECT 1 FROM up WHERE up.name = ?)))';

const INSERT_JOB =
  'INSERT INTO jobs (name, displayname, version, parent, disabled, schedule, definition, created_at, updated_at, deleted_at) ' +
  `SELECT ?, ?, 1, ?, ?, ?, ?, ?, ?, NULL WHERE ${PARENT_OK} ON CONFLICT DO NOTHING RETURNING id`;
const UPDATE_JOB =
  'UPDATE jobs SET displayname = ?, version = version + 1, parent = ?, disabled = ?, schedule = ?, definition = ?, updated_at = ? ' +
  `WHERE name = ? AND deleted_at IS NULL AND version = ? AND ${PARENT_OK} RETURNING id`;
const INSERT_VERSION =
  'INSERT INTO job_versions (job_id, version, definition, created_at) SELECT id, version, definition, updated_at FROM jobs WHERE name = ? AND deleted_at IS NULL ON CONFLICT DO NOTHING';
const PUT_STATE =
  'INSERT INTO job_state (job_id, version, cursor_at, next_at, anchor_at, success_count, error_count, last_success_at, last_error_at, status) ' +
  'SELECT id, version, ?, ?, ?, ?, ?, ?, ?, ? FROM jobs WHERE name = ? AND deleted_at IS NULL AND version = ? ' +
  'ON CONFLICT (job_id) DO UPDATE SET version = excluded.version, cursor_at = CASE WHEN ? = 1 THEN excluded.cursor_at ELSE max(cursor_at, excluded.cursor_at) END, next_at = excluded.next_at, anchor_at = excluded.anchor_at, ' +
  'success_count = max(success_count, excluded.success_count), error_count = max(error_count, excluded.error_count), ' +
  'last_success_at = nullif(max(coalesce(last_success_at, 0), coalesce(excluded.last_success_at, 0)), 0), ' +
  'last_error_at = nullif(max(coalesce(last_error_at, 0), coalesce(excluded.last_error_at, 0)), 0), ' +
  "status = CASE WHEN status <> '' THEN status ELSE excluded.status END WHERE job_state.version < excluded.version";

/** Creates or replaces one job. The first statement returns its id; no row means: the parent is missing or a cycle, or the version moved on. */
export function putJob(write: JobWrite): Statement[] {
  const parent: SqlValue[] = [write.parent, write.parent, write.parent, write.name];
  const disabled = write.disabled ? 1 : 0;
  const row =
    write.version === 0
      ? {
          sql: INSERT_JOB,
          params: [
            write.name,
            write.displayname,
            write.parent,
            disabled,
            write.schedule,
            write.definition,
            write.now,
            write.now,
            ...parent,
          ],
        }
      : {
          sql: UPDATE_JOB,
          params: [
            write.displayname,
            write.parent,
            disabled,
            write.schedule,
            write.definition,
            write.now,
            write.name,
            write.version,
            ...parent,
          ],
        };
  return [row, { sql: INSERT_VERSION, params: [write.name] }, putState(write)];
}

function putState(write: JobWrite): Statement {
  return {
    sql: PUT_STATE,
    params: [
      write.cursorAt,
      write.nextAt,
      write.anchorAt,
      write.successCount,
      write.errorCount,
      write.lastSuccessAt,
      write.lastErrorAt,
      write.status,
      write.name,
      write.version + 1,
      write.rewind ? 1 : 0,
    ],
  };
}

const DELETE_JOB =
  "UPDATE jobs SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM jobs c WHERE c.parent = jobs.name AND c.parent <> '' AND c.deleted_at IS NULL)";
const DELETE_STATE =
  'DELETE FROM job_state WHERE job_id = ? AND EXISTS (SELECT 1 FROM jobs j WHERE j.id = job_state.job_id AND j.deleted_at IS NOT NULL)';
const CANCEL_ALL_WAITING =
  'UPDATE occurrences SET phase = 0, outcome = 7, reason = ?, wake_at = NULL, finished_at = ? WHERE job_id = ? AND phase > 0 AND phase IN (1, 2, 4)';
const CANCEL_IF_DELETED = `${CANCEL_ALL_WAITING} AND EXISTS (SELECT 1 FROM jobs j WHERE j.id = occurrences.job_id AND j.deleted_at IS NOT NULL)`;

/** Deletes a job unless it has dependents (first statement: 0 changes); what waits ends cancelled. `reason` is REASONS' job_deleted. */
export function deleteJob(jobId: number, reason: number, now: number): Statement[] {
  return [
    { sql: DELETE_JOB, params: [now, jobId] },
    { sql: CANCEL_IF_DELETED, params: [reason, now, jobId] },
    { sql: DELETE_STATE, params: [jobId] },
  ];
}

/** Everything of the job that waits (jitter, queue, between retries) ends cancelled with `reason` (a code of REASONS). */
export function cancelAllWaiting(jobId: number, reason: number, now: number): Statement {
  return { sql: CANCEL_ALL_WAITING, params: [reason, now, jobId] };
}

const RESET_CURSOR =
  'UPDATE job_state SET cursor_at = ?, next_at = ?, anchor_at = coalesce(?, anchor_at) WHERE job_id = ? AND version = ?';

/** Sets the cursor by hand, backwards too; `anchorAt` null leaves the phase of `@every` as it is. */
export function resetCursor(
  jobId: number,
  version: number,
  cursorAt: number,
  nextAt: number | null,
  anchorAt: number | null = null,
): Statement {
  return { sql: RESET_CURSOR, params: [cursorAt, nextAt, anchorAt, jobId, version] };
}
