/**
 * Puts a restored database into place so that a crash at any line leaves either the old one whole or a swap that the next start completes.
 * The commit point is the appearance of `belfry.db.restored-STAMP`, complete and synced; everything after it can be repeated. The old
 * database's -wal must leave before the new file takes the name: SQLite would apply its frames to the new one.
 */
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { syncDirectory } from './sync-directory.ts';

/** The name under which a complete restored database waits; `stamp` also names what it replaces. */
export function waitingName(databasePath: string, stamp: string): string {
  return `${databasePath}.restored-${stamp}`;
}

/** Where the replaced database is kept. */
export function replacedName(databasePath: string, stamp: string): string {
  return `${databasePath}.replaced-${stamp}`;
}

/** Completes a restore that waits; does nothing when there is none. The caller holds the data directory's lock. */
export function finishRestore(databasePath: string): void {
  const directory = dirname(databasePath);
  if (!existsSync(directory)) return;
  const prefix = basename(waitingName(databasePath, ''));
  const waiting = readdirSync(directory)
    .filter((name) => name.startsWith(prefix))
    .toSorted();
  for (const name of waiting) swap(databasePath, join(directory, name), name.slice(prefix.length));
}

function swap(databasePath: string, waiting: string, stamp: string): void {
  const replaced = replacedName(databasePath, stamp);
  // The name carries the stamp of this restore, so the two cannot exist unless an earlier try of this very swap put them there.
  if (existsSync(`${databasePath}-wal`)) renameSync(`${databasePath}-wal`, `${replaced}-wal`);
  rmSync(`${databasePath}-shm`, { force: true });
  if (existsSync(databasePath)) renameSync(databasePath, replaced);
  syncDirectory(dirname(databasePath));
  renameSync(waiting, databasePath);
  syncDirectory(dirname(databasePath));
}
