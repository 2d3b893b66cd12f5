// Pages of the -wal go home beside the loop: all of them, bounded, in spite of readers, without a thread too, and through a kill at any moment.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { Checkpointer } from '../../src/store/checkpointer.ts';
import { eventually } from '../kit/eventually.ts';
import { defer, startChild, temporaryDirectory } from './kit.ts';

/** More than the loop copies itself, so that nothing goes home without the thread. */
const PAGES = 2000;
const HOLD_DIRECTORY = fileURLToPath(new URL('hold-directory.ts', import.meta.url));

interface Setting {
  readonly script?: URL;
  readonly clock?: Clock;
}

function open({ script, clock = systemClock }: Setting = {}) {
  const path = join(temporaryDirectory(), 'pages.db');
  const writer = new DatabaseSync(path);
  defer(() => writer.isOpen && writer.close());
  writer.exec('PRAGMA journal_mode = WAL; CREATE TABLE page (id INTEGER PRIMARY KEY, filler BLOB)');
  const checkpointer = new Checkpointer(
    writer,
    path,
    { clock, checkpointPages: PAGES, synchronous: 'full' },
    ...(script === undefined ? [] : [script]),
  );
  defer(() => checkpointer.close());
  const add = writer.prepare('INSERT INTO page (filler) VALUES (zeroblob(4000))');
  /** One commit of so many pages. */
  const commit = (pages: number) => {
    writer.exec('BEGIN');
    for (let page = 0; page < pages; page += 1) add.run();
    writer.exec('COMMIT');
    checkpointer.committed();
  };
  const wal = () =>
    writer.prepare('PRAGMA wal_checkpoint(NOOP)').get() as unknown as { log: number; checkpointed: number };
  const home = () =>
    eventually('all pages to be home', async () => {
      const { log, checkpointed } = wal();
      return log === checkpointed ? true : undefined;
    });
  return { path, writer, checkpointer, commit, wal, home };
}

describe('the -wal', () => {
  it('is brought home by a thread once it is long, and starts again at its beginning', async () => {
    const { checkpointer, commit, wal, home } = open();
    commit(PAGES / 2);
    expect(checkpointer.passes).toBe(0);
    commit(PAGES / 2);
    // Not by the commit itself.
    expect(wal().checkpointed).toBe(0);
    await home();
    expect(checkpointer.passes).toBe(1);
    commit(10);
    expect(wal().log).toBeLessThan(20);
  });

  it('stays bounded while commits never pause', async () => {
    const { checkpointer, commit, wal } = open();
    let longest = 0;
    for (let round = 0; round < 400; round += 1) {
      commit(100);
      longest = Math.max(longest, wal().log);
      await systemClock.yield();
    }
    expect(longest).toBeLessThan(PAGES * 4);
    expect(checkpointer.passes).toBeGreaterThan(1);
  });

  it('is not copied again and again while a reader holds it, and goes home after that', async () => {
    const { path, checkpointer, commit, home } = open();
    const reader = new DatabaseSync(path, { readOnly: true });
    defer(() => reader.isOpen && reader.close());
    reader.exec('BEGIN; SELECT count(*) FROM page');
    commit(PAGES);
    for (let round = 0; round < 200; round += 1) {
      commit(1);
      await systemClock.sleep(1);
    }
    // A second time, because the first brought home what is older than the reader.
    expect(checkpointer.passes).toBeLessThanOrEqual(2);
    reader.close();
    commit(PAGES);
    await home();
  });

  it('is brought home by commits where no thread can be had', async () => {
    const { writer, checkpointer, commit, wal } = open({ script: pathToFileURL('/no/such/thread.ts') });
    commit(PAGES);
    await eventually('the thread to be given up', async () =>
      (writer.prepare('PRAGMA wal_autocheckpoint').get() as Record<string, number>)['wal_autocheckpoint'] === PAGES
        ? true
        : undefined,
    );
    commit(1);
    expect(wal()).toMatchObject({ log: wal().checkpointed });
    commit(PAGES * 2);
    expect(checkpointer.passes).toBe(1);
  });

  it('is brought home by commits while the thread is not wanted', async () => {
    const { checkpointer, commit, wal, home } = open();
    checkpointer.pause(true);
    commit(PAGES);
    expect(wal()).toMatchObject({ log: wal().checkpointed });
    expect(checkpointer.passes).toBe(0);
    checkpointer.pause(false);
    commit(PAGES);
    expect(wal().checkpointed).toBe(0);
    await home();
  });

  it('gets another thread after an idle time', async () => {
    let idle: (() => void) | undefined;
    const clock: Clock = {
      ...systemClock,
      setTimer: (_ms, run) => {
        idle = run;
        return { cancel: () => (idle = undefined) };
      },
    };
    const { checkpointer, commit, home } = open({ clock });
    for (const passes of [1, 2]) {
      commit(PAGES);
      await home();
      await eventually('the thread to be idle', async () => idle !== undefined || undefined);
      expect(checkpointer.passes).toBe(passes);
      idle?.();
    }
  });

  it('may be left in the middle of a copy', async () => {
    const { path, writer, checkpointer, commit } = open();
    commit(PAGES * 2);
    await checkpointer.close();
    writer.close();
    const again = new DatabaseSync(path);
    defer(() => again.close());
    expect(again.prepare('SELECT count(*) AS pages FROM page').get()).toEqual({ pages: PAGES * 2 });
    expect(again.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
  });
});

it('a kill -9 while pages go home loses nothing that was acknowledged', async () => {
  const directory = temporaryDirectory();
  let acknowledged = 0;
  for (let round = 0; round < 6; round += 1) {
    const child = startChild(HOLD_DIRECTORY, [directory, 'write']);
    for (let line = 0; line < 150 + round * 17; line += 1) acknowledged = Number(await child.line());
    await child.end('SIGKILL');
  }
  const database = new DatabaseSync(join(directory, 'belfry.db'));
  defer(() => database.close());
  const { last } = database.prepare('SELECT max(key) AS last FROM executions').get() as { last: number };
  expect(last).toBeGreaterThanOrEqual(acknowledged);
  expect(database.prepare('SELECT count(*) AS rows FROM executions').get()).toEqual({ rows: last });
  expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
});
