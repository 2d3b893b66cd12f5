/** One chaos run from an empty directory to a verdict. */
import { spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '../../src/lib/random.ts';
import { Api } from './api.ts';
import { check } from './checker.ts';
import { Client } from './client.ts';
import { type Disk, openDisk } from './disk.ts';
import { readEvidence } from './evidence.ts';
import { Faults, possibleKinds } from './faults.ts';
import { preciseNow, Target } from './target.ts';
import { Tree } from './tree.ts';
import type {
  CreatedJob,
  Evidence,
  FaultKind,
  HistoryRun,
  LogCheck,
  Observed,
  ShownJob,
  Stretch,
  Verdict,
} from './types.ts';
import { isManual, makeWorkload } from './workload.ts';

export interface RunOptions {
  readonly seed: number;
  /** Of load with faults. */
  readonly minutes: number;
  readonly gapMs: number;
  readonly stopMaxMs: number;
  readonly calmMs: number;
  readonly only: readonly FaultKind[] | null;
  readonly keep: boolean;
}

export interface RunResult {
  readonly verdict: Verdict;
  readonly faults: ReadonlyMap<FaultKind, number>;
  readonly possible: readonly FaultKind[];
  readonly startsPerSecond: number;
  readonly settledMs: number;
  readonly acknowledged: { readonly runs: number; readonly jobs: number };
  readonly nodeStarts: number;
  readonly directory: string;
}

const DISK_BYTES_PER_MINUTE = 192 * 2 ** 20;
const DISK_BYTES_MIN = 512 * 2 ** 20;
const PROGRESS_MS = 10_000;
const CLIENT_EVERY_MS = 400;
const LOG_READERS = 6;
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
/** Within this after the last fault everything is final and on time again. */
const SETTLE_MS = 60_000;
/** For the last launches of the calm to show. */
const LAUNCHED_MS = 2_000;
/** Longer than any run of the workload can take. */
const FINAL_MS = 60_000;

export async function runChaos(options: RunOptions, say: (line: string) => void): Promise<RunResult> {
  const directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'belfry-chaos-'));
  const disk = openDisk(directory, Math.max(DISK_BYTES_MIN, DISK_BYTES_PER_MINUTE * options.minutes));
  const run = new ChaosRun(options, directory, disk, say);
  const clear = async () => {
    await run.close();
    if (!options.keep) rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  };
  // Ended from outside it still takes its node, its jobs and its mount with it.
  const onSignal = () => void clear().finally(() => process.exit(1));
  for (const signal of SIGNALS) process.once(signal, onSignal);
  try {
    return await run.go();
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
    await clear();
  }
}

/** What was seen after the last fault. */
interface After {
  readonly unfinished: readonly HistoryRun[];
  readonly settledMs: number;
  readonly calm: Stretch;
  readonly judgedToNode: number;
}

class ChaosRun {
  readonly #options: RunOptions;
  readonly #directory: string;
  readonly #disk: Disk;
  readonly #say: (line: string) => void;
  readonly #target = new Target();
  readonly #evidenceFile: string;
  #tree: Tree | null = null;
  #api: Api | null = null;
  #faults: Faults | null = null;
  #progress: NodeJS.Timeout | undefined;

