/**
 * SQL for occurrences and the intents of their executions. Overlap is decided here, inside the committing batch (SEMANTICS §3): the
 * phase of a new occurrence is an expression over what is open at that moment, so no crash and no race can start two runs of a job
 * that forbids it. Codes are those of model/occurrence.ts and repeated as literals, because statement text must be constant.
 */
import type { Concurrency } from '../model/job.ts';
import {
  type Outcome,
  OUTCOMES,
  type Phase,
  type Reason,
  REASONS,
  type Trigger,
  TRIGGERS,
  codeOf,
} from '../model/occurrence.ts';
import type { Statement } from './database.ts';
import { overRows, valuesTable } from './many-rows.ts';

/** An occurrence about to come into being. Instants are epoch ms; `group` also is the key of its first execution. */
export interface NewOccurrence {
  readonly group: number;
  readonly jobId: number;
  readonly jobVersion: number;
  readonly trigger: Trigger;
  readonly nominalAt: number;
  readonly dueAt: number;
  readonly parentGroup: number | null;
  readonly concurrency: Concurrency;
  /** true: due later (jitter); overlap is decided when it is due. */
  readonly delayed: boolean;
  /** A forced manual run ignores overlap, but counts as running. */
  readonly forced: boolean;
  /** The job's last dropped row, to be extended instead of adding another one (one range row per stretch). */
  readonly extend: number | null;
}

/** What the batch decided about a new or woken occurrence; null: it did not come into being (job changed, or it exists already). */
export interface Decision {
  readonly phase: Phase;
  readonly outcome: Outcome;
  readonly reason: Reason;
}

const RUNNING = 'EXISTS (SELECT 1 FROM occurrences r WHERE r.job_id = s.job_id AND r.phase > 0 AND r.phase >= 3)';
const QUEUED = 'EXISTS (SELECT 1 FROM occurrences q WHERE q.job_id = s.job_id AND q.phase > 0 AND q.phase = 2)';

/** phase, outcome, reason and finished_at per way of deciding; the one parameter is the time now. */
const DECIDED: Record<Concurrency | 'delayed', string> = {
  allow: '3, 0, 0, NULL',
  delayed: '1, 0, 0, NULL',
  forbid: `CASE WHEN ${RUNNING} THEN 0 ELSE 3 END, CASE WHEN ${RUNNING} THEN 4 ELSE 0 END, CASE WHEN ${RUNNING} THEN 8 ELSE 0 END, CASE WHEN ${RUNNING} THEN ? END`,
  queue: `CASE WHEN ${QUEUED} THEN 0 WHEN ${RUNNING} THEN 2 ELSE 3 END, CASE WHEN ${QUEUED} THEN 4 ELSE 0 END, CASE WHEN ${QUEUED} THEN 9 ELSE 0 END, CASE WHEN ${QUEUED} THEN ? END`,
  replace: `CASE WHEN ${RUNNING} THEN 2 ELSE 3 END, 0, 0, NULL`,
};

const COLUMNS =
  'group_id, job_id, job_version, trigger, nominal_at, dedup, due_at, parent_group, phase, outcome, reason, finished_at, wake_at, last_at, count, forced';

/**
 * The new row is selected from job_state, so that it only comes into being while the job exists in the version the plan was made from
 * and, for scheduled ones, while the cursor is still before the instant: a replayed or outdated plan writes nothing.
 */
function insertSql(way: Concurrency | 'delayed'): string {
  return (
    `INSERT INTO occurrences (${COLUMNS}) SELECT ?, s.job_id, s.version, ?, ?, ?, ?, ?, ${DECIDED[way]}, ?, NULL, 1, ? ` +
    'FROM job_state s WHERE s.job_id = ? AND (? = 0 OR (s.version = ? AND s.cursor_at < ?)) AND ' +
    '(? IS NULL OR EXISTS (SELECT 1 FROM occurrences p WHERE p.group_id = ? AND p.outcome = 1)) AND ' +
    'NOT EXISTS (SELECT 1 FROM occurrences d WHERE d.group_id = ? AND d.last_at >= ?) ' +
    'ON CONFLICT DO NOTHING'
  );
}

