/**
 * Makes and checks backups: one SQLite file that holds everything, with a manifest in its `meta` table. Made while a node runs: a
 * read-only connection copies one snapshot (VACUUM INTO), which neither waits for the node nor makes it wait.
 */
import { chmodSync, closeSync, existsSync, fsyncSync, linkSync, openSync, rmSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../lib/clock.ts';
import { readRefusal } from '../lib/read-refusal.ts';
import { AppError } from '../model/errors.ts';
import { assertWhole, damageOf, restoreHint } from './damage.ts';
import { databasePathOf } from './data-directory.ts';
import { loadMigrations, newestVersion } from './migrations.ts';
import { classify } from './sqlite-errors.ts';
import { syncDirectory } from './sync-directory.ts';

/** Stored as JSON under `backup` in the copy's meta. */
export interface BackupManifest {
  /** Epoch ms, just before the snapshot. */
  readonly createdAt: number;
  readonly schemaVersion: number;
  readonly epoch: number;
}

export interface BackupSummary {
  readonly file: string;
  readonly bytes: number;
  /** Null for a plain copy of a database that `backup create` did not make. */
  readonly manifest: BackupManifest | null;
  readonly schemaVersion: number;
  readonly epoch: number;
  readonly jobs: number;
  readonly occurrences: number;
  readonly executions: number;
  /** Executions that had an intent but no end. */
  readonly openExecutions: number;
  /** Epoch ms of the newest occurrence's nominal instant; null without any. */
  readonly newestAt: number | null;
}

const SQL = {
  schemaVersion: `SELECT value FROM meta WHERE key = 'schema_version'`,
  manifest: `SELECT value FROM meta WHERE key = 'backup'`,
  recordManifest: `INSERT INTO meta (key, value) VALUES ('backup', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
  epoch: 'SELECT epoch AS value FROM leadership WHERE id = 1',
  jobs: 'SELECT count(*) AS value FROM jobs WHERE deleted_at IS NULL',
  occurrences: 'SELECT count(*) AS value FROM occurrences',
  executions: 'SELECT count(*) AS value FROM executions',
  openExecutions: 'SELECT count(*) AS value FROM executions WHERE finished_at_us IS NULL',
  hasFiller: `SELECT 1 FROM sqlite_schema WHERE name = 'disk_reserve'`,
  newestAt: 'SELECT max(nominal_at) AS value FROM occurrences',
};

/** A reader that meets a checkpoint or a recovery waits so long. */
const BUSY_TIMEOUT_MS = 5_000;

/**
 * Writes a backup of the data directory's database to `file`, which must not exist. It appears whole or not at all. Throws AppError:
 * `conflict` (the file exists), `not_found` (no database, or no directory for the file), `damaged`, `disk_full`, `unavailable`.
 */
export function createBackup(options: { dataDir: string; file: string }, modules: { clock: Clock }): BackupSummary {
  const source = databasePathOf(resolve(options.dataDir));
  const file = resolve(options.file);
  try {
    assertFree(file);
    assertDirectory(dirname(file));
    assertSource(source);
    assertWhole(source);
    return { ...copyChecked(source, file, modules.clock.now()), file };
  } catch (error) {
    throw backupError(error, source, file);
  }
}

/** By way of a draft beside it, so that the file appears whole or not at all. */
function copyChecked(source: string, file: string, createdAt: number): BackupSummary {
  const draft = `${file}.partial`;
  try {
    rmSync(draft, { force: true });
    copySnapshot(source, draft, createdAt);
    const summary = verifyBackup(draft);
    // A link fails where a rename would replace what somebody else put there meanwhile.
    linkSync(draft, file);
    syncDirectory(dirname(file));
    return summary;
  } finally {
    rmSync(draft, { force: true });
  }
}

function assertFree(file: string): void {
  if (!existsSync(file)) return;
  const what = statSync(file).isDirectory() ? 'is a directory' : 'exists already; a backup never overwrites one';
  throw new AppError('conflict', `${file} ${what}.`, { field: 'file', remedy: 'Name a file that is not there yet.' });
}

function assertSource(database: string): void {
  const refusal = readRefusal(database);
  if (refusal === undefined) return;
  if (refusal !== 'ENOENT') throw unreadable(database, refusal, 'data-dir');
  throw new AppError('not_found', `There is no database in ${dirname(database)}.`, {
    field: 'data-dir',
    remedy: 'Name the data directory of the node with --data-dir.',
  });
}

/** Where the backup is to be written. Made by whoever wants it there: a mistyped path must not fill the wrong disk. */
function assertDirectory(directory: string): void {
  const found = statSync(directory, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) return;
  const absent = found === undefined;
  throw new AppError('not_found', `${absent ? 'There is no' : 'Not a'} directory: ${directory}. No backup was made.`, {
    field: 'file',
    remedy: absent ? 'Create it, or name another file.' : 'Name a file in a directory.',
  });
}

/**
 * Checks every page and the schema version. Throws AppError `not_found`, `unavailable` (cannot be read), `damaged` (says what is wrong) or
 * `conflict` (too new).
 */
export function verifyBackup(path: string): BackupSummary {
  const file = resolve(path);
  const refusal = readRefusal(file);
  if (refusal === 'ENOENT')
    throw new AppError('not_found', `There is no file ${file}.`, { field: 'file', remedy: 'Check the path.' });
  if (refusal !== undefined) throw unreadable(file, refusal, 'file');
  let database: DatabaseSync | undefined;
  try {
    const damage = damageOf(file);
    if (damage !== undefined) throw notWhole(file, damage);
    database = new DatabaseSync(file, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
    const problems = database
      .prepare('PRAGMA integrity_check(10)')
      .all()
      .map((row) => String(row['integrity_check']));
    if (problems.join() !== 'ok') throw notWhole(file, problems.join('; '));
    return summarize(database, file);
  } catch (error) {
    throw verifyError(error, file);
  } finally {
    database?.close();
  }
}

function verifyError(error: unknown, file: string): unknown {
  if (error instanceof AppError) return error;
  const { kind, detail } = classify(error);
  if (isSystemError(error)) return unreadable(file, error.code, 'file');
  if (kind !== 'uncertain') return notWhole(file, detail, error);
  // A plain copy of a database in use: SQLite makes a -shm beside it even to read.
  return new AppError('unavailable', `${file} cannot be checked where it is: ${detail}.`, {
    field: 'file',
    remedy: `Copy it, with its -wal if it has one, into a directory this user may write.`,
    cause: error,
  });
}

/** An error of a system call, not of SQLite or of this program. */
export function isSystemError(error: unknown): error is Error & { code: string } {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}

function unreadable(file: string, cause: string, field: 'file' | 'data-dir'): AppError {
  return new AppError('unavailable', `${file} cannot be read (${cause}).`, {
    field,
    remedy:
      cause === 'EACCES' ? 'Run this as a user who may read it, or let this one.' : 'Check the path and the disk.',
  });
}

function copySnapshot(source: string, draft: string, createdAt: number): void {
  // Made beforehand for its mode: a backup holds whatever secrets the jobs hold.
  closeSync(openSync(draft, 'wx', 0o600));
  const reader = new DatabaseSync(source, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
  try {
    reader.prepare('VACUUM INTO ?').run(draft);
  } finally {
    reader.close();
  }
  const copy = new DatabaseSync(draft);
  try {
    const manifest: BackupManifest = {
      createdAt,
      schemaVersion: numberOf(copy, SQL.schemaVersion),
      epoch: numberOf(copy, SQL.epoch),
    };
    copy.prepare(SQL.recordManifest).run(JSON.stringify(manifest));
    dropFiller(copy);
  } finally {
    copy.close();
  }
  chmodSync(draft, 0o600);
  syncFile(draft);
}

/** A backup need not carry the disk reserve (reserve.ts). In a large one its free pages are not worth a second copy of everything. */
function dropFiller(copy: DatabaseSync): void {
  if (copy.prepare(SQL.hasFiller).get() === undefined) return;
  copy.exec('DROP TABLE disk_reserve');
  if (
    numberOf(copy, 'SELECT freelist_count * 4 > page_count AS value FROM pragma_freelist_count, pragma_page_count') ===
    1
  )
    copy.exec('VACUUM');
}

function summarize(database: DatabaseSync, file: string): BackupSummary {
  const schemaVersion = numberOf(database, SQL.schemaVersion);
  const newest = newestVersion(loadMigrations());
  if (schemaVersion > newest) {
    throw new AppError(
      'conflict',
      `${file} has schema version ${schemaVersion}; this program knows only up to ${newest}.`,
      {
        remedy: 'Use the Belfry version that made it, or a newer one.',
      },
    );
  }
  const manifest = database.prepare(SQL.manifest).get()?.['value'];
  const pages = numberOf(database, 'SELECT page_count * page_size AS value FROM pragma_page_count, pragma_page_size');
  const newestAt = database.prepare(SQL.newestAt).get()?.['value'];
  return {
    file,
    bytes: pages,
    manifest: typeof manifest === 'string' ? (JSON.parse(manifest) as BackupManifest) : null,
    schemaVersion,
    epoch: numberOf(database, SQL.epoch),
    jobs: numberOf(database, SQL.jobs),
    occurrences: numberOf(database, SQL.occurrences),
    executions: numberOf(database, SQL.executions),
    openExecutions: numberOf(database, SQL.openExecutions),
    newestAt: typeof newestAt === 'number' ? newestAt : null,
  };
}

function numberOf(database: DatabaseSync, sql: string): number {
  const value = Number(database.prepare(sql).get()?.['value']);
  if (!Number.isSafeInteger(value)) throw new Error(`a value is missing (${sql})`);
  return value;
}

function notWhole(file: string, detail: string, cause?: unknown): AppError {
  return new AppError('damaged', `${file} is not a whole Belfry database: ${detail}.`, {
    remedy: 'Use another backup.',
    ...(cause === undefined ? {} : { cause }),
  });
}

function backupError(error: unknown, source: string, file: string): unknown {
  if (error instanceof AppError) return error;
  const failure = classify(error);
  if (failure.kind === 'full') return new AppError('disk_full', `No room for the backup ${file}.`, { cause: error });
  if (failure.kind === 'damaged') {
    return new AppError('damaged', `The database ${source} is damaged: ${failure.detail}. No backup was made.`, {
      remedy: restoreHint(dirname(source)),
      cause: error,
    });
  }
  return new AppError('unavailable', `The backup ${file} could not be made: ${failure.detail}.`, {
    field: 'file',
    remedy: `Check that this user may write in ${dirname(file)} and read ${source}.`,
    cause: error,
  });
}

export function syncFile(path: string): void {
  const handle = openSync(path, 'r+');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
