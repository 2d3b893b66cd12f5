/** Every statement on a hot path is answered through indexes: its cost does not grow with how many jobs and runs there are. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import type { ExecutionEnded } from '../../src/model/agent.ts';
import { fence, type Statement } from '../../src/store/database.ts';
import * as jobQueries from '../../src/store/job-queries.ts';
import * as jobs from '../../src/store/jobs.ts';
import { migrate } from '../../src/store/migrations.ts';
import * as meta from '../../src/store/meta.ts';
import * as occurrences from '../../src/store/occurrences.ts';
import * as results from '../../src/store/results.ts';
import * as retention from '../../src/store/retention.ts';
import * as runs from '../../src/store/runs.ts';
import { openSqlite, type SqliteDatabase } from '../../src/store/sqlite.ts';
import { assertNoScan, queryPlan } from '../kit/query-plan.ts';

let database: SqliteDatabase;

beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), 'belfry-plans-'));
  database = openSqlite(join(directory, 'belfry.db'), { clock: systemClock });
  await migrate(database);
  return async () => {
    await database.close();
    rmSync(directory, { recursive: true });
  };
});

/** A walk that is meant: part of the plan's step, and why it is fine. */
const WALKS: Readonly<Record<string, { step: string; because: string }>> = {
  PARENTS: { step: 'SCAN jobs USING INDEX jobs_parent', because: 'once, at start; the index holds children only' },
  LOG_BYTES: {
    step: 'SCAN executions USING INDEX executions_logs',
    because: 'once, at start; the index holds runs whose log is on disk',
  },
  OLDEST_LOGS: { step: 'SCAN executions USING INDEX executions_logs', because: 'ends at its limit' },
  OPEN_OCCURRENCES: { step: 'SCAN o USING INDEX occurrences_open', because: 'the index holds unfinished ones only' },
  RUNS_UNFINISHED: { step: 'SCAN o USING INDEX occurrences_open', because: 'as above' },
  OPEN_EXECUTIONS: {
    step: 'SCAN o USING COVERING INDEX occurrences_open',
    because: 'the index holds unfinished ones only',
  },
  GET_CALENDARS: { step: 'SCAN calendars', because: 'a handful' },
  JOBS_OF_CALENDAR: { step: 'SCAN', because: 'only when a calendar changes' },
};

/** Tables that are always small, functions that are no tables, and what is computed on the way. */
const SMALL = ['json_each', 'VIRTUAL TABLE', 'leadership', 'VALUES CLAUSE', 'SCAN up', 'SCAN v', 'daily_stats'];

const NOW = 1_800_000_000_000;
const GROUP = NOW * 1000;

const ended: ExecutionEnded = {
  key: GROUP,
  startedAtUs: GROUP,
  finishedAtUs: GROUP,
  outcome: 'succeeded',
  reason: '',
  exitCode: 0,
  signal: null,
  message: null,
  tail: '',
  outputBytes: 0,
  logBytes: 0,
};

function occurrence(change: Partial<occurrences.NewOccurrence> = {}): occurrences.NewOccurrence {
  const job = { group: GROUP, jobId: 1, jobVersion: 1, trigger: 'schedule', concurrency: 'allow' } as const;
  return {
    ...job,
    nominalAt: NOW,
    dueAt: NOW,
    parentGroup: null,
    delayed: false,
    forced: false,
    extend: null,
    ...change,
  };
}

function finish(outcome: 'succeeded' | 'failed', phase: 'final' | 'retrying'): results.Finish {
  return {
    ended: { ...ended, outcome },
    group: GROUP,
    jobId: 1,
    phase,
    outcome,
    reason: '',
    wakeAt: null,
    now: NOW,
    output: 'x',
  };
}

const WRITE: jobs.JobWrite = {
  name: 'a',
  displayname: '',
  parent: 'p',
  disabled: false,
  schedule: '@daily',
  definition: '{}',
  version: 0,
  now: NOW,
  cursorAt: NOW,
  rewind: false,
  nextAt: null,
  anchorAt: NOW,
  successCount: 0,
  errorCount: 0,
  lastSuccessAt: null,
  lastErrorAt: null,
  status: '',
};

