/**
 * The runner: accepts runs, starts and watches them, and keeps their results until a node has acknowledged them. It serves one node at a
 * time and goes on without any. What it answers is on its own disk before it says so.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import { failpoint } from '../../lib/failpoint.ts';
import type { ExecutionRefused, KnownExecution, StartRequest } from '../../model/agent.ts';
import { BOOT_ID, existence } from '../identity.ts';
import { BATCH_MAX, type NodeMessage, type RunnerOptions } from '../protocol.ts';
import { encodeRecord, type SpoolRecord } from '../spool.ts';
import { openCgroups } from './cgroup.ts';
import { Executors } from './executors.ts';
import { holePuncher, preallocator } from './files.ts';
import { Journal } from './journal.ts';
import { Launcher } from './launcher.ts';
import { becomeSubreaper, type Libc, openLibc } from './libc.ts';
import { Peer } from './peer.ts';
import { newRun, type Run } from './run.ts';
import type { LogLimits } from './run-log.ts';
import { RunTable } from './run-table.ts';
import { ChildProcessSpawner } from './spawn-child.ts';
import { FfiSpawner, selfTest } from './spawn-ffi.ts';
import type { ExitListener, Spawner } from './spawner.ts';
import { takeOver } from './takeover.ts';
import { Watcher } from './watcher.ts';

export interface RunnerConfig {
  readonly dataDir: string;
  readonly runner: string;
  readonly directory: string;
  readonly options: RunnerOptions;
}

/** Room kept for the result of every run that has none yet. */
const RESULT_BYTES = 2048;
/** How often a full disk is looked at again. */
const DISK_RETRY_MS = 1000;

export class Runner {
  readonly #config: RunnerConfig;
  readonly #clock: Clock;
  readonly #onDone: () => void;
  readonly #peer: Peer;
  readonly #table: RunTable;
  readonly #journal: Journal;
  readonly #spawner: Spawner;
  readonly #executors: Executors;
  readonly #launcher: Launcher;
  readonly #watcher: Watcher;
  readonly #logLimits: LogLimits;
  #idleTimer: Timer | null = null;
  #diskTimer: Timer | null = null;
  #retiring = false;
  #busy = 0;
  #closed = false;

