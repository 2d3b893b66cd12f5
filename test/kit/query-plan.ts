/** Asserts that the engine answers a statement through indexes. */
import type { Database, SqlValue } from '../../src/store/database.ts';

/** The steps of EXPLAIN QUERY PLAN in words, e.g. "SEARCH jobs USING INDEX jobs_name (name=?)". */
export async function queryPlan(database: Database, sql: string, params: readonly SqlValue[] = []): Promise<string[]> {
  const blanks =
    params.length > 0 ? params : Array.from(sql.replaceAll(/'(?:[^']|'')*'/g, '').matchAll(/\?/g), () => null);
  const rows = await database.read('local', `EXPLAIN QUERY PLAN ${sql}`, blanks);
  return rows.map((row) => String(row['detail']));
}

/**
 * Throws, naming the steps, when the plan scans a table or sorts without an index. `allowed` are parts of steps that are fine: a scan of
 * json_each or of a subquery, a table that is always small.
 */
export async function assertNoScan(database: Database, sql: string, allowed: readonly string[] = []): Promise<void> {
  const plan = await queryPlan(database, sql);
  const bad = plan.filter(
    (step) => /^SCAN (?!CONSTANT ROW|\(|\d+ CONSTANT)/.test(step) && !allowed.some((part) => step.includes(part)),
  );
  if (bad.length > 0) throw new Error(`the plan of «${sql}» scans: ${bad.join('; ')} (whole plan: ${plan.join('; ')})`);
}

/** A database that notes every distinct statement it is given, so that a test can ask for the plans of what was really used. */
export function recording(database: Database): {
  readonly database: Database;
  readonly statements: ReadonlySet<string>;
} {
  const statements = new Set<string>();
  return {
    statements,
    database: {
      read: (consistency, sql, params) => {
        statements.add(sql);
        return database.read(consistency, sql, params);
      },
      write: (batch) => {
        for (const { sql } of batch) statements.add(sql);
        return database.write(batch);
      },
      close: () => database.close(),
    },
  };
}
