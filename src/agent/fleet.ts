/**
 * The runners of this node: own ones that take new runs, older ones of earlier nodes that only finish theirs, and dead ones whose journals a
 * living one has yet to take. Nothing here knows about single runs.
 */
import { mkdirSync } from 'node:fs';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { KnownExecution } from '../model/agent.ts';
import { formatDuration } from '../model/duration.ts';
import { AppError } from '../model/errors.ts';
import { isAlive, type ProcessIdentity } from './identity.ts';
import { logsDirectory } from './paths.ts';
import type { RunnerMessage, RunnerOptions } from './protocol.ts';
import { greetingOf, type LinkTarget, PING_INTERVAL_MS, PING_UNANSWERED_MAX, RunnerLink } from './runner-link.ts';
import { type FoundRunner, findRunners, prepareCompileCache, runnerLogTail, startRunner } from './runner-process.ts';
import { signal } from './runner/tree.ts';
import { Reaping, type Subreaper } from './subreaper.ts';

/** The part of pino the agent uses. */
export interface AgentLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface FleetModules {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: AgentLog;
  /** From `becomeSubreaper()` at the node's start; null: exits of a dead runner's jobs stay unknown. */
  readonly reaper: Subreaper | null;
}

export interface FleetEvents {
  /** Highest epoch seen, for greeting a runner. */
  epoch(): number;
  /** Connected (again): `link.known` is all it knows. */
  ready(link: RunnerLink): void;
  /** `link` has made the runs of dead runners its own; `known` is what became of them. */
  takenOver(link: RunnerLink, dead: ReadonlySet<string>, known: readonly KnownExecution[]): void;
  /** Its process is dead; until `takenOver` nobody knows about its runs. */
  dead(link: RunnerLink): void;
  /** Everything about runs. */
  message(link: RunnerLink, message: RunnerMessage): void;
  /** No runner can be started. */
  failed(error: Error): void;
}

/** child_process costs about 1 ms of blocked loop per start: two runners share it. */
const CHILD_PROCESS_RUNNERS = 2;
const RESTART_DELAY_MS = { first: 100, max: 5000 };
/** So many runners dead in a row before one was ready, and the start fails with what they said. */
const START_FAILURES_MAX = 5;
/** On a full disk a start or a takeover is tried again after so long. */
const RETRY_MS = 1000;

export class RunnerFleet {
  readonly #dataDir: string;
  readonly #options: RunnerOptions;
  readonly #m: FleetModules;
  readonly #events: FleetEvents;
  readonly #reaping: Reaping | null;
  readonly #links = new Set<RunnerLink>();
  /** Dead runners whose journals nobody has taken yet. */
  readonly #untaken = new Set<string>();
  readonly #taking = new Map<RunnerLink, { runners: readonly string[]; known: KnownExecution[] }>();
  readonly #timers = new Set<Timer>();
  #restartDelayMs: number = RESTART_DELAY_MS.first;
  #startFailures = 0;
  #opened = false;
  #closed = false;
  #retiring = false;
  /** Nothing is accepted until there is room. */
  diskFull = false;

  constructor(dataDir: string, options: RunnerOptions, modules: FleetModules, events: FleetEvents) {
    this.#dataDir = dataDir;
    this.#options = options;
    this.#m = modules;
    this.#events = events;
    const mayClear = () => this.#untaken.size === 0 && this.#taking.size === 0;
    this.#reaping = modules.reaper === null ? null : new Reaping(modules.reaper, modules.clock, mayClear);
  }

  get links(): ReadonlySet<RunnerLink> {
    return this.#links;
  }

