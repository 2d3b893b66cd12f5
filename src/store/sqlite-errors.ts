/** What an error of node:sqlite means for a write or a read. Codes: https://sqlite.org/rescode.html */
import { dirname } from 'node:path';
import { AppError } from '../model/errors.ts';
import { restoreHint } from './damage.ts';

export type SqliteFailure =
  /** A constraint said no; nothing was applied. `guard` is 'fence', a constraint's name, or `table.column` for an unnamed one. */
  | { readonly kind: 'refused'; readonly guard: string; readonly detail: string }
  /** No room; nothing was applied. */
  | { readonly kind: 'full'; readonly detail: string }
  /** Another process holds the lock; nothing was applied. */
  | { readonly kind: 'busy'; readonly detail: string }
  /** The disk did not say whether it was written. */
  | { readonly kind: 'uncertain'; readonly detail: string }
  | { readonly kind: 'damaged'; readonly detail: string }
  /** Bad SQL or a bad parameter: an error of this program. */
  | { readonly kind: 'bug'; readonly detail: string };

const SQLITE = {
  BUSY: 5,
  LOCKED: 6,
  READONLY: 8,
  IOERR: 10,
  CORRUPT: 11,
  FULL: 13,
  CANTOPEN: 14,
  PROTOCOL: 15,
  CONSTRAINT: 19,
  NOTADB: 26,
};

/** Extended codes (primary | n << 8). Growing the shared index of the -wal fails with its own codes on a full disk. */
const EXTENDED = {
  IOERR_READ: 10 | (1 << 8),
  IOERR_SHORT_READ: 10 | (2 << 8),
  IOERR_WRITE: 10 | (3 << 8),
  IOERR_SHMSIZE: 10 | (19 << 8),
  IOERR_SHMMAP: 10 | (21 << 8),
  IOERR_CORRUPTFS: 10 | (33 << 8),
  READONLY_DBMOVED: 8 | (4 << 8),
};

const FENCE = 'leadership.guard';

/** Everything thrown by node:sqlite has a kind; what is not an SQLite error is a bug of the caller (a parameter of a wrong type). */
export function classify(error: unknown): SqliteFailure {
  const message = error instanceof Error ? error.message : String(error);
  const code = numericCode(error);
  if (code === undefined)
    return isSystemFull(error) ? { kind: 'full', detail: message } : { kind: 'bug', detail: message };
  return classifyExtended(code, message) ?? classifyPrimary(code & 0xff, message);
}

/** The guard named by a constraint's error text; SQLite and rqlite word it alike. A trigger's RAISE(ABORT, name) is the text itself. */
export function guardOf(message: string): string {
  const name = message.replace(/^.*constraint failed: /, '').replace(/ \(\d+\)$/, '');
  return name === FENCE ? 'fence' : name;
}

/** What a caller that cannot be given an outcome is told. */
export function appErrorOf(failure: SqliteFailure, path: string, cause: unknown): AppError {
  switch (failure.kind) {
    case 'damaged':
      return new AppError('damaged', `The database ${path} is damaged: ${failure.detail}.`, {
        remedy: restoreHint(dirname(path)),
        cause,
      });
    case 'full':
      return new AppError('disk_full', `No room left on the disk of ${path}.`, { cause });
    case 'busy':
    case 'uncertain':
      return new AppError('unavailable', `The database ${path} cannot be used now: ${failure.detail}.`, { cause });
    case 'refused':
    case 'bug':
      return new AppError('internal', `A statement of this program failed: ${failure.detail}.`, { cause });
  }
}

function classifyExtended(code: number, message: string): SqliteFailure | undefined {
  switch (code) {
    // Out of quota and past the file-size limit come as a plain write error.
    case EXTENDED.IOERR_WRITE:
    case EXTENDED.IOERR_SHMSIZE:
    case EXTENDED.IOERR_SHMMAP:
      return { kind: 'full', detail: message };
    case EXTENDED.IOERR_READ:
    case EXTENDED.IOERR_SHORT_READ:
    case EXTENDED.IOERR_CORRUPTFS:
      return { kind: 'damaged', detail: `the disk cannot read it (${message})` };
    case EXTENDED.READONLY_DBMOVED:
      return { kind: 'damaged', detail: 'the file was moved or removed while in use' };
    default:
      return undefined;
  }
}

function classifyPrimary(primary: number, message: string): SqliteFailure {
  switch (primary) {
    case SQLITE.CONSTRAINT:
      return { kind: 'refused', guard: guardOf(message), detail: message };
    case SQLITE.FULL:
      return { kind: 'full', detail: message };
    case SQLITE.BUSY:
    case SQLITE.LOCKED:
    case SQLITE.PROTOCOL:
      return { kind: 'busy', detail: message };
    case SQLITE.CORRUPT:
    case SQLITE.NOTADB:
      return { kind: 'damaged', detail: message };
    case SQLITE.IOERR:
    case SQLITE.READONLY:
    case SQLITE.CANTOPEN:
      return { kind: 'uncertain', detail: message };
    default:
      return { kind: 'bug', detail: message };
  }
}

function numericCode(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('errcode' in error)) return undefined;
  return typeof error.errcode === 'number' ? error.errcode : undefined;
}

function isSystemFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}
