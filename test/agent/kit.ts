/** Starts agents in processes of their own, kills what a test wants killed, and leaves nothing behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { AgentOptions } from '../../src/agent/agent.ts';
import { allProcesses, isDead } from '../../src/agent/process-table.ts';
import { openCgroups } from '../../src/agent/runner/cgroup.ts';
import type {
  ExecutionEnded,
  ExecutionRefused,
  ExecutionStarted,
  KnownExecution,
  StartRequest,
  StopRequest,
} from '../../src/model/agent.ts';

const HOST = fileURLToPath(new URL('./host.ts', import.meta.url));

interface Said {
  known?: KnownExecution[];
  pids?: number[];
  runners?: { runner: string; pid: number; spawn: string; draining: boolean }[];
  started?: ExecutionStarted[];
  ended?: ExecutionEnded[];
  refused?: ExecutionRefused[];
  drained?: boolean;
  state?: { diskFull: boolean; runners: { runner: string; pid: number; draining: boolean; ready: boolean }[] };
  running?: number;
  log?: { message: string; pid?: number; said?: string };
}

export interface HostOptions extends Partial<AgentOptions> {
  reap?: boolean;
  ack?: boolean;
  hurry?: number;
}

/** One agent process; everything it said is kept, and `waitFor` looks at the past first. */
export class Host {
  readonly child: ChildProcess;
  readonly said: Said[] = [];
  readonly #waiting = new Set<() => void>();
  exited = false;

  constructor(dataDir: string, options: HostOptions, environment: Record<string, string>) {
    const argument = JSON.stringify({ dataDir, node: 'n1', runnerIdleMs: 300, ...options });
    this.child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', HOST, argument], {
      stdio: ['pipe', 'pipe', 'inherit'],
      // One cache for all: filling it costs half a second.
      env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'belfry-test-compile-cache'), ...environment },
    });
    if (this.child.stdout === null || this.child.stdin === null) throw new Error('the host has no pipes');
    this.child.stdin.on('error', () => undefined); // a host that a test killed
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      this.said.push(JSON.parse(line) as Said);
      this.#wake();
    });
    this.child.once('exit', () => {
      this.exited = true;
      this.#wake();
    });
  }

  #wake(): void {
    for (const look of this.#waiting) look();
  }

  tell(command: {
    epoch?: number;
    start?: StartRequest[];
    stop?: StopRequest[];
    ack?: number[];
    warm?: string[];
    drain?: number;
    close?: boolean;
    state?: boolean;
  }): void {
    this.child.stdin?.write(`${JSON.stringify(command)}\n`);
  }

  /** The first answer `find` gives to anything this process has said or will say; fails when it ends first. */
  waitFor<T>(find: (said: readonly Said[]) => T | undefined, what = 'an answer'): Promise<T> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = find(this.said);
        if (found === undefined && !this.exited) return;
        this.#waiting.delete(look);
        if (found === undefined)
          reject(new Error(`the agent ended without ${what}: ${JSON.stringify(this.said).slice(0, 2000)}`));
        else resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }

  known(): Promise<KnownExecution[]> {
    return this.waitFor((said) => said.find((one) => one.known !== undefined)?.known, 'known');
  }

  async runnerPids(): Promise<number[]> {
    return this.waitFor((said) => said.find((one) => one.pids !== undefined)?.pids, 'pids');
  }

  started(key: number): Promise<ExecutionStarted> {
    return this.waitFor(
      (said) => said.flatMap((one) => one.started ?? []).find((run) => run.key === key),
      `a start of ${key}`,
    );
  }

  ended(key: number): Promise<ExecutionEnded> {
    return this.waitFor(
      (said) => said.flatMap((one) => one.ended ?? []).find((run) => run.key === key),
      `an end of ${key}`,
    );
  }

  exit(): Promise<void> {
    return new Promise((resolve) => {
      if (this.exited) resolve();
      else this.child.once('exit', () => resolve());
    });
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exit();
  }

  async close(): Promise<void> {
    if (!this.exited) this.tell({ close: true });
    await this.exit();
  }
}

/** A data directory with the agents that used it. */
export class AgentWorld {
  readonly scratch = mkdtempSync(join(tmpdir(), 'belfry-agent-'));
  readonly dataDir = join(this.scratch, 'data');
  readonly #hosts: Host[] = [];
  #lastKey = Math.floor(performance.timeOrigin + performance.now()) * 1000;

  host(options: HostOptions = {}, environment: Record<string, string> = {}): Host {
    const host = new Host(this.dataDir, options, environment);
    this.#hosts.push(host);
    return host;
  }

  /** A shell run with a fresh key. */
  run(config: Record<string, string>, more: Partial<StartRequest> = {}): StartRequest {
    this.#lastKey += 1;
    const key = this.#lastKey;
    return {
      key,
      id: `${key}000-n1`,
      group: key,
      attempt: 1,
      job: 'job',
      jobId: 1,
      trigger: 'schedule',
      scheduledAt: 1_795_000_000_000,
      executor: 'shell',
      config,
      timeoutMs: null,
      killGraceMs: 2000,
      ...more,
    };
  }

  path(name: string): string {
    return join(this.scratch, name);
  }

  /** Living processes of this world: runners, and jobs by their environment. */
  processes(): number[] {
    return allProcesses()
      .filter(
        (stat) =>
          !isDead(stat) &&
          (commandLine(stat.pid).includes(this.scratch) || environment(stat.pid).includes(this.scratch)),
      )
      .map((stat) => stat.pid)
      .filter((pid) => pid !== process.pid);
  }

  /** Ends everything this world started, waits until it has gone, and removes its files. */
  async close(): Promise<void> {
    await this.endProcesses();
    // A runner that was killed leaves the group it was in to its successor, and here there is none.
    if (existsSync(this.dataDir)) openCgroups(this.dataDir);
    rmSync(this.scratch, { recursive: true, force: true });
  }

  async endProcesses(): Promise<void> {
    for (const host of this.#hosts) await host.kill();
    for (;;) {
      const left = this.processes();
      if (left.length === 0) break;
      for (const pid of left) kill(pid);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** Waits until a condition of the outside world holds that nobody announces; fails after `deadlineMs`. */
export async function until<T>(look: () => T | undefined | false, deadlineMs = 15_000): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) throw new Error('what was waited for did not happen');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export function alive(pid: number): boolean {
  return allProcesses().some((stat) => stat.pid === pid && !isDead(stat));
}

export function kill(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Pids of processes whose environment or command line holds `text`. */
export function processesWith(text: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid && environment(pid).includes(text));
}

function commandLine(pid: number): string {
  return readQuietly(`/proc/${pid}/cmdline`);
}

function environment(pid: number): string {
  return readQuietly(`/proc/${pid}/environ`);
}

function readQuietly(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // gone meanwhile
  }
}
