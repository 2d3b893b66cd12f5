/** One statement for many rows: beginning and ending a statement costs as much as two rows of it. */
import type { SqlValue, Statement } from './database.ts';

/** So many rows share a statement, then so many of what is left; few different texts, so that each stays prepared. */
const SIZES = [16, 4, 1] as const;

/** `(VALUES (?, ?), (?, ?)) v`: the rows as a table with column1, column2 and so on. */
export function valuesTable(rows: number, columns: number): string {
  const row = `(${Array.from({ length: columns }, () => '?').join(', ')})`;
  return `(VALUES ${Array.from({ length: rows }, () => row).join(', ')}) v`;
}

/**
 * A statement over any number of rows. `sql` writes its text around the table of values; parameters behind that table's come in `after`.
 */
export function overRows(columns: number, sql: (table: string) => string) {
  const texts = SIZES.map((size) => ({ size, sql: sql(valuesTable(size, columns)) }));
  return (rows: readonly (readonly SqlValue[])[], after: readonly SqlValue[] = []): Statement[] => {
    const statements: Statement[] = [];
    let at = 0;
    for (const text of texts) {
      for (; rows.length - at >= text.size; at += text.size) {
        const params: SqlValue[] = [];
        for (let i = at; i < at + text.size; i += 1) params.push(...(rows[i] as readonly SqlValue[]));
        params.push(...after);
        statements.push({ sql: text.sql, params });
      }
    }
    return statements;
  };
}
