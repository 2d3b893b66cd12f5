/** Every run the agent has in hand, from the hand-over by the leader to the acknowledgement of its end, and the queue of those no runner has yet. */
import { RecentNumbers } from '../lib/recent.ts';
import type { ExecutionEnded, StartRequest, StopRequest } from '../model/agent.ts';
import type { RunnerLink } from './runner-link.ts';
import { ACKNOWLEDGED_MAX } from './spool.ts';

export interface Assignment {
  readonly key: number;
  readonly epoch: number;
  /** The runner it was sent to; null: none yet. */
  link: RunnerLink | null;
  /** Kept until accepted, because until then it may have to be sent again. */
  request: StartRequest | null;
  /** Kept until the end, because the runner that was told may die. */
  stop: StopRequest | null;
  ended: boolean;
}

export class RunBook {
  readonly #runs = new Map<number, Assignment>();
  readonly #acknowledged = new RecentNumbers(ACKNOWLEDGED_MAX);
  #queue: Assignment[] = [];
  #unfinished = 0;

  /** Handed over and not ended. */
  get unfinished(): number {
    return this.#unfinished;
  }

  /** Handed over and not acknowledged. */
  get size(): number {
    return this.#runs.size;
  }

  get queued(): number {
    return this.#queue.length;
  }

  get(key: number): Assignment | undefined {
    return this.#runs.get(key);
  }

  all(): IterableIterator<Assignment> {
    return this.#runs.values();
  }

  isAcknowledged(key: number): boolean {
    return this.#acknowledged.has(key);
  }

  /** A new run, at the end of the queue; a key already known or acknowledged changes nothing. */
  add(request: StartRequest, epoch: number): void {
    const { key } = request;
    if (this.#runs.has(key) || this.#acknowledged.has(key)) return;
    const run = { key, epoch, link: null, request, stop: null, ended: false };
    this.#runs.set(key, run);
    this.#unfinished += 1;
    this.#queue.push(run);
  }

  /** The run as `link` has it, known before or not. */
  learn(key: number, link: RunnerLink, epoch: number): Assignment {
    let run = this.#runs.get(key);
    if (run === undefined) {
      run = { key, epoch, link, request: null, stop: null, ended: false };
      this.#runs.set(key, run);
      this.#unfinished += 1;
    }
    run.link = link;
    run.request = null;
    return run;
  }

  /** Back into the queue: the runner it was sent to never had it. */
  requeue(run: Assignment): void {
    run.link = null;
    this.#queue.push(run);
  }

  take(count: number): Assignment[] {
    return this.#queue.splice(0, count);
  }

  finish(run: Assignment): void {
    if (run.ended) return;
    run.ended = true;
    run.request = null;
    this.#unfinished -= 1;
    if (run.link === null) this.#queue = this.#queue.filter((other) => other !== run);
  }

  forget(run: Assignment): void {
    this.#runs.delete(run.key);
  }

  /** Its end is committed: a repeated start or end of it is no news from now on. */
  acknowledge(run: Assignment): void {
    this.#runs.delete(run.key);
    this.#acknowledged.add(run.key);
  }
}

/** The end of a run that was stopped before any runner had it. */
export function neverStarted(key: number, reason: StopRequest['reason'], finishedAtUs: number): ExecutionEnded {
  const nothing = { startedAtUs: null, exitCode: null, signal: null, tail: '', outputBytes: 0, logBytes: 0 };
  return { key, finishedAtUs, outcome: 'cancelled', reason, message: 'stopped before it started', ...nothing };
}