const RETURNING = ' RETURNING phase, outcome, reason';
const INSERT: Record<Concurrency | 'delayed', string> = {
  allow: insertSql('allow'),
  delayed: insertSql('delayed'),
  forbid: insertSql('forbid') + RETURNING,
  queue: insertSql('queue') + RETURNING,
  replace: insertSql('replace') + RETURNING,
};

/**
 * The plain scheduled case, which is nearly all of them: no overlap to decide, no range to extend, no parent. So many rows share one
 * statement, because its start and end cost as much as two rows; what is left over goes one by one.
 */
const PLAIN_ROWS = 16;

function insertPlainSql(rows: number): string {
  return (
    `INSERT INTO occurrences (${COLUMNS}) SELECT v.column1, s.job_id, s.version, 0, v.column2, 0, v.column3, NULL, 3, 0, 0, NULL, NULL, NULL, 1, 0 ` +
    `FROM ${valuesTable(rows, 5)} CROSS JOIN job_state s ON s.job_id = v.column4 AND s.version = v.column5 AND s.cursor_at < v.column2 ` +
    'WHERE true ON CONFLICT DO NOTHING'
  );
}

const INSERT_PLAIN = { one: insertPlainSql(1), many: insertPlainSql(PLAIN_ROWS) };

/** A skip right after a skip of the same kind makes the row before it longer; a repeated batch, whose own run is what runs, does not. */
const EXTEND_SKIPPED =
  'UPDATE occurrences SET last_at = ?, count = count + 1 WHERE group_id = ? AND outcome = 4 AND reason = 8 AND coalesce(last_at, nominal_at) < ? ' +
  'AND EXISTS (SELECT 1 FROM job_state s WHERE s.job_id = occurrences.job_id AND s.version = ? AND s.cursor_at < ?) ' +
  'AND EXISTS (SELECT 1 FROM occurrences r WHERE r.job_id = occurrences.job_id AND r.phase > 0 AND r.phase >= 3)';

const CANCEL_WAITING =
  'UPDATE occurrences SET phase = 0, outcome = 7, reason = ?, wake_at = NULL, finished_at = ? WHERE job_id = ? AND phase > 0 AND phase IN (2, 4) AND group_id <> ? RETURNING group_id';

const INSERT_EXECUTION =
  'INSERT INTO executions (key, group_id, job_id, attempt, relaunch, node, started_at_us, finished_at_us, outcome, reason, exit_code, signal, message, output_bytes, log_bytes) ' +
  'SELECT ?, group_id, job_id, ?, ?, ?, NULL, NULL, 0, 0, NULL, NULL, NULL, 0, 0 FROM occurrences WHERE group_id = ? AND phase = 3 ON CONFLICT DO NOTHING';

/** The first intents of all occurrences that came into being in a batch: their groups lie together, and nothing else lies between. */
const INSERT_FIRST_EXECUTIONS =
  'INSERT INTO executions (key, group_id, job_id, attempt, relaunch, node, started_at_us, finished_at_us, outcome, reason, exit_code, signal, message, output_bytes, log_bytes) ' +
  'SELECT group_id, group_id, job_id, 1, 0, ?, NULL, NULL, 0, 0, NULL, NULL, NULL, 0, 0 FROM occurrences WHERE group_id BETWEEN ? AND ? AND phase = 3 ON CONFLICT DO NOTHING';

const WAKE: Record<Concurrency, string> = {
  allow: wakeSql('allow'),
  forbid: wakeSql('forbid'),
  queue: wakeSql('queue'),
  replace: wakeSql('replace'),
};

function wakeSql(way: Concurrency): string {
  const decided = DECIDED[way].replaceAll('s.job_id', 'occurrences.job_id');
  return `UPDATE occurrences SET (phase, outcome, reason, finished_at) = (SELECT ${decided}), wake_at = NULL WHERE group_id = ? AND phase = 1 RETURNING phase, outcome, reason`;
}

const RESUME_RETRY = 'UPDATE occurrences SET phase = 3, wake_at = NULL WHERE group_id = ? AND phase = 4';

