/**
 * How fast the store itself is, with the statements of real runs: intents and results of `runs` per batch, two commits each, durable.
 *
 *   node test/store/rate.ts [--jobs 1000] [--batch 300] [--runs 60000] [--kept 0] [--checkpoint-pages 1000]
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/lib/clock.ts';
import { fence } from '../../src/store/database.ts';
import type { Statement } from '../../src/store/database.ts';
import { claimLeadership } from '../../src/store/leadership.ts';
import { migrate } from '../../src/store/migrations.ts';
import { SQLITE_DEFAULTS } from '../../src/store/sqlite-connections.ts';
import { openSqlite } from '../../src/store/sqlite.ts';

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '1000' },
    batch: { type: 'string', default: '300' },
    runs: { type: 'string', default: '60000' },
    kept: { type: 'string', default: '0' },
    'checkpoint-pages': { type: 'string', default: String(SQLITE_DEFAULTS.checkpointPages) },
  },
});
const jobs = Number(values.jobs);
const batchSize = Number(values.batch);
const directory = mkdtempSync(join(tmpdir(), 'belfry-rate-'));
const path = join(directory, 'belfry.db');
const database = openSqlite(path, { clock: systemClock, checkpointPages: Number(values['checkpoint-pages']) });
await migrate(database);
const epoch = await claimLeadership(database, 'node');

// One statement per row changed, in the shape of real runs; the engine benchmark runs the scheduler's own.
const OCCURRENCE = `INSERT INTO occurrences (group_id, job_id, job_version, trigger, nominal_at, dedup, due_at, phase, outcome, reason, count, forced)
  VALUES (?, ?, 1, 0, ?, 0, ?, 3, 0, 0, 1, 0) ON CONFLICT DO NOTHING`;
const EXECUTION = `INSERT INTO executions (key, group_id, job_id, attempt, relaunch, node, outcome, reason, output_bytes, log_bytes)
  VALUES (?, ?, ?, 1, 0, 'node', 0, 0, 0, 0) ON CONFLICT DO NOTHING`;
const COUNTED = `UPDATE job_state SET success_count = success_count + 1, last_success_at = ?, status = 'success' WHERE job_id = ?`;
const DECIDED = 'UPDATE occurrences SET phase = 0, outcome = 1, finished_at = ? WHERE group_id = ? AND phase = 3';
const OUTPUT = 'INSERT INTO outputs (key, tail) VALUES (?, ?)';
const ENDED = `UPDATE executions SET started_at_us = ?, finished_at_us = ?, outcome = 1, exit_code = 0, output_bytes = 17, log_bytes = 17
  WHERE key = ? AND finished_at_us IS NULL`;

const START = Date.now();
let next = 0;
let statements = 0;

async function write(batch: readonly Statement[]): Promise<number> {
  const started = performance.now();
  const outcome = await database.write([fence(epoch), ...batch]);
  if (outcome.kind !== 'committed') throw new Error(JSON.stringify(outcome));
  statements += batch.length + 1;
  return performance.now() - started;
}

await write(
  Array.from({ length: jobs }, (_, job) => ({
    sql: `INSERT INTO job_state (job_id, version, cursor_at, next_at, anchor_at, success_count, error_count, status) VALUES (?, 1, 0, NULL, 0, 0, 0, '')`,
    params: [job + 1],
  })),
);

/** One tick: intents of a batch in one commit, their results in another; how long each took. */
async function tick(): Promise<[number, number]> {
  const runs = Array.from({ length: batchSize }, () => next++);
  const intents = runs.flatMap((run) => {
    const at = START + Math.floor(run / jobs) * 1000;
    return [
      { sql: OCCURRENCE, params: [START * 1000 + run, (run % jobs) + 1, at, at] },
      { sql: EXECUTION, params: [START * 1000 + run, START * 1000 + run, (run % jobs) + 1] },
    ];
  });
  const results = runs.flatMap((run) => {
    const key = START * 1000 + run;
    return [
      { sql: COUNTED, params: [START, (run % jobs) + 1] },
      { sql: DECIDED, params: [START, key] },
      { sql: OUTPUT, params: [key, 'a line of output\n'] },
      { sql: ENDED, params: [key, key + 1000, key] },
    ];
  });
  return [await write(intents), await write(results)];
}

while (next < Number(values.kept)) await tick();
const kept = next;
statements = 0;
const commits: number[] = [];
const cpuBefore = process.cpuUsage();
const started = performance.now();
while (next < kept + Number(values.runs)) commits.push(...(await tick()));
const read = (sql: string) => database.read('local', sql);
const seconds = (performance.now() - started) / 1000;
const cpu = process.cpuUsage(cpuBefore);
commits.sort((a, b) => a - b);
const ms = (share: number) =>
  (commits[Math.min(commits.length - 1, Math.floor(commits.length * share))] ?? 0).toFixed(1);
// Frames of one tick in a -wal that starts afresh: every page a run touches is written here and again at the checkpoint.
await read('PRAGMA wal_checkpoint(RESTART)');
await read('PRAGMA wal_autocheckpoint = 1000000');
await tick();
await tick();
const [log] = await read('PRAGMA wal_checkpoint(PASSIVE)');
const pagesPerRun = Number(log?.['log']) / (2 * batchSize);
process.stdout.write(
  `${pagesPerRun.toFixed(2)} pages written a run; ${Math.round((next - kept) / seconds)} runs/s, ${Math.round(statements / seconds)} statements/s; commit of ${batchSize} runs: ` +
    `${((cpu.user + cpu.system) / (next - kept)).toFixed(1)} µs CPU a run (system ${(cpu.system / (next - kept)).toFixed(1)}); ` +
    `median ${ms(0.5)} ms, p99 ${ms(0.99)} ms, max ${ms(1)} ms; database ${(statSync(path).size / 2 ** 20).toFixed(0)} MiB, ` +
    `-wal ${(statSync(`${path}-wal`).size / 2 ** 20).toFixed(1)} MiB, rss ${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB\n`,
);
await database.close();
rmSync(directory, { recursive: true, force: true });
