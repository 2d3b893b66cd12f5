/** The scheduler's and the recovery's suites once more, on a real rqlited. */
import { afterAll } from 'vitest';
import type { Database } from '../../src/store/database.ts';
import { openRqlite } from '../../src/store/rqlite/database.ts';
import { startRqlited } from '../kit/rqlited.ts';
import { skipUnless } from '../kit/skip.ts';
import { standOn } from '../sim/house.ts';
import type { VirtualTime } from '../sim/virtual-time.ts';

const server = await startRqlited();

/** A store whose requests take no virtual time. */
function standing(database: Database, time: VirtualTime): Database {
  return {
    read: (consistency, sql, params) => time.outside(database.read(consistency, sql, params)),
    write: (statements) => time.outside(database.write(statements)),
    close: () => time.outside(database.close()),
  };
}

/** The server serves every house in turn: each begins by removing what the one before left. */
async function empty(database: Database): Promise<void> {
  const tables = await database.read(
    'linearizable',
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
  );
  if (tables.length === 0) return;
  const written = await database.write(tables.map(({ name }) => ({ sql: `DROP TABLE ${String(name)}`, params: [] })));
  if (written.kind !== 'committed') throw new Error(`the tables were not dropped: ${written.kind}`);
}

afterAll(async () => {
  await server?.stop();
});

if (server !== undefined) {
  standOn(async (time) => {
    const database = openRqlite({ url: server.url });
    await empty(database);
    return standing(database, time);
  });
}

skipUnless(server !== undefined, 'no rqlited binary')('on rqlite', async () => {
  await import('../../src/server/attempts.test.ts');
  await import('../../src/server/late.test.ts');
  await import('../../src/server/overlap.test.ts');
  await import('../../src/server/repeats.test.ts');
});
