/** The node under test with its supervisor, and the log of what was done to it. A node that ends is started again at once, for ever. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { NOTICE_MS } from './clock-map.ts';
import { executionIdOf, findProcesses, type FoundProcess, parentOf, send } from './processes.ts';
import { StretchLog } from './stretches.ts';
import { preciseNow } from './target.ts';
import type { ClockSegment, Fault, FaultKind, FaultLog } from './types.ts';

const ROOT = resolve(import.meta.dirname, '..', '..');
/** After a start that failed (no room on the disk, say). */
const FAILED_START_MS = 300;
const LOOK_MS = 200;
/** From the first sight of a new runner until it takes runs. */
const RUNNER_WARM_MS = 1_500;
const OTHERS_GO_ON_MS = 3_000;
const RUNNER_MAIN = 'src/agent/runner/main.ts';

export interface TreeOptions {
  /** Holds everything of this run that no fault touches. */
  readonly directory: string;
  readonly dataDir: string;
  readonly port: number;
  readonly evidenceFile: string;
  /** Path of libfaketime; null: the clock cannot be stepped here. */
  readonly faketime: string | null;
}

export class Tree {
  readonly #options: TreeOptions;
  readonly #faults: Fault[] = [];
  readonly #nodeDeaths: number[] = [];
  readonly #runnerDeaths: { pid: number; at: number }[] = [];
  readonly #jobKills: { id: string; at: number }[] = [];
  readonly #nodeDown = new StretchLog();
  readonly #runnerDown = new StretchLog();
  readonly #nodeStopped = new StretchLog();
  /** By pid. */
  readonly #runnerStopped = new Map<number, StretchLog>();
  readonly #diskFull = new StretchLog();
  readonly #clock: ClockSegment[] = [];
  readonly #clockFile: string;
  readonly #nodeLog: number;
  #child: ChildProcess | null = null;
  #up = false;
  #closing = false;
  #runners = new Set<number>();
  #newRunnerAt: number | null = null;
  #lookTimer: NodeJS.Timeout;
  #runnerTimer: NodeJS.Timeout | undefined;
  starts = 0;

  constructor(options: TreeOptions) {
    this.#options = options;
    this.#clockFile = join(options.directory, 'clock');
    this.#nodeLog = openSync(join(options.directory, 'node.log'), 'a');
    this.setClock(0);
    this.#nodeDown.open(preciseNow());
    this.#lookTimer = setInterval(() => this.#look(), LOOK_MS);
    this.#start();
  }

  get up(): boolean {
    return this.#up;
  }

  get nodePid(): number | null {
    return this.#child?.pid ?? null;
  }

  get offsetMs(): number {
    return this.#clock.at(-1)?.offsetMs ?? 0;
  }

  /** The node's clock, as far as it has noticed the last step. */
  nodeNow(): number {
    return preciseNow() + this.offsetMs;
  }

  /** How long the node's clock needs to be where it was before it was stepped back. */
  get behindMs(): number {
    const ends = this.#clock.slice(1).map(({ from }, index) => from + (this.#clock[index]?.offsetMs ?? 0));
    const behind = Math.max(...ends, 0) - this.nodeNow();
    return behind <= 0 ? 0 : behind + NOTICE_MS;
  }

  get faultCount(): number {
    return this.#faults.length;
  }

