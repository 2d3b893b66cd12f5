/** SQL for the end of executions: result, occurrence, counters and daily totals in one batch (SEMANTICS §1.3-1.6). */
import type { ExecutionEnded } from '../model/agent.ts';
import { codeOf, type Outcome, OUTCOMES, type Phase, PHASES, type Reason, REASONS } from '../model/occurrence.ts';
import type { Statement } from './database.ts';
import { overRows } from './many-rows.ts';

/** One execution's end with what follows for its occurrence. */
export interface Finish {
  readonly ended: ExecutionEnded;
  readonly group: number;
  readonly jobId: number;
  /** The occurrence afterwards: final with its outcome, or retrying until wakeAt (epoch ms). */
  readonly phase: Extract<Phase, 'final' | 'retrying'>;
  readonly outcome: Outcome;
  readonly reason: Reason;
  readonly wakeAt: number | null;
  readonly now: number;
  /** Replaces the tail: what processors made of it. */
  readonly output: string;
}

// Every statement but the last asks whether the execution is still unfinished, so a result delivered twice changes nothing the second
// time, and the last one makes it finished.
const OPEN = 'EXISTS (SELECT 1 FROM executions e WHERE e.key = ? AND e.finished_at_us IS NULL)';

const COUNT_SUCCESS =
  "UPDATE job_state SET success_count = success_count + 1, last_success_at = max(coalesce(last_success_at, 0), ?), status = 'success' " +
  `WHERE job_id = ? AND ${OPEN}`;
const COUNT_ERROR =
  "UPDATE job_state SET error_count = error_count + 1, last_error_at = max(coalesce(last_error_at, 0), ?), status = 'failed' " +
  `WHERE job_id = ? AND ${OPEN}`;
const OCCURRENCE = `UPDATE occurrences SET phase = ?, outcome = ?, reason = ?, wake_at = ?, finished_at = ? WHERE group_id = ? AND phase = 3 AND ${OPEN}`;
const OUTPUT = 'INSERT INTO outputs (key, tail) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET tail = excluded.tail';
const EXECUTION =
  'UPDATE executions SET started_at_us = ?, finished_at_us = ?, outcome = ?, reason = ?, exit_code = ?, signal = ?, message = ?, output_bytes = ?, log_bytes = ? ' +
  'WHERE key = ? AND finished_at_us IS NULL';
const DAILY =
  'INSERT INTO daily_stats (day, success, failed) SELECT ?, ?, ? ' +
  `WHERE ${OPEN} ON CONFLICT (day) DO UPDATE SET success = success + excluded.success, failed = failed + excluded.failed`;

const DAY_US = 86_400_000_000;

/** Whether the end counts as an error or a success; skipped and missed never have an execution. */
export function succeeded(ended: Pick<ExecutionEnded, 'outcome'>): boolean {
  return ended.outcome === 'succeeded';
}

/**
 * The plain end, which is nearly all of them: success at once, final, nothing to explain. Their rows share statements. Occurrences and
 * executions tell by themselves whether they are open; for the counters, as for the daily totals, one execution of the batch stands for all.
 */
const COUNT_SUCCESSES = overRows(
  3,
  (table) =>
    "UPDATE job_state SET success_count = success_count + v.column2, last_success_at = max(coalesce(last_success_at, 0), v.column3), status = 'success' " +
    `FROM ${table} WHERE job_id = v.column1 AND ${OPEN}`,
);
const PLAIN_OCCURRENCES = overRows(
  2,
  (table) =>
    `UPDATE occurrences SET phase = 0, outcome = 1, reason = 0, wake_at = NULL, finished_at = v.column2 FROM ${table} WHERE group_id = v.column1 AND phase = 3`,
);
const PLAIN_EXECUTIONS = overRows(
  6,
  (table) =>
    'UPDATE executions SET started_at_us = v.column2, finished_at_us = v.column3, outcome = 1, reason = 0, exit_code = v.column4, signal = NULL, message = NULL, ' +
    `output_bytes = v.column5, log_bytes = v.column6 FROM ${table} WHERE key = v.column1 AND finished_at_us IS NULL`,
);

