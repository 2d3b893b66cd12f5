/**
 * Opens the two connections of an SQLite store: the one that reads and writes, and the keeper. SQLite deletes the -wal file when its last
 * connection closes, unless that one is read-only; the file's blocks are part of the reserve for a full disk (reserve.ts), so a read-only
 * connection stays to the end. It is there before the writer too: a writer that closes alone copies the -wal into a damaged file.
 */
import { closeSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../model/errors.ts';
import { DamagedPagesError, lookAtDatabase } from './first-look.ts';
import { appErrorOf, classify } from './sqlite-errors.ts';
import type { SqliteFailure } from './sqlite-errors.ts';
import { syncDirectory } from './sync-directory.ts';

export interface SqliteOptions {
  readonly clock: Clock;
  /** How long one batch may block the loop for a foreign process that writes (nobody should: there is a lock); then `unknown`. */
  readonly busyTimeoutMs?: number;
  /** The page cache grows to this under load; an idle node uses a fraction of it. */
  readonly cacheBytesMax?: number;
  /** A commit that leaves so many pages in the -wal also copies them home; bounds both that stall and the size of the -wal. */
  readonly checkpointPages?: number;
  /** The -wal is cut back to this after something (a long backup) made it larger. */
  readonly walBytesKept?: number;
  /** Up to this size the whole file is checked at start; a larger one is checked where it is touched. */
  readonly startCheckBytesMax?: number;
  /** `off` exists for the test that proves that `full` matters. */
  readonly synchronous?: 'full' | 'off';
}

export const SQLITE_DEFAULTS = {
  busyTimeoutMs: 250,
  cacheBytesMax: 16 * 2 ** 20,
  checkpointPages: 4000,
  walBytesKept: 16 * 2 ** 20,
  startCheckBytesMax: 64 * 2 ** 20,
  synchronous: 'full',
} as const;

/** While many pages are touched once, so that they do not stay in memory. */
export const CACHE_BYTES_BULK = 512 * 1024;

/** Throws AppError as openSqlite does. */
export function openConnections(
  path: string,
  settings: Required<SqliteOptions>,
): { writer: DatabaseSync; keeper: DatabaseSync } {
  // Foreign keys off and no double-quoted literals, as in rqlite.
  const common = { enableForeignKeyConstraints: false, timeout: settings.busyTimeoutMs, open: false };
  const keeper = new DatabaseSync(path, { ...common, readOnly: true });
  const writer = new DatabaseSync(path, common);
  try {
    lookAtDatabase(path, {
      busyTimeoutMs: settings.busyTimeoutMs,
      wholeBytesMax: settings.startCheckBytesMax,
      cacheBytes: CACHE_BYTES_BULK,
    });
    keeper.open();
    attach(keeper);
    openWriter(writer, settings);
    // Again, for a database that had no -wal until the writer gave it one.
    attach(keeper);
    setCache(writer, settings.cacheBytesMax);
    return { writer, keeper };
  } catch (error) {
    // The keeper last, so that the -wal of a damaged database stays for whoever examines it.
    for (const connection of [writer, keeper]) if (connection.isOpen) connection.close();
    throw appErrorOf(openFailure(error), path, error);
  }
}

/** From its first read on a connection has the -wal open, and no other that closes copies it into the file. */
function attach(keeper: DatabaseSync): void {
  keeper.exec('PRAGMA mmap_size = 0; PRAGMA cache_size = 4; SELECT count(*) FROM sqlite_schema');
}

export function setCache(connection: DatabaseSync, bytes: number): void {
  connection.exec(`PRAGMA cache_size = -${Math.ceil(bytes / 1024)}`);
}

function openWriter(writer: DatabaseSync, settings: Required<SqliteOptions>): void {
  writer.open();
  setCache(writer, CACHE_BYTES_BULK);
  writer.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = ${settings.synchronous};
    PRAGMA mmap_size = 0; -- a file cut off under a map is SIGBUS; under read() it is an error we can name
    PRAGMA temp_store = MEMORY;
    PRAGMA wal_autocheckpoint = ${settings.checkpointPages};
    PRAGMA journal_size_limit = ${settings.walBytesKept};`);
}

function openFailure(error: unknown): SqliteFailure {
  return error instanceof DamagedPagesError ? { kind: 'damaged', detail: error.message } : classify(error);
}

/**
 * Makes a new database under another name and moves it into place, so that an empty file found under the real name is always damage
 * and never our own half-done work.
 */
export function createEmptyDatabase(path: string): void {
  const draft = `${path}.new`;
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(draft + suffix, { force: true });
  try {
    closeSync(openSync(draft, 'wx', 0o600));
    const database = new DatabaseSync(draft);
    // Changing the mode of an empty file writes its first page.
    database.exec('PRAGMA journal_mode = WAL; CREATE TABLE draft (x); DROP TABLE draft');
    database.close();
    renameSync(draft, path);
    syncDirectory(dirname(path));
  } catch (error) {
    const failure = classify(error);
    if (failure.kind === 'full') throw new AppError('disk_full', `No room to create ${path}.`, { cause: error });
    throw new AppError('unavailable', `Cannot create ${path}: ${failure.detail}.`, { cause: error });
  }
}
