/** What the checks share: indexes, and when what could work. */
import type { ClockMap } from './clock-map.ts';
import { merge } from './stretches.ts';
import type { ChaosJob, Evidence, HistoryExecution, HistoryRun, Observed, Stretch } from './types.ts';

/** After a stretch in which something could not work, it needs so long to do what has piled up (two cores, a starting node). */
export const RECOVERY_MS = 4_000;

export class Facts {
  readonly observed: Observed;
  readonly clock: ClockMap;
  readonly jobs: ReadonlyMap<string, ChaosJob>;
  readonly runsByJob: ReadonlyMap<string, readonly HistoryRun[]>;
  readonly runsByGroup: ReadonlyMap<number, HistoryRun>;
  readonly executions: ReadonlyMap<string, { readonly run: HistoryRun; readonly execution: HistoryExecution }>;
  /** Merged: something of the tree was dead, stopped or without room. */
  readonly outages: readonly Stretch[];
  readonly diskFull: readonly Stretch[];

  constructor(observed: Observed, clock: ClockMap) {
    const { log, history, jobs } = observed;
    this.observed = observed;
    this.clock = clock;
    this.jobs = new Map(jobs.map(({ job }) => [job.name, job]));
    this.runsByJob = Map.groupBy(history, (run) => run.job);
    this.runsByGroup = new Map(history.map((run) => [run.group, run]));
    this.executions = new Map(
      history.flatMap((run) => run.executions.map((execution) => [execution.id, { run, execution }] as const)),
    );
    const all = [...log.nodeDown, ...log.runnerDown, ...log.nodeStopped, ...log.runnerStopped, ...log.diskFull];
    this.outages = merge(all, RECOVERY_MS);
    this.diskFull = merge(log.diskFull, RECOVERY_MS);
  }

  evidenceOf(id: string): Evidence | undefined {
    return this.observed.evidence.get(id);
  }
}
