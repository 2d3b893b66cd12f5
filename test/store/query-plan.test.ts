import { join } from 'node:path';
import { expect, it } from 'vitest';
import { fence } from '../../src/store/database.ts';
import { claimLeadership } from '../../src/store/leadership.ts';
import { migrate } from '../../src/store/migrations.ts';
import { assertNoScan, queryPlan, recording } from '../kit/query-plan.ts';
import { openStore, temporaryDirectory } from './kit.ts';

it('tells a search from a scan', async () => {
  const database = openStore(join(temporaryDirectory(), 'belfry.db'));
  await migrate(database);
  await assertNoScan(database, `SELECT id FROM jobs WHERE name = ? AND deleted_at IS NULL AND definition <> '?'`);
  await assertNoScan(database, fence(1).sql);
  expect(await queryPlan(database, 'SELECT * FROM jobs WHERE id = ?', [1])).toEqual([
    expect.stringContaining('SEARCH jobs'),
  ]);
  await expect(assertNoScan(database, 'SELECT id FROM jobs WHERE displayname = ?')).rejects.toThrow('scans: SCAN jobs');
  await expect(assertNoScan(database, 'DELETE FROM executions WHERE node = ?')).rejects.toThrow(
    'scans: SCAN executions',
  );
  await assertNoScan(database, 'DELETE FROM executions WHERE node = ?', ['SCAN executions']);
});

it('notes what is really used', async () => {
  const database = openStore(join(temporaryDirectory(), 'belfry.db'));
  await migrate(database);
  const noted = recording(database);
  await claimLeadership(noted.database, 'node');
  expect(noted.statements.size).toBe(2);
  for (const sql of noted.statements) await assertNoScan(database, sql);
});
