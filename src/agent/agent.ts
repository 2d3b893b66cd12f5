/**
 * The agent of this node: hands runs to a runner process, brings back what they say, and keeps the promise across deaths of either side. Every
 * run is in the hands of one runner; when that runner dies, another one takes its journal, and what was never accepted is sent again.
 */
import { mkdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import type { Clock, Timer } from '../lib/clock.ts';
import { failpoint } from '../lib/failpoint.ts';
import type { Random } from '../lib/random.ts';
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
import { baseEnvironment } from '../core/process-environment.ts';
import { logsDirectory } from './paths.ts';
import { PROTOCOL, type RunnerMessage, type RunnerOptions } from './protocol.ts';
import { greetingOf, RunnerLink } from './runner-link.ts';
import { findRunners, prepareCompileCache, readIdentity, runnerLogTail, startRunner } from './runner-process.ts';
import { signal } from './runner/tree.ts';
import { Reaping, type Subreaper } from './subreaper.ts';
import { ACKNOWLEDGED_MAX } from './spool.ts';

export interface AgentOptions {
  readonly dataDir: string;
  readonly node: string;
  /** Log bytes kept per execution; older ones are released. */
  readonly outputBytesMax?: number;
  readonly tailBytes?: number;
  readonly journalReserveBytes?: number;
  /** How long a runner without node and without runs stays. */
  readonly runnerIdleMs?: number;
  readonly spawn?: RunnerOptions['spawn'];
  readonly cgroups?: RunnerOptions['cgroups'];
  /** What every job gets; default: `baseEnvironment` of the node's own, with `jobEnvironmentNames`. */
  readonly baseEnvironment?: Readonly<Record<string, string>>;
  readonly jobEnvironmentNames?: readonly string[];
  readonly protocol?: number;
}

export const AGENT_DEFAULTS = {
  outputBytesMax: 64 * 1024 * 1024,
  tailBytes: 16 * 1024,
  journalReserveBytes: 8 * 1024 * 1024,
  runnerIdleMs: 10_000,
  spawn: 'auto',
  cgroups: 'auto',
} as const;

/** The part of pino the agent uses. */
export interface AgentLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface AgentModules {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: AgentLog;
  /** From `becomeSubreaper()` at the node's start; null: exits of a dead runner's jobs stay unknown. */
  readonly reaper: Subreaper | null;
}

/** Runs handed to one runner and not yet accepted; more wait here, so that a burst fills no buffers. */
export const UNACCEPTED_MAX = 2048;
const START_BATCH_MAX = 256;
/** child_process costs about 1 ms of blocked loop per start: two runners share it. */
const CHILD_PROCESS_RUNNERS = 2;
const RESTART_DELAY_MS = { first: 100, max: 5000 };
/** So many runners dead in a row before one was ready, and the agent's start fails with what they said. */
const START_FAILURES_MAX = 5;
const REST_INTERVAL_MS = 20;

/** One run, from the hand-over to the acknowledgement. */
interface Assignment {
  readonly key: number;
  link: RunnerLink | null;
  /** Kept until accepted, because until then it may have to be sent again. */
  request: StartRequest | null;
  epoch: number;
  stop: StopRequest | null;
  ended: boolean;
}

export class Agent implements AgentSession {
  readonly node: string;
  readonly #options: AgentOptions;
  readonly #runnerOptions: RunnerOptions;
  readonly #m: AgentModules;
  readonly #reaping: Reaping | null;
  readonly #links = new Set<RunnerLink>();
  /** Dead runners whose journals nobody has taken yet. */
  readonly #untaken = new Set<string>();
  readonly #takingBy = new Map<RunnerLink, { runners: readonly string[]; known: KnownExecution[] }>();
  readonly #runs = new Map<number, Assignment>();
  readonly #acknowledged = new Set<number>();
  #queue: Assignment[] = [];
  readonly #unaccepted = new Map<RunnerLink, number>();
  readonly #listeners = new Set<AgentEvents>();
  #epoch = 0;
  #unfinished = 0;
  #state: 'new' | 'starting' | 'running' | 'draining' | 'closed' = 'new';
  #resolveReady: ((known: readonly KnownExecution[]) => void) | null = null;
  #rejectReady: ((error: Error) => void) | null = null;
  #ready: Promise<readonly KnownExecution[]> | null = null;
  #restartDelayMs: number = RESTART_DELAY_MS.first;
  #startFailures = 0;
  #timers = new Set<Timer>();
  #diskFull = false;
  #warmed: readonly string[] = [];

  constructor(options: AgentOptions, modules: AgentModules) {
    this.node = options.node;
    this.#options = options;
    this.#m = modules;
    this.#reaping = modules.reaper === null ? null : new Reaping(modules.reaper, modules.clock, () => this.#untaken.size === 0 && this.#takingBy.size === 0);
    this.#runnerOptions = {
      node: options.node,
      baseEnvironment: options.baseEnvironment ?? baseEnvironment({ ...ownUser(), ...process.env }, options.jobEnvironmentNames),
      outputBytesMax: options.outputBytesMax ?? AGENT_DEFAULTS.outputBytesMax,
      tailBytes: options.tailBytes ?? AGENT_DEFAULTS.tailBytes,
      journalReserveBytes: options.journalReserveBytes ?? AGENT_DEFAULTS.journalReserveBytes,
      idleMs: options.runnerIdleMs ?? AGENT_DEFAULTS.runnerIdleMs,
      spawn: options.spawn ?? AGENT_DEFAULTS.spawn,
      cgroups: options.cgroups ?? AGENT_DEFAULTS.cgroups,
      protocol: options.protocol ?? PROTOCOL,
    };
  }

  // The session

  /** Adopts living runners, starts an own one, and has it take what dead ones left. Repeated calls share one answer. */
  known(): Promise<readonly KnownExecution[]> {
    this.#ready ??= new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
      this.#open().catch(reject);
    });
    return this.#ready;
  }

  subscribe(events: AgentEvents): void {
    this.#listeners.add(events);
  }

  start(epoch: number, runs: readonly StartRequest[]): void {
    if (epoch < this.#epoch) return this.#refuse(runs, 'stale_epoch');
    this.#epoch = epoch;
    if (this.#state === 'draining' || this.#state === 'closed') return this.#refuse(runs, 'draining');
    for (const request of runs) {
      if (this.#runs.has(request.key) || this.#acknowledged.has(request.key)) continue;
      const assignment = { key: request.key, link: null, request, epoch, stop: null, ended: false };
      this.#runs.set(request.key, assignment);
      this.#unfinished += 1;
      this.#queue.push(assignment);
    }
    failpoint('agent.start.before_send');
    this.#distribute();
  }

  stop(requests: readonly StopRequest[]): void {
    const byLink = new Map<RunnerLink, StopRequest[]>();
    const never: ExecutionEnded[] = [];
    for (const request of requests) {
      const run = this.#runs.get(request.key);
      if (run === undefined || run.ended) continue;
      run.stop = request;
      if (run.link === null && run.request !== null) never.push(this.#cancelled(run, request));
      else if (run.link !== null) byLink.set(run.link, [...(byLink.get(run.link) ?? []), request]);
    }
    for (const [link, list] of byLink) link.send({ t: 'stop', runs: list });
    if (never.length > 0) {
      this.#queue = this.#queue.filter((run) => !run.ended);
      for (const listener of this.#listeners) listener.ended(never);
    }
  }

  acknowledge(keys: readonly number[]): void {
    failpoint('agent.ack.before_send');
    const byLink = new Map<RunnerLink, number[]>();
    for (const key of keys) {
      const run = this.#runs.get(key);
      if (run === undefined || !run.ended) continue;
      this.#runs.delete(key);
      this.#remember(key);
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
    return this.#unfinished;
  }

  /** Pids of the runners, for the process tree's memory and for people. */
  processIds(): number[] {
    return [...this.#links].map((link) => link.pid).filter((pid) => pid > 0);
  }

  /** What `/health` and `/metrics` say. */
  state(): { diskFull: boolean; runners: { runner: string; pid: number; spawn: string; draining: boolean; ready: boolean }[] } {
    const runners = [...this.#links].map((link) => {
      return { runner: link.runner, pid: link.pid, spawn: link.spawn, draining: link.target.draining, ready: link.ready };
    });
    return { diskFull: this.#diskFull, runners };
  }

  /** Has in-process executors loaded before the first run of theirs is due; later runners load them too. */
  warm(executors: readonly string[]): void {
    this.#warmed = [...new Set([...this.#warmed, ...executors])];
    for (const link of this.#links) if (!link.target.draining) link.send({ t: 'warm', executors });
  }

  /** The node goes, its jobs go on. */
  close(): void {
    this.#state = 'closed';
    for (const timer of this.#timers) timer.cancel();
    for (const link of this.#links) link.close();
    this.#links.clear();
    this.#reaping?.close();
  }

  /**
   * For containers, where jobs die with the node: takes nothing new, waits up to `deadlineMs` (or until `signal` fires), then stops what is left
   * (`cancelled: shutdown`). Resolves when nothing runs and every result was acknowledged, or after `settleMs` more; the runners then end.
   */
  async drain(deadlineMs: number, signal?: AbortSignal, settleMs = 5000): Promise<void> {
    const { clock } = this.#m;
    this.#state = 'draining';
    const deadline = clock.monotonic() + deadlineMs;
    while (this.#unfinished > 0 && clock.monotonic() < deadline && signal?.aborted !== true) await clock.sleep(REST_INTERVAL_MS);
    this.stop([...this.#runs.values()].filter((run) => !run.ended).map(({ key }) => ({ key, reason: 'shutdown' })));
    while (this.#unfinished > 0) await clock.sleep(REST_INTERVAL_MS);
    const settled = clock.monotonic() + settleMs;
    while (this.#runs.size > 0 && clock.monotonic() < settled) await clock.sleep(REST_INTERVAL_MS);
    for (const link of this.#links) link.send({ t: 'retire' });
    while (this.#links.size > 0 && this.#runs.size === 0 && clock.monotonic() < settled) await clock.sleep(REST_INTERVAL_MS);
    this.close();
  }

  // Runners

  async #open(): Promise<void> {
    this.#state = 'starting';
    mkdirSync(logsDirectory(this.#options.dataDir), { recursive: true, mode: 0o750 });
    await prepareCompileCache(this.#options.dataDir);
    for (const { runner, identity } of findRunners(this.#options.dataDir)) {
      if (identity === null) this.#untaken.add(runner);
      else this.#openLink(runner, true, () => identity, () => false);
    }
    this.#startOwn();
    if (this.#options.spawn === 'child_process') for (let i = 1; i < CHILD_PROCESS_RUNNERS; i += 1) this.#startOwn();
  }

  #startOwn(): void {
    const { runner, child } = startRunner(this.#options.dataDir, this.#runnerOptions, this.#m);
    let over = false;
    child.once('exit', () => {
      over = true;
    });
    child.once('error', (error) => {
      over = true;
      this.#m.log.error({ runner, error: error.message }, 'a runner could not be started');
    });
    // The runner outlives this process on purpose; it must not keep it from ending.
    child.unref();
    // Its exit event, not /proc, says it is dead: only then are all its threads gone and its jobs ours.
    this.#openLink(runner, false, () => null, () => over);
  }

  #openLink(runner: string, draining: boolean, identity: RunnerLink['target']['identity'], ended: () => boolean): void {
    const target = { dataDir: this.#options.dataDir, runner, identity, ended, draining };
    const link = new RunnerLink(target, this.#m.clock, {
      message: (from, message) => this.#receive(from, message),
      dead: (from) => this.#onDead(from),
      hung: (from) => this.#onHung(from),
    });
    this.#links.add(link);
    link.open(() => greetingOf(this.#epoch, this.#reaping !== null));
  }

  #onHung(link: RunnerLink): void {
    const identity = readIdentity(this.#options.dataDir, link.runner);
    this.#m.log.error({ runner: link.runner, pid: link.pid }, 'a runner has not answered for a minute: it is killed and its runs are taken over');
    if (identity !== null && identity.pid === link.pid) signal(identity.pid, 'SIGKILL');
  }

  #onDead(link: RunnerLink): void {
    this.#links.delete(link);
    this.#unaccepted.delete(link);
    if (this.#state === 'closed') return;
    this.#untaken.add(link.runner);
    for (const runner of this.#takingBy.get(link)?.runners ?? []) this.#untaken.add(runner);
    this.#takingBy.delete(link);
    if (!link.target.draining) this.#replace(link);
    this.#takeOverUntaken();
  }

  #replace(link: RunnerLink): void {
    const said = runnerLogTail(this.#options.dataDir, link.runner);
    if (this.#state !== 'draining' || this.#unfinished > 0) this.#m.log.warn({ runner: link.runner, pid: link.pid, said }, 'a runner has died; another one takes its runs');
    if (link.pid === 0) this.#startFailures += 1;
    if (this.#startFailures >= START_FAILURES_MAX && this.#rejectReady !== null) {
      return this.#rejectReady(new Error(`the runner process cannot start: ${said.trim()}`));
    }
    this.#later(this.#restartDelayMs, () => this.#startOwn());
    this.#restartDelayMs = Math.min(this.#restartDelayMs * 2, RESTART_DELAY_MS.max);
  }

  #later(ms: number, run: () => void): void {
    const timer = this.#m.clock.setTimer(ms, () => {
      this.#timers.delete(timer);
      if (this.#state !== 'closed') run();
    });
    this.#timers.add(timer);
  }

  /** Hands the journals of dead runners to a living one of ours. */
  #takeOverUntaken(): void {
    if (this.#untaken.size === 0) return;
    const link = [...this.#links].find((candidate) => candidate.ready && !candidate.target.draining && !this.#takingBy.has(candidate));
    if (link === undefined) return;
    const runners = [...this.#untaken];
    this.#untaken.clear();
    this.#takingBy.set(link, { runners, known: [] });
    link.send({ t: 'takeover', runners });
  }

  // Messages

  #receive(link: RunnerLink, message: RunnerMessage): void {
    switch (message.t) {
      case 'ready':
        return this.#onReady(link);
      case 'accepted':
        return this.#onAccepted(link, message.keys);
      case 'refused':
        return this.#onRefused(link, message.runs);
      case 'started':
        return this.#onStarted(message.runs);
      case 'ended':
        return this.#onEnded(link, message.runs);
      case 'known':
        this.#takingBy.get(link)?.known.push(...message.runs);
        return;
      case 'takenOver':
        return this.#onTakenOver(link);
      case 'watch':
        for (const pid of message.pids) {
          if (this.#reaping === null) link.send({ t: 'reaped', exits: [{ pid, status: null }] });
          else this.#reaping.watch(pid, (status) => link.send({ t: 'reaped', exits: [{ pid, status }] }));
        }
        return;
      case 'disk':
        this.#diskFull = message.full;
        this.#m.log.warn({ runner: link.runner }, message.full ? 'the disk is full: no run is accepted' : 'the disk has room again');
        return;
      case 'problem':
        this.#m.log.error({ runner: link.runner, problem: message.message }, 'a runner has a problem');
        if (this.#takingBy.has(link)) this.#takeOverFailed(link);
        return;
      case 'hello':
      case 'pong':
        return;
    }
  }

  #onReady(link: RunnerLink): void {
    this.#epoch = Math.max(this.#epoch, link.epoch);
    this.#startFailures = 0;
    this.#restartDelayMs = RESTART_DELAY_MS.first;
    if (this.#warmed.length > 0 && !link.target.draining) link.send({ t: 'warm', executors: this.#warmed });
    if (link.target.draining) link.send({ t: 'retire' });
    this.#learn(link, link.known);
    // After a broken connection: what it had not received when the line broke is sent again; it knows doubles.
    this.#requeueFrom(link, new Set(link.known.map(({ key }) => key)));
    for (const run of this.#runs.values()) if (run.link === link && run.stop !== null && !run.ended) link.send({ t: 'stop', runs: [run.stop] });
    this.#takeOverUntaken();
    this.#considerReady();
    this.#distribute();
  }

  #considerReady(): void {
    if (this.#resolveReady === null || this.#untaken.size > 0 || this.#takingBy.size > 0) return;
    if ([...this.#links].some((link) => !link.ready)) return;
    const known: KnownExecution[] = [...this.#firstKnown.values()];
    this.#resolveReady(known);
    this.#resolveReady = null;
    this.#rejectReady = null;
    this.#firstKnown.clear();
    this.#state = 'running';
    this.#distribute();
  }

  /** What living and dead runners said before `known()` was answered. */
  readonly #firstKnown = new Map<number, KnownExecution>();

  #onTakenOver(link: RunnerLink): void {
    const taken = this.#takingBy.get(link);
    if (taken === undefined) return;
    this.#takingBy.delete(link);
    const gone = new Set(taken.runners);
    this.#learn(link, taken.known);
    for (const run of this.#runs.values()) {
      // Whoever had it is dead and its journal does not know it: it never arrived.
      if (run.link !== null && gone.has(run.link.runner) && !run.ended) {
        if (run.request !== null) this.#requeue(run);
        else run.link = link;
      }
    }
    this.#takeOverUntaken();
    this.#considerReady();
    this.#distribute();
  }

  #takeOverFailed(link: RunnerLink): void {
    for (const runner of this.#takingBy.get(link)?.runners ?? []) this.#untaken.add(runner);
    this.#takingBy.delete(link);
    this.#later(1000, () => this.#takeOverUntaken());
  }

  /** Takes a runner's word for what it knows. */
  #learn(link: RunnerLink, states: readonly KnownExecution[]): void {
    const started: ExecutionStarted[] = [];
    const ended: ExecutionEnded[] = [];
    for (const state of states) {
      let run = this.#runs.get(state.key);
      if (run === undefined) {
        run = { key: state.key, link, request: null, epoch: this.#epoch, stop: null, ended: false };
        this.#runs.set(state.key, run);
        this.#unfinished += 1;
      }
      run.link = link;
      run.request = null;
      if (run.stop !== null && !run.ended && state.state !== 'ended') link.send({ t: 'stop', runs: [run.stop] });
      if (this.#resolveReady !== null) this.#firstKnown.set(state.key, state);
      if (state.state === 'started') started.push(state.started);
      if (state.state === 'ended' && !run.ended) {
        this.#finish(run);
        ended.push(state.ended);
      }
    }
    if (this.#resolveReady !== null) return;
    for (const listener of this.#listeners) {
      if (started.length > 0) listener.started(started);
      if (ended.length > 0) listener.ended(ended);
    }
  }

  #onAccepted(link: RunnerLink, keys: readonly number[]): void {
    this.#unaccepted.set(link, Math.max(0, (this.#unaccepted.get(link) ?? 0) - keys.length));
    for (const key of keys) {
      const run = this.#runs.get(key);
      if (run !== undefined) run.request = null;
    }
    this.#distribute();
  }

  #onRefused(link: RunnerLink, runs: readonly ExecutionRefused[]): void {
    this.#unaccepted.set(link, Math.max(0, (this.#unaccepted.get(link) ?? 0) - runs.length));
    const final: ExecutionRefused[] = [];
    for (const refusal of runs) {
      const run = this.#runs.get(refusal.key);
      if (run === undefined || run.ended) continue;
      if (refusal.why === 'draining' && run.request !== null && this.#state !== 'draining') {
        this.#requeue(run);
        continue;
      }
      this.#finish(run);
      this.#runs.delete(refusal.key);
      final.push(refusal);
    }
    if (final.length > 0) for (const listener of this.#listeners) listener.refused(final);
    this.#distribute();
  }

  #onStarted(runs: readonly ExecutionStarted[]): void {
    for (const listener of this.#listeners) listener.started(runs);
  }

  #onEnded(link: RunnerLink, runs: readonly ExecutionEnded[]): void {
    failpoint('agent.ended.received');
    const again: number[] = [];
    const news: ExecutionEnded[] = [];
    for (const ended of runs) {
      const run = this.#runs.get(ended.key);
      if (run !== undefined && !run.ended) {
        this.#finish(run);
        news.push(ended);
      } else if (run === undefined && this.#acknowledged.has(ended.key)) {
        again.push(ended.key);
      }
    }
    // Its acknowledgement was lost with a connection.
    if (again.length > 0) link.send({ t: 'ack', keys: again });
    if (news.length > 0) for (const listener of this.#listeners) listener.ended(news);
  }

  // Runs

  #distribute(): void {
    if (this.#queue.length === 0 || this.#state === 'starting' || this.#state === 'new') return;
    for (;;) {
      const link = this.#roomiest();
      const room = link === null ? 0 : Math.min(START_BATCH_MAX, UNACCEPTED_MAX - (this.#unaccepted.get(link) ?? 0));
      if (link === null || room <= 0 || this.#queue.length === 0) return;
      const batch = this.#queue.splice(0, room);
      const epoch = Math.max(...batch.map((run) => run.epoch));
      for (const run of batch) run.link = link;
      this.#unaccepted.set(link, (this.#unaccepted.get(link) ?? 0) + batch.length);
      link.send({ t: 'start', epoch, runs: batch.flatMap((run) => (run.request === null ? [] : [run.request])) });
    }
  }

  #roomiest(): RunnerLink | null {
    let best: RunnerLink | null = null;
    for (const link of this.#links) {
      if (!link.ready || link.target.draining) continue;
      if (best === null || (this.#unaccepted.get(link) ?? 0) < (this.#unaccepted.get(best) ?? 0)) best = link;
    }
    return best;
  }

  #requeueFrom(link: RunnerLink, known: ReadonlySet<number>): void {
    this.#unaccepted.delete(link);
    for (const run of this.#runs.values()) {
      if (run.link === link && run.request !== null && !known.has(run.key) && !run.ended) this.#requeue(run);
    }
  }

  #requeue(run: Assignment): void {
    run.link = null;
    if (run.stop === null) {
      this.#queue.push(run);
      return;
    }
    const ended = this.#cancelled(run, run.stop);
    for (const listener of this.#listeners) listener.ended([ended]);
  }

  #finish(run: Assignment): void {
    if (run.ended) return;
    run.ended = true;
    run.request = null;
    this.#unfinished -= 1;
  }

  /** Stopped before any runner had it. */
  #cancelled(run: Assignment, { reason }: StopRequest): ExecutionEnded {
    this.#finish(run);
    const nothing = { exitCode: null, signal: null, tail: '', outputBytes: 0, logBytes: 0 };
    return { key: run.key, startedAtUs: null, finishedAtUs: this.#m.clock.nowUs(), outcome: 'cancelled', reason, message: 'stopped before it started', ...nothing };
  }

  #refuse(runs: readonly StartRequest[], why: ExecutionRefused['why']): void {
    const refusals = runs.map(({ key }) => ({ key, why }));
    for (const listener of this.#listeners) listener.refused(refusals);
  }

  #remember(key: number): void {
    this.#acknowledged.add(key);
    if (this.#acknowledged.size <= ACKNOWLEDGED_MAX) return;
    for (const oldest of this.#acknowledged) {
      this.#acknowledged.delete(oldest);
      break;
    }
  }
}

/** Who the node runs as, for a node started without USER and LOGNAME (by init, in a container). */
function ownUser(): Record<string, string> {
  try {
    const { username, homedir, shell } = userInfo();
    return { USER: username, LOGNAME: username, HOME: homedir, SHELL: shell ?? '/bin/sh' };
  } catch {
    return {}; // a user id without an entry in the user database
  }
}

export function createAgent(options: AgentOptions, modules: AgentModules): Agent {
  return new Agent(options, modules);
}