function isPlain({ ended, phase, outcome, reason }: Finish): boolean {
  const { signal, message } = ended;
  return (
    phase === 'final' && outcome === 'succeeded' && reason === '' && succeeded(ended) && (signal ?? message) === null
  );
}

/** Statements for a batch of ends. Every batch is safe to repeat as a whole. */
export function finishStatements(batch: readonly Finish[]): Statement[] {
  const plain = batch.filter(isPlain);
  const others = batch.filter((finish) => !isPlain(finish));
  return [...dailyTotals(batch), ...finishPlain(plain), ...others.flatMap(finishOne)];
}

function finishPlain(plain: readonly Finish[]): Statement[] {
  const [first] = plain;
  if (first === undefined) return [];
  const counts = new Map<number, [number, number, number]>();
  for (const { jobId, ended } of plain) {
    const finishedAt = Math.floor(ended.finishedAtUs / 1000);
    const count = counts.get(jobId);
    if (count === undefined) counts.set(jobId, [jobId, 1, finishedAt]);
    else {
      count[1] += 1;
      count[2] = Math.max(count[2], finishedAt);
    }
  }
  return [
    ...COUNT_SUCCESSES([...counts.values()], [first.ended.key]),
    ...PLAIN_OCCURRENCES(plain.map(({ group, now }) => [group, now])),
    ...plain
      .filter(({ output }) => output !== '')
      .map(({ ended, output }) => ({ sql: OUTPUT, params: [ended.key, output] })),
    ...PLAIN_EXECUTIONS(
      plain.map(({ ended }) => [
        ended.key,
        ended.startedAtUs,
        ended.finishedAtUs,
        ended.exitCode,
        ended.outputBytes,
        ended.logBytes,
      ]),
    ),
  ];
}

function finishOne(finish: Finish): Statement[] {
  const { ended, jobId } = finish;
  const finishedAt = Math.floor(ended.finishedAtUs / 1000);
  const statements: Statement[] = [
    { sql: succeeded(ended) ? COUNT_SUCCESS : COUNT_ERROR, params: [finishedAt, jobId, ended.key] },
    occurrenceAfter(finish),
  ];
  if (finish.output !== '') statements.push({ sql: OUTPUT, params: [ended.key, finish.output] });
  statements.push(executionEnd(ended));
  return statements;
}

function occurrenceAfter(finish: Finish): Statement {
  const final = finish.phase === 'final';
  return {
    sql: OCCURRENCE,
    params: [
      codeOf(PHASES, finish.phase),
      final ? codeOf(OUTCOMES, finish.outcome) : 0,
      final ? codeOf(REASONS, finish.reason) : 0,
      finish.wakeAt,
      final ? finish.now : null,
      finish.group,
      finish.ended.key,
    ],
  };
}

function executionEnd(ended: ExecutionEnded): Statement {
  return {
    sql: EXECUTION,
    params: [
      ended.startedAtUs,
      ended.finishedAtUs,
      codeOf(OUTCOMES, ended.outcome),
      codeOf(REASONS, ended.reason),
      ended.exitCode,
      ended.signal,
      ended.message,
      ended.outputBytes,
      ended.logBytes,
      ended.key,
    ],
  };
}

/** One row per day touched, guarded by one execution of the batch: the batch is atomic, so one stands for all. */
function dailyTotals(batch: readonly Finish[]): Statement[] {
  const days = new Map<number, { success: number; failed: number; key: number }>();
  for (const { ended } of batch) {
    const day = Math.floor(ended.finishedAtUs / DAY_US);
    const total = days.get(day) ?? { success: 0, failed: 0, key: ended.key };
    if (succeeded(ended)) total.success++;
    else total.failed++;
    days.set(day, total);
  }
  return [...days].map(([day, total]) => ({ sql: DAILY, params: [day, total.success, total.failed, total.key] }));
}

