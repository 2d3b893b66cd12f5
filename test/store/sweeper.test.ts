// Retention on a real database: what it takes, and what it leaves for others to write.
import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { Mutex } from '../../src/lib/mutex.ts';
import { Scope } from '../../src/lib/scope.ts';
import type { Identities } from '../../src/server/identity.ts';
import { LeaderStore } from '../../src/server/leader-store.ts';
import { Sweeper } from '../../src/server/sweeper.ts';
import { claimLeadership } from '../../src/store/leadership.ts';
import { migrate } from '../../src/store/migrations.ts';
import { eventually } from '../kit/eventually.ts';
import { commit, defer, openStore, s, temporaryDirectory, value } from './kit.ts';

const RUNS = 20_000;
const KEPT = 100;
const NUMBERS = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${RUNS})`;

test('a sweep takes its own pages home, slice by slice, instead of leaving them to the next launch', async () => {
  const path = `${temporaryDirectory()}/belfry.db`;
  const database = openStore(path);
  await migrate(database);
  const epoch = await claimLeadership(database, 'test');
  await commit(
    database,
    s(`INSERT INTO occurrences (group_id, job_id, job_version, trigger, nominal_at, dedup, due_at, phase, outcome, reason, finished_at, count, forced)
      ${NUMBERS} SELECT i, 1, 1, 0, i, 0, i, 0, 1, 0, i, 1, 0 FROM n`),
    s(`INSERT INTO executions (key, group_id, job_id, attempt, relaunch, node, outcome, reason, output_bytes, log_bytes)
      ${NUMBERS} SELECT i, i, 1, 1, 0, 'node', 1, 0, 0, 0 FROM n`),
    s(`INSERT INTO outputs (key, tail) ${NUMBERS} SELECT i, hex(zeroblob(400)) FROM n`),
  );
  emptyWal(path);

  const fail = (error: unknown) => expect.unreachable(String(error));
  const modules = { clock: systemClock, emit: () => undefined };
  const store = new LeaderStore({ epoch }, { ...modules, database, fail });
  const options = {
    runs: KEPT,
    ageMs: 1e15,
    keep: KEPT,
    logBytesPerJob: 1e9,
    logBytesTotal: 1e9,
    logAgeMs: 1e12,
    logRuns: 1e9,
  };
  const sweeper = new Sweeper(options, {
    ...modules,
    store,
    identities: { last: RUNS } as Identities,
    lock: new Mutex(),
    removeLog: () => Promise.resolve(),
    mayWrite: () => true,
  });
  const scope = new Scope(systemClock);
  defer(() => scope.close());
  for (let run = 0; run < RUNS; run += 1) sweeper.finished(1, 0);
  sweeper.start(scope);
  await eventually('the sweep to end', async () =>
    (await value(database, 'SELECT count(*) FROM occurrences')) === KEPT ? true : undefined,
  );
  for (const table of ['executions', 'outputs'])
    expect(await value(database, `SELECT count(*) FROM ${table}`)).toBe(KEPT);
  expect(await value(database, 'SELECT min(group_id) FROM occurrences')).toBe(RUNS - KEPT + 1);
  // All slices together fill it (16 MB); one of them is an eighth of a megabyte.
  expect(statSync(`${path}-wal`).size).toBeLessThan(2 ** 20);
});

/** Everything goes home, and the -wal begins again with nothing. */
function emptyWal(path: string): void {
  const other = new DatabaseSync(path);
  other.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  other.close();
}
