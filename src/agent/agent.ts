/**
 * The agent of this node: hands runs to a runner process, brings back what they say, and keeps the promise across deaths of either side. Every
 * run is in the hands of one runner; when that runner dies, another one takes its journal, and what was never accepted is sent again.
 */
import { failpoint } from '../lib/failpoint.ts';
import type {
  AgentEvents,
  AgentSession,
  ExecutionEnded,
  ExecutionRefused,
  ExecutionStarted,
  KnownExecution,
  StartRequest,
  StopRequest,
} from '../model/agent.ts';
import { type FleetModules, RunnerFleet } from './fleet.ts';
import { type AgentOptions, runnerOptions } from './options.ts';
import type { RunnerMessage } from './protocol.ts';
import type { RunnerLink } from './runner-link.ts';
import { type Assignment, neverStarted, RunBook } from './run-book.ts';

export type { AgentOptions } from './options.ts';
export type AgentModules = FleetModules;

/** Runs handed to one runner and not yet accepted; more wait here, so that a burst fills no buffers. */
export const UNACCEPTED_MAX = 2048;
const START_BATCH_MAX = 256;
const REST_INTERVAL_MS = 20;

export class Agent implements AgentSession {
  readonly node: string;
  readonly #m: AgentModules;
  readonly #fleet: RunnerFleet;
  readonly #book = new RunBook();
  readonly #unaccepted = new Map<RunnerLink, number>();
  readonly #listeners = new Set<AgentEvents>();
  /** What living and dead runners said before `known()` was answered. */
  readonly #firstKnown = new Map<number, KnownExecution>();
  readonly #ready = Promise.withResolvers<readonly KnownExecution[]>();
  #epoch = 0;
  #state: 'new' | 'starting' | 'running' | 'draining' | 'closed' = 'new';
  #warmed: readonly string[] = [];

