/** Ends of executions that are in no history: they began after the backup was made that this data comes from. */
import type { Clock } from '../lib/clock.ts';
import type { ExecutionEnded } from '../model/agent.ts';
import type { Emit } from '../model/events.ts';
import { orphanResult } from '../store/results.ts';
import type { LeaderStore } from './leader-store.ts';

/** Keeps the result apart and tells of it; false: the disk is full. */
export async function keepOrphan(
  ended: ExecutionEnded,
  { store, clock, emit }: { store: LeaderStore; clock: Clock; emit: Emit },
): Promise<boolean> {
  if ((await store.write([orphanResult(ended, clock.now())])).kind !== 'committed') return false;
  const { key, outcome, exitCode } = ended;
  emit({ kind: 'orphan_result', execution: key, outcome, exitCode });
  return true;
}
