/**
 * The runner: accepts runs, starts and watches them, and keeps their results until a node has acknowledged them. It serves one node at a
 * time and goes on without any. What it answers is on its own disk before it says so.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import { failpoint } from '../../lib/failpoint.ts';
import type { ExecutionRefused, KnownExecution, StartRequest } from '../../model/agent.ts';
import { BOOT_ID, isChildOf } from '../identity.ts';
import { BATCH_MAX, type NodeMessage, type RunnerOptions } from '../protocol.ts';
import { CgroupRemover } from './cgroup.ts';
import { DiskWatch } from './disk-watch.ts';
import { Executors } from './executors.ts';
import { holePuncher, preallocator } from './files.ts';
import { encodeRecords, Journal } from './journal.ts';
import { Launcher } from './launcher.ts';
import { openSpawner, usableCgroups, usableLibc } from './open-spawner.ts';
import { Peer } from './peer.ts';
import { newRun, type Run } from './run.ts';
import type { LogLimits } from './run-log.ts';
import { RunTable } from './run-table.ts';
import { SpareFiles } from './spare-files.ts';
import type { Exit, Spawner } from './spawner.ts';
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
/** Output a live run keeps while the disk is full. */
const OUTPUT_BYTES_WHEN_FULL = 128 * 1024;

export class Runner {
  readonly #config: RunnerConfig;
  readonly #clock: Clock;
  readonly #peer: Peer;
  readonly #table: RunTable;
  readonly #journal: Journal;
  readonly #spawner: Spawner;
  readonly #spareFiles: SpareFiles | null;
  readonly #executors: Executors;
  readonly #launcher: Launcher;
  readonly #watcher: Watcher;
  readonly #logLimits: LogLimits;
  #idleTimer: Timer | null = null;
  readonly #disk: DiskWatch;
  /** Exits told by the node that it still keeps. */
  readonly #toldPids: number[] = [];
  #retiring = false;
  #busy = 0;
  #closed = false;