  constructor(options: AgentOptions, modules: AgentModules) {
    this.node = options.node;
    this.#m = modules;
    this.#fleet = new RunnerFleet(options.dataDir, runnerOptions(options), modules, {
      epoch: () => this.#epoch,
      ready: (link) => this.#onReady(link),
      takenOver: (link, dead, known) => this.#onTakenOver(link, dead, known),
      dead: (link) => this.#unaccepted.delete(link),
      message: (link, message) => this.#receive(link, message),
      failed: (error) => this.#onFailed(error),
    });
  }

  // The session

  /** Adopts living runners, starts an own one, and has it take what dead ones left. Repeated calls share one answer. */
  known(): Promise<readonly KnownExecution[]> {
    if (this.#state === 'new') {
      this.#state = 'starting';
      this.#fleet.open().catch((error: unknown) => this.#ready.reject(error as Error));
    }
    return this.#ready.promise;
  }

  subscribe(events: AgentEvents): void {
    this.#listeners.add(events);
  }

  start(epoch: number, runs: readonly StartRequest[]): void {
    if (epoch < this.#epoch) return this.#refuse(runs, 'stale_epoch');
    this.#epoch = epoch;
    if (this.#state === 'draining' || this.#state === 'closed') return this.#refuse(runs, 'draining');
    for (const request of runs) this.#book.add(request, epoch);
    failpoint('agent.start.before_send');
    this.#distribute();
  }

  stop(requests: readonly StopRequest[]): void {
    const byLink = new Map<RunnerLink, StopRequest[]>();
    const never: ExecutionEnded[] = [];
    for (const request of requests) {
      const run = this.#book.get(request.key);
      if (run === undefined || run.ended) continue;
      run.stop = request;
      if (run.link === null && run.request !== null) never.push(this.#cancelled(run, request));
      else if (run.link !== null) byLink.set(run.link, [...(byLink.get(run.link) ?? []), request]);
    }
    for (const [link, list] of byLink) link.send({ t: 'stop', runs: list });
    if (never.length > 0) for (const listener of this.#listeners) listener.ended(never);
  }

  acknowledge(keys: readonly number[]): void {
    failpoint('agent.ack.before_send');
    const byLink = new Map<RunnerLink, number[]>();
    for (const key of keys) {
      const run = this.#book.get(key);
      if (run === undefined || !run.ended) continue;
      this.#book.acknowledge(run);
      if (run.link === null) continue;
      const list = byLink.get(run.link);
      if (list === undefined) byLink.set(run.link, [key]);
      else list.push(key);
    }
    for (const [link, list] of byLink) link.send({ t: 'ack', keys: list });
  }

  // The node's services

  /** Handed over and not ended. */
  running(): number {
    return this.#book.unfinished;
  }

  /** Pids of the runners, for the process tree's memory and for people. */
  processIds(): number[] {
    return [...this.#fleet.links].map((link) => link.pid).filter((pid) => pid > 0);
  }

  /** What `/health` and `/metrics` say. diskFull: nothing is accepted until there is room. */
  state(): {
    diskFull: boolean;
    runners: { runner: string; pid: number; spawn: string; draining: boolean; ready: boolean }[];
  } {
    const runners = [...this.#fleet.links].map((link) => {
      return {
        runner: link.runner,
        pid: link.pid,
        spawn: link.spawn,
        draining: link.target.draining,
        ready: link.ready,
      };
    });
    return { diskFull: this.#fleet.diskFull, runners };
  }

  /** Has in-process executors loaded before the first run of theirs is due; later runners load them too. */
  warm(executors: readonly string[]): void {
    this.#warmed = [...new Set([...this.#warmed, ...executors])];
    for (const link of this.#fleet.takers()) link.send({ t: 'warm', executors });
  }

  /** The node goes, its jobs go on. */
  close(): void {
    this.#state = 'closed';
    this.#fleet.close();
  }

  /**
   * For containers, where jobs die with the node: takes nothing new, waits up to `deadlineMs` (or until `signal` fires), then stops what is left
   * (`cancelled: shutdown`). Resolves when nothing runs and every result was acknowledged, or after `settleMs` more; the runners then end.
   */
  async drain(deadlineMs: number, signal?: AbortSignal, settleMs = 5000): Promise<void> {
    const { clock } = this.#m;
    this.#state = 'draining';
    const deadline = clock.monotonic() + deadlineMs;
    while (this.#book.unfinished > 0 && clock.monotonic() < deadline && signal?.aborted !== true)
      await clock.sleep(REST_INTERVAL_MS);
    this.stop([...this.#book.all()].filter((run) => !run.ended).map(({ key }) => ({ key, reason: 'shutdown' })));
    while (this.#book.unfinished > 0) await clock.sleep(REST_INTERVAL_MS);
    const settled = clock.monotonic() + settleMs;
    while (this.#book.size > 0 && clock.monotonic() < settled) await clock.sleep(REST_INTERVAL_MS);
    this.#fleet.retire();
    while (this.#fleet.links.size > 0 && this.#book.size === 0 && clock.monotonic() < settled)
      await clock.sleep(REST_INTERVAL_MS);
    this.close();
  }

  // Runners

  #onReady(link: RunnerLink): void {
    this.#epoch = Math.max(this.#epoch, link.epoch);
    if (this.#warmed.length > 0 && !link.target.draining) link.send({ t: 'warm', executors: this.#warmed });
    this.#learn(link, link.known);
    // After a broken connection: what it had not received when the line broke is sent again; it knows doubles.
    this.#requeueUnknown(link, new Set(link.known.map(({ key }) => key)));
    this.#considerReady();
    this.#distribute();
  }

  #onTakenOver(link: RunnerLink, dead: ReadonlySet<string>, known: readonly KnownExecution[]): void {
    this.#learn(link, known);
    for (const run of this.#book.all()) {
      if (run.link === null || !dead.has(run.link.runner) || run.ended) continue;
      // Its runner is dead and the journal does not know it: it never arrived.
      if (run.request !== null) this.#requeue(run);
      else run.link = link;
    }
    this.#considerReady();
    this.#distribute();
  }

  /** Before the first answer this is a refusal to start; later the fleet goes on without new runs, and what waits goes on waiting. */
  #onFailed(error: Error): void {
    if (this.#state === 'starting') this.#ready.reject(error);
    else
      this.#m.log.error(
        { error: error.message },
        'no runner can be started: nothing is launched until the node is restarted',
      );
  }

  #considerReady(): void {
    if (this.#state !== 'starting' || !this.#fleet.settled) return;
    this.#state = 'running';
    this.#ready.resolve([...this.#firstKnown.values()]);
    this.#firstKnown.clear();
  }

  #receive(link: RunnerLink, message: RunnerMessage): void {
    switch (message.t) {
      case 'accepted':
        return this.#onAccepted(link, message.keys);
      case 'refused':
        return this.#onRefused(link, message.runs);
      case 'started':
        for (const listener of this.#listeners) listener.started(message.runs);
        return;
      case 'ended':
        return this.#onEnded(link, message.runs);
      default:
        return;
    }
  }

  /** Takes a runner's word for what it knows. */
  #learn(link: RunnerLink, states: readonly KnownExecution[]): void {
    const started: ExecutionStarted[] = [];
    const ended: ExecutionEnded[] = [];
    for (const state of states) {
      if (this.#book.isAcknowledged(state.key)) {
        // Its acknowledgement was lost with a connection.
        link.send({ t: 'ack', keys: [state.key] });
        continue;
      }
      const run = this.#book.learn(state.key, link, this.#epoch);
      if (run.stop !== null && !run.ended && state.state !== 'ended') link.send({ t: 'stop', runs: [run.stop] });
      if (this.#state === 'starting') this.#firstKnown.set(state.key, state);
      if (state.state === 'started') started.push(state.started);
      if (state.state === 'ended' && !run.ended) {
        this.#book.finish(run);
        ended.push(state.ended);
      }
    }
    if (this.#state === 'starting') return;
    for (const listener of this.#listeners) {
      if (started.length > 0) listener.started(started);
      if (ended.length > 0) listener.ended(ended);
    }
  }

  #onAccepted(link: RunnerLink, keys: readonly number[]): void {
    this.#unaccepted.set(link, Math.max(0, (this.#unaccepted.get(link) ?? 0) - keys.length));
    for (const key of keys) {
      const run = this.#book.get(key);
      if (run !== undefined) run.request = null;
    }
    this.#distribute();
  }

  #onRefused(link: RunnerLink, runs: readonly ExecutionRefused[]): void {
    this.#unaccepted.set(link, Math.max(0, (this.#unaccepted.get(link) ?? 0) - runs.length));
    const final: ExecutionRefused[] = [];
    for (const refusal of runs) {
      const run = this.#book.get(refusal.key);
      if (run === undefined || run.ended) continue;
      if (refusal.why === 'draining' && run.request !== null && this.#state !== 'draining') {
        this.#requeue(run);
        continue;
      }
      this.#book.finish(run);
      this.#book.forget(run);
      final.push(refusal);
    }
    if (final.length > 0) for (const listener of this.#listeners) listener.refused(final);
    this.#distribute();
  }

  #onEnded(link: RunnerLink, runs: readonly ExecutionEnded[]): void {
    failpoint('agent.ended.received');
    const again: number[] = [];
    const news: ExecutionEnded[] = [];
    for (const ended of runs) {
      const run = this.#book.get(ended.key);
      if (run !== undefined && !run.ended) {
        this.#book.finish(run);
        news.push(ended);
      } else if (run === undefined && this.#book.isAcknowledged(ended.key)) {
        again.push(ended.key);
      }
    }
    // Its acknowledgement was lost with a connection.
    if (again.length > 0) link.send({ t: 'ack', keys: again });
    if (news.length > 0) for (const listener of this.#listeners) listener.ended(news);
  }

  // Runs

  #distribute(): void {
    if (this.#book.queued === 0 || this.#state === 'starting' || this.#state === 'new') return;
    for (;;) {
      const link = this.#roomiest();
      const room = link === null ? 0 : Math.min(START_BATCH_MAX, UNACCEPTED_MAX - (this.#unaccepted.get(link) ?? 0));
      if (link === null || room <= 0 || this.#book.queued === 0) return;
      const batch = this.#book.take(room);
      const epoch = Math.max(...batch.map((run) => run.epoch));
      for (const run of batch) run.link = link;
      this.#unaccepted.set(link, (this.#unaccepted.get(link) ?? 0) + batch.length);
      link.send({ t: 'start', epoch, runs: batch.flatMap((run) => (run.request === null ? [] : [run.request])) });
    }
  }

  #roomiest(): RunnerLink | null {
    let best: RunnerLink | null = null;
    for (const link of this.#fleet.takers()) {
      if (best === null || (this.#unaccepted.get(link) ?? 0) < (this.#unaccepted.get(best) ?? 0)) best = link;
    }
    return best;
  }

  #requeueUnknown(link: RunnerLink, known: ReadonlySet<number>): void {
    this.#unaccepted.delete(link);
    for (const run of this.#book.all()) {
      if (run.link === link && run.request !== null && !known.has(run.key) && !run.ended) this.#requeue(run);
    }
  }

  #requeue(run: Assignment): void {
    if (run.stop === null) return this.#book.requeue(run);
    const ended = this.#cancelled(run, run.stop);
    for (const listener of this.#listeners) listener.ended([ended]);
  }

  #cancelled(run: Assignment, { reason }: StopRequest): ExecutionEnded {
    this.#book.finish(run);
    return neverStarted(run.key, reason, this.#m.clock.nowUs());
  }

  #refuse(runs: readonly StartRequest[], why: ExecutionRefused['why']): void {
    const refusals = runs.map(({ key }) => ({ key, why }));
    for (const listener of this.#listeners) listener.refused(refusals);
  }
}

export function createAgent(options: AgentOptions, modules: AgentModules): Agent {
  return new Agent(options, modules);
}
