/**
 * The marker a restore leaves in `meta` for the next start, which settles what it says and removes it in the same batch as its last
 * consequence; a start that dies on the way begins again.
 */
import type { Database, Statement } from './database.ts';
import { GET_META, putMeta } from './meta.ts';

export interface RestoredMarker {
  /** Epoch ms of the restore: cursors before it go there. */
  readonly restoredAt: number;
  /** Epoch ms; null when the file was a plain copy without a manifest. */
  readonly backupCreatedAt: number | null;
  /** True: leave the cursors, the misfire policies handle the gap. */
  readonly catchUp: boolean;
}

const KEY = 'restored';
const CLEAR = `DELETE FROM meta WHERE key = 'restored'`;

export function recordMarker(marker: RestoredMarker): Statement {
  return putMeta(KEY, JSON.stringify(marker));
}

export async function readMarker(database: Database): Promise<RestoredMarker | undefined> {
  const [row] = await database.read('linearizable', GET_META, [KEY]);
  return row === undefined ? undefined : (JSON.parse(row['value'] as string) as RestoredMarker);
}

export function clearMarker(): Statement {
  return { sql: CLEAR, params: [] };
}