  faultsByKind(): Map<FaultKind, number> {
    const counts = new Map<FaultKind, number>();
    for (const { kind } of this.#faults) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    return counts;
  }

  get lastFaultAt(): number {
    return this.#faults.at(-1)?.at ?? preciseNow();
  }

  note(kind: FaultKind, detail: string): void {
    this.#faults.push({ kind, at: preciseNow(), detail });
  }

  runners(): FoundProcess[] {
    const found = findProcesses(RUNNER_MAIN, this.#options.dataDir);
    const pids = new Set(found.map(({ pid }) => pid));
    // A job between its fork and its exec still looks like the runner it comes from.
    return found.filter(({ pid }) => !pids.has(parentOf(pid)));
  }

  jobs(): FoundProcess[] {
    return findProcesses(this.#options.evidenceFile).filter(({ pid }) => executionIdOf(pid) !== '');
  }

  // What is done to it

  killNode(signal: NodeJS.Signals = 'SIGKILL'): void {
    const pid = this.nodePid;
    if (pid === null) return;
    send(pid, signal);
    this.#nodeStopped.close(preciseNow());
    if (signal === 'SIGTERM') send(pid, 'SIGCONT');
  }

  killRunner(pid: number): void {
    if (!send(pid, 'SIGKILL')) return;
    const at = preciseNow();
    this.#runnerDeaths.push({ pid, at });
    this.#runners.delete(pid);
    this.#runnerStopped.get(pid)?.close(at);
    this.#newRunnerAt = null;
    this.#runnerDown.open(at);
  }

  killJob(pid: number): void {
    const id = executionIdOf(pid);
    if (id !== '' && send(pid, 'SIGKILL')) this.#jobKills.push({ id, at: preciseNow() });
  }

  stopNode(): boolean {
    if (this.nodePid === null || !send(this.nodePid, 'SIGSTOP')) return false;
    this.#nodeStopped.open(preciseNow());
    return true;
  }

  continueNode(): void {
    if (this.nodePid !== null) send(this.nodePid, 'SIGCONT');
    this.#nodeStopped.close(preciseNow());
  }

  stopRunner(pid: number): void {
    if (!send(pid, 'SIGSTOP')) return;
    const stretches = this.#runnerStopped.get(pid) ?? new StretchLog();
    this.#runnerStopped.set(pid, stretches);
    stretches.open(preciseNow());
  }

  continueRunners(): void {
    for (const { pid } of this.runners()) send(pid, 'SIGCONT');
    for (const stretches of this.#runnerStopped.values()) stretches.close(preciseNow());
  }

  diskFull(full: boolean): void {
    if (full) this.#diskFull.open(preciseNow());
    else this.#diskFull.close(preciseNow());
  }

  /** The tree reads the file at most a second later; renamed into place, so that it is never read half written. */
  setClock(offsetMs: number): void {
    writeFileSync(`${this.#clockFile}.new`, `${offsetMs < 0 ? '' : '+'}${(offsetMs / 1000).toFixed(3)}\n`);
    renameSync(`${this.#clockFile}.new`, this.#clockFile);
    this.#clock.push({ from: preciseNow(), offsetMs });
  }

  log(): FaultLog {
    const now = preciseNow();
    return {
      faults: this.#faults,
      nodeDeaths: this.#nodeDeaths,
      runnerDeaths: this.#runnerDeaths,
      jobKills: this.#jobKills,
      nodeDown: this.#nodeDown.all(now),
      runnerDown: this.#runnerDown.all(now),
      nodeStopped: this.#nodeStopped.all(now),
      runnerStopped: [...this.#runnerStopped.values()].flatMap((stretches) => stretches.all(now)),
      diskFull: this.#diskFull.all(now),
      clock: this.#clock,
    };
  }

  /** Ends everything that belongs to this run. */
  async close(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#lookTimer);
    clearTimeout(this.#runnerTimer);
    for (let round = 0; round < 50; round++) {
      const left = [...findProcesses(this.#options.dataDir), ...findProcesses(this.#options.evidenceFile)];
      for (const { pid } of left) send(pid, 'SIGKILL');
      if (left.length === 0) break;
      await new Promise((done) => setTimeout(done, 50));
    }
    closeSync(this.#nodeLog);
  }

  // Supervision

  #start(): void {
    const { dataDir, port, directory, faketime } = this.#options;
    const args = [
      '--disable-warning=ExperimentalWarning',
      join(ROOT, 'src/main.ts'),
      'agent',
      '--data-dir',
      dataDir,
      '--http-addr',
      `127.0.0.1:${port}`,
    ];
    args.push(
      '--node-name',
      'chaos',
      '--timezone',
      'UTC',
      '--retention-runs',
      '1000000',
      '--retention-keep',
      '1000000',
      '--log-runs',
      '1000000',
    );
    // After a step of minutes thousands of runs are older than their grace; a minute later they must be done.
    args.push('--catch-up-rate', '500');
    const env = {
      PATH: process.env['PATH'] ?? '',
      HOME: directory,
      ...(faketime === null ? {} : this.#faketimeEnv(faketime)),
    };
    const child = spawn(process.execPath, args, { cwd: directory, env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    this.starts += 1;
    let wasUp = false;
    let seen = '';
    const onOutput = (chunk: Buffer) => {
      if (!this.#closing) writeFileSync(this.#nodeLog, chunk);
      if (wasUp) return;
      seen += chunk.toString('utf8');
      if (!seen.includes('Belfry is up')) return;
      wasUp = true;
      this.#up = true;
      this.#nodeDown.close(preciseNow());
    };
    child.stdout?.on('data', onOutput);
    child.stderr?.on('data', onOutput);
    child.once('exit', () => {
      this.#nodeDeaths.push(preciseNow());
      this.#nodeDown.open(preciseNow());
      this.#nodeStopped.close(preciseNow());
      this.#up = false;
      this.#child = null;
      if (this.#closing) return;
      if (wasUp) this.#start();
      else setTimeout(() => !this.#closing && this.#start(), FAILED_START_MS);
    });
  }

  #faketimeEnv(library: string): Record<string, string> {
    return {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: this.#clockFile,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      FAKETIME_DONT_RESET: '1',
      NO_FAKE_STAT: '1',
    };
  }

  /** Runners are not ours to wait for: a new pid tells that one was started. */
  #look(): void {
    const living = new Set(this.runners().map(({ pid }) => pid));
    const born = [...living].some((pid) => !this.#runners.has(pid));
    this.#runners = living;
    // One that only finishes its old runs was killed: nothing comes in its place, and the others go on.
    if (!born && living.size > 0 && preciseNow() - (this.#runnerDeaths.at(-1)?.at ?? 0) > OTHERS_GO_ON_MS)
      this.#runnerDown.close(preciseNow());
    if (!born || this.#newRunnerAt !== null) return;
    this.#newRunnerAt = preciseNow();
    clearTimeout(this.#runnerTimer);
    this.#runnerTimer = setTimeout(
      () => this.#newRunnerAt !== null && this.#runnerDown.close(preciseNow()),
      RUNNER_WARM_MS,
    );
  }
}
