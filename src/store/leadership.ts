/** The leadership row (DESIGN §3). One node claims it once at start, under the data directory's lock; nothing is renewed. */
import { AppError } from '../model/errors.ts';
import type { Database } from './database.ts';

const SQL = {
  read: 'SELECT epoch, holder FROM leadership WHERE id = 1',
  // The epoch read is the compare of the compare-and-set; a rival's claim leaves no row to return.
  claim: 'UPDATE leadership SET epoch = epoch + 1, holder = ?, renewals = 0 WHERE id = 1 AND epoch = ? RETURNING epoch',
};

const ATTEMPTS_MAX = 5;

/** The epoch as it stands, 0 before the first claim, and who holds it ('' for nobody). */
export async function currentEpoch(database: Database): Promise<{ epoch: number; holder: string }> {
  const [row] = await database.read('linearizable', SQL.read);
  if (row === undefined) throw new AppError('damaged', 'The leadership row is missing.');
  return { epoch: row['epoch'] as number, holder: row['holder'] as string };
}

/**
 * Takes the next epoch for `holder` (the node's name) and returns it. After `unknown` it simply takes another: epochs may be skipped,
 * never shared. Throws AppError `disk_full` or `unavailable`.
 */
export async function claimLeadership(database: Database, holder: string): Promise<number> {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const { epoch } = await currentEpoch(database);
    const outcome = await database.write([{ sql: SQL.claim, params: [holder, epoch] }]);
    if (outcome.kind === 'full') throw new AppError('disk_full', 'No room on disk to claim leadership.');
    const claimed = outcome.kind === 'committed' ? outcome.results[0]?.rows[0]?.['epoch'] : undefined;
    if (typeof claimed === 'number') return claimed;
  }
  throw new AppError('unavailable', 'The store did not confirm the claim to leadership.');
}
