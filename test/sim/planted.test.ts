// The judge must complain: each planted fault breaks one promise, and each must be named.
import { describe, expect, test } from 'vitest';
import type { Database, SqlValue, Statement } from '../../src/store/database.ts';
import { Points } from './points.ts';
import { type Plant, runWorld } from './world.ts';

const NOTHING: Statement = { sql: 'UPDATE leadership SET renewals = renewals WHERE id = 1 AND epoch < 0', params: [] };

/** A store that writes something else than it was told. */
function corrupt(change: (statement: Statement) => Statement): (database: Database) => Database {
  return (database) => ({
    read: (consistency, sql, params) => database.read(consistency, sql, params),
    write: (statements) => database.write(statements.map(change)),
    close: () => database.close(),
  });
}

/** Statements that begin so are not carried out, once in `every` times. */
function drop(prefix: string, every: number, also: (params: readonly SqlValue[]) => boolean = () => true) {
  let seen = 0;
  return corrupt((statement) => {
    if (!statement.sql.startsWith(prefix) || !also(statement.params)) return statement;
    return ++seen % every === 0 ? NOTHING : statement;
  });
}

const PLANTS: [string, Plant, RegExp][] = [
  ['an intent that is not committed', { database: drop('INSERT INTO executions', 50) }, /without a committed intent/],
  ['an occurrence that is not written', { database: drop('INSERT INTO occurrences', 60) }, /unrecorded|was due at/],
  ['an agent that starts twice', { agent: { startsTwice: 0.02 } }, /doubled: execution/],
  [
    'a forbidding job that is allowed to overlap',
    {
      database: corrupt(({ sql, params }) => ({ sql: sql.replaceAll('AND r.phase >= 3', 'AND r.phase >= 9'), params })),
    },
    /overlap:/,
  ],
  [
    'an end that is not written',
    { database: drop('UPDATE executions SET started_at_us', 80) },
    /unfinished execution|counts/,
  ],
  ['a success that is not counted', { database: drop('UPDATE job_state SET success_count', 80) }, /successes and/],
  ['a day that is not counted', { database: drop('INSERT INTO daily_stats', 30) }, /daily totals/],
  [
    'an outcome that is not the real one',
    {
      database: corrupt((statement) => {
        const isEnd = statement.sql.startsWith('UPDATE executions SET started_at_us') && statement.params[2] === 3;
        return isEnd
          ? { ...statement, params: statement.params.map((value, index) => (index === 2 ? 1 : value)) }
          : statement;
      }),
    },
    /wrong: execution|successes and/,
  ],
  [
    'a dependent that is not started',
    { database: drop('INSERT INTO occurrences', 3, (params) => params[1] === 2) },
    /did not run after/,
  ],
  ['a run that never ends', { agent: { hangs: 0.01 } }, /unfinished after|still holds|is still/],
  ['a deletion that is not kept', { database: drop('UPDATE jobs SET deleted_at', 1) }, /acknowledged deletion/],
  [
    'a write that is not kept as acknowledged',
    {
      database: corrupt((statement) =>
        statement.sql.startsWith('UPDATE jobs SET displayname')
          ? {
              ...statement,
              params: statement.params.map((value, index) =>
                index === 4 ? String(value).replace('"retries":0', '"retries":9') : value,
              ),
            }
          : statement,
      ),
    },
    /acknowledged write/,
  ],
  [
    'history deleted while it is unfinished',
    {
      database: corrupt((statement) =>
        statement.sql.startsWith('INSERT INTO outputs')
          ? { sql: 'DELETE FROM occurrences WHERE group_id = ?', params: [statement.params[0] as SqlValue] }
          : statement,
      ),
    },
    /unrecorded|has no occurrence/,
  ],
];

describe('the judge complains about', () => {
  test.each(PLANTS)('%s', async (_name, plant, complaint) => {
    const found: string[] = [];
    // Some plants need luck to matter: a few seeds, and the first complaint ends it.
    for (let seed = 1; seed <= 4 && !found.some((line) => complaint.test(line)); seed++) {
      const result = await runWorld({
        seed,
        occurrences: 700,
        profile: 'dense',
        faults: false,
        points: new Points(),
        plant,
      });
      found.push(...result.complaints);
    }
    expect(
      found.filter((line) => complaint.test(line)),
      found.join('\n'),
    ).not.toEqual([]);
  });

  test('a store without its fence', async () => {
    const database = corrupt((statement) =>
      statement.sql.startsWith('UPDATE leadership SET guard') ? NOTHING : statement,
    );
    let complaints = 0;
    for (let seed = 1; seed <= 6 && complaints === 0; seed++) {
      const result = await runWorld({
        seed,
        occurrences: 3_000,
        profile: 'dense',
        points: new Points(),
        plant: { database },
      });
      complaints += result.complaints.length;
    }
    expect(complaints).toBeGreaterThan(0);
  });
});
