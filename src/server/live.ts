/** Every unfinished occurrence of this leader, as its services see it. The store has the same facts; this is their index in memory. */
import type { CompiledJob } from '../core/compiled-job.ts';
import type { StopRequest } from '../model/agent.ts';
import type { Phase, Trigger } from '../model/occurrence.ts';

/** An unfinished occurrence. Instants epoch ms unless named …Us. */
export interface LiveRun {
  readonly group: number;
  readonly job: CompiledJob;
  readonly trigger: Trigger;
  readonly nominalAt: number;
  readonly dueAt: number;
  phase: Exclude<Phase, 'final'>;
  /** The newest execution; equals `group` for the first attempt. */
  key: number;
  attempt: number;
  relaunches: number;
  /** Obeys the catch-up rate. */
  catchUp: boolean;
  /** The agent has it, or has told its end: it can no longer be withdrawn here. */
  sent: boolean;
  startedAtUs: number | null;
  pid: number | null;
  /** Somebody asked for its end; a retry must not follow. */
  stopping: StopRequest['reason'] | null;
  /** When the agent was told to end its process, epoch ms; a run that only gets no further attempt is left alone. */
  stopAskedAt: number | null;
  /** retrying: when the next attempt starts. */
  wakeAt: number | null;
  /** Its result is being committed. */
  ending: boolean;
}

export class LiveRuns {
  readonly #byKey = new Map<number, LiveRun>();
  readonly #byJob = new Map<number, Set<LiveRun>>();

  get size(): number {
    return this.#byKey.size;
  }

  add(run: LiveRun): void {
    this.#byKey.set(run.key, run);
    const ofJob = this.#byJob.get(run.job.id);
    if (ofJob === undefined) this.#byJob.set(run.job.id, new Set([run]));
    else ofJob.add(run);
  }

  /** The run whose newest execution has this key. */
  byKey(key: number): LiveRun | undefined {
    return this.#byKey.get(key);
  }

  /** The run of an occurrence; after retries its key differs from its group, so only the job's runs are searched. */
  byGroup(group: number, jobId: number): LiveRun | undefined {
    const first = this.#byKey.get(group);
    if (first !== undefined) return first;
    for (const run of this.ofJob(jobId)) if (run.group === group) return run;
    return undefined;
  }

  ofJob(jobId: number): ReadonlySet<LiveRun> {
    return this.#byJob.get(jobId) ?? EMPTY;
  }

  all(): IterableIterator<LiveRun> {
    return this.#byKey.values();
  }

  /** A new attempt has a new key. */
  rekey(run: LiveRun, key: number): void {
    this.#byKey.delete(run.key);
    run.key = key;
    this.#byKey.set(key, run);
  }

  remove(run: LiveRun): void {
    this.#byKey.delete(run.key);
    const ofJob = this.#byJob.get(run.job.id);
    ofJob?.delete(run);
    if (ofJob?.size === 0) this.#byJob.delete(run.job.id);
  }
}

const EMPTY: ReadonlySet<LiveRun> = new Set();
