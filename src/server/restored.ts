/**
 * After a restore (SEMANTICS §1.8): each cursor goes to the restore instant and the gap becomes one range row `missed: restored` per job.
 * With catch-up the cursors stay and the misfire policy decides. Safe to repeat: what was written the first time is not written again.
 */
import { specOf } from '../core/compiled-job.ts';
import { countBetween, nextAfter, previousAtOrBefore } from '../core/schedule/index.ts';
import type { JobDefinition } from '../model/job.ts';
import type { Statement } from '../store/database.ts';
import { JOBS_BY_ID, type JobRow } from '../store/jobs.ts';
import { moveCursors, rangeRow } from '../store/occurrences.ts';
import { JOB_PASS } from '../store/retention.ts';
import type { Definitions } from './definitions.ts';
import type { Identities } from './identity.ts';
import type { LeaderStore } from './leader-store.ts';

const SLICE = 500;

export async function skipRestoredGap(
  restoredAt: number,
  modules: { store: LeaderStore; definitions: Definitions; identities: Identities },
): Promise<void> {
  const { store } = modules;
  let last = 0;
  for (;;) {
    const ids = (await store.read<{ id: number }>(JOB_PASS, [last, SLICE])).map((row) => row.id);
    if (ids.length === 0) return;
    last = ids.at(-1) as number;
    const rows = await store.read<JobRow>(JOBS_BY_ID, [JSON.stringify(ids)]);
    const statements = rows.flatMap((row) => gapOf(row, restoredAt, modules));
    if (statements.length > 0) await store.writeFor(statements);
  }
}

function gapOf(
  row: JobRow,
  restoredAt: number,
  modules: { definitions: Definitions; identities: Identities },
): Statement[] {
  const definition = JSON.parse(row.definition) as JobDefinition;
  const { spec } = specOf(definition, row.id, row.anchor_at, modules.definitions.context);
  if (spec === null || definition.disabled || row.cursor_at >= restoredAt) return [];
  const nextAt = nextAfter(spec, restoredAt) ?? null;
  const move = moveCursors([{ jobId: row.id, version: row.version, cursorAt: restoredAt, nextAt }]);
  const first = nextAfter(spec, row.cursor_at);
  const newest = previousAtOrBefore(spec, restoredAt, row.cursor_at);
  if (first === undefined || newest === undefined || first > restoredAt) return move;
  const { count } = countBetween(spec, row.cursor_at, restoredAt);
  const range = { first, last: newest, count, outcome: 'missed', reason: 'restored', now: restoredAt } as const;
  return [rangeRow({ ...range, group: modules.identities.next(), jobId: row.id, jobVersion: row.version }), ...move];
}
