/** The store port's contract, on every implementation. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fence } from '../../../src/store/database.ts';
import type { Consistency, Database, SqlValue, Statement, WriteOutcome } from '../../../src/store/database.ts';
import { claimLeadership, currentEpoch } from '../../../src/store/leadership.ts';
import { migrate, schemaVersion } from '../../../src/store/migrations.ts';
import { IMPLEMENTATIONS } from './implementations.ts';
import type { OpenStore } from './implementations.ts';

const THINGS = `CREATE TABLE things (
  id INTEGER PRIMARY KEY, n INTEGER NOT NULL, t TEXT, r REAL, b BLOB, CONSTRAINT small CHECK (n < 10))`;
const ADD = 'INSERT INTO things (id, n) VALUES (?, ?)';
const COUNT = 'SELECT count(*) AS c FROM things';

describe.each(IMPLEMENTATIONS)('store port on $name', (implementation) => {
  let store: OpenStore | undefined;
  let database: Database;
  let epoch = 0;

  beforeAll(async () => {
    store = await implementation.open();
    if (store === undefined) return;
    database = store.database;
    await migrate(database);
    await ok([s(THINGS), s(`CREATE TABLE log (id INTEGER PRIMARY KEY AUTOINCREMENT, x TEXT NOT NULL)`)]);
    await ok([
      s(`CREATE TRIGGER things_odd BEFORE INSERT ON things WHEN NEW.n = 7 BEGIN SELECT raise(ABORT, 'no_sevens'); END`),
    ]);
    epoch = await claimLeadership(database, 'contract');
  }, 30_000);
  afterAll(async () => store?.close());
  beforeEach(async ({ skip }) => {
    if (store === undefined) skip();
    await ok([s('DELETE FROM things'), s('DELETE FROM log')]);
  });

  function s(sql: string, ...params: SqlValue[]): Statement {
    return { sql, params };
  }
  async function ok(statements: readonly Statement[]) {
    const outcome = await database.write(statements);
    if (outcome.kind !== 'committed') throw new Error(`not committed: ${JSON.stringify(outcome)}`);
    return outcome.results;
  }
  async function count(): Promise<SqlValue | undefined> {
    return (await database.read('linearizable', COUNT))[0]?.['c'];
  }

  it('commits a batch and answers changes and RETURNING rows per statement', async () => {
    const results = await ok([
      s(ADD, 1, 1),
      s('INSERT INTO things (id, n, t) VALUES (2, 2, ?), (3, 3, ?) RETURNING id, t', 'two', null),
      s('UPDATE things SET n = n + 1 WHERE id > ?', 1),
      s('UPDATE things SET n = 0 WHERE id = 99 RETURNING id'),
      s('DELETE FROM things WHERE id = 99'),
      s(
        'INSERT INTO things (id, n) SELECT id, 9 FROM things WHERE id = 1 ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING n',
      ),
    ]);
    expect(results.map(({ changes }) => changes)).toEqual([1, 2, 2, 0, 0, 1]);
    expect(results.map(({ rows }) => rows)).toEqual([
      [],
      [
        { id: 2, t: 'two' },
        { id: 3, t: null },
      ],
      [],
      [],
      [],
      [{ n: 9 }],
    ]);
  });

  it('applies nothing of a batch whose guard refuses, and names the guard', async () => {
    await ok([s(ADD, 1, 1)]);
    const refusals: [Statement, string][] = [
      [s(ADD, 2, 10), 'small'],
      [s(ADD, 2, 7), 'no_sevens'],
      [s(ADD, 1, 1), 'things.id'],
      [s(ADD, 2, null), 'things.n'],
      [fence(epoch - 1), 'fence'],
    ];
    for (const [refused, guard] of refusals) {
      expect(await database.write([s(ADD, 5, 5), refused, s(ADD, 6, 6)])).toEqual({ kind: 'refused', guard });
    }
    expect(await database.read('linearizable', 'SELECT id FROM things')).toEqual([{ id: 1 }]);
  });

  it('lets the leader of the epoch write and nobody of an earlier one', async () => {
    expect(await database.write([fence(epoch), s(ADD, 1, 1)])).toMatchObject({ kind: 'committed' });
    const next = await claimLeadership(database, 'another');
    expect(next).toBe(epoch + 1);
    expect(await database.write([fence(epoch), s(ADD, 2, 2)])).toEqual({ kind: 'refused', guard: 'fence' });
    expect(await currentEpoch(database)).toEqual({ epoch: next, holder: 'another' });
    expect(await count()).toBe(1);
    epoch = next;
  });

  it('never shares an epoch between claims made at once', async () => {
    const claims = await Promise.allSettled(Array.from({ length: 8 }, (_, i) => claimLeadership(database, `n${i}`)));
    const epochs = claims.filter((claim) => claim.status === 'fulfilled').map((claim) => claim.value);
    expect(epochs.length).toBeGreaterThan(0);
    expect(new Set(epochs).size).toBe(epochs.length);
    epoch = (await currentEpoch(database)).epoch;
    expect(Math.max(...epochs)).toBe(epoch);
  });

  it('throws on SQL that cannot run, and applies nothing of that batch', async () => {
    await expect(
      database.write([s(ADD, 1, 1), s('INSERT INTO nowhere VALUES (1)'), s(ADD, 2, 2)]),
    ).rejects.toMatchObject({ code: 'internal' });
    await expect(database.read('local', 'SELECT * FROM nowhere')).rejects.toMatchObject({ code: 'internal' });
    expect(await count()).toBe(0);
  });

  it('throws when parameters are missing or too many', async () => {
    await expect(database.write([s(ADD, 1)])).rejects.toMatchObject({ code: 'internal' });
    await expect(database.write([s(ADD, 1, 2, 3)])).rejects.toMatchObject({ code: 'internal' });
    await expect(database.read('local', 'SELECT id FROM things WHERE id = ?')).rejects.toMatchObject({
      code: 'internal',
    });
    expect(await count()).toBe(0);
  });

  it('reports a guard that stands in a statement with RETURNING as an error of the program', async () => {
    await expect(database.write([s(`${ADD} RETURNING id`, 1, 10)])).rejects.toMatchObject({ code: 'internal' });
  });

  it('keeps every type as it was', async () => {
    const text = `é中😀 'quoted' "double" x'41' ? \n\u0000end`;
    const rows: SqlValue[][] = [
      [1, 0, text, 1.5, null],
      [2, -1, '', -0.25, new Uint8Array([0, 1, 254, 255])],
      [Number.MAX_SAFE_INTEGER, 9, 'x', 3, new Uint8Array([])],
      [Number.MIN_SAFE_INTEGER, 9, null, 1e300, null],
    ];
    await ok(rows.map((row) => s(`INSERT INTO things (id, n, t, r, b) VALUES (?, ?, ?, ?, ?)`, ...row)));
    const read = await database.read('linearizable', 'SELECT * FROM things ORDER BY id');
    const wanted = rows.toSorted((a, b) => (a[0] as number) - (b[0] as number));
    expect(read.map((row) => Object.values(row).map(plain))).toEqual(wanted.map((row) => row.map(plain)));
  });

  it.each<Consistency>(['local', 'leader', 'linearizable'])(
    'reads at %s, empty answers included',
    async (consistency) => {
      await ok([s(ADD, 1, 1)]);
      if (consistency !== 'local')
        expect(await database.read(consistency, 'SELECT id FROM things WHERE id = ?', [1])).toEqual([{ id: 1 }]);
      expect(await database.read(consistency, 'SELECT id FROM things WHERE id = ?', [77])).toEqual([]);
    },
  );

  it('sees in a linearizable read every write acknowledged before, from any client', async () => {
    const reader = store?.another ?? database;
    for (let id = 1; id <= 20; id++) {
      await ok([s(ADD, id, 1)]);
      expect(await reader.read('linearizable', COUNT)).toEqual([{ c: id }]);
    }
  });

  it('keeps batches apart that arrive at once: each whole, each with its own answer', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        database.write([
          s(ADD, i, 1),
          s('INSERT INTO log (x) VALUES (?)', `b${i}`),
          s(ADD, 100 + i, i % 3 === 0 ? 50 : 2),
        ]),
      ),
    );
    const kinds = outcomes.map((outcome: WriteOutcome) => outcome.kind);
    expect(kinds).toEqual(Array.from({ length: 60 }, (_, i) => (i % 3 === 0 ? 'refused' : 'committed')));
    expect(await count()).toBe(80);
    const logged = await database.read('linearizable', 'SELECT x FROM log');
    expect(new Set(logged.map((row) => row['x'])).size).toBe(40);
  });

  it('is safe to repeat a batch that guards itself with what it inserts', async () => {
    const batch = [
      s(`INSERT INTO log (x) SELECT 'once' WHERE NOT EXISTS (SELECT 1 FROM things WHERE id = ?)`, 1),
      s('INSERT INTO things (id, n) VALUES (?, 1) ON CONFLICT DO NOTHING RETURNING id', 1),
    ];
    expect((await ok(batch))[1]?.rows).toEqual([{ id: 1 }]);
    expect((await ok(batch))[1]?.rows).toEqual([]);
    expect(await database.read('linearizable', 'SELECT x FROM log')).toEqual([{ x: 'once' }]);
  });

  it('takes a batch of thousands of statements', async () => {
    const results = await ok(Array.from({ length: 5000 }, (_, i) => s(ADD, i, 1)));
    expect(results).toHaveLength(5000);
    expect(await count()).toBe(5000);
  });

  it('migrates once', async () => {
    const version = await schemaVersion(database);
    expect(version).toBeGreaterThan(0);
    expect(await migrate(database)).toEqual([]);
  });
});

function plain(value: SqlValue): unknown {
  return value instanceof Uint8Array ? { bytes: [...value] } : value;
}