  /** Every runner there is has said what it knows, and every dead one's journal has been taken. */
  get settled(): boolean {
    return (
      this.#opened &&
      this.#untaken.size === 0 &&
      this.#taking.size === 0 &&
      [...this.#links].every((link) => link.ready)
    );
  }

  /** Runners that take new runs, connected. */
  takers(): RunnerLink[] {
    return [...this.#links].filter((link) => link.ready && !link.target.draining);
  }

  async open(): Promise<void> {
    const found = await this.#findWithRoom();
    await prepareCompileCache(this.#dataDir);
    if (this.#closed) return;
    for (const { runner, identity } of found) {
      if (identity === null) this.#untaken.add(runner);
      else
        this.#openLink({
          runner,
          pid: identity.pid,
          draining: true,
          ended: () => !isAlive(identity),
          kill: () => killIfAlive(identity),
        });
    }
    const own = this.#options.spawn === 'child_process' ? CHILD_PROCESS_RUNNERS : 1;
    for (let i = 0; i < own; i += 1) this.#startOwn();
    this.#opened = true;
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) timer.cancel();
    for (const link of this.#links) link.close();
    this.#links.clear();
    this.#reaping?.close();
  }

  /** Every runner ends once it has no run and no unacknowledged result; none is replaced. */
  retire(): void {
    this.#retiring = true;
    for (const link of this.#links) link.send({ t: 'retire' });
  }

  /** Waits for room on a full disk. The order frees some first: dead runners' reserves go when they are found. */
  async #findWithRoom(): Promise<FoundRunner[]> {
    const logs = () => mkdirSync(logsDirectory(this.#dataDir), { recursive: true, mode: 0o750 }) ?? '';
    for (;;) {
      const found = this.#unlessDiskFull(() => findRunners(this.#dataDir));
      if (found !== null && this.#unlessDiskFull(logs) !== null) return found;
      await this.#m.clock.sleep(RETRY_MS);
    }
  }

  #startOwn(): void {
    const started = this.#unlessDiskFull(() => startRunner(this.#dataDir, this.#options, this.#m));
    if (started === null) return this.#later(RETRY_MS, () => this.#startOwn());
    const { runner, child } = started;
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
    const kill = () => child.kill('SIGKILL');
    this.#openLink({ runner, pid: child.pid ?? 0, draining: false, ended: () => over, kill });
  }

  #openLink(target: LinkTarget): void {
    const link = new RunnerLink(this.#dataDir, target, this.#m.clock, {
      message: (from, message) => this.#receive(from, message),
      dead: (from) => this.#onDead(from),
      silent: (from) => this.#onSilent(from),
      hung: (from) => this.#onHung(from),
    });
    this.#links.add(link);
    link.open(() => greetingOf(this.#events.epoch(), this.#reaping !== null));
  }

  /** null: there is no room on disk; whatever it was is to be tried again. */
  #unlessDiskFull<T>(work: () => T): T | null {
    try {
      return work();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOSPC' && code !== 'EDQUOT') throw error;
      if (!this.diskFull) this.#m.log.warn({ code }, 'the disk is full: no runner can be started');
      this.diskFull = true;
      return null;
    }
  }

  #later(ms: number, run: () => void): void {
    const timer = this.#m.clock.setTimer(ms, () => {
      this.#timers.delete(timer);
      if (!this.#closed) run();
    });
    this.#timers.add(timer);
  }

  // Deaths

  #onSilent({ runner, target: { pid } }: RunnerLink): void {
    const wait = formatDuration(PING_INTERVAL_MS * (PING_UNANSWERED_MAX - 1));
    const starting = this.settled ? '' : ', and this node waits for its word before it serves';
    this.#m.log.warn(
      { runner, pid },
      `a runner does not answer (a stopped process? kill -CONT ${pid})${starting}: in about ${wait} it is killed, its jobs go on and are taken over`,
    );
  }

  #onHung(link: RunnerLink): void {
    this.#m.log.error(
      { runner: link.runner, pid: link.target.pid },
      'a runner does not answer any more: it is killed and its runs are taken over',
    );
    link.target.kill();
  }

  #onDead(link: RunnerLink): void {
    this.#links.delete(link);
    if (this.#closed) return;
    this.#reaping?.forget(link);
    this.#events.dead(link);
    this.#untaken.add(link.runner);
    for (const runner of this.#taking.get(link)?.runners ?? []) this.#untaken.add(runner);
    this.#taking.delete(link);
    if (!link.target.draining && !this.#retiring) this.#replace(link);
    this.#takeOver();
  }

  #replace(link: RunnerLink): void {
    const said = runnerLogTail(this.#dataDir, link.runner);
    this.#m.log.warn({ runner: link.runner, pid: link.pid, said }, 'a runner has died; another one takes its runs');
    // A runner that finds no room will start once there is some; one that breaks will break again.
    if (link.pid === 0 && !said.includes('ENOSPC')) this.#startFailures += 1;
    if (this.#startFailures >= START_FAILURES_MAX) {
      const reason = /^\w*Error: (.+)$/m.exec(said)?.[1] ?? said.trim();
      return this.#events.failed(new AppError('unavailable', `The runner process cannot start: ${reason}.`));
    }
    this.#later(this.#restartDelayMs, () => this.#startOwn());
    this.#restartDelayMs = Math.min(this.#restartDelayMs * 2, RESTART_DELAY_MS.max);
  }

  /** Hands the journals of dead runners to a living one of ours. */
  #takeOver(): void {
    if (this.#untaken.size === 0) return;
    const link = this.takers().find((candidate) => !this.#taking.has(candidate));
    if (link === undefined) return;
    const runners = [...this.#untaken];
    this.#untaken.clear();
    this.#taking.set(link, { runners, known: [] });
    link.send({ t: 'takeover', runners });
  }

  #takenOver(link: RunnerLink): void {
    const taken = this.#taking.get(link);
    if (taken === undefined) return;
    this.#taking.delete(link);
    this.#events.takenOver(link, new Set(taken.runners), taken.known);
    this.#takeOver();
  }

  #takeoverFailed(link: RunnerLink): void {
    const taken = this.#taking.get(link);
    if (taken === undefined) return;
    for (const runner of taken.runners) this.#untaken.add(runner);
    this.#taking.delete(link);
    this.#later(RETRY_MS, () => this.#takeOver());
  }

  // Messages

  #receive(link: RunnerLink, message: RunnerMessage): void {
    switch (message.t) {
      case 'ready':
        return this.#onReady(link);
      case 'known':
        this.#taking.get(link)?.known.push(...message.runs);
        return;
      case 'takenOver':
        return this.#takenOver(link);
      case 'watch':
        for (const pid of message.pids) {
          if (this.#reaping === null) link.told(pid, null);
          else this.#reaping.watch(pid, link);
        }
        return;
      case 'taken':
        for (const pid of message.pids) this.#reaping?.taken(pid);
        return;
      case 'disk':
        if (this.diskFull !== message.full)
          this.#m.log.warn(
            { runner: link.runner },
            message.full ? 'the disk is full: no run is accepted' : 'the disk has room again',
          );
        this.diskFull = message.full;
        return;
      case 'problem':
        this.#m.log.error({ runner: link.runner, problem: message.message }, 'a runner has a problem');
        return this.#takeoverFailed(link);
      default:
        return this.#events.message(link, message);
    }
  }

  #onReady(link: RunnerLink): void {
    if (link.target.draining) link.send({ t: 'retire' });
    else {
      this.#startFailures = 0;
      this.#restartDelayMs = RESTART_DELAY_MS.first;
      this.diskFull = false;
    }
    this.#events.ready(link);
    this.#takeOver();
  }
}

function killIfAlive(identity: ProcessIdentity): void {
  if (isAlive(identity)) signal(identity.pid, 'SIGKILL');
}
