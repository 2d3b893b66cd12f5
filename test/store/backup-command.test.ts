import { mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { backupCommands } from '../../src/cli/backup.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createBackup, verifyBackup } from '../../src/store/backup.ts';
import { openDataDirectory } from '../../src/store/data-directory.ts';
import { migrate } from '../../src/store/migrations.ts';
import { restoreBackup } from '../../src/store/restore.ts';
import { commit, executions, openStore, temporaryDirectory } from './kit.ts';

function commands() {
  const said: string[] = [];
  const complained: string[] = [];
  const modules = { clock: systemClock };
  const run = backupCommands(
    {
      create: async (options) => createBackup(options, modules),
      verify: async (file) => verifyBackup(file),
      restore: (options) => restoreBackup(options, modules),
      now: () => Date.UTC(2026, 10, 22, 17, 0, 0, 123),
    },
    { data: (text) => void said.push(text), talk: (text) => void complained.push(text) },
  );
  return { run, said, complained };
}

it('says what it made, found and put back, and what happens next', async () => {
  const dataDir = join(temporaryDirectory(), 'data');
  mkdirSync(dataDir);
  const database = openStore(join(dataDir, 'belfry.db'));
  await migrate(database);
  await commit(database, ...executions(1, 3));
  const file = join(temporaryDirectory(), 'monday.backup');
  const { run, said, complained } = commands();
  expect(await run.runBackupCreate({ dataDir, file })).toBe(0);
  expect(said.join('\n')).toMatch(
    /^Backup written to .*monday\.backup\n {2}made: +20\d\d-.*Z\n {2}size: +\d+ bytes, schema version \d+, epoch 0\n {2}jobs: +0\n/,
  );
  expect(said.join('\n')).toContain('executions:  3, 3 of them unfinished');
  expect(await run.runBackupVerify({ file })).toBe(0);
  expect(said).toContain(`${file} is whole.`);

  await database.close();
  const held = openDataDirectory(dataDir, systemClock);
  expect(await run.runBackupRestore({ dataDir, mayCreate: true, file, catchUp: false })).toBe(1);
  expect(complained.join('\n')).toContain(`in use by process ${process.pid}`);
  expect(complained.join('\n')).toContain('then restore again');
  held.close();
  expect(await run.runBackupRestore({ dataDir, mayCreate: true, file, catchUp: false })).toBe(0);
  expect(said.join('\n')).toMatch(
    /replaced: +kept as .*belfry\.db\.replaced-\d{8}T\d{6}Z\n.*recorded as missed \(restored\)/,
  );
});

it('says what is wrong and what to do, with exit code 1', async () => {
  const { run, complained } = commands();
  const file = join(temporaryDirectory(), 'x');
  expect(await run.runBackupVerify({ file })).toBe(1);
  writeFileSync(file, 'SQLite format 3\0');
  truncateSync(file, 8192);
  expect(await run.runBackupVerify({ file })).toBe(1);
  expect(complained[0]).toBe(`belfry: There is no file ${file}.\n  Check the path.`);
  expect(complained[1]).toMatch(/is not a whole Belfry database: .*\n {2}Use another backup\./);
});

it('says which path is not what it should be', async () => {
  const dataDir = temporaryDirectory();
  const database = openStore(join(dataDir, 'belfry.db'));
  await migrate(database);
  const absent = join(temporaryDirectory(), 'absent');
  const plain = join(temporaryDirectory(), 'plain');
  writeFileSync(plain, '');
  const { run, complained } = commands();
  expect(await run.runBackupCreate({ dataDir, file: join(absent, 'a.db') })).toBe(1);
  expect(complained.pop()).toMatch(`There is no directory: ${absent}. No backup was made.`);
  expect(await run.runBackupCreate({ dataDir, file: join(plain, 'a.db') })).toBe(1);
  expect(complained.pop()).toMatch(`Not a directory: ${plain}. No backup was made.`);
  expect(await run.runBackupCreate({ dataDir: absent, file: join(dataDir, 'a.db') })).toBe(1);
  expect(complained.pop()).toMatch(`There is no database in ${absent}.`);
  expect(await run.runBackupVerify({ file: dataDir })).toBe(1);
  expect(complained.pop()).toMatch(`${dataDir} is not a whole Belfry database: it is a directory.`);
  expect(await run.runBackupRestore({ dataDir: plain, mayCreate: true, file: dataDir, catchUp: false })).toBe(1);
  expect(complained.pop()).toMatch(`The data directory ${plain} is not a directory.`);
});

it('a failed restore leaves everything as it was and says so', async () => {
  const root = temporaryDirectory();
  const [bad, good, loop] = [join(root, 'bad'), join(root, 'good'), join(root, 'loop')];
  writeFileSync(bad, 'x'.repeat(9000));
  symlinkSync(loop, loop);
  const database = openStore(join(root, 'belfry.db'));
  await migrate(database);
  const { run, complained } = commands();
  expect(await run.runBackupCreate({ dataDir: root, file: good })).toBe(0);
  const before = readdirSync(root).toSorted();

  const [absent, used] = [join(root, 'a', 'b'), join(root, 'used')];
  for (const file of [bad, loop, join(root, 'nowhere')]) {
    expect(await run.runBackupRestore({ dataDir: absent, mayCreate: true, file, catchUp: false })).toBe(1);
    expect(complained.pop()).toMatch(/^belfry: .* Nothing was changed\.\n {2}\S/);
  }
  expect(await run.runBackupRestore({ dataDir: absent, mayCreate: false, file: good, catchUp: false })).toBe(1);
  expect(complained.pop()).toContain(`There is no data directory ${absent}. Nothing was changed.\n  Name the one`);
  expect(readdirSync(root).toSorted()).toEqual(before);

  // Fails only once the directory is open: what the last restart of a node left there cannot be read as an epoch.
  openDataDirectory(used, systemClock).close();
  writeFileSync(join(used, 'holder.json'), '{"pid":1}');
  writeFileSync(join(used, 'runners'), '');
  mkdirSync(join(root, 'fresh'));
  writeFileSync(join(root, 'fresh', 'runners'), '');
  for (const dataDir of [used, join(root, 'fresh')]) {
    const found = readdirSync(dataDir);
    expect(await run.runBackupRestore({ dataDir, mayCreate: true, file: good, catchUp: false })).toBe(1);
    expect(complained.pop()).toMatch(/^belfry: Cannot restore into .* Nothing was changed\.\n {2}\S/);
    expect(readdirSync(dataDir)).toEqual(found);
  }
  expect(readFileSync(join(used, 'holder.json'), 'utf8')).toBe('{"pid":1}');
});

it('says of a file that cannot be read what the system says, without a stack', async () => {
  const root = temporaryDirectory();
  const loop = join(root, 'loop');
  symlinkSync(loop, loop);
  const { run, complained } = commands();
  expect(await run.runBackupVerify({ file: loop })).toBe(1);
  expect(complained.pop()).toBe(`belfry: ${loop} cannot be read (ELOOP).\n  Check the path and the disk.`);
  symlinkSync('belfry.db', join(root, 'belfry.db'));
  expect(await run.runBackupCreate({ dataDir: root, file: join(root, 'x') })).toBe(1);
  expect(complained.pop()).toMatch(/belfry\.db cannot be read \(ELOOP\)/);
  expect(await run.runBackupCreate({ dataDir: root, file: join(loop, 'x') })).toBe(1);
  expect(complained.pop()).toMatch(/^belfry: The backup .* could not be made: ELOOP.*\n {2}Check that this user/);
  expect(await run.runBackupCreate({ dataDir: root, file: root })).toBe(1);
  expect(complained.pop()).toBe(`belfry: ${root} is a directory.\n  Name a file that is not there yet.`);
});
