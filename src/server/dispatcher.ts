/**
 * Hands intents whose tags this node has to the agent in due order, at most `maxRuns` at once; a job takes at most half of the places while others wait, and runs
 * that catch up obey a rate. What waits here is durable in the store and can still be withdrawn.
 */
import { matchesTags } from '../core/target.ts';
import { Heap } from '../lib/heap.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { AgentSession, StartRequest } from '../model/agent.ts';
import { executionId } from './identity.ts';
import type { LiveRun } from './live.ts';

export interface DispatcherOptions {
  readonly epoch: number;
  readonly node: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly maxRuns: number;
  /** Starts per second of occurrences that were older than grace. */
  readonly catchUpRate: number;
}

/** Why a run that waits here is given up: its start deadline passed, or no node with its tags appeared within its grace. */
export type ExpiredReason = 'start_deadline' | 'no_target';

/** One message to the agent carries at most so many starts, so that the first of a storm is not held up by the last. */
const SEND_MAX = 256;
const CATCH_UP_SLICE_MS = 100;

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #agent: AgentSession;
  readonly #clock: Clock;
  readonly #expire: (runs: LiveRun[], reason: ExpiredReason) => void;
  readonly #waiting = new Heap<LiveRun>((run) => run.dueAt);
  readonly #deadlines = new Heap<LiveRun>((run) => run.dueAt + (run.job.startDeadlineMs ?? 0));
  /** Runs of jobs that already have half of the places, in due order. */
  readonly #parked = new Map<number, LiveRun[]>();
  readonly #held = new Set<LiveRun>();
  /** Held, and of jobs whose tags this node does not have. */
  readonly #unmatched = new Set<LiveRun>();
  readonly #graceEnds = new Heap<LiveRun>((run) => run.dueAt + run.job.misfire.graceMs);
  /** At the agent and not ended: they take a place. */
  readonly #placed = new Set<LiveRun>();
  /** How many of them are of each job. */
  readonly #perJob = new Map<number, number>();
  #catchUp: LiveRun[] = [];
  #catchUpTimer: Timer | undefined;
  #parkedCount = 0;
  #open = true;

  /** `expire` is told of runs that waited too long; they are withdrawn already. */
  constructor(
    options: DispatcherOptions,
    modules: { agent: AgentSession; clock: Clock; expire: (runs: LiveRun[], reason: ExpiredReason) => void },
  ) {
    this.#options = options;
    this.#agent = modules.agent;
    this.#clock = modules.clock;
    this.#expire = modules.expire;
  }

  /** Waiting for a place, and at the agent. */
  get counts(): { waiting: number; running: number } {
    return { waiting: this.#held.size - this.#unmatched.size, running: this.#placed.size };
  }

  /** Whether the job's tags let it run on this node. */
  matches({ definition }: LiveRun['job']): boolean {
    const { node, tags } = this.#options;
    return matchesTags(definition.tags, { name: node, tags });
  }

  enqueue(runs: readonly LiveRun[]): void {
    for (const run of runs) {
      run.sent = false;
      this.#held.add(run);
      // As in Dkron, later attempts choose no node.
      if (run.attempt === 1 && !this.matches(run.job)) {
        this.#unmatched.add(run);
        this.#graceEnds.push(run);
        continue;
      }
      this.#watchDeadline(run);
      if (run.catchUp) this.#catchUp.push(run);
      else this.#waiting.push(run);
    }
    if (this.#catchUp.length > 0 && this.#catchUpTimer === undefined) this.#releaseCatchUp();
    this.pump();
  }

  /** Counts a run the agent already has (after a restart). */
  adopt(run: LiveRun): void {
    run.sent = true;
    if (!run.ending) this.#occupy(run);
  }

  /** Takes back a run that has not been handed over; false when the agent has it. */
  withdraw(run: LiveRun): boolean {
    this.#unmatched.delete(run);
    return this.#held.delete(run);
  }

  /** Whether the run waits here. */
  holds(run: LiveRun): boolean {
    return this.#held.has(run);
  }

  /** The agent has told its end: its place is free, though its result may not be committed yet. */
  release(run: LiveRun): void {
    // A runner that had it from the leader before may tell its end while it waits here to be handed over again.
    this.withdraw(run);
    run.sent = true;
    if (!this.#vacate(run)) return;
    const parked = this.#parked.get(run.job.id);
    const next = parked?.shift();
    if (next === undefined) return;
    this.#parkedCount--;
    if (parked?.length === 0) this.#parked.delete(run.job.id);
    this.#waiting.push(next);
  }

  /** The agent would not take it now (disk full): it waits again. */
  takeBack(run: LiveRun): void {
    if (!run.sent || run.ending) return;
    run.sent = false;
    this.#vacate(run);
    this.#held.add(run);
    this.#watchDeadline(run);
    this.#waiting.push(run);
  }

  /** Stops handing over (shutdown); what is held stays durable. */
  close(): void {
    this.#open = false;
    this.#catchUpTimer?.cancel();
  }

  /** Hands over what there is room for. Called after every enqueue and release, and each second for the deadlines. */
  pump(): void {
    if (!this.#open) return;
    this.#expireOverdue();
    let batch: StartRequest[] = [];
    while (this.#placed.size < this.#options.maxRuns) {
      const run = this.#nextRun();
      if (run === undefined) break;
      this.#held.delete(run);
      run.sent = true;
      this.#occupy(run);
      batch.push(startRequest(run, this.#agent.node));
      if (batch.length >= SEND_MAX) {
        this.#agent.start(this.#options.epoch, batch);
        batch = [];
      }
    }
    if (batch.length > 0) this.#agent.start(this.#options.epoch, batch);
  }

  #nextRun(): LiveRun | undefined {
    const half = Math.max(1, Math.floor(this.#options.maxRuns / 2));
    for (;;) {
      const run = this.#waiting.pop() ?? this.#unpark();
      if (run === undefined) return undefined;
      // One whose end was asked for stays held until that is committed; it must not be handed over meanwhile.
      if (!this.#held.has(run) || run.stopping !== null) continue;
      const taken = this.#perJob.get(run.job.id) ?? 0;
      if (taken < half || this.#waiting.size === 0) return run;
      this.#park(run);
    }
  }

  #park(run: LiveRun): void {
    const parked = this.#parked.get(run.job.id);
    if (parked === undefined) this.#parked.set(run.job.id, [run]);
    else parked.push(run);
    this.#parkedCount++;
  }

  /** Nobody else waits, so the jobs that were held at half may have the rest. */
  #unpark(): LiveRun | undefined {
    if (this.#parkedCount === 0) return undefined;
    for (const [jobId, parked] of this.#parked) {
      const run = parked.shift();
      if (parked.length === 0) this.#parked.delete(jobId);
      if (run === undefined) continue;
      this.#parkedCount--;
      return run;
    }
    return undefined;
  }

  /** The deadline is for the first start; an occurrence that started once is not missed. */
  #watchDeadline(run: LiveRun): void {
    if (run.job.startDeadlineMs !== null && run.attempt === 1) this.#deadlines.push(run);
  }

  #expireOverdue(): void {
    const now = this.#clock.now();
    const expired: LiveRun[] = [];
    for (let run = this.#deadlines.peek(); run !== undefined; run = this.#deadlines.peek()) {
      if (run.dueAt + (run.job.startDeadlineMs ?? 0) > now) break;
      this.#deadlines.pop();
      // The entry may be from before its first start.
      if (run.attempt === 1 && this.#held.delete(run)) expired.push(run);
    }
    if (expired.length > 0) this.#expire(expired, 'start_deadline');
    const left: LiveRun[] = [];
    for (let run = this.#graceEnds.peek(); run !== undefined; run = this.#graceEnds.peek()) {
      if (run.dueAt + run.job.misfire.graceMs > now) break;
      this.#graceEnds.pop();
      if (this.#unmatched.delete(run) && this.#held.delete(run)) left.push(run);
    }
    if (left.length > 0) this.#expire(left, 'no_target');
  }

  #releaseCatchUp(): void {
    const share = Math.max(1, Math.round((this.#options.catchUpRate * CATCH_UP_SLICE_MS) / 1000));
    const released = this.#catchUp.slice(0, share);
    this.#catchUp = this.#catchUp.slice(share);
    for (const run of released) this.#waiting.push(run);
    this.#catchUpTimer = this.#clock.setTimer((1000 * share) / this.#options.catchUpRate, () => {
      this.#catchUpTimer = undefined;
      if (this.#catchUp.length > 0) this.#releaseCatchUp();
      this.pump();
    });
  }

  #occupy(run: LiveRun): void {
    this.#placed.add(run);
    this.#perJob.set(run.job.id, (this.#perJob.get(run.job.id) ?? 0) + 1);
  }

  /** Whether it had a place. */
  #vacate(run: LiveRun): boolean {
    if (!this.#placed.delete(run)) return false;
    const count = (this.#perJob.get(run.job.id) ?? 0) - 1;
    if (count === 0) this.#perJob.delete(run.job.id);
    else this.#perJob.set(run.job.id, count);
    return true;
  }
}

function startRequest(run: LiveRun, node: string): StartRequest {
  const { job } = run;
  return {
    key: run.key,
    id: executionId(run.key, node),
    group: run.group,
    attempt: run.attempt,
    job: job.name,
    jobId: job.id,
    trigger: run.trigger,
    scheduledAt: run.nominalAt,
    executor: job.definition.executor,
    config: job.definition.executor_config,
    timeoutMs: job.timeoutMs,
    killGraceMs: job.killGraceMs,
  };
}