  /** `onDone`: nothing is left to do and nothing holds the process. Throws when its directory has been taken from it. */
  constructor(config: RunnerConfig, clock: Clock, onDone: () => void) {
    this.#config = config;
    this.#clock = clock;
    this.#onDone = onDone;
    const { options, directory, dataDir } = config;
    const libc = options.spawn === 'child_process' ? null : usableLibc(clock);
    if (libc === null && options.spawn === 'ffi') throw new Error('spawn: ffi was asked for, but node:ffi does not work here');
    this.#logLimits = { dataDir, outputBytesMax: options.outputBytesMax, tailBytes: options.tailBytes, punch: holePuncher(libc) };
    this.#peer = new Peer(directory, {
      hello: (message) => this.#greet(message),
      message: (message) => this.#receive(message),
      gone: () => this.#detached(),
    });
    this.#table = new RunTable(clock, this.#peer, () => this.#considerEnd());
    this.#journal = new Journal(
      { directory, runner: config.runner, reserveBytes: options.journalReserveBytes },
      {
        clock,
        preallocate: preallocator(libc, directory),
        live: () => this.#table.records(),
        onSyncFailure: (error) => this.#peer.send({ t: 'problem', message: `journal: ${error.message}` }),
      },
    );
    this.#table.attach(this.#journal);
    this.#watcher = new Watcher(clock, this.#table);
    this.#spawner = newSpawner(libc, clock, (pid, status) => this.#exited(pid, status));
    this.#executors = new Executors(clock);
    this.#launcher = new Launcher({
      options,
      clock,
      table: this.#table,
      spawner: this.#spawner,
      executors: this.#executors,
      cgroups: options.cgroups === 'off' ? null : openCgroups(),
      logLimits: this.#logLimits,
      onBegun: (run) => this.#watcher.watch(run),
    });
  }

  async listen(): Promise<void> {
    await this.#peer.listen();
    this.#considerEnd();
  }

  // Messages

  #greet(message: Extract<NodeMessage, { t: 'hello' }>): void {
    this.#idleTimer?.cancel();
    this.#idleTimer = null;
    this.#raiseEpoch(message.epoch);
    this.#table.nodeReaps = message.reaps;
    const { runner, options } = this.#config;
    const { epoch } = this.#table;
    this.#peer.send({ t: 'hello', protocol: options.protocol, runner, pid: process.pid, bootId: BOOT_ID, spawn: this.#spawner.kind, epoch });
    this.#sendKnown(this.#table.known());
    this.#peer.send({ t: 'ready' });
    if (this.#diskTimer !== null) this.#peer.send({ t: 'disk', full: true });
    if (message.reaps) this.#watchByNode([...this.#table.live.values()].filter((run) => run.adopted !== 'no' && !run.exited));
  }

  #receive(message: NodeMessage): void {
    switch (message.t) {
      case 'start':
        return this.#start(message.epoch, message.runs);
      case 'stop':
        for (const request of message.runs) {
          const run = this.#table.get(request.key);
          if (run !== undefined && run.ended === null) this.#watcher.stop(run, request);
        }
        return;
      case 'ack':
        return this.#table.acknowledge(message.keys);
      case 'takeover':
        void this.#takeOver(message.runners);
        return;
      case 'reaped':
        for (const { pid, status } of message.exits) this.#toldExit(pid, status);
        return;
      case 'warm':
        this.#executors.warm(message.executors).catch((error: unknown) => this.#peer.send({ t: 'problem', message: `warm: ${String(error)}` }));
        return;
      case 'retire':
        this.#retiring = true;
        return this.#considerEnd();
      case 'ping':
        return this.#peer.send({ t: 'pong' });
      case 'hello':
        return;
    }
  }

  #start(epoch: number, requests: readonly StartRequest[]): void {
    if (epoch < this.#table.epoch) return this.#refuse(requests, 'stale_epoch');
    this.#raiseEpoch(epoch);
    const fresh: StartRequest[] = [];
    const answered: KnownExecution[] = [];
    for (const request of requests) {
      const known = this.#table.get(request.key);
      if (known !== undefined) answered.push(...this.#table.stateOf(request.key));
      else if (!this.#table.isAcknowledged(request.key)) fresh.push(request);
    }
    this.#answer(answered);
    if (fresh.length === 0) return;
    if (this.#retiring) return this.#refuse(fresh, 'draining');
    void this.#accept(fresh);
  }

  /** The accept marks are on disk before anything is executed, and a run whose mark found no room is refused. */
  async #accept(requests: readonly StartRequest[]): Promise<void> {
    const runs = requests.map(newRun);
    const records = requests.map((run): SpoolRecord => ({ r: 'accept', run }));
    const bytes = records.reduce((sum, record) => sum + encodeRecord(record).length, 0);
    const room = this.#journal.hasRoom(bytes, (this.#table.unfinished + runs.length) * RESULT_BYTES);
    failpoint('runner.accept.before');
    if (!room || !this.#journal.append(records)) {
      this.#diskFull();
      return this.#refuse(requests, 'disk_full');
    }
    failpoint('runner.accept.written');
    for (const run of runs) this.#table.add(run);
    await this.#journal.sync();
    failpoint('runner.accept.synced');
    this.#peer.accepted(requests.map(({ key }) => key));
    this.#launcher.enqueue(runs);
  }

  #refuse(requests: readonly StartRequest[], why: ExecutionRefused['why']): void {
    this.#peer.refused(requests.map(({ key }) => ({ key, why })));
  }

  #answer(states: readonly KnownExecution[]): void {
    if (states.length === 0) return;
    this.#peer.accepted(states.map(({ key }) => key));
    for (const state of states) {
      if (state.state === 'started') this.#peer.started(state.started);
      if (state.state === 'ended') this.#peer.ended(state.ended);
    }
  }

  #raiseEpoch(epoch: number): void {
    if (epoch <= this.#table.epoch) return;
    this.#table.epoch = epoch;
    this.#journal.append([{ r: 'epoch', epoch }]);
    void this.#journal.sync();
  }

  async #takeOver(runners: readonly string[]): Promise<void> {
    this.#busy += 1;
    try {
      const { dataDir, options } = this.#config;
      const modules = { dataDir, clock: this.#clock, options, table: this.#table, watcher: this.#watcher, logLimits: this.#logLimits };
      const { known, pids } = await takeOver(runners, modules);
      this.#sendKnown(known);
      this.#peer.send({ t: 'takenOver', runners });
      if (pids.length > 0) this.#peer.send({ t: 'watch', pids });
    } catch (error) {
      // The old journals are still there; the node asks again.
      this.#diskFull();
      this.#peer.send({ t: 'problem', message: `takeover: ${String(error)}` });
    } finally {
      this.#busy -= 1;
      this.#considerEnd();
    }
  }

  #sendKnown(states: readonly KnownExecution[]): void {
    for (let from = 0; from < states.length; from += BATCH_MAX) {
      this.#peer.send({ t: 'known', runs: states.slice(from, from + BATCH_MAX) });
    }
  }

  // Exits

  #exited(pid: number, status: number): void {
    const run = this.#table.byPid(pid);
    // Orphans of a job come to this process too, as subreaper; their exits mean nothing.
    if (run === undefined || run.exited) return;
    failpoint('runner.exit.seen');
    this.#watcher.exited(run, status);
  }

  #watchByNode(runs: readonly Run[]): void {
    const pids: number[] = [];
    for (const run of runs) {
      // Only what is surely still the run's process is asked for: the number of one that is gone may be another child of the node.
      if (run.pid === null || existence({ pid: run.pid, startTicks: run.startTicks, bootId: BOOT_ID }) === 'gone') continue;
      run.adopted = 'asked';
      pids.push(run.pid);
    }
    if (pids.length > 0) this.#peer.send({ t: 'watch', pids });
  }

  #toldExit(pid: number, status: number | null): void {
    const run = this.#table.byPid(pid);
    if (run === undefined || run.adopted === 'no' || run.exited) return;
    if (status === null) run.adopted = 'blind';
    else this.#watcher.exited(run, status);
  }

  // Ends of this process

  #detached(): void {
    this.#table.nodeReaps = false;
    // Whatever the node would have told about them, nobody tells now.
    for (const run of this.#table.live.values()) if (run.adopted === 'asked') run.adopted = 'blind';
    void this.#journal.sync();
    this.#considerEnd();
  }

  #considerEnd(): void {
    if (this.#closed || this.#busy > 0 || this.#table.unfinished > 0) return;
    if (this.#peer.attached) {
      if (this.#retiring && this.#table.size === 0) this.#close();
      return;
    }
    this.#idleTimer ??= this.#clock.setTimer(this.#config.options.idleMs, () => {
      this.#idleTimer = null;
      if (!this.#peer.attached && this.#table.unfinished === 0 && this.#busy === 0) this.#close();
    });
  }

  #close(): void {
    this.#closed = true;
    this.#idleTimer?.cancel();
    this.#diskTimer?.cancel();
    this.#peer.close();
    this.#watcher.close();
    this.#spawner.close();
    this.#journal.close();
    this.#onDone();
  }

  // Disk

  #diskFull(): void {
    if (this.#diskTimer !== null) return;
    this.#peer.send({ t: 'disk', full: true });
    const look = () => {
      const room = this.#journal.hasRoom(RESULT_BYTES, (this.#table.unfinished + 1) * RESULT_BYTES);
      this.#diskTimer = room ? null : this.#clock.setTimer(DISK_RETRY_MS, look);
      if (room) this.#peer.send({ t: 'disk', full: false });
    };
    this.#diskTimer = this.#clock.setTimer(DISK_RETRY_MS, look);
  }
}

function usableLibc(clock: Clock): Libc | null {
  const libc = openLibc();
  return libc !== null && selfTest(libc, clock) ? libc : null;
}

function newSpawner(libc: Libc | null, clock: Clock, onExit: ExitListener): Spawner {
  if (libc === null) return new ChildProcessSpawner(onExit);
  // Orphans of jobs come here instead of to init: they stay descendants, and leave no zombies to the node.
  becomeSubreaper(libc);
  return new FfiSpawner(libc, clock, onExit);
}
