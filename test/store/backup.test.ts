import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { createBackup, verifyBackup } from '../../src/store/backup.ts';
import { openDataDirectory } from '../../src/store/data-directory.ts';
import { claimLeadership, currentEpoch } from '../../src/store/leadership.ts';
import { loadMigrations, migrate, newestVersion } from '../../src/store/migrations.ts';
import { DiskReserve } from '../../src/store/reserve.ts';
import { waitingName } from '../../src/store/restore-swap.ts';
import { restoreBackup } from '../../src/store/restore.ts';
import { clearMarker, readMarker } from '../../src/store/restored-marker.ts';
import type { SqliteDatabase } from '../../src/store/sqlite.ts';
import { commit, executions, openStore, s, startChild, temporaryDirectory, value } from './kit.ts';

const modules = { clock: systemClock };
const WRITER = join(import.meta.dirname, 'hold-directory.ts');
const JOB = `INSERT INTO jobs (name, displayname, version, parent, disabled, schedule, definition, created_at, updated_at)
  VALUES (?, '', 1, '', 0, '@hourly', '{}', 0, 0)`;

let dataDir: string;
let file: string;
let path: string;

beforeEach(() => {
  const root = temporaryDirectory();
  dataDir = join(root, 'data');
  mkdirSync(dataDir);
  path = join(dataDir, 'belfry.db');
  file = join(root, 'monday.backup');
});

/** A database with some history and `claims` epochs behind it, left open. */
async function live(claims = 3): Promise<SqliteDatabase> {
  const database = openStore(path);
  await migrate(database);
  for (let claim = 0; claim < claims; claim++) await claimLeadership(database, 'me');
  await commit(database, ...executions(1, 100), s(JOB, 'a'), s(JOB, 'b'));
  return database;
}

function restore(catchUp = false) {
  return restoreBackup({ file, dataDir, mayCreate: true, catchUp }, modules);
}

function replacedFiles(): string[] {
  return readdirSync(dataDir).filter((name) => name.includes('.replaced-'));
}

describe('backup create and verify', () => {
  it('makes one private file with a manifest, while the database is in use', async () => {
    const database = await live();
    await new DiskReserve(database).check();
    const made = createBackup({ dataDir, file }, modules);
    await commit(database, ...executions(500, 10));
    expect(made).toMatchObject({
      file,
      schemaVersion: newestVersion(loadMigrations()),
      epoch: 3,
      jobs: 2,
      executions: 100,
      openExecutions: 100,
    });
    expect(made.manifest).toMatchObject({ epoch: 3, schemaVersion: made.schemaVersion });
    expect(verifyBackup(file)).toEqual({ ...made, bytes: statSync(file).size });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    // The disk reserve stays at home.
    expect(statSync(file).size).toBeLessThan(2 ** 20);
    expect(readdirSync(join(file, '..')).filter((name) => name.startsWith('monday'))).toEqual(['monday.backup']);
  });

  it('takes one moment of a database another process writes to', async () => {
    const child = startChild(WRITER, [dataDir, 'write']);
    let acknowledged = 0;
    while (acknowledged < 50) acknowledged = Number(await child.line());
    for (let n = 0; n < 5; n++) {
      const made = createBackup({ dataDir, file: `${file}${n}` }, modules);
      expect(made.executions).toBeGreaterThanOrEqual(acknowledged);
      acknowledged = made.executions;
    }
    while (Number(await child.line()) <= acknowledged);
  });

  it('never overwrites, and leaves nothing behind when it fails', async () => {
    await live();
    writeFileSync(file, 'precious');
    expect(() => createBackup({ dataDir, file }, modules)).toThrow(expect.objectContaining({ code: 'conflict' }));
    expect(readFileSync(file, 'utf8')).toBe('precious');
    expect(() => createBackup({ dataDir: join(dataDir, 'none'), file: `${file}2` }, modules)).toThrow(
      expect.objectContaining({ code: 'not_found' }),
    );
    expect(existsSync(`${file}2`)).toBe(false);
  });

  it('refuses what is damaged, cut, foreign or from the future', async () => {
    const database = await live();
    createBackup({ dataDir, file }, modules);
    const bytes = readFileSync(file);
    const damaged = Buffer.from(bytes);
    damaged.fill(0, 4096 * 8, 4096 * 9);
    for (const content of [
      damaged,
      bytes.subarray(0, bytes.length - 5000),
      Buffer.from('x'.repeat(9000)),
      Buffer.alloc(0),
    ]) {
      writeFileSync(file, content);
      expect(() => verifyBackup(file)).toThrow(expect.objectContaining({ code: 'damaged' }));
    }
    rmSync(file);
    await commit(database, s(`UPDATE meta SET value = '9999' WHERE key = 'schema_version'`));
    expect(() => createBackup({ dataDir, file }, modules)).toThrow(expect.objectContaining({ code: 'conflict' }));
    expect(() => verifyBackup(file)).toThrow(expect.objectContaining({ code: 'not_found' }));
  });
});