const PROMOTE =
  'UPDATE occurrences SET phase = 3 WHERE group_id = ? AND phase = 2 AND NOT EXISTS ' +
  '(SELECT 1 FROM occurrences r WHERE r.job_id = occurrences.job_id AND r.phase > 0 AND r.phase >= 3)';
/** The job allows overlaps by now: only what ran before it is still in its way, else newer runs would keep it waiting for ever. */
const PROMOTE_BESIDE =
  'UPDATE occurrences SET phase = 3 WHERE group_id = ? AND phase = 2 AND NOT EXISTS ' +
  '(SELECT 1 FROM occurrences r WHERE r.job_id = occurrences.job_id AND r.phase > 0 AND r.phase >= 3 AND r.group_id < occurrences.group_id)';

const MOVE_CURSORS = overRows(
  4,
  (table) =>
    `UPDATE job_state SET cursor_at = v.column3, next_at = v.column4 FROM ${table} WHERE job_id = v.column1 AND version = v.column2 AND cursor_at < v.column3`,
);

// A dropped instant claims no identity (dedup is the row's own group): a cursor set back by hand may decide it anew, and a range that
// begins at an instant that ran under a wrong clock is on record all the same. The cursor keeps it from being written twice.
const INSERT_RANGE =
  `INSERT INTO occurrences (${COLUMNS}) SELECT ?, s.job_id, s.version, 0, ?, ?, ?, NULL, 0, ?, ?, ?, NULL, ?, ?, 0 ` +
  'FROM job_state s WHERE s.job_id = ? AND s.version = ? AND s.cursor_at < ? ON CONFLICT DO NOTHING';

/** The execution's intent: the row that fixes its identity before anything is started. */
export function executionIntent(run: {
  key: number;
  group: number;
  attempt: number;
  relaunch: boolean;
  node: string;
}): Statement {
  return { sql: INSERT_EXECUTION, params: [run.key, run.attempt, run.relaunch ? 1 : 0, run.node, run.group] };
}

/** The statements that bring an occurrence into being; the last one tells what was decided. `firstExecutions` must follow them. */
export function launchStatements(o: NewOccurrence, now: number): Statement[] {
  return [...beforeInsert(o, now), insertStatement(o, now)];
}

/** Whether the occurrence may go with others into `plainLaunches`. */
export function isPlain(o: NewOccurrence): boolean {
  return o.trigger === 'schedule' && o.concurrency === 'allow' && !o.delayed;
}

/**
 * Plain occurrences come into being; `count` of them, in order, belong to each statement, and if it changes so many rows all of those did.
 * `firstExecutions` must follow.
 */
export function plainLaunches(plain: readonly NewOccurrence[]): { statement: Statement; count: number }[] {
  const launches: { statement: Statement; count: number }[] = [];
  for (let at = 0; at < plain.length;) {
    const count = plain.length - at >= PLAIN_ROWS ? PLAIN_ROWS : 1;
    const params: number[] = [];
    for (const o of plain.slice(at, at + count)) params.push(o.group, o.nominalAt, o.dueAt, o.jobId, o.jobVersion);
    launches.push({ statement: { sql: count === 1 ? INSERT_PLAIN.one : INSERT_PLAIN.many, params }, count });
    at += count;
  }
  return launches;
}

/** The first executions' intents of what came into being with these groups, both included, all of one batch. */
export function firstExecutions(firstGroup: number, lastGroup: number, node: string): Statement {
  return { sql: INSERT_FIRST_EXECUTIONS, params: [node, firstGroup, lastGroup] };
}

function beforeInsert(o: NewOccurrence, now: number): Statement[] {
  const statements: Statement[] = [];
  if (o.forced || o.delayed) return statements;
  if (o.concurrency === 'replace') {
    statements.push({ sql: CANCEL_WAITING, params: [codeOf(REASONS, 'replaced'), now, o.jobId, o.group] });
  }
  if (o.concurrency === 'forbid' && o.extend !== null && o.trigger === 'schedule') {
    statements.push({ sql: EXTEND_SKIPPED, params: [o.nominalAt, o.extend, o.nominalAt, o.jobVersion, o.nominalAt] });
  }
  return statements;
}

