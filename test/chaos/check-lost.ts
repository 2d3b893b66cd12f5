/** For which attempts the crash table (SEMANTICS §1.5) and the fault log allow `lost`, and for which reason. */
import type { Facts } from './facts.ts';
import { firstOutside, merge } from './stretches.ts';
import type { Evidence, HistoryExecution, HistoryRun, Stretch } from './types.ts';

/** Between an event and the mark of it on disk, on a machine of two busy cores. */
const MARK_MS = 1_500;
/** The tree reads its clock's file once a second. */
const NOTICE_MS = 1_500;

export class LostRules {
  readonly #facts: Facts;
  readonly #runnerStopped: readonly Stretch[];
  /** Nobody could take over what a dead runner had. */
  readonly #noHeir: readonly Stretch[];
  readonly #jobKills: ReadonlyMap<string, number>;

  constructor(facts: Facts) {
    const { log } = facts.observed;
    this.#facts = facts;
    // What happened just before a stop may not have been seen before it.
    this.#runnerStopped = unseen(log.runnerStopped);
    this.#noHeir = unseen([...log.runnerDown, ...log.runnerStopped, ...log.nodeStopped, ...log.nodeDown]);
    this.#jobKills = new Map(log.jobKills.map(({ id, at }) => [id, at]));
  }

  /** Reasons with which this attempt may be lost. */
  possible(run: HistoryRun, execution: HistoryExecution): Set<string> {
    const { jobs } = this.#facts;
    const reasons = new Set<string>();
    const evidence = this.#facts.evidenceOf(execution.id);
    const intentAt = this.#intentAt(execution, evidence);
    const startAt = evidence?.starts[0]?.at ?? null;
    const endAt = this.#endAt(execution, evidence, startAt);
    const owner = evidence?.starts[0]?.parentPid ?? 0;
    const startedBy = startAt === null ? endAt : startAt + MARK_MS;
    if (this.#runnerDied(owner, intentAt, firstOutside(this.#runnerStopped, startedBy))) reasons.add('start_unknown');
    if (jobs.get(run.job)?.executor === 'http') {
      if (this.#runnerDied(0, intentAt, firstOutside(this.#runnerStopped, endAt) + MARK_MS))
        reasons.add('request_in_flight');
    } else if ((startAt !== null || this.#cutAtStart(execution)) && this.#bothDied(owner, intentAt, endAt)) {
      reasons.add('supervisor_gone');
    }
    return reasons;
  }

  /** A power cut took the process between its start mark and its own first line: it left no evidence of having run. */
  #cutAtStart({ startedAt }: HistoryExecution): boolean {
    if (startedAt === null) return false;
    const offsets = this.#facts.clock.offsets(0, Number.POSITIVE_INFINITY);
    return this.#facts.observed.log.faults.some(
      ({ kind, at }) =>
        kind === 'power-cut' && offsets.some((offset) => Math.abs(at - (startedAt - offset)) <= MARK_MS),
    );
  }

  /** The runner that started it keeps its exit, the node inherits it from a dead runner: both must have died before the exit was seen. */
  #bothDied(owner: number, intentAt: number, endAt: number): boolean {
    const { log } = this.#facts.observed;
    // While its runner was dead already, or stopped until it died, the exit waited for an heir.
    const ownerSaw = firstOutside(this.#runnerStopped, endAt) + MARK_MS;
    if (!this.#runnerDied(owner, intentAt, ownerSaw)) return false;
    let seen = endAt;
    for (let next = firstOutside(this.#noHeir, seen); next !== seen; next = firstOutside(this.#noHeir, seen))
      seen = next;
    return log.nodeDeaths.some((at) => at >= intentAt && at <= seen + MARK_MS);
  }

  /** `pid`: of the runner concerned; one that is none of the killed ones' may stand for a shell between the two. */
  #runnerDied(pid: number, from: number, to: number): boolean {
    const { runnerDeaths } = this.#facts.observed.log;
    const known = pid !== 0 && runnerDeaths.some((death) => death.pid === pid);
    return runnerDeaths.some((death) => (!known || death.pid === pid) && death.at >= from && death.at <= to);
  }

  /** Real time of the intent or a little before: an execution's id carries it in the node's clock. */
  #intentAt(execution: HistoryExecution, evidence: Evidence | undefined): number {
    const { clock } = this.#facts;
    const keyMs = Number(execution.id.slice(0, execution.id.indexOf('-'))) / 1e6;
    const startAt = evidence?.starts[0]?.at ?? Number.POSITIVE_INFINITY;
    return Math.min(clock.firstReached(keyMs), clock.reachedUnnoticed(keyMs, NOTICE_MS), startAt) - MARK_MS;
  }

  /** When it ended by anybody's word; else when its end was recorded. */
  #endAt(execution: HistoryExecution, evidence: Evidence | undefined, startAt: number | null): number {
    const told = evidence?.end?.at ?? evidence?.cutAt ?? this.#jobKills.get(execution.id);
    if (told !== undefined && told !== null) return told;
    const finished = execution.finishedAt ?? Number.POSITIVE_INFINITY;
    const offsets = this.#facts.clock.offsets(startAt ?? 0, Number.POSITIVE_INFINITY);
    return Math.max(...offsets.map((offset) => finished - offset));
  }
}

function unseen(stretches: readonly Stretch[]): Stretch[] {
  return merge(stretches.map(({ from, to }) => ({ from: from - MARK_MS, to })));
}
