/** A full disk, for real: a small filesystem of our own, filled by a foreign file. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { migrate } from '../../src/store/migrations.ts';
import { DiskReserve } from '../../src/store/reserve.ts';
import type { SqliteDatabase } from '../../src/store/sqlite.ts';
import { defer, executions, openStore, temporaryDirectory, value } from './kit.ts';

const SMALL = { bytes: 12 * 2 ** 20, freeBytesMin: 16 * 2 ** 20 };
const FILESYSTEM_BYTES = 80 * 2 ** 20;

/** Mounted until the test ends; undefined with the reason printed where that is not possible. */
function mountSmall(kind: 'tmpfs' | 'ext4'): string | undefined {
  const root = temporaryDirectory();
  const mountPoint = join(root, 'mounted');
  mkdirSync(mountPoint);
  try {
    if (kind === 'tmpfs')
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${FILESYSTEM_BYTES}`, 'none', mountPoint], { stdio: 'pipe' });
    else {
      const image = join(root, 'image');
      execFileSync('truncate', ['-s', String(FILESYSTEM_BYTES), image], { stdio: 'pipe' });
      execFileSync('mkfs.ext4', ['-q', '-m', '0', '-F', image], { stdio: 'pipe' });
      execFileSync('mount', ['-o', 'loop', image, mountPoint], { stdio: 'pipe' });
    }
  } catch (error) {
    console.warn(`skipped on ${kind}: cannot mount one here (needs root): ${String(error).split('\n')[0]}`);
    return undefined;
  }
  defer(() => execFileSync('umount', ['-l', mountPoint]));
  return mountPoint;
}

function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

/** Writes until nothing more fits. */
function fillDisk(directory: string): string {
  const path = join(directory, 'foreign');
  const file = openSync(path, 'w');
  try {
    for (const size of [2 ** 20, 4096, 1]) for (;;) writeUntilFull(file, size);
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
  }
  // A second, small one takes what the first could not use.
  try {
    for (let n = 0; ; n++) writeFileSync(join(directory, `crumb${n}`), 'x'.repeat(4096));
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOSPC') throw error;
  }
  return path;
}

function writeUntilFull(file: number, size: number): void {
  if (writeSync(file, Buffer.alloc(size, 1)) < size) throw Object.assign(new Error('short write'), { code: 'ENOSPC' });
}

/** Commits batches of 50 rows until one is answered `full`; how many were committed. */
async function commitUntilFull(database: SqliteDatabase, first: number, batchesMax = 2000): Promise<number> {
  for (let batch = 0; batch < batchesMax; batch++) {
    const outcome = await database.write(executions(first + batch * 50, 50));
    if (outcome.kind === 'full') return batch * 50;
    expect(outcome.kind).toBe('committed');
  }
  return batchesMax * 50;
}

describe.each(['tmpfs', 'ext4'] as const)('on a full %s', (kind) => {
  it('results still fit for a long while, nothing committed is lost, and work resumes by itself', async ({ skip }) => {
    const directory = mountSmall(kind);
    if (directory === undefined) return skip(`cannot mount a ${kind} here: needs root, mount and mkfs`);
    const path = join(directory, 'belfry.db');
    const database = openStore(path);
    await migrate(database);
    const reserve = new DiskReserve(database, SMALL);
    expect(reserve.diskState()).toBe('low');
    expect(await reserve.check()).toBe('ok');

    const foreign = fillDisk(directory);
    expect(freeBytes(directory)).toBeLessThan(4096);
    expect(await reserve.check()).toBe('low');
    const committed = await commitUntilFull(database, 1);
    // 300 bytes each: most of the 8 MiB of filler became history.
    expect(committed).toBeGreaterThan(15_000);
    expect(await reserve.check()).toBe('full');
    expect(await value(database, 'SELECT count(*) FROM executions')).toBe(committed);

    await database.close();
    const again = openStore(path);
    const reserveAgain = new DiskReserve(again, SMALL);
    expect(await reserveAgain.check()).not.toBe('ok');
    expect(await value(again, 'SELECT count(*) FROM executions')).toBe(committed);

    rmSync(foreign);
    // What was asked for in the meantime was refused; the state returns within a few looks, the writes at once.
    expect(await again.write(executions(1_000_000, 50))).toMatchObject({ kind: 'committed' });
    for (let look = 0; look < 6; look++) await reserveAgain.check();
    expect(reserveAgain.diskState()).toBe('ok');
    expect(await value(again, 'SELECT count(*) FROM executions')).toBe(committed + 50);
    expect(await value(again, 'PRAGMA integrity_check')).toBe('ok');
  }, 60_000);

  it('without the reserve there would be next to no room: what the test above measures is the reserve', async ({
    skip,
  }) => {
    const directory = mountSmall(kind);
    if (directory === undefined) return skip(`cannot mount a ${kind} here: needs root, mount and mkfs`);
    const database = openStore(join(directory, 'belfry.db'));
    await migrate(database);
    fillDisk(directory);
    const committed = await commitUntilFull(database, 1);
    expect(committed).toBeLessThan(2_000);
    expect(await value(database, 'SELECT count(*) FROM executions')).toBe(committed);
  }, 60_000);

  it('a node that starts on a full disk comes up and says so', async ({ skip }) => {
    const directory = mountSmall(kind);
    if (directory === undefined) return skip(`cannot mount a ${kind} here: needs root, mount and mkfs`);
    const foreign = fillDisk(directory);
    expect(() => openStore(join(directory, 'belfry.db'))).toThrow(expect.objectContaining({ code: 'disk_full' }));
    rmSync(foreign);
    const database = openStore(join(directory, 'belfry.db'));
    await migrate(database);
    expect(await new DiskReserve(database, SMALL).check()).toBe('ok');
  }, 60_000);
});

it('fills only once, and follows a changed size', async () => {
  const path = join(temporaryDirectory(), 'belfry.db');
  const database = openStore(path);
  const rows = () => value(database, 'SELECT count(*) FROM disk_reserve');
  expect(await new DiskReserve(database, { bytes: 12 * 2 ** 20, freeBytesMin: 1 }).check()).toBe('ok');
  expect(await rows()).toBe(8);
  expect(await new DiskReserve(database, { bytes: 3 * 2 ** 20, freeBytesMin: 1 }).check()).toBe('ok');
  expect(await rows()).toBe(2);
  const reserve = new DiskReserve(database, { bytes: 6 * 2 ** 20, freeBytesMin: 1 });
  expect(await reserve.check()).toBe('ok');
  expect(await rows()).toBe(4);
});