const UNCOUNT_ERROR =
  "UPDATE job_state SET error_count = max(0, error_count - 1), success_count = success_count + 1, last_success_at = max(coalesce(last_success_at, 0), ?), status = 'success' " +
  'WHERE job_id = ? AND EXISTS (SELECT 1 FROM executions e WHERE e.key = ? AND e.outcome = 6)';
const UNCOUNT_DAILY =
  'UPDATE daily_stats SET failed = max(0, failed - 1), success = success + 1 ' +
  'WHERE day = (SELECT e.finished_at_us / 86400000000 FROM executions e WHERE e.key = ? AND e.outcome = 6)';
const CORRECT_OCCURRENCE =
  'UPDATE occurrences SET outcome = ?, reason = ? WHERE group_id = ? AND phase = 0 AND outcome = 6 AND EXISTS (SELECT 1 FROM executions e WHERE e.key = ? AND e.outcome = 6)';
const CORRECT_EXECUTION =
  'UPDATE executions SET started_at_us = ?, finished_at_us = ?, outcome = ?, reason = ?, exit_code = ?, signal = ?, message = ?, output_bytes = ?, log_bytes = ? ' +
  'WHERE key = ? AND outcome = 6';

/** A late result corrects a `lost` execution once: its counter rises, the wrong one goes (SEMANTICS §1.6). Nothing flips twice. */
export function correctionStatements(ended: ExecutionEnded, group: number, jobId: number): Statement[] {
  const finishedAt = Math.floor(ended.finishedAtUs / 1000);
  const counters = succeeded(ended)
    ? [
        { sql: UNCOUNT_ERROR, params: [finishedAt, jobId, ended.key] },
        { sql: UNCOUNT_DAILY, params: [ended.key] },
      ]
    : [];
  return [
    ...counters,
    {
      sql: CORRECT_OCCURRENCE,
      params: [codeOf(OUTCOMES, ended.outcome), codeOf(REASONS, ended.reason), group, ended.key],
    },
    { sql: OUTPUT, params: [ended.key, ended.tail] },
    { ...executionEnd(ended), sql: CORRECT_EXECUTION },
  ];
}

const FINISH_OCCURRENCE =
  'UPDATE occurrences SET phase = 0, outcome = ?, reason = ?, wake_at = NULL, finished_at = ? WHERE group_id = ? AND phase > 0';

/** Ends an occurrence that has no execution under way: what waits is cancelled or missed. */
export function endOccurrence(group: number, outcome: Outcome, reason: Reason, now: number): Statement {
  return { sql: FINISH_OCCURRENCE, params: [codeOf(OUTCOMES, outcome), codeOf(REASONS, reason), now, group] };
}

const DROP_INTENT = 'DELETE FROM executions WHERE key = ? AND finished_at_us IS NULL';

/** An intent that was never handed to an agent makes no execution when its occurrence ends `missed`. */
export function dropIntent(key: number): Statement {
  return { sql: DROP_INTENT, params: [key] };
}

const ORPHAN = 'INSERT INTO orphan_results (key, seen_at, result) VALUES (?, ?, ?) ON CONFLICT DO NOTHING';

/** A result of an execution this database does not know, after a restore: kept as a record, never applied. */
export function orphanResult(ended: ExecutionEnded, now: number): Statement {
  return { sql: ORPHAN, params: [ended.key, now, JSON.stringify(ended)] };
}

export interface LateRow {
  group_id: number;
  job_id: number;
  outcome: number;
  occurrence_outcome: number;
  job_version: number;
}

export const EXECUTION_BY_KEY =
  'SELECT e.group_id, e.job_id, e.outcome, o.outcome AS occurrence_outcome, o.job_version FROM executions e JOIN occurrences o ON o.group_id = e.group_id WHERE e.key = ?';
