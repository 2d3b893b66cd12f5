/**
 * Brings a database to this program's schema: every schema/NNNN-name.sql newer than the version in `meta` is one atomic batch, so a
 * crash leaves the version before or after, never between.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../model/errors.ts';
import type { Database, Statement } from './database.ts';
import { splitSql } from './split-sql.ts';

export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly statements: readonly string[];
}

const SQL = {
  hasMeta: `SELECT count(*) AS found FROM sqlite_schema WHERE type = 'table' AND name = 'meta'`,
  version: `SELECT value FROM meta WHERE key = 'schema_version'`,
  record: `INSERT INTO meta (key, value) VALUES ('schema_version', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
};

/** A write whose outcome is unknown is looked up and repeated so often before giving up. */
const ATTEMPTS_MAX = 5;

/**
 * Migrates; the versions applied, in order. Throws AppError: `conflict` when the data is newer than the program, `disk_full`,
 * `unavailable`, `damaged`.
 */
export async function migrate(
  database: Database,
  migrations: readonly Migration[] = loadMigrations(),
): Promise<number[]> {
  const present = await schemaVersion(database);
  const newest = newestVersion(migrations);
  if (present > newest) {
    throw new AppError('conflict', `The data has schema version ${present}; this program knows only up to ${newest}.`, {
      remedy:
        'Start the newer Belfry that wrote it, or restore a backup made before the upgrade into another directory.',
    });
  }
  const applied: number[] = [];
  for (const migration of migrations) {
    if (migration.version <= present) continue;
    await apply(database, migration);
    applied.push(migration.version);
  }
  return applied;
}

/** 0 for an empty database. */
export async function schemaVersion(database: Database): Promise<number> {
  const [schema] = await database.read('linearizable', SQL.hasMeta);
  if (schema?.['found'] === 0) return 0;
  const [row] = await database.read('linearizable', SQL.version);
  return Number(row?.['value'] ?? 0);
}

/** The program's own migrations, oldest first. Throws when a file's name has no number or a number is missing or doubled. */
export function loadMigrations(directory: string = join(import.meta.dirname, 'schema')): Migration[] {
  const files = readdirSync(directory)
    .filter((file) => file.endsWith('.sql'))
    .toSorted();
  return files.map((file, index) => {
    const version = Number(/^(\d{4})-[a-z0-9-]+\.sql$/.exec(file)?.[1]);
    if (version !== index + 1) throw new Error(`schema file ${file} should be number ${index + 1}`);
    return { version, name: file.slice(5, -4), statements: splitSql(readFileSync(join(directory, file), 'utf8')) };
  });
}

export function newestVersion(migrations: readonly Migration[]): number {
  return migrations.at(-1)?.version ?? 0;
}

async function apply(database: Database, migration: Migration): Promise<void> {
  const batch: Statement[] = migration.statements.map((sql) => ({ sql, params: [] }));
  batch.push({ sql: SQL.record, params: [String(migration.version)] });
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const outcome = await database.write(batch);
    switch (outcome.kind) {
      case 'committed':
        return;
      case 'full':
        throw new AppError('disk_full', `No room to bring the database to schema version ${migration.version}.`);
      case 'refused':
        throw new AppError(
          'internal',
          `Schema version ${migration.version} (${migration.name}) was refused by ${outcome.guard}.`,
        );
      case 'unknown':
        // It is not safe to repeat blindly: a table that exists already would look like a bug.
        if ((await schemaVersion(database)) >= migration.version) return;
    }
  }
  throw new AppError('unavailable', `The store did not confirm schema version ${migration.version}.`);
}
