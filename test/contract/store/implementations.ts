/** The implementations of the store port, each able to make an empty database. Suites run once per entry. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../src/lib/clock.ts';
import type { Database } from '../../../src/store/database.ts';
import { openRqlite } from '../../../src/store/rqlite/database.ts';
import { openSqlite } from '../../../src/store/sqlite.ts';
import { startRqlited } from '../../kit/rqlited.ts';

export interface OpenStore {
  readonly database: Database;
  /** A second, independent client of the same data where the implementation has such a thing. */
  readonly another?: Database;
  close(): Promise<void>;
}

export interface Implementation {
  readonly name: 'sqlite' | 'rqlite';
  /** Undefined when this machine cannot run it; the reason has been printed. */
  open(): Promise<OpenStore | undefined>;
}

export const IMPLEMENTATIONS: readonly Implementation[] = [
  { name: 'sqlite', open: openOnDisk },
  { name: 'rqlite', open: openServed },
];

async function openOnDisk(): Promise<OpenStore> {
  const directory = mkdtempSync(join(tmpdir(), 'belfry-store-'));
  const database = openSqlite(join(directory, 'belfry.db'), { clock: systemClock });
  return {
    database,
    close: async () => {
      await database.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function openServed(): Promise<OpenStore | undefined> {
  const server = await startRqlited();
  if (server === undefined) return undefined;
  const database = openRqlite({ url: server.url });
  const another = openRqlite({ url: server.url });
  return {
    database,
    another,
    close: async () => {
      await database.close();
      await another.close();
      await server.stop();
    },
  };
}