function insertStatement(o: NewOccurrence, now: number): Statement {
  const way = o.delayed ? 'delayed' : o.forced ? 'allow' : o.concurrency;
  const scheduled = o.trigger === 'schedule' ? 1 : 0;
  const timed = way === 'forbid' || way === 'queue' ? [now] : [];
  return {
    sql: INSERT[way],
    params: [
      o.group,
      codeOf(TRIGGERS, o.trigger),
      o.nominalAt,
      scheduled === 1 ? 0 : o.group,
      o.dueAt,
      o.parentGroup,
      ...timed,
      o.delayed ? o.dueAt : null,
      o.forced ? 1 : 0,
      o.jobId,
      scheduled,
      o.jobVersion,
      o.nominalAt,
      o.parentGroup,
      o.parentGroup,
      o.extend ?? 0,
      o.nominalAt,
    ],
  };
}

/** A delayed occurrence is due: overlap is decided now. The statement at `decisionIndex` returns what was decided. */
export function wakeStatements(
  o: { group: number; jobId: number; concurrency: Concurrency },
  node: string,
  now: number,
): { statements: Statement[]; decisionIndex: number } {
  const timed = o.concurrency === 'forbid' || o.concurrency === 'queue' ? [now] : [];
  const wake = { sql: WAKE[o.concurrency], params: [...timed, o.group] };
  const first = executionIntent({ key: o.group, group: o.group, attempt: 1, relaunch: false, node });
  const before = o.concurrency === 'replace' ? [cancelWaiting(o, 'replaced', now)] : [];
  return { statements: [...before, wake, first], decisionIndex: before.length };
}

/** What waits in the queue or between retries gives way to a newer run (concurrency replace), which a repeated batch finds waiting too. */
function cancelWaiting(newer: { group: number; jobId: number }, reason: Reason, now: number): Statement {
  return { sql: CANCEL_WAITING, params: [codeOf(REASONS, reason), now, newer.jobId, newer.group] };
}

/** The next attempt of an occurrence that waits between attempts. */
export function retryStatements(run: {
  key: number;
  group: number;
  attempt: number;
  relaunch: boolean;
  node: string;
}): Statement[] {
  return [{ sql: RESUME_RETRY, params: [run.group] }, executionIntent(run)];
}

/** The first waiter of a job starts, unless something of the job runs. */
export function promoteStatements(group: number, node: string, beside: boolean): Statement[] {
  return [
    { sql: beside ? PROMOTE_BESIDE : PROMOTE, params: [group] },
    executionIntent({ key: group, group, attempt: 1, relaunch: false, node }),
  ];
}

/** Where a job's cursor stands once everything up to `cursorAt` is decided. */
export interface CursorMove {
  readonly jobId: number;
  readonly version: number;
  readonly cursorAt: number;
  readonly nextAt: number | null;
}

/** These jobs' instants up to their cursors are decided; a job at most once. */
export function moveCursors(moves: readonly CursorMove[]): Statement[] {
  return MOVE_CURSORS(moves.map(({ jobId, version, cursorAt, nextAt }) => [jobId, version, cursorAt, nextAt]));
}

/**
 * Several consecutive dropped instants as one row: `missed`, or `cancelled` when the job went or was disabled before they were looked at.
 * `count` beyond 100,000 is a lower bound (SEMANTICS §1.3).
 */
export function rangeRow(range: {
  group: number;
  jobId: number;
  jobVersion: number;
  first: number;
  last: number;
  count: number;
  outcome: Extract<Outcome, 'missed' | 'cancelled'>;
  reason: Reason;
  now: number;
}): Statement {
  const { group, first, last, count, outcome, reason, now, jobId, jobVersion } = range;
  const lastAt = count > 1 ? last : null;
  return {
    sql: INSERT_RANGE,
    params: [
      group,
      first,
      group,
      first,
      codeOf(OUTCOMES, outcome),
      codeOf(REASONS, reason),
      now,
      lastAt,
      count,
      jobId,
      jobVersion,
      first,
    ],
  };
}

/** What was decided about these groups (a JSON array): asked when a batch had to be repeated. */
export const DECISIONS_OF =
  'SELECT group_id, phase, outcome, reason FROM occurrences WHERE group_id IN (SELECT value FROM json_each(?))';