  /** When nothing is left to do it closes what it has open, and the process ends. Throws when its directory has been taken from it. */
  constructor(config: RunnerConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
    const { options, directory, dataDir } = config;
    const libc = usableLibc(options.spawn);
    const preallocate = preallocator(libc, directory);
    const disk = new DiskWatch(
      { directory, reserveBytes: options.journalReserveBytes },
      { clock, preallocate, onChange: (full) => this.#peer.send({ t: 'disk', full }) },
    );
    this.#disk = disk;
    this.#logLimits = {
      dataDir,
      // On a full disk output is released until little of it is left, so that the jobs can go on writing.
      outputBytesMax: () =>
        disk.full ? Math.min(OUTPUT_BYTES_WHEN_FULL, options.outputBytesMax) : options.outputBytesMax,
      tailBytes: options.tailBytes,
      punch: holePuncher(libc),
    };
    this.#peer = new Peer(directory, clock, {
      hello: (message) => this.#greet(message),
      message: (message) => this.#receive(message),
      gone: () => this.#detached(),
    });
    const remover = new CgroupRemover();
    this.#table = new RunTable(clock, this.#peer, remover, () => this.#considerEnd());
    this.#journal = new Journal(
      { directory, runner: config.runner, reserveBytes: options.journalReserveBytes },
      { clock, preallocate, live: () => this.#table.records() },
    );
    this.#table.attach(this.#journal);
    this.#watcher = new Watcher(clock, this.#table, disk, dataDir);
    const cgroups = usableCgroups(options.cgroups, dataDir);
    this.#spawner = openSpawner(libc, clock, cgroups && { cgroups, remover }, {
      exited: (exits) => this.#exited(exits),
      settled: () => this.#launcher.settled(),
    });
    this.#spareFiles = SpareFiles.open({ dataDir, directory }, libc);
    this.#executors = new Executors(clock);
    this.#launcher = new Launcher({
      options,
      clock,
      table: this.#table,
      spawner: this.#spawner,
      executors: this.#executors,
      logLimits: this.#logLimits,
      spareFiles: this.#spareFiles,
      onBegun: (run) => this.#watcher.watch(run),
    });
  }

  async listen(): Promise<void> {
    // Out of descriptors or memory its thread could not come up: then this process ends, and no run is lost with it.
    await this.#spawner.ready;
    await this.#peer.listen();
    this.#considerEnd();
  }

  // Messages

  #greet(message: Extract<NodeMessage, { t: 'hello' }>): void {
    this.#idleTimer?.cancel();
    this.#idleTimer = null;
    this.#raiseEpoch(message.epoch);
    this.#table.reaperPid = message.reaps ? message.pid : null;
    const { runner, options } = this.#config;
    const { epoch } = this.#table;
    this.#peer.send({
      t: 'hello',
      protocol: options.protocol,
      runner,
      pid: process.pid,
      bootId: BOOT_ID,
      spawn: this.#spawner.kind,
      epoch,
    });
    this.#sendKnown(this.#table.known());
    this.#peer.send({ t: 'ready' });
    if (this.#disk.full) this.#peer.send({ t: 'disk', full: true });
    if (message.reaps)
      this.#watchByNode([...this.#table.live.values()].filter((run) => run.adopted !== 'no' && !run.exited));
  }

  #receive(message: NodeMessage): void {
    switch (message.t) {
      case 'start':
        return this.#start(message.epoch, message.runs);
      case 'stop':
        return this.#watcher.stopAll(
          message.runs.flatMap((request) => {
            const run = this.#table.get(request.key);
            return run === undefined || run.ended !== null ? [] : { run, request };
          }),
        );
      case 'ack':
        this.#table.acknowledge(message.keys);
        return this.#confirmExits();
      case 'takeover':
        void this.#takeOver(message.runners);
        return;
      case 'reaped':
        for (const { pid, status } of message.exits) this.#toldExit(pid, status);
        for (const { pid } of message.exits) this.#toldPids.push(pid);
        return this.#confirmExits();
      case 'warm':
        this.#executors
          .warm(message.executors)
          .catch((error: unknown) => this.#peer.send({ t: 'problem', message: `warm: ${String(error)}` }));
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
    const marks = encodeRecords([{ r: 'accept', runs: requests }]);
    const room = this.#journal.hasRoom(marks.length, (this.#table.unfinished + runs.length) * RESULT_BYTES);
    failpoint('runner.accept.before');
    this.#disk.look(!room);
    if (this.#disk.full || !this.#journal.appendBytes(marks)) {
      this.#disk.look(true);
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
      const modules = {
        dataDir,
        clock: this.#clock,
        options,
        table: this.#table,
        watcher: this.#watcher,
        logLimits: this.#logLimits,
      };
      const { known, pids } = await takeOver(runners, modules);
      this.#sendKnown(known);
      this.#peer.send({ t: 'takenOver', runners });
      if (pids.length > 0) this.#peer.send({ t: 'watch', pids });
    } catch (error) {
      // The old journals are still there; the node asks again.
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

  /** Their marks are written when this returns: the kernel forgets the exits next, and nobody else was told. */
  #exited(exits: readonly Exit[]): void {
    for (const { pid, status } of exits) {
      const run = this.#table.byPid(pid);
      // Orphans of a job come to this process too, as subreaper; their exits mean nothing.
      if (run === undefined || run.exited) continue;
      failpoint('runner.exit.seen');
      this.#watcher.exited(run, status);
    }
    this.#table.settle();
  }

  #watchByNode(runs: readonly Run[]): void {
    const pids: number[] = [];
    for (const run of runs) {
      if (run.pid === null || !isChildOf(run.pid, run.startTicks, this.#table.reaperPid)) continue;
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

  /** The node keeps the exits it told for a later runner until they are in the journal, which outlives this process. */
  #confirmExits(): void {
    if (this.#toldPids.length > 0 && this.#table.settle())
      this.#peer.send({ t: 'taken', pids: this.#toldPids.splice(0) });
  }

  // Ends of this process

  #detached(): void {
    this.#table.reaperPid = null;
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
    this.#peer.close();
    this.#watcher.close();
    this.#spawner.close();
    this.#spareFiles?.close();
    this.#disk.close();
    this.#executors.close();
    this.#journal.close();
  }
}
