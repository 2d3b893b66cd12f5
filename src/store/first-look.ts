/**
 * The first look at a database, before anything that could write has it open: a writer that closes copies the -wal into the file, damaged
 * or not, and removes it. So the look is read-only, and with `readonly_shm` SQLite leaves even the -shm as it is and keeps its index of
 * the -wal in memory.
 */
import { existsSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';

// https://sqlite.org/rescode.html
const READONLY = 8;
const CANTOPEN = 14;
const READONLY_ROLLBACK = READONLY | (3 << 8);

export interface LookOptions {
  readonly busyTimeoutMs: number;
  /** Up to this size every page is read; of a larger file only the schema. */
  readonly wholeBytesMax: number;
  readonly cacheBytes: number;
}

/** What quick_check found. */
export class DamagedPagesError extends Error {}

/** Throws DamagedPagesError or the error of SQLite. The file, its -wal and its -shm stay byte for byte as they are. */
export function lookAtDatabase(path: string, options: LookOptions): void {
  try {
    // Without a -wal and its -shm SQLite must make them even to read; then there are none to be changed.
    if (existsSync(`${path}-wal`) && existsSync(`${path}-shm`)) {
      look(path, { ...options, keepsIndex: true });
      return;
    }
  } catch (error) {
    // Another reader is just making the index, or it cannot be read: look as every reader does.
    if (!isReadOnlyTrouble(error)) throw error;
  }
  lookAsReader(path, options);
}

function lookAsReader(path: string, options: LookOptions): void {
  try {
    look(path, { ...options, keepsIndex: false });
  } catch (error) {
    if (errorCode(error) !== READONLY_ROLLBACK) throw error;
    rollBack(path, options.busyTimeoutMs);
    look(path, { ...options, keepsIndex: false });
  }
}

function look(path: string, options: LookOptions & { readonly keepsIndex: boolean }): void {
  const location = pathToFileURL(path);
  if (options.keepsIndex) location.searchParams.set('readonly_shm', '1');
  const reader = new DatabaseSync(location.href, { readOnly: true, timeout: options.busyTimeoutMs });
  try {
    // One transaction: without a shared index each one reads the whole -wal.
    reader.exec(`PRAGMA cache_size = -${Math.ceil(options.cacheBytes / 1024)}; PRAGMA mmap_size = 0; BEGIN`);
    reader.exec('SELECT count(*) FROM sqlite_schema');
    if (statSync(path).size <= options.wholeBytesMax) checkPages(reader);
  } finally {
    reader.close();
  }
}

/** Reads every page and follows every pointer, without the cost of comparing indexes with their tables. */
function checkPages(reader: DatabaseSync): void {
  const problems = reader
    .prepare('PRAGMA quick_check(3)')
    .all()
    .map((row) => String(row['quick_check']));
  if (problems.join() !== 'ok') throw new DamagedPagesError(problems.join('; '));
}

/**
 * A restored database has a journal until its first start puts it into WAL mode. A crash in that instant leaves a journal that only a
 * writer may play back; there is no -wal then.
 */
function rollBack(path: string, busyTimeoutMs: number): void {
  const writer = new DatabaseSync(path, { timeout: busyTimeoutMs });
  try {
    writer.exec('PRAGMA schema_version');
  } finally {
    writer.close();
  }
}

function isReadOnlyTrouble(error: unknown): boolean {
  const primary = errorCode(error) & 0xff;
  return primary === READONLY || primary === CANTOPEN;
}

function errorCode(error: unknown): number {
  return error instanceof Error && 'errcode' in error ? Number(error.errcode) : 0;
}
