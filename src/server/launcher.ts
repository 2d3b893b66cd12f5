/**
 * Brings occurrences into being: the one road for scheduled, manual and dependent runs, retries and promotions. It writes the intents in
 * one batch, reads what the batch decided, and hands what is to run to the dispatcher. Callers hold the leader's lock.
 */
import type { CompiledJob } from '../core/compiled-job.ts';
import type { Clock } from '../lib/clock.ts';
import type { StopRequest } from '../model/agent.ts';
import type { Emit } from '../model/events.ts';
import type { Statement, StatementResult } from '../store/database.ts';
import {
  DECISIONS_OF,
  type Decision,
  firstExecutions,
  isPlain,
  launchStatements,
  type NewOccurrence,
  promoteStatements,
  retryStatements,
  wakeStatements,
} from '../store/occurrences.ts';
import { endOccurrence } from '../store/results.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { Identities } from './identity.ts';
import {
  decisionAt,
  decisionOf,
  EXTENDED,
  type Intent,
  isFirstOfJob,
  isUnclear,
  type LaunchBatch,
  type Launched,
  newOccurrence,
  type Place,
  preparePlain,
} from './launch-batch.ts';
import type { LeaderStore } from './leader-store.ts';
import type { LiveRun, LiveRuns } from './live.ts';

/** What the launcher tells when a run must end or wait, without knowing who does it. */
export interface LauncherHooks {
  stop(run: LiveRun, reason: StopRequest['reason']): void;
  delayed(run: LiveRun): void;
}

export class Launcher {
  readonly #node: string;
  readonly #store: LeaderStore;
  readonly #live: LiveRuns;
  readonly #dispatcher: Dispatcher;
  readonly #identities: Identities;
  readonly #clock: Clock;
  readonly #emit: Emit;
  readonly #hooks: LauncherHooks;
  /** Job id → its newest occurrence, when that is a skip that the next skip may extend. */
  readonly #lastSkipped = new Map<number, number>();

  constructor(
    options: { node: string },
    modules: {
      store: LeaderStore;
      live: LiveRuns;
      dispatcher: Dispatcher;
      identities: Identities;
      clock: Clock;
      emit: Emit;
      hooks: LauncherHooks;
    },
  ) {
    this.#node = options.node;
    this.#store = modules.store;
    this.#live = modules.live;
    this.#dispatcher = modules.dispatcher;
    this.#identities = modules.identities;
    this.#clock = modules.clock;
    this.#emit = modules.emit;
    this.#hooks = modules.hooks;
  }

