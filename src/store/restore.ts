/**
 * Restores a backup into a data directory (SEMANTICS §1.8). The restored database is prepared in full under another name, with its epoch
 * above every epoch any agent may have seen and a marker for the next start, and then swapped in; what was there is kept beside it.
 *
 * What needs schedules or the agent's word is not decided here but at that start, from the marker: moving the cursors, the range rows
 * `missed: restored`, and `lost: restored` for open intents the agent knows nothing of.
 */
import { chmodSync, existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../model/errors.ts';
import { instantText } from '../model/time.ts';
import { isSystemError, syncFile, verifyBackup } from './backup.ts';
import type { BackupSummary } from './backup.ts';
import { assertAvailable, type DataDirectory, giveToOwnerOf, openDataDirectory } from './data-directory.ts';
import type { Statement } from './database.ts';
import { migrate } from './migrations.ts';
import { finishRestore, replacedName, waitingName } from './restore-swap.ts';
import { recordMarker } from './restored-marker.ts';
import { classify } from './sqlite-errors.ts';
import { openSqlite } from './sqlite.ts';
import { syncDirectory } from './sync-directory.ts';

export interface RestoreOptions {
  readonly file: string;
  readonly dataDir: string;
  /** Whether an absent `dataDir` is made: not one that nobody named. */
  readonly mayCreate: boolean;
  /** Apply each job's misfire policy to the time since the backup, instead of recording it as `missed: restored`. */
  readonly catchUp: boolean;
}

export interface RestoreResult {
  readonly summary: BackupSummary;
  readonly epoch: number;
  /** Where the database that was there is now; null when there was none. */
  readonly replaced: string | null;
}

/** A replaced database too damaged to tell its epoch may have had any; the step is larger than a node's starts in its lifetime. */
const EPOCHS_SKIPPED_WHEN_UNREADABLE = 1_000_000;

const SQL = {
  epoch: `UPDATE leadership SET epoch = ?, holder = '', renewals = 0 WHERE id = 1`,
  // Ids of jobs created after the backup stay taken: their logs and results may still be about.
  jobIds: `UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'jobs'`,
  firstJobIds: `INSERT INTO sqlite_sequence (name, seq) SELECT 'jobs', ? WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'jobs')`,
  dropManifest: `DELETE FROM meta WHERE key = 'backup'`,
};

/** Decided, and not in its place yet. */
interface Ready {
  readonly directory: DataDirectory;
  readonly summary: BackupSummary;
  readonly epoch: number;
  readonly replaced: string | null;
}

/**
 * Throws AppError: `conflict` (a node holds the directory, or the backup is too new), `not_found`, `damaged` (the backup), `disk_full`,
 * `unavailable`. Unless it says otherwise, everything is as it was.
 */
export async function restoreBackup(options: RestoreOptions, modules: { clock: Clock }): Promise<RestoreResult> {
  const { directory, ...result } = await makeReady(options, modules.clock).catch((error: unknown) => {
    throw notRestored(error, options);
  });
  try {
    // What was renamed is decided once its name is on the disk.
    syncDirectory(directory.path);
    finishRestore(directory.databasePath);
    return result;
  } catch (error) {
    const { detail } = classify(error);
    throw new AppError('unavailable', `${result.summary.file} is restored but not in its place yet: ${detail}.`, {
      remedy: `Start the node on ${directory.path}: it completes the restore.`,
      cause: error,
    });
  } finally {
    directory.close();
  }
}

/** What can be refused is refused before anything is made; the directory is asked first, because the backup may take minutes to read. */
async function makeReady(options: RestoreOptions, clock: Clock): Promise<Ready> {
  assertAvailable(options.dataDir, 'restore');
  if (!options.mayCreate && !existsSync(options.dataDir)) {
    throw new AppError('not_found', `There is no data directory ${resolve(options.dataDir)}.`, {
      field: 'data-dir',
      remedy: 'Name the one to restore into with --data-dir; one named so is created if missing.',
    });
  }
  const summary = verifyBackup(options.file);
  const directory = openDataDirectory(options.dataDir, clock, 'restore');
  try {
    finishRestore(directory.databasePath);
    return { directory, summary, ...(await decide(directory.databasePath, options, summary, clock)) };
  } catch (error) {
    directory.retract();
    throw error;
  }
}

/** Makes the restored database in full under the name from which finishRestore takes it. */
async function decide(
  path: string,
  options: RestoreOptions,
  summary: BackupSummary,
  clock: Clock,
): Promise<Pick<Ready, 'epoch' | 'replaced'>> {
  const now = clock.now();
  const before = readReplaced(path);
  const epoch = Math.max(summary.epoch, before.epoch, ...spoolEpochs(dirname(path))) + 1;
  const draft = `${path}.restoring`;
  removeDatabase(draft);
  try {
    copyDatabase(summary.file, draft);
    const marker = { restoredAt: now, backupCreatedAt: summary.manifest?.createdAt ?? null, catchUp: options.catchUp };
    await prepare(draft, clock, [
      { sql: SQL.epoch, params: [epoch] },
      { sql: SQL.jobIds, params: [before.lastJobId] },
      { sql: SQL.firstJobIds, params: [before.lastJobId] },
      { sql: SQL.dropManifest, params: [] },
      recordMarker(marker),
    ]);
    const stamp = freeStamp(path, now);
    renameSync(draft, waitingName(path, stamp));
    return { epoch, replaced: existsSync(path) ? replacedName(path, stamp) : null };
  } catch (error) {
    removeDatabase(draft);
    throw error;
  }
}

function notRestored(error: unknown, { dataDir }: RestoreOptions): unknown {
  if (error instanceof AppError) {
    const { field = 'file', remedy = 'Use another backup.', cause } = error;
    return new AppError(error.code, `${error.message} Nothing was changed.`, { field, remedy, cause });
  }
  const path = resolve(dataDir);
  const { kind, detail } = classify(error);
  if (kind === 'full') {
    return new AppError('disk_full', `No room to restore into ${path}. Nothing was changed.`, {
      field: 'data-dir',
      remedy: 'Make room for one more copy of the database.',
      cause: error,
    });
  }
  if (kind === 'bug' && !isSystemError(error)) return error;
  return new AppError('unavailable', `Cannot restore into ${path}: ${detail}. Nothing was changed.`, {
    field: 'data-dir',
    remedy: 'Check that this user may write in it.',
    cause: error,
  });
}

/** By SQLite, not byte by byte: a plain copy of a live database may have its newest part in a -wal of its own. */
function copyDatabase(from: string, to: string): void {
  const reader = new DatabaseSync(from, { readOnly: true });
  try {
    reader.prepare('VACUUM INTO ?').run(to);
  } finally {
    reader.close();
  }
  chmodSync(to, 0o600);
}

/** Brings the copy to this program's schema and writes the marks, then leaves it as one synced file without a -wal. */
async function prepare(draft: string, clock: Clock, statements: readonly Statement[]): Promise<void> {
  const database = openSqlite(draft, { clock });
  try {
    await migrate(database);
    const outcome = await database.write(statements);
    if (outcome.kind === 'full')
      throw new AppError('disk_full', `No room to restore into ${dirname(draft)}.`, {
        remedy: 'Make room for one more copy of the database.',
      });
    if (outcome.kind !== 'committed')
      throw new AppError('internal', `The restored copy could not be marked (${outcome.kind}).`);
  } finally {
    await database.close();
  }
  const plain = new DatabaseSync(draft);
  plain.exec('PRAGMA journal_mode = DELETE');
  plain.close();
  giveToOwnerOf(dirname(draft), draft);
  syncFile(draft);
}

/** What can still be learnt from the database about to be replaced, damaged or not. */
function readReplaced(path: string): { epoch: number; lastJobId: number } {
  if (!existsSync(path)) return { epoch: 0, lastJobId: 0 };
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true });
    const epoch = Number(database.prepare('SELECT epoch FROM leadership WHERE id = 1').get()?.['epoch'] ?? 0);
    const last = database.prepare(`SELECT seq FROM sqlite_sequence WHERE name = 'jobs'`).get()?.['seq'];
    return { epoch, lastJobId: Number(last ?? 0) };
  } catch (error) {
    // Only what a damaged file gives is expected here; the step keeps the promise without its help.
    if (classify(error).kind === 'full') throw error;
    return { epoch: EPOCHS_SKIPPED_WHEN_UNREADABLE, lastJobId: EPOCHS_SKIPPED_WHEN_UNREADABLE };
  } finally {
    database?.close();
  }
}

/** The highest epoch each runner has seen: one integer in runners/ID/epoch. */
function spoolEpochs(dataDir: string): number[] {
  const runners = join(dataDir, 'runners');
  if (!existsSync(runners)) return [];
  return readdirSync(runners)
    .map((id) => join(runners, id, 'epoch'))
    .filter((file) => existsSync(file))
    .map((file) => Number.parseInt(readFileSync(file, 'utf8'), 10))
    .filter((epoch) => Number.isSafeInteger(epoch));
}

/** e.g. 20261122T170000Z; a number follows when two restores fall into one second. */
function freeStamp(path: string, now: number): string {
  const base = instantText(Math.floor(now / 1000) * 1000).replaceAll(/[-:]/g, '');
  for (let n = 1; ; n++) {
    const stamp = n === 1 ? base : `${base}-${n}`;
    if (!existsSync(replacedName(path, stamp)) && !existsSync(`${replacedName(path, stamp)}-wal`)) return stamp;
  }
}

function removeDatabase(path: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(path + suffix, { force: true });
}