/** What the leader writes, by the functions that make it. */
const WRITES: Readonly<Record<string, readonly Statement[]>> = {
  fence: [fence(1)],
  'plain launches': occurrences
    .plainLaunches(Array.from({ length: 20 }, () => occurrence()))
    .map(({ statement }) => statement),
  'first executions': [occurrences.firstExecutions(GROUP, GROUP + 9, 'node')],
  'launch: forbid': occurrences.launchStatements(occurrence({ concurrency: 'forbid', extend: GROUP }), NOW),
  'launch: queue': occurrences.launchStatements(occurrence({ concurrency: 'queue' }), NOW),
  'launch: replace': occurrences.launchStatements(occurrence({ concurrency: 'replace' }), NOW),
  'launch: delayed': occurrences.launchStatements(occurrence({ delayed: true }), NOW),
  'launch: manual': occurrences.launchStatements(occurrence({ trigger: 'manual' }), NOW),
  'launch: dependent': occurrences.launchStatements(occurrence({ trigger: 'parent', parentGroup: GROUP - 1 }), NOW),
  wake: (['allow', 'forbid', 'queue', 'replace'] as const).flatMap(
    (concurrency) => occurrences.wakeStatements({ group: GROUP, jobId: 1, concurrency }, 'node', NOW).statements,
  ),
  retry: occurrences.retryStatements({ key: GROUP, group: GROUP, attempt: 2, relaunch: false, node: 'node' }),
  promote: [false, true].flatMap((beside) => occurrences.promoteStatements(GROUP, 'node', beside)),
  'move the cursor': occurrences.moveCursors(
    Array.from({ length: 21 }, (_, jobId) => ({ jobId, version: 1, cursorAt: NOW, nextAt: null })),
  ),
  'range row': [
    occurrences.rangeRow({
      group: GROUP,
      jobId: 1,
      jobVersion: 1,
      first: NOW,
      last: NOW + 1,
      count: 2,
      outcome: 'missed',
      reason: 'superseded',
      now: NOW,
    }),
  ],
  results: results.finishStatements([finish('succeeded', 'final'), finish('failed', 'retrying')]),
  'late result': results.correctionStatements(ended, GROUP, 1),
  'end what waits': [results.dropIntent(GROUP), results.endOccurrence(GROUP, 'cancelled', 'user', NOW)],
  'create a job': jobs.putJob(WRITE),
  'update a job': jobs.putJob({ ...WRITE, version: 3 }),
  'delete a job': jobs.deleteJob(1, 1, NOW),
  'cancel what waits': [jobs.cancelAllWaiting(1, 1, NOW)],
  'reset a cursor': [jobs.resetCursor(1, 1, NOW, null)],
  sweep: [
    ...retention.deleteOccurrences([GROUP]),
    retention.forgetLogs([GROUP]),
    retention.dropOldVersions(1, 200, 100),
    ...retention.dropDeletedJob(1),
  ],
  'wipe a history': runs.wipeHistory(1),
};

/** Every exported text, objects of texts included: a new one is looked at without anybody remembering to. */
function exportedTexts(module: object): [string, string][] {
  return Object.entries(module).flatMap(([name, value]): [string, string][] => {
    if (typeof value === 'string') return [[name, value]];
    if (typeof value !== 'object' || value === null) return [];
    return Object.entries(value as object).flatMap(([key, text]) =>
      typeof text === 'string' ? [[`${name}.${key}`, text]] : [],
    );
  });
}

const READS = [jobs, jobQueries, runs, retention, meta]
  .flatMap(exportedTexts)
  .filter(([, text]) => /^\s*SELECT\b/.test(text));

describe('no scan on a hot path', () => {
  it.each(READS)('reads: %s', async (name, sql) => {
    const walk = WALKS[name];
    await assertNoScan(database, sql, [...SMALL, ...(walk === undefined ? [] : [walk.step])]);
  });

  it.each(Object.entries(WRITES))('writes: %s', async (_name, statements) => {
    for (const { sql } of statements) await assertNoScan(database, sql, SMALL);
  });

  it('every walk that is allowed is taken: the list has no leftovers', async () => {
    for (const [name, { step }] of Object.entries(WALKS)) {
      const sql = READS.find(([known]) => known === name)?.[1];
      expect(sql, name).toBeDefined();
      expect((await queryPlan(database, sql ?? '')).join('\n'), name).toContain(step);
    }
  });

  it.each(['RUNS_BY_OUTCOME', 'JOB_NAMES_AFTER', 'NTH_NEWEST', 'OLDEST_LOGS', 'JOB_PASS'])(
    '%s comes out of its index in order, so its limit ends it early',
    async (name) => {
      const sql = READS.find(([known]) => known === name)?.[1] ?? '';
      expect((await queryPlan(database, sql)).join('\n')).not.toMatch(/TEMP B-TREE/);
    },
  );

  it('looks at a good number of statements', () => {
    expect(READS.length).toBeGreaterThan(25);
    expect(Object.values(WRITES).flat().length).toBeGreaterThan(40);
  });

  it('sees a scan where there is one', async () => {
    await expect(assertNoScan(database, 'SELECT * FROM executions WHERE exit_code = ?', SMALL)).rejects.toThrow(
      'scans',
    );
    await expect(assertNoScan(database, 'UPDATE occurrences SET reason = 0 WHERE due_at = ?', SMALL)).rejects.toThrow(
      'scans',
    );
  });
});
