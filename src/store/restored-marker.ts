/**
 * The marker a restore leaves in `meta` for the next start, which settles what it says and removes it in the same batch as its last
 * consequence; a start that dies on the way begins again.
 */
import type { Database, Statement } from './database.ts';

export interface RestoredMarker {
  /** Epoch ms of the restore: cursors before it go there. */
  readonly restoredAt: number;
  /** Epoch ms; null when the file was a plain copy without a manifest. */
  readonly backupCreatedAt: number | null;
  /** True: leave the cursors, the misfire policies handle the gap. */
  readonly catchUp: boolean;
}

const SQL = {
  record: `INSERT INTO meta (key, value) VALUES ('restored', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
  read: `SELECT value FROM meta WHERE key = 'restored'`,
  clear: `DELETE FROM meta WHERE key = 'restored'`,
};

export function recordMarker(marker: RestoredMarker): Statement {
  return { sql: SQL.record, params: [JSON.stringify(marker)] };
}

export async function readMarker(database: Database): Promise<RestoredMarker | undefined> {
  const [row] = await database.read('linearizable', SQL.read);
  return row === undefined ? undefined : (JSON.parse(row['value'] as string) as RestoredMarker);
}

export function clearMarker(): Statement {
  return { sql: SQL.clear, params: [] };
}