  constructor(options: RunOptions, directory: string, disk: Disk, say: (line: string) => void) {
    this.#options = options;
    this.#directory = directory;
    this.#disk = disk;
    this.#say = say;
    this.#evidenceFile = join(directory, 'evidence');
    writeFileSync(this.#evidenceFile, '');
    mkdirSync(join(directory, 'locks'));
  }

  async go(): Promise<RunResult> {
    const { seed, keep } = this.#options;
    const faketime = findFaketime();
    const port = await freePort();
    const { path } = this.#disk;
    const places = { directory: this.#directory, dataDir: join(path, 'data'), evidenceFile: this.#evidenceFile };
    const tree = new Tree({ ...places, port, faketime });
    const api = new Api(port);
    this.#tree = tree;
    this.#api = api;
    const possible = possibleKinds(this.#disk, faketime);
    this.#say(`directory ${this.#directory}, ${this.#disk.kind} disk, faults: ${possible.join(' ')}`);
    const jobs = await this.#createJobs(tree, api, seed);
    const hands = jobs.filter(({ job }) => isManual(job)).map(({ job }) => job.name);
    const client = new Client(hands, { api, random: seededRandom(seed + 1) });
    const working = client.work(CLIENT_EVERY_MS);
    const startsPerSecond = await this.#storm(tree, possible);
    const after = await this.#calm(tree, api);
    client.stop();
    await working;
    const disabledAt = preciseNow();
    for (const { job } of jobs) await api.insist('POST', `/v1/jobs/${job.name}/toggle`);
    const observed = await this.#observe({ jobs, tree, api, client, disabledAt, after });
    if (keep) this.#save(observed);
    return {
      verdict: check(observed),
      faults: tree.faultsByKind(),
      possible,
      startsPerSecond,
      settledMs: after.settledMs,
      acknowledged: { runs: client.acknowledged.runs.size, jobs: client.acknowledged.jobs.size },
      nodeStarts: tree.starts,
      directory: this.#directory,
    };
  }

  /** Faults for as long as was asked; answers the starts per second meanwhile. */
  async #storm(tree: Tree, possible: readonly FaultKind[]): Promise<number> {
    const { seed, minutes, gapMs, stopMaxMs, only } = this.#options;
    const began = performance.now();
    this.#progress = setInterval(() => this.#sayProgress(tree, began), PROGRESS_MS);
    const modules = { tree, disk: this.#disk, random: seededRandom(seed + 2) };
    const faults = new Faults({ gapMs, stopMaxMs, kinds: only ?? possible }, modules);
    this.#faults = faults;
    await faults.run(began + minutes * 60_000);
    faults.heal();
    clearInterval(this.#progress);
    this.#sayProgress(tree, began);
    return this.#starts() / ((performance.now() - began) / 1000);
  }

  /** Waits for everything to be final, then watches launches that must be on time. */
  async #calm(tree: Tree, api: Api): Promise<After> {
    const healedAt = preciseNow();
    const unfinished = await this.#settle(tree, api, healedAt);
    const settledMs = preciseNow() - healedAt;
    this.#say(`all that was due before the last fault is final ${(settledMs / 1000).toFixed(1)} s after it`);
    // Times that the node's clock has been through already were launched then.
    await sleep(tree.behindMs);
    const calm = { from: preciseNow(), to: preciseNow() + this.#options.calmMs };
    await sleep(this.#options.calmMs + LAUNCHED_MS);
    return { unfinished, settledMs, calm, judgedToNode: calm.to + tree.offsetMs };
  }

  async close(): Promise<void> {
    clearInterval(this.#progress);
    this.#faults?.heal();
    await this.#tree?.close();
    this.#api?.close();
    await this.#target.close();
    this.#disk.close();
  }

  async #createJobs(tree: Tree, api: Api, seed: number): Promise<CreatedJob[]> {
    const program = compileJob(this.#directory);
    const targetUrl = await this.#target.listen();
    const places = {
      program,
      evidenceFile: this.#evidenceFile,
      lockDirectory: join(this.#directory, 'locks'),
      targetUrl,
    };
    const created: CreatedJob[] = [];
    await api.insist('GET', '/health');
    for (const job of makeWorkload(seededRandom(seed), places, tree.nodeNow())) {
      const askedAtNode = tree.nodeNow();
      const reply = await api.insist('POST', '/v1/jobs', job.body);
      if (reply.status !== 201) throw new Error(`job ${job.name}: ${reply.status} ${reply.body.toString('utf8')}`);
      created.push({ job, askedAtNode, answeredAtNode: tree.nodeNow() });
    }
    return created;
  }

  /** Waits until everything that was due when the faults ended has its outcome, at most a minute; what has none then. */
  async #settle(tree: Tree, api: Api, healedAt: number): Promise<HistoryRun[]> {
    for (;;) {
      const open = (await api.unfinished()).filter((run) => run.dueAt < healedAt + tree.offsetMs);
      if (open.length === 0 || preciseNow() > healedAt + SETTLE_MS) return open;
      await sleep(500);
    }
  }

  async #historyOf(jobs: readonly CreatedJob[], api: Api): Promise<HistoryRun[]> {
    const history: HistoryRun[] = [];
    for (const { job } of jobs) for (const run of await api.runsOf(job.name)) history.push(run);
    return history;
  }

  async #observe(known: {
    jobs: readonly CreatedJob[];
    tree: Tree;
    api: Api;
    client: Client;
    disabledAt: number;
    after: After;
  }): Promise<Observed> {
    const { jobs, tree, api, client, disabledAt, after } = known;
    const { acknowledged } = client;
    const deadline = performance.now() + FINAL_MS;
    while ((await api.unfinished()).length > 0 && performance.now() < deadline) await sleep(500);
    const history = await this.#historyOf(jobs, api);
    const evidence = readEvidence(this.#evidenceFile);
    for (const [id, one] of this.#target.evidence) evidence.set(id, one);
    this.#say(`comparing ${evidence.size} executions and their logs`);
    const logs = await this.#readLogs(history, evidence, api);
    const storedJobs = await readCounters([...acknowledged.jobs.keys()], api);
    const shown = new Map<string, ShownJob>();
    for (const { job } of jobs) shown.set(job.name, await api.shown(job.name));
    const { judgedToNode, calm, unfinished: unfinishedAfterFaults } = after;
    const told = { jobs, evidence, history, log: tree.log(), acknowledged, storedJobs, logs, shown };
    return { ...told, judgedToNode, disabledAt, calm, unfinishedAfterFaults };
  }

  async #readLogs(
    history: readonly HistoryRun[],
    evidence: ReadonlyMap<string, Evidence>,
    api: Api,
  ): Promise<Map<string, LogCheck>> {
    const all = history.flatMap((run) => run.executions.map(({ id }) => ({ group: run.group, id })));
    const wanted = all.filter(({ id }) => (evidence.get(id)?.end ?? null) !== null);
    const logs = new Map<string, LogCheck>();
    const reader = async () => {
      for (let next = wanted.pop(); next !== undefined; next = wanted.pop())
        logs.set(next.id, await api.logOf(next.group, next.id));
    };
    await Promise.all(Array.from({ length: LOG_READERS }, reader));
    return logs;
  }

  #starts(): number {
    return (
      countLines(this.#evidenceFile) +
      [...this.#target.evidence.values()].reduce((sum, one) => sum + one.starts.length, 0)
    );
  }

  #sayProgress(tree: Tree, began: number): void {
    const seconds = (performance.now() - began) / 1000;
    const starts = this.#starts();
    const kinds = [...tree.faultsByKind()].map(([kind, count]) => `${kind} ${count}`).join(', ');
    this.#say(
      `${seconds.toFixed(0)} s: ${starts} starts (${(starts / seconds).toFixed(0)}/s), ${tree.faultCount} faults (${kinds}), node ${tree.up ? 'up' : 'down'}`,
    );
  }

  /** For looking at it afterwards. */
  #save(observed: Observed): void {
    const plain = (_: string, value: unknown) =>
      value instanceof Map ? { map: [...(value as Map<unknown, unknown>)] } : value;
    writeFileSync(join(this.#directory, 'observed.json'), JSON.stringify(observed, plain));
  }
}

/** What the jobs the client wrote have as their counter now. */
async function readCounters(names: readonly string[], api: Api): Promise<Map<string, number>> {
  const stored = new Map<string, number>();
  for (const name of names) {
    const { status, body } = await api.insist('GET', `/v1/jobs/${name}`);
    if (status !== 200) continue;
    const { metadata } = JSON.parse(body.toString('utf8')) as { metadata: { counter: string } };
    stored.set(name, Number(metadata.counter));
  }
  return stored;
}

function compileJob(directory: string): string {
  const program = join(directory, 'job');
  const compiled = spawnSync('gcc', ['-O2', '-o', program, join(import.meta.dirname, 'job.c')], { encoding: 'utf8' });
  if (compiled.status !== 0)
    throw new Error(
      `the job program cannot be compiled (Debian: apt-get install gcc libc6-dev): ${compiled.error?.message ?? compiled.stderr}`,
    );
  return program;
}

function findFaketime(): string | null {
  const places = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib'].map(
    (place) => `${place}/faketime/libfaketimeMT.so.1`,
  );
  return places.find((place) => existsSync(place)) ?? null;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  await new Promise<void>((done) => server.close(() => done()));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

function countLines(path: string): number {
  const { stdout } = spawnSync('grep', ['-c', '^S', path], { encoding: 'utf8' });
  return Number(stdout.trim());
}

function sleep(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}
