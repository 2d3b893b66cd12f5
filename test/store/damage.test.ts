import { createHash } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { damageOf } from '../../src/store/damage.ts';
import { migrate } from '../../src/store/migrations.ts';
import { commit, executions, openStore, s, temporaryDirectory, value } from './kit.ts';

const PAGE = 4096;

/** A sound database of some 100 pages, closed. */
async function sample(): Promise<string> {
  const path = join(temporaryDirectory(), 'belfry.db');
  const database = openStore(path);
  await migrate(database);
  await commit(database, ...executions(1, 1000));
  await database.close();
  for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
  return path;
}

function overwrite(path: string, at: number, bytes: Buffer): void {
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, at);
  closeSync(file);
}

function sum(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

const DAMAGES: [string, (path: string) => void][] = [
  ['cut in half', (path) => truncateSync(path, Math.floor(statSync(path).size / 2))],
  ['cut by one byte', (path) => truncateSync(path, statSync(path).size - 1)],
  ['cut to nothing', (path) => truncateSync(path, 0)],
  ['cut inside its header', (path) => truncateSync(path, 50)],
  ['a torn page of zeros', (path) => overwrite(path, 30 * PAGE, Buffer.alloc(PAGE))],
  ['half a page of noise', (path) => overwrite(path, 31 * PAGE, Buffer.alloc(PAGE / 2, 0xa5))],
  ['a foreign header', (path) => overwrite(path, 0, Buffer.from('not a database at all'))],
  ['an impossible page size', (path) => overwrite(path, 16, Buffer.from([0x12, 0x34]))],
  ['another file altogether', (path) => writeFileSync(path, 'hello\n'.repeat(1000))],
];

describe('a damaged database', () => {
  it.each(DAMAGES)(
    '%s: is met at start with the file and the restore command, and left as it is',
    async (_name, damage) => {
      const path = await sample();
      damage(path);
      const before = sum(path);
      expect(() => openStore(path)).toThrow(
        expect.objectContaining({
          code: 'damaged',
          message: expect.stringContaining(path) as string,
          remedy: expect.stringContaining('belfry backup restore FILE --data-dir') as string,
        }),
      );
      expect(sum(path)).toBe(before);
    },
  );

  it('is met at first touch when it is too large to be checked at start; nothing is written after that', async () => {
    const path = await sample();
    overwrite(path, 30 * PAGE, Buffer.alloc(PAGE));
    const before = sum(path);
    const database = openStore(path, { startCheckBytesMax: 0 });
    await expect(database.read('local', 'SELECT count(message) FROM executions')).rejects.toMatchObject({
      code: 'damaged',
    });
    await expect(database.write(executions(5000, 1))).rejects.toMatchObject({ code: 'damaged' });
    await expect(database.read('local', 'SELECT 1')).rejects.toMatchObject({ code: 'damaged' });
    await database.close();
    expect(sum(path)).toBe(before);
  });

  it('is met by a write as well, and the whole batch is refused', async () => {
    const path = await sample();
    overwrite(path, 30 * PAGE, Buffer.alloc(PAGE));
    const database = openStore(path, { startCheckBytesMax: 0 });
    const batches = await Promise.allSettled([
      database.write([s('UPDATE executions SET relaunch = relaunch + 1')]),
      database.write([s('SELECT 1')]),
    ]);
    expect(batches.map((batch) => batch.status)).toEqual(['rejected', 'rejected']);
  });

  it('is told from a file that is missing while its -wal is here', async () => {
    const path = await sample();
    copyFileSync(path, `${path}-wal`);
    rmSync(path);
    expect(() => openStore(path)).toThrow('the file is missing, but its -wal is here');
  });
});

/**
 * A database as a crash leaves it: most of it in the file, the last commit only in the -wal, and a -shm. The copy is made while the
 * original is open.
 */
async function sampleWithWal(): Promise<string> {
  const path = join(temporaryDirectory(), 'belfry.db');
  const database = openStore(path);
  await migrate(database);
  await commit(database, ...executions(1, 1000));
  database.checkpoint();
  await commit(database, s('UPDATE leadership SET renewals = renewals + 1'));
  const copy = join(temporaryDirectory(), 'belfry.db');
  for (const suffix of WITH_WAL) copyFileSync(path + suffix, copy + suffix);
  return copy;
}

const WITH_WAL = ['', '-wal', '-shm'];

function sums(path: string, suffixes: readonly string[] = WITH_WAL): string[] {
  return suffixes.map((suffix) => `${suffix} ${sum(path + suffix)}`);
}

describe('a damaged database with a -wal beside it', () => {
  // Pages of the schema, of roots, of rows, of overflow: SQLite meets each at another step of opening.
  it.each([
    [1, 1],
    [2, 20],
    [10, 20],
    [21, 9],
    [30, 1],
    [60, 20],
  ])('from page %i, %i pages long: no file changes when it is met at start', async (first, count) => {
    const path = await sampleWithWal();
    overwrite(path, first * PAGE, Buffer.alloc(count * PAGE));
    const before = sums(path);
    expect(() => openStore(path)).toThrow(expect.objectContaining({ code: 'damaged' }));
    expect(sums(path)).toEqual(before);
  });

  it('in its schema: no file changes, too large to be checked or not', async () => {
    const path = await sampleWithWal();
    overwrite(path, 100, Buffer.alloc(8, 0xa5));
    const before = sums(path);
    expect(() => openStore(path, { startCheckBytesMax: 0 })).toThrow(expect.objectContaining({ code: 'damaged' }));
    expect(sums(path)).toEqual(before);
  });

  it('met by the migration: the file and the -wal stay as they are', async () => {
    const path = await sampleWithWal();
    const twin = openStore(await sampleWithWal());
    const root = Number(await value(twin, `SELECT rootpage FROM sqlite_schema WHERE name = 'meta'`));
    overwrite(path, (root - 1) * PAGE, Buffer.alloc(PAGE));
    const before = sums(path, ['', '-wal']);
    const database = openStore(path, { startCheckBytesMax: 0 });
    await expect(migrate(database)).rejects.toMatchObject({ code: 'damaged' });
    await database.close();
    expect(sums(path, ['', '-wal'])).toEqual(before);
  });

  it('keeps the file and the -wal when its -shm is lost', async () => {
    const path = await sampleWithWal();
    overwrite(path, 10 * PAGE, Buffer.alloc(20 * PAGE));
    rmSync(`${path}-shm`);
    const before = sums(path, ['', '-wal']);
    expect(() => openStore(path)).toThrow(expect.objectContaining({ code: 'damaged' }));
    expect(sums(path, ['', '-wal'])).toEqual(before);
  });

  it('met at first touch: the file and the -wal stay as they are then, whatever is asked of the store', async () => {
    const path = await sampleWithWal();
    overwrite(path, 60 * PAGE, Buffer.alloc(40 * PAGE));
    const before = sums(path, ['', '-wal']);
    const database = openStore(path, { startCheckBytesMax: 0 });
    await expect(database.read('local', 'SELECT count(message) FROM executions')).rejects.toMatchObject({
      code: 'damaged',
    });
    database.checkpoint();
    await expect(database.write(executions(5000, 1))).rejects.toMatchObject({ code: 'damaged' });
    await database.close();
    expect(sums(path, ['', '-wal'])).toEqual(before);
  });
});

describe('a sound database', () => {
  it('is opened after a crash with what only its -wal holds', async () => {
    const database = openStore(await sampleWithWal());
    expect(await value(database, 'SELECT renewals FROM leadership')).toBe(1);
  });

  it('may have the journal of a first start after a restore that was cut off', async () => {
    const path = await sample();
    const writer = new DatabaseSync(path);
    writer.exec('PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1; BEGIN; UPDATE executions SET relaunch = 7');
    const copy = join(temporaryDirectory(), 'belfry.db');
    for (const suffix of ['', '-journal']) copyFileSync(path + suffix, copy + suffix);
    writer.close();
    const database = openStore(copy);
    expect(await value(database, 'SELECT max(relaunch) FROM executions')).toBe(0);
  });

  it('is made when there is none', async () => {
    const path = join(temporaryDirectory(), 'belfry.db');
    expect(damageOf(path)).toBeUndefined();
    const database = openStore(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await value(database, 'SELECT 1')).toBe(1);
  });

  it('may be short in the middle of a checkpoint, as long as its -wal has the rest', async () => {
    const path = join(temporaryDirectory(), 'belfry.db');
    const database = openStore(path, { checkpointPages: 100_000 });
    await migrate(database);
    await commit(database, ...executions(1, 1000));
    const copy = join(temporaryDirectory(), 'belfry.db');
    copyFileSync(path, copy);
    copyFileSync(`${path}-wal`, `${copy}-wal`);
    // The first page a checkpoint copies home is page 1, which already counts the others.
    overwrite(copy, 0, newestFrame(readFileSync(`${copy}-wal`), 1));
    expect(damageOf(copy)).toBeUndefined();

    const cut = `${copy}-cut`;
    copyFileSync(copy, cut);
    copyFileSync(`${copy}-wal`, `${cut}-wal`);
    truncateSync(`${cut}-wal`, 20 * (PAGE + 24));
    expect(damageOf(cut)).toMatch(/it is cut off/);

    expect(await value(openStore(copy), 'SELECT count(*) FROM executions')).toBe(1000);
  });
});

/** The page image of the last frame of the -wal for this page. */
function newestFrame(wal: Buffer, page: number): Buffer {
  let found: Buffer | undefined;
  for (let at = 32; at + 24 + PAGE <= wal.length; at += 24 + PAGE) {
    if (wal.readUInt32BE(at) === page) found = wal.subarray(at + 24, at + 24 + PAGE);
  }
  if (found === undefined) throw new Error('no such frame');
  return found;
}
