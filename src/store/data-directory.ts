/**
 * One process per data directory. The lock is an exclusive SQLite transaction on the file `lock`, held for the life of the process: an
 * operating-system lock that a paused process keeps and a killed one loses, so there is never a stale one to clear away.
 *
 * POSIX drops a process's locks on a file when the process closes ANY descriptor of it. So nothing else in this process may open `lock`;
 * who holds it stands in a file of its own, `holder.json`.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../model/errors.ts';
import { instantText } from '../model/time.ts';
import { classify } from './sqlite-errors.ts';

export interface DataDirectory {
  /** Absolute. */
  readonly path: string;
  readonly databasePath: string;
  /** Gives the lock up; the process ending does the same. */
  close(): void;
  /** As close, and takes back what opening made, where nothing else has been put since. For work that failed before it began. */
  retract(): void;
}

/** The files as they were found, to be left so again. */
interface Found {
  readonly hadLock: boolean;
  /** The text of holder.json; null without one. */
  readonly holder: string | null;
}

/** Who had the lock last; informative only, the lock itself is the truth. */
export interface Holder {
  readonly pid: number;
  readonly startedAt: string;
}

/** Who asks for the directory: what to do when it is in use depends on it. */
export type Purpose = 'node' | 'restore';

/** holder.json is written in place at a fixed length, so that it needs no new block on a full disk. */
const HOLDER_BYTES = 256;

/**
 * Creates the directory (mode 0700) when absent and takes its lock. Throws AppError: `conflict` naming the pid of the process that holds
 * it, or `unavailable` when the directory cannot be used.
 */
export function openDataDirectory(path: string, clock: Clock, purpose: Purpose = 'node'): DataDirectory {
  const absolute = resolve(path);
  assertNoFile(absolute);
  const made = makeDirectory(absolute);
  const hadLock = existsSync(lockPath(absolute));
  const lock = takeLock(absolute, purpose);
  const close = () => lock.close();
  try {
    const found: Found = { hadLock, holder: readHolder(absolute) };
    writeHolder(absolute, { pid: process.pid, startedAt: instantText(clock.now()) });
    if (!hadLock) giveToOwnerOf(absolute, lockPath(absolute));
    if (found.holder === null) giveToOwnerOf(absolute, holderPath(absolute));
    const retract = () => {
      takeBackFiles(absolute, found);
      // SQLite keeps a journal beside the lock until then.
      close();
      for (const each of made.toReversed()) if (readdirSync(each).length === 0) rmdirSync(each);
    };
    return { path: absolute, databasePath: databasePathOf(absolute), close, retract };
  } catch (error) {
    close();
    throw unusable(absolute, error);
  }
}

/** Throws what openDataDirectory would throw of a directory that is no directory or is in use, and makes nothing. */
export function assertAvailable(path: string, purpose: Purpose): void {
  const absolute = resolve(path);
  assertNoFile(absolute);
  if (existsSync(lockPath(absolute))) takeLock(absolute, purpose).close();
}

export function databasePathOf(dataDir: string): string {
  return join(dataDir, 'belfry.db');
}

/** The last holder on record, undefined when there is none or it cannot be read. */
export function lastHolder(dataDir: string): Holder | undefined {
  try {
    const holder = JSON.parse(readHolder(dataDir) ?? '{}') as Partial<Holder>;
    return typeof holder.pid === 'number' ? { pid: holder.pid, startedAt: String(holder.startedAt) } : undefined;
  } catch {
    // Spoilt, or another user's: who holds the directory is then unknown, and that it is held is still true.
    return undefined;
  }
}

function readHolder(dataDir: string): string | null {
  return existsSync(holderPath(dataDir)) ? readFileSync(holderPath(dataDir), 'utf8') : null;
}

function assertNoFile(path: string): void {
  try {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== false) return;
  } catch (cause) {
    throw unusable(path, cause);
  }
  throw new AppError('unavailable', `The data directory ${path} is not a directory.`, {
    field: 'data-dir',
    remedy: 'Name a directory with --data-dir; an absent one is created.',
  });
}

/** Answers the levels that are new, the deepest last. */
function makeDirectory(path: string): string[] {
  try {
    const made = createAll(path);
    // Only what this call created gets the mode; an existing directory keeps what its owner chose.
    if (made.length > 0) chmodSync(path, 0o700);
    return made;
  } catch (cause) {
    throw unusable(path, cause);
  }
}

function unusable(path: string, cause: unknown): AppError {
  return new AppError('unavailable', `The data directory ${path} cannot be used: ${reason(cause)}.`, {
    field: 'data-dir',
    remedy: 'Name one with --data-dir in which everything is this user’s to read and write; an absent one is created.',
    cause,
  });
}

/** mkdir level by level: Node's recursive mkdir never returns below /proc. */
function createAll(path: string): string[] {
  if (existsSync(path)) return [];
  const parent = dirname(path);
  const above = parent === path ? [] : createAll(parent);
  mkdirSync(path);
  return [...above, path];
}

function takeBackFiles(path: string, { hadLock, holder }: Found): void {
  if (holder === null) rmSync(holderPath(path), { force: true });
  else writeFileSync(holderPath(path), holder);
  if (!hadLock) rmSync(lockPath(path), { force: true });
}

/** Run as root for a service's directory, a file must still be the service's. */
export function giveToOwnerOf(directory: string, file: string): void {
  const { uid, gid } = statSync(directory);
  if (process.getuid?.() === 0 && uid !== 0) chownSync(file, uid, gid);
}

function takeLock(path: string, purpose: Purpose): DatabaseSync {
  const lock = new DatabaseSync(lockPath(path), { timeout: 0, open: false });
  try {
    lock.open();
    // Nothing is ever written in it, so there is no journal and a full disk cannot stop us here.
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (cause) {
    if (lock.isOpen) lock.close();
    if (classify(cause).kind === 'busy') throw inUse(path, purpose);
    throw new AppError('unavailable', `The data directory ${path} cannot be locked: ${reason(cause)}.`, {
      field: 'data-dir',
      remedy: `Check that this user may write in it; a file named lock that is not Belfry's may be removed.`,
      cause,
    });
  }
}

/** A restore must not be sent to another directory: it would leave the one that needs it as it is. */
const INSTEAD: Readonly<Record<Purpose, string>> = {
  node: 'or give this node its own --data-dir and --http-addr',
  restore: 'then restore again; a backup is never restored under a running node',
};

function inUse(path: string, purpose: Purpose): AppError {
  const holder = lastHolder(path);
  const who = holder === undefined ? 'another process' : `process ${holder.pid}, started ${holder.startedAt}`;
  const stop = holder === undefined ? 'Stop it first' : `Stop it first (kill ${holder.pid})`;
  return new AppError('conflict', `The data directory ${path} is in use by ${who}.`, {
    field: 'data-dir',
    remedy: `${stop}, ${INSTEAD[purpose]}.`,
  });
}

function writeHolder(dataDir: string, holder: Holder): void {
  const file = holderPath(dataDir);
  const text = JSON.stringify(holder).padEnd(HOLDER_BYTES - 1) + '\n';
  let handle: number | undefined;
  try {
    handle = openSync(file, existsSync(file) ? 'r+' : 'w', 0o600);
    writeSync(handle, text, 0);
  } catch (error) {
    // No room for a note about us is no reason not to run: the lock is what counts.
    if (classify(error).kind !== 'full') throw error;
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}

function lockPath(dataDir: string): string {
  return join(dataDir, 'lock');
}

function holderPath(dataDir: string): string {
  return join(dataDir, 'holder.json');
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
