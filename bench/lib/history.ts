/** A finished past in the store without living through it: rows as a node would have left them, written by SQL in bulk. */
import type { SqliteDatabase } from '../../src/store/sqlite.ts';

/** Runs per statement: one transaction each. */
const SLICE = 50_000;
const MINUTE_MS = 60_000;

// Numbers arrive as floating point, hence the casts. Run n belongs to job n % jobs and was due n / jobs minutes before the first one; one in twenty failed.
const OCCURRENCES = `INSERT INTO occurrences (group_id, job_id, job_version, trigger, nominal_at, dedup, due_at, parent_group, phase, outcome, reason, finished_at, wake_at, last_at, count, forced)
  WITH RECURSIVE n (i) AS (SELECT CAST(? AS INTEGER) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)
  SELECT ? + t.i, j.job_id, j.version, 0, t.at, 0, t.at, NULL, 0, CASE WHEN t.i % 20 = 0 THEN 3 ELSE 1 END, CASE WHEN t.i % 20 = 0 THEN 1 ELSE 0 END, t.at + 40, NULL, NULL, 1, 0
  FROM (SELECT i, CAST(? AS INTEGER) + i / CAST(? AS INTEGER) * ${MINUTE_MS} AS at FROM n) t CROSS JOIN job_state j ON j.job_id = ? + t.i % CAST(? AS INTEGER)`;
const EXECUTIONS = `INSERT INTO executions (key, group_id, job_id, attempt, relaunch, node, started_at_us, finished_at_us, outcome, reason, exit_code, signal, message, output_bytes, log_bytes)
  SELECT group_id, group_id, job_id, 1, 0, 'bench', nominal_at * 1000, (nominal_at + 40) * 1000, outcome, reason, CASE outcome WHEN 1 THEN 0 ELSE 1 END, NULL, NULL, 40, 0
  FROM occurrences WHERE group_id >= ? AND group_id < ?`;
const OUTPUTS = `INSERT INTO outputs (key, tail) SELECT key, 'a line of output of forty characters here' FROM executions WHERE key >= ? AND key < ?`;

/** `runs` finished runs spread evenly over all jobs, the newest an hour before the first job was created. */
export async function keepHistory({ database }: { database: SqliteDatabase }, runs: number): Promise<void> {
  const [row] = await database.read(
    'local',
    'SELECT min(job_id) AS first, count(*) AS jobs, min(anchor_at) AS at FROM job_state',
  );
  const { first, jobs, at } = row as { first: number; jobs: number; at: number };
  const oldest = at - 60 * MINUTE_MS - Math.ceil(runs / jobs) * MINUTE_MS;
  const groups = oldest * 1000;
  for (let from = 0; from < runs; from += SLICE) {
    const to = Math.min(runs, from + SLICE);
    const outcome = await database.write([
      { sql: OCCURRENCES, params: [from, to, groups, oldest, jobs, first, jobs] },
      { sql: EXECUTIONS, params: [groups + from, groups + to] },
      { sql: OUTPUTS, params: [groups + from, groups + to] },
    ]);
    if (outcome.kind !== 'committed') throw new Error(`the history could not be written: ${outcome.kind}`);
  }
}
