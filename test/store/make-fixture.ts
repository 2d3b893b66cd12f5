/**
 * Writes test/store/fixtures/schema-NNNN.db: a small database as this version of the program leaves it. Run it once per released schema
 * version, before the release, and commit the file; migrations.test.ts opens every one of them for ever.
 *
 *   node test/store/make-fixture.ts
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { systemClock } from '../../src/lib/clock.ts';
import { claimLeadership } from '../../src/store/leadership.ts';
import { loadMigrations, migrate, newestVersion } from '../../src/store/migrations.ts';
import { openSqlite } from '../../src/store/sqlite.ts';

export const FIXTURES = join(import.meta.dirname, 'fixtures');

export function fixtureName(version: number): string {
  return `schema-${String(version).padStart(4, '0')}.db`;
}

/** Two jobs, one deleted, some history; enough for a migration to go wrong on. Facts checked by the test: see FIXTURE_FACTS. */
const SAMPLE = [
  `INSERT INTO meta (key, value) VALUES ('timezone', 'Europe/Madrid')`,
  `INSERT INTO jobs (name, displayname, version, parent, disabled, schedule, definition, created_at, updated_at, deleted_at) VALUES
    ('backup', 'Nightly backup', 3, '', 0, '0 30 2 * * *', '{"name":"backup"}', 1700000000000, 1700000500000, NULL),
    ('report', '', 1, 'backup', 1, '@manually', '{"name":"report"}', 1700000000000, 1700000000000, NULL),
    ('old', '', 1, '', 0, '@hourly', '{"name":"old"}', 1600000000000, 1600000000000, 1700000000000)`,
  `INSERT INTO job_versions (job_id, version, definition, created_at) VALUES (1, 2, '{}', 1700000000000), (1, 3, '{}', 1700000500000)`,
  `INSERT INTO job_state (job_id, version, cursor_at, next_at, anchor_at, success_count, error_count, last_success_at, last_error_at, status) VALUES
    (1, 3, 1700001000000, 1700002000000, 0, 7, 2, 1700000900000, NULL, 'success'), (2, 1, 0, NULL, 0, 0, 0, NULL, NULL, '')`,
  `INSERT INTO occurrences (group_id, job_id, job_version, trigger, nominal_at, dedup, due_at, parent_group, phase, outcome, reason, wake_at,
    finished_at, last_at, count, forced) VALUES
    (1700000000000000, 1, 3, 0, 1700000000000, 0, 1700000000000, NULL, 0, 1, 0, NULL, 1700000001000, NULL, 1, 0),
    (1700000500000000, 1, 3, 0, 1700000500000, 0, 1700000500000, NULL, 0, 5, 11, NULL, 1700000900000, 1700000800000, 4, 0),
    (1700001000000000, 1, 3, 0, 1700001000000, 0, 1700001000000, NULL, 3, 0, 0, NULL, NULL, NULL, 1, 0)`,
  `INSERT INTO executions (key, group_id, job_id, attempt, relaunch, node, started_at_us, finished_at_us, outcome, reason, exit_code, signal,
    message, output_bytes, log_bytes) VALUES
    (1700000000000001, 1700000000000000, 1, 1, 0, 'node', 1700000000000100, 1700000001000000, 1, 0, 0, NULL, NULL, 12, 12),
    (1700001000000001, 1700001000000000, 1, 1, 0, 'node', NULL, NULL, 0, 0, NULL, NULL, NULL, 0, 0)`,
  `INSERT INTO outputs (key, tail) VALUES (1700000000000001, 'done é 中' || char(10))`,
  `INSERT INTO daily_stats (day, success, failed) VALUES (19675, 7, 2)`,
];

/** What must be found in every fixture after any migration. */
export const FIXTURE_FACTS: readonly [string, string | number][] = [
  [`SELECT value FROM meta WHERE key = 'timezone'`, 'Europe/Madrid'],
  ['SELECT count(*) FROM jobs', 3],
  [`SELECT definition FROM jobs WHERE name = 'backup'`, '{"name":"backup"}'],
  ['SELECT cursor_at FROM job_state WHERE job_id = 1', 1_700_001_000_000],
  ['SELECT count(*) FROM occurrences', 3],
  ['SELECT count(*) FROM executions WHERE finished_at_us IS NULL', 1],
  ['SELECT tail FROM outputs', 'done é 中\n'],
  ['SELECT epoch FROM leadership', 1],
];

/** Builds the database of the current version at `path`. */
export async function makeFixture(path: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'belfry-fixture-'));
  try {
    const source = join(directory, 'belfry.db');
    const database = openSqlite(source, { clock: systemClock });
    await migrate(database);
    await claimLeadership(database, 'node');
    const outcome = await database.write(SAMPLE.map((sql) => ({ sql, params: [] })));
    await database.close();
    if (outcome.kind !== 'committed') throw new Error(`the sample was not taken: ${JSON.stringify(outcome)}`);
    const copy = new DatabaseSync(source);
    copy.prepare('VACUUM INTO ?').run(path);
    copy.close();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const path = join(FIXTURES, fixtureName(newestVersion(loadMigrations())));
  rmSync(path, { force: true });
  await makeFixture(path);
  process.stdout.write(`${path}\n`);
}
