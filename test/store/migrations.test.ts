import { copyFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Database } from '../../src/store/database.ts';
import { loadMigrations, migrate, newestVersion, schemaVersion } from '../../src/store/migrations.ts';
import type { Migration } from '../../src/store/migrations.ts';
import { openStore, temporaryDirectory, value } from './kit.ts';
import { FIXTURE_FACTS, fixtureName, FIXTURES, makeFixture } from './make-fixture.ts';

const newest = newestVersion(loadMigrations());

function empty(): Database {
  return openStore(join(temporaryDirectory(), 'belfry.db'));
}

async function schemaOf(database: Database): Promise<unknown[]> {
  return database.read(
    'local',
    `SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name`,
  );
}

describe('fixtures of released versions', () => {
  const fixtures = readdirSync(FIXTURES).filter((name) => name.endsWith('.db'));

  it('exist for every schema version', () => {
    expect(fixtures.toSorted()).toEqual(Array.from({ length: newest }, (_, index) => fixtureName(index + 1)));
  });

  it.each(fixtures)('%s opens, migrates, and keeps what it held', async (name) => {
    const path = join(temporaryDirectory(), 'belfry.db');
    copyFileSync(join(FIXTURES, name), path);
    const database = openStore(path);
    await migrate(database);
    expect(await schemaVersion(database)).toBe(newest);
    expect(await value(database, 'PRAGMA integrity_check')).toBe('ok');
    for (const [sql, expected] of FIXTURE_FACTS) expect(await value(database, sql), sql).toBe(expected);
    // Else a schema file was edited after its fixture: write a new one, or (not released yet) node test/store/make-fixture.ts.
    const fresh = empty();
    await migrate(fresh);
    expect(await schemaOf(database)).toEqual(await schemaOf(fresh));
  });

  it('can be written by this version', async () => {
    const path = join(temporaryDirectory(), 'belfry.db');
    await makeFixture(path);
    const database = openStore(path);
    for (const [sql, expected] of FIXTURE_FACTS) expect(await value(database, sql), sql).toBe(expected);
  });
});

describe('migrate', () => {
  const base = loadMigrations();
  const next: Migration = {
    version: newest + 1,
    name: 'next',
    statements: ['CREATE TABLE next (x)', 'INSERT INTO next VALUES (1)'],
  };

  it('applies what is missing, each with its version in one batch', async () => {
    const database = empty();
    expect(await migrate(database)).toEqual(base.map(({ version }) => version));
    expect(await migrate(database, [...base, next])).toEqual([next.version]);
    expect(await migrate(database, [...base, next])).toEqual([]);
    expect(await value(database, 'SELECT count(*) FROM next')).toBe(1);
  });

  it('leaves the version before when one fails', async () => {
    const database = empty();
    await migrate(database);
    const broken = { ...next, statements: [...next.statements, 'INSERT INTO nowhere VALUES (1)'] };
    await expect(migrate(database, [...base, broken])).rejects.toMatchObject({ code: 'internal' });
    expect(await schemaVersion(database)).toBe(newest);
    expect(await value(database, `SELECT count(*) FROM sqlite_schema WHERE name = 'next'`)).toBe(0);
  });

  it('refuses data newer than the program, with what to do', async () => {
    const database = empty();
    await migrate(database, [...base, next]);
    await expect(migrate(database)).rejects.toMatchObject({
      code: 'conflict',
      message: `The data has schema version ${next.version}; this program knows only up to ${newest}.`,
    });
  });

  it('asks what happened when the outcome is unknown, instead of repeating blindly', async () => {
    const database = empty();
    await migrate(database);
    let lost = 0;
    const forgetful: Database = {
      read: (...args) => database.read(...args),
      close: () => database.close(),
      write: async (statements) => {
        await database.write(statements);
        lost += 1;
        return { kind: 'unknown', cause: new Error('lost on the way back') };
      },
    };
    expect(await migrate(forgetful, [...base, next])).toEqual([next.version]);
    expect(lost).toBe(1);
  });

  it('names a schema file with a wrong number', () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, '0002-late.sql'), 'SELECT 1;');
    expect(() => loadMigrations(directory)).toThrow('0002-late.sql should be number 1');
  });
});
