/**
 * One process per data directory. The lock is an exclusive SQLite transaction on the file `lock`, held for the life of the process: an
 * operating-system lock that a paused process keeps and a killed one loses, so there is never a stale one to clear away.
 *
 * POSIX drops a process's locks on a file when the process closes ANY descriptor of it. So nothing else in this process may open `lock`;
 * who holds it stands in a file of its own, `holder.json`.
 */
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
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
  prepare(absolute);
  const lock = takeLock(absolute, purpose);
  writeHolder(absolute, { pid: process.pid, startedAt: instantText(clock.now()) });
  return { path: absolute, databasePath: databasePathOf(absolute), close: () => lock.close() };
}

export function databasePathOf(dataDir: string): string {
  return join(dataDir, 'belfry.db');
}

/** The last holder on record, undefined when there is none or it cannot be read. */
export function lastHolder(dataDir: string): Holder | undefined {
  const path = holderPath(dataDir);
  if (!existsSync(path)) return undefined;
  try {
    const holder = JSON.parse(readFileSync(path, 'utf8')) as Partial<Holder>;
    return typeof holder.pid === 'number' ? { pid: holder.pid, startedAt: String(holder.startedAt) } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function prepare(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === false) {
    throw new AppError('unavailable', `The data directory ${path} is not a directory.`, {
      field: 'data-dir',
      remedy: 'Name a directory with --data-dir; an absent one is created.',
    });
  }
  try {
    // Only what this call created gets the mode; an existing directory keeps what its owner chose.
    if (createAll(path)) chmodSync(path, 0o700);
  } catch (cause) {
    throw new AppError('unavailable', `The data directory ${path} cannot be created: ${reason(cause)}.`, {
      field: 'data-dir',
      remedy: 'Name one this user may write with --data-dir.',
      cause,
    });
  }
}

/** mkdir level by level: Node's recursive mkdir never returns below /proc. True when the last level is new. */
function createAll(path: string): boolean {
  if (existsSync(path)) return false;
  const parent = dirname(path);
  if (parent !== path) createAll(parent);
  mkdirSync(path);
  return true;
}

function takeLock(path: string, purpose: Purpose): DatabaseSync {
  const lock = new DatabaseSync(join(path, 'lock'), { timeout: 0, open: false });
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

function writeHolder(path: string, holder: Holder): void {
  const file = holderPath(path);
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

function holderPath(dataDir: string): string {
  return join(dataDir, 'holder.json');
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