describe('backup restore', () => {
  it('is refused while a node holds the directory', async () => {
    await (await live()).close();
    createBackup({ dataDir, file }, modules);
    const held = openDataDirectory(dataDir, systemClock);
    await expect(restore()).rejects.toMatchObject({ code: 'conflict' });
    held.close();
    await restore();
  });

  it('brings the backup back, keeps what was there, and leaves the marker for the next start', async () => {
    const database = await live();
    createBackup({ dataDir, file }, modules);
    await commit(database, ...executions(1000, 50), s(JOB, 'c'));
    await database.close();
    const before = Date.now();
    const result = await restore(true);

    const restored = openStore(path);
    expect(await value(restored, 'SELECT count(*) FROM executions')).toBe(100);
    const marker = await readMarker(restored);
    expect(marker).toEqual({
      restoredAt: marker?.restoredAt,
      backupCreatedAt: result.summary.manifest?.createdAt,
      catchUp: true,
    });
    expect(marker?.restoredAt).toBeGreaterThanOrEqual(before);
    await commit(restored, clearMarker());
    expect(await readMarker(restored)).toBeUndefined();
    // A copy of it is no backup of that day any more.
    expect(await value(restored, `SELECT count(*) FROM meta WHERE key = 'backup'`)).toBe(0);
    // The id of the job created after the backup is not given again.
    await commit(restored, s(JOB, 'd'));
    expect(await value(restored, `SELECT id FROM jobs WHERE name = 'd'`)).toBe(4);

    expect(result.replaced).not.toBeNull();
    expect(verifyBackup(result.replaced ?? '')).toMatchObject({ executions: 150, jobs: 3, manifest: null });
  });

  it('puts the epoch above the backup, the replaced database and every runner', async () => {
    const database = await live(3);
    createBackup({ dataDir, file }, modules);
    await database.close();
    expect((await restore()).epoch).toBe(4);
    const again = openStore(path);
    for (let n = 0; n < 5; n++) await claimLeadership(again, 'me');
    await again.close();
    expect((await restore()).epoch).toBe(10);
    for (const [id, content] of [
      ['a', '40\n'],
      ['b', '7'],
      ['c', 'nonsense'],
    ] as const) {
      mkdirSync(join(dataDir, 'runners', id), { recursive: true });
      writeFileSync(join(dataDir, 'runners', id, 'epoch'), content);
    }
    mkdirSync(join(dataDir, 'runners', 'no-epoch-yet'));
    expect((await restore()).epoch).toBe(41);
    expect(await currentEpoch(openStore(path))).toEqual({ epoch: 41, holder: '' });
    expect(new Set(replacedFiles().map((name) => name.replace('-wal', ''))).size).toBe(3);
  });

  it('replaces a database too damaged to tell its epoch, with an epoch far above', async () => {
    await (await live()).close();
    createBackup({ dataDir, file }, modules);
    rmSync(`${path}-wal`);
    truncateSync(path, 5000);
    const damaged = readFileSync(path);
    const { epoch, replaced } = await restore();
    expect(epoch).toBeGreaterThan(1_000_000);
    expect(readFileSync(replaced ?? '').equals(damaged)).toBe(true);
    expect((await currentEpoch(openStore(path))).epoch).toBe(epoch);
  });

  it('works into an empty directory, and from a plain copy of a live database', async () => {
    const database = await live();
    const copy = `${file}.copy`;
    for (const suffix of ['', '-wal']) writeFileSync(copy + suffix, readFileSync(path + suffix));
    await database.close();
    const other = `${dataDir}-other`;
    const result = await restoreBackup({ file: copy, dataDir: other, mayCreate: true, catchUp: false }, modules);
    expect(result).toMatchObject({ replaced: null, summary: { manifest: null, executions: 100 } });
    expect(await value(openStore(join(other, 'belfry.db')), 'SELECT count(*) FROM executions')).toBe(100);
  });

  it('changes nothing when the backup is damaged', async () => {
    await (await live()).close();
    createBackup({ dataDir, file }, modules);
    truncateSync(file, statSync(file).size - 4096);
    const state = () => [
      readFileSync(path).toString('hex'),
      readdirSync(dataDir).filter((name) => name.startsWith('belfry.db')),
    ];
    const before = state();
    await expect(restore()).rejects.toMatchObject({ code: 'damaged' });
    expect(state()).toEqual(before);
  });

  it.each([0, 1, 2])('is completed by the next start when it died %i renames into the swap', async (renames) => {
    const database = await live();
    createBackup({ dataDir, file }, modules);
    await commit(database, ...executions(1000, 50));
    const stamp = '20261122T170000Z';
    // What kill -9 would leave: the old database with a -wal that must not be applied to the new one.
    for (const suffix of ['', '-wal']) linkSync(path + suffix, `${path}.kept${suffix}`);
    await database.close();
    for (const suffix of ['', '-wal']) renameSync(`${path}.kept${suffix}`, path + suffix);
    writeFileSync(waitingName(path, stamp), readFileSync(file));
    const steps = [`${path}-wal`, path];
    for (const from of steps.slice(0, renames)) renameSync(from, from.replace(path, `${path}.replaced-${stamp}`));

    expect(await value(openStore(path), 'SELECT count(*) FROM executions')).toBe(100);
    expect(replacedFiles().toSorted()).toEqual([`belfry.db.replaced-${stamp}`, `belfry.db.replaced-${stamp}-wal`]);
    expect(verifyBackup(`${path}.replaced-${stamp}`)).toMatchObject({ executions: 150 });
  });
});