  /** The statements of these intents, to stand alone or inside a larger batch that begins with `before`. */
  prepare(intents: readonly Intent[], before: Statement[] = []): LaunchBatch {
    const batch: LaunchBatch = { statements: before, places: [] };
    const now = this.#clock.now();
    const plain: { place: Place; occurrence: NewOccurrence }[] = [];
    for (const intent of intents) {
      if (intent.kind === 'new') this.#prepareNew(batch, intent, now, plain);
      else this.#prepareKnown(batch, intent, now);
    }
    preparePlain(batch, plain);
    const groups = batch.places.flatMap(({ intent, group }) => (intent.kind === 'new' ? group : []));
    const [first] = groups;
    if (first !== undefined) batch.statements.push(firstExecutions(first, groups.at(-1) as number, this.#node));
    return batch;
  }

  /** Writes a prepared batch and applies it. `full`: nothing was written. */
  async commit(batch: LaunchBatch): Promise<readonly Launched[] | 'full'> {
    const written = await this.#store.write(batch.statements);
    if (written.kind === 'full') return 'full';
    if (batch.places.length > 0) {
      this.#emit({ kind: 'occurrence_committed', count: batch.places.length, commitMs: written.commitMs });
    }
    return this.apply(batch, written);
  }

  /** Applies a committed batch to memory: live runs, dispatch, stops. */
  async apply(
    batch: LaunchBatch,
    written: { results: readonly StatementResult[]; repeated: boolean },
  ): Promise<readonly Launched[]> {
    const unclear = batch.places.some((place) => isUnclear(place, written.results));
    const read = written.repeated || unclear ? await this.#readDecisions(batch) : undefined;
    const ready: LiveRun[] = [];
    const launched = batch.places.map((place) => {
      const decision =
        read !== undefined && (written.repeated || isUnclear(place, written.results))
          ? (read.get(place.group) ?? null)
          : decisionAt(place, written.results);
      this.#applyOne(place, decision, ready);
      return { group: place.group, decision };
    });
    if (ready.length > 0) this.#dispatcher.enqueue(ready);
    return launched;
  }

  /** Anything else recorded for the job ends its stretch of skips. */
  endStretch(jobId: number): void {
    this.#lastSkipped.delete(jobId);
  }

  #prepareNew(
    batch: LaunchBatch,
    intent: Extract<Intent, { kind: 'new' }>,
    now: number,
    plain: { place: Place; occurrence: NewOccurrence }[],
  ): void {
    const group = this.#identities.next();
    // Only the first of its job in a batch may lengthen the row before it: another one may run in between.
    const skipped = this.#lastSkipped.get(intent.job.id) ?? null;
    const extend = skipped !== null && isFirstOfJob(batch, intent.job.id) ? skipped : null;
    const occurrence = newOccurrence(intent, group, extend, now);
    const common = { intent, group, key: group, sharing: 1, delayed: occurrence.delayed };
    if (isPlain(occurrence)) {
      const place: Place = { ...common, index: -1, extendIndex: -1 };
      batch.places.push(place);
      plain.push({ place, occurrence });
      return;
    }
    const start = batch.statements.length;
    const statements = launchStatements(occurrence, now);
    batch.statements.push(...statements);
    const extendIndex = statements.length > 1 && intent.job.concurrency === 'forbid' ? start : -1;
    batch.places.push({ ...common, index: batch.statements.length - 1, extendIndex });
  }

  #prepareKnown(batch: LaunchBatch, intent: Exclude<Intent, { kind: 'new' }>, now: number): void {
    const { run } = intent;
    const start = batch.statements.length;
    const common = { intent, group: run.group, sharing: 1, extendIndex: -1, delayed: false };
    if (intent.kind === 'wake') {
      const { statements, decisionIndex } = wakeStatements(
        { group: run.group, jobId: run.job.id, concurrency: run.job.concurrency },
        this.#node,
        now,
      );
      batch.statements.push(...statements);
      batch.places.push({ ...common, key: run.key, index: start + decisionIndex });
      return;
    }
    if (intent.kind === 'miss') {
      batch.statements.push(endOccurrence(run.group, 'missed', intent.reason, now));
      batch.places.push({ ...common, key: run.key, index: start });
      return;
    }
    const key = intent.kind === 'retry' ? this.#identities.next() : run.group;
    const relaunch = intent.kind === 'retry' && intent.relaunch;
    batch.statements.push(
      ...(intent.kind === 'retry'
        ? retryStatements({ key, group: run.group, attempt: run.attempt + 1, relaunch, node: this.#node })
        : promoteStatements(run.group, this.#node, intent.beside)),
    );
    batch.places.push({ ...common, key, index: start });
  }

  #applyOne(place: Place, decision: Decision | null, ready: LiveRun[]): void {
    const { intent } = place;
    switch (intent.kind) {
      case 'new':
        return this.#applyNew(intent, place.group, decision, ready);
      case 'wake':
        return this.#applyWake(intent.run, decision, ready);
      case 'miss':
        if (decision === null) return;
        this.#live.remove(intent.run);
        return this.#dropped(intent.run.job, place.group, { phase: 'final', outcome: 'missed', reason: intent.reason });
      case 'retry':
        if (decision?.phase !== 'active') return;
        this.#live.rekey(intent.run, place.key);
        intent.run.attempt++;
        if (intent.relaunch) intent.run.relaunches++;
        return this.#activate(intent.run, ready);
      case 'promote':
        if (decision?.phase === 'active') this.#activate(intent.run, ready);
    }
  }

  #applyNew(
    intent: Extract<Intent, { kind: 'new' }>,
    group: number,
    decision: Decision | null,
    ready: LiveRun[],
  ): void {
    const { job } = intent;
    if (decision === null) return;
    if (decision.phase === 'final') {
      if (decision.reason === 'overlap' && intent.trigger === 'schedule' && decision !== EXTENDED) {
        this.#lastSkipped.set(job.id, group);
      }
      return this.#dropped(job, group, decision);
    }
    this.#lastSkipped.delete(job.id);
    const run = newLiveRun(intent, group, decision.phase);
    this.#live.add(run);
    if (run.phase === 'active') ready.push(run);
    if (run.phase === 'delayed') this.#hooks.delayed(run);
    else if (!intent.forced) this.#giveWay(run);
  }

  #applyWake(run: LiveRun, decision: Decision | null, ready: LiveRun[]): void {
    if (decision === null) return;
    if (decision.phase === 'final') {
      this.#live.remove(run);
      return this.#dropped(run.job, run.group, decision);
    }
    run.phase = decision.phase;
    if (run.phase === 'active') ready.push(run);
    this.#giveWay(run);
  }

  /** replace: what waited was cancelled in the same batch, what runs is asked to end; the new one starts when that is done. */
  #giveWay(run: LiveRun): void {
    if (run.job.concurrency !== 'replace') return;
    for (const other of this.#live.ofJob(run.job.id)) {
      if (other === run || other.group > run.group) continue;
      if (other.phase === 'active') this.#hooks.stop(other, 'replaced');
      else if (other.phase !== 'delayed') {
        this.#live.remove(other);
        this.#dropped(other.job, other.group, { phase: 'final', outcome: 'cancelled', reason: 'replaced' });
      }
    }
  }

  #activate(run: LiveRun, ready: LiveRun[]): void {
    run.phase = 'active';
    run.startedAtUs = null;
    run.pid = null;
    run.ending = false;
    ready.push(run);
  }

  #dropped(job: CompiledJob, group: number, decision: Decision): void {
    this.#emit({
      kind: 'occurrence_dropped',
      job: job.name,
      group,
      outcome: decision.outcome,
      reason: decision.reason,
      count: 1,
    });
  }

  async #readDecisions(batch: LaunchBatch): Promise<Map<number, Decision>> {
    const groups = JSON.stringify(batch.places.map((place) => place.group));
    const rows = await this.#store.read<{ group_id: number; phase: number; outcome: number; reason: number }>(
      DECISIONS_OF,
      [groups],
      'linearizable',
    );
    return new Map(rows.map((row) => [row.group_id, decisionOf(row)]));
  }
}

function newLiveRun(intent: Extract<Intent, { kind: 'new' }>, group: number, phase: LiveRun['phase']): LiveRun {
  return {
    group,
    job: intent.job,
    trigger: intent.trigger,
    nominalAt: intent.nominalAt,
    dueAt: intent.dueAt,
    phase,
    key: group,
    attempt: 1,
    relaunches: 0,
    catchUp: intent.catchUp,
    sent: false,
    startedAtUs: null,
    pid: null,
    stopping: null,
    stopAskedAt: null,
    wakeAt: null,
    ending: false,
  };
}
