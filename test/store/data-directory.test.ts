import { chownSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { AppError } from '../../src/model/errors.ts';
import { lastHolder, openDataDirectory } from '../../src/store/data-directory.ts';
import { skipUnless } from '../kit/skip.ts';
import { defer, openStore, startChild, temporaryDirectory, value } from './kit.ts';

const HOLDER = join(import.meta.dirname, 'hold-directory.ts');

function open(path: string) {
  const directory = openDataDirectory(path, systemClock);
  defer(() => directory.close());
  return directory;
}

skipUnless(process.getuid?.() === 0, 'not root')('a data directory of a service, opened by root', () => {
  it('leaves nothing there that the service could not open', () => {
    const path = temporaryDirectory();
    chownSync(path, 65_534, 65_534);
    open(path);
    for (const name of ['lock', 'holder.json']) expect(statSync(join(path, name)).uid).toBe(65_534);
  });
});

describe('data directory', () => {
  it('taken back: what was there is as it was, what was made is gone unless something else is in it', () => {
    const root = temporaryDirectory();
    openDataDirectory(join(root, 'a', 'b'), systemClock).retract();
    expect(existsSync(join(root, 'a'))).toBe(false);
    const kept = openDataDirectory(join(root, 'c', 'd'), systemClock);
    writeFileSync(join(root, 'c', 'd', 'other'), '');
    kept.retract();
    expect(readdirSync(join(root, 'c', 'd'))).toEqual(['other']);
  });

  it('is created for its owner alone, missing parents included', () => {
    const path = join(temporaryDirectory(), 'a', 'b');
    open(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(statSync(join(path, 'holder.json')).mode & 0o077).toBe(0);
  });

  it('leaves the mode of an existing one alone', () => {
    const path = join(temporaryDirectory(), 'a');
    mkdirSync(path, { mode: 0o750 });
    open(path);
    expect(statSync(path).mode & 0o777).toBe(0o750);
  });

  it('refuses a second process, naming the first and what to do', async () => {
    const path = temporaryDirectory();
    const child = startChild(HOLDER, [path]);
    await child.line();
    expect(() => open(path)).toThrow(new RegExp(`in use by process ${child.pid}, started 20`));
    expect(() => open(path)).toThrow(
      expect.objectContaining({ code: 'conflict', remedy: expect.stringContaining(`kill ${child.pid}`) as string }),
    );
  });

  it('does not send a restore to another directory when this one is in use', () => {
    const path = temporaryDirectory();
    open(path);
    const remedyOf = (purpose: 'node' | 'restore') => {
      try {
        openDataDirectory(path, systemClock, purpose).close();
      } catch (error) {
        return error instanceof AppError ? error.remedy : undefined;
      }
      return undefined;
    };
    expect(remedyOf('node')).toContain('or give this node its own --data-dir');
    expect(remedyOf('restore')).toContain(`Stop it first (kill ${process.pid}), then restore again`);
    expect(remedyOf('restore')).not.toContain('--data-dir');
  });

  it('refuses a second opening in the same process, and the first keeps its lock', () => {
    const path = temporaryDirectory();
    open(path);
    expect(() => open(path)).toThrow(`in use by process ${process.pid}`);
    expect(() => open(path)).toThrow(`in use by process ${process.pid}`);
  });

  it('is held by a paused process, and free the moment it is killed', async () => {
    const path = temporaryDirectory();
    const child = startChild(HOLDER, [path]);
    await child.line();
    child.process.kill('SIGSTOP');
    expect(() => open(path)).toThrow('in use by process');
    await child.end('SIGKILL');
    open(path);
    expect(lastHolder(path)?.pid).toBe(process.pid);
  });

  it('is free again after close, and does not mind a spoilt holder.json', () => {
    const path = temporaryDirectory();
    openDataDirectory(path, systemClock).close();
    writeFileSync(join(path, 'holder.json'), '{"pid":');
    expect(lastHolder(path)).toBeUndefined();
    open(path);
    expect(lastHolder(path)?.pid).toBe(process.pid);
    expect(() => open(path)).toThrow(`process ${process.pid}`);
  });

  it('says when it cannot be created', () => {
    const file = join(temporaryDirectory(), 'file');
    writeFileSync(file, '');
    expect(() => open(join(file, 'x'))).toThrow(expect.objectContaining({ code: 'unavailable', field: 'data-dir' }));
  });

  it('says when it is not a directory', () => {
    const file = join(temporaryDirectory(), 'file');
    writeFileSync(file, '');
    expect(() => open(file)).toThrow(
      expect.objectContaining({
        code: 'unavailable',
        field: 'data-dir',
        message: `The data directory ${file} is not a directory.`,
      }),
    );
  });

  it('keeps every write acknowledged before kill -9', async () => {
    const path = temporaryDirectory();
    const child = startChild(HOLDER, [path, 'write']);
    let acknowledged = 0;
    while (acknowledged < 300) acknowledged = Number(await child.line());
    await child.end('SIGKILL');
    const database = openStore(open(path).databasePath);
    expect(await value(database, 'SELECT max(key) FROM executions')).toBeGreaterThanOrEqual(acknowledged);
    expect(existsSync(join(path, 'belfry.db'))).toBe(true);
  });
});
