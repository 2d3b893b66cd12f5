/** A real node of the measured checkout, started as its users start it, on loopback, with a data directory that goes with the repetition. */
import { spawn } from 'node:child_process';
import { mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchContext } from '../lib/benchmark.ts';
import { Client } from './client.ts';
import { cpuSeconds, processesOf, pssMb } from './processes.ts';

const START_TIMEOUT_MS = 120_000;
const JOB_PROGRAMS = ['hit', 'dash', 'sh', 'flood'];

export interface DrivenNode {
  readonly url: string;
  readonly client: Client;
  readonly dataDir: string;
  /** From the start of its process to the answer of /health. */
  readonly startMs: number;
  pssMb(): number;
  cpuSeconds(): number;
  stop(): Promise<void>;
}

let started = 0;

/** `dataDir`: one that was filled before. The node ends with the repetition at the latest. */
export async function startNode(
  context: BenchContext,
  options: { dataDir?: string; args?: readonly string[] } = {},
): Promise<DrivenNode> {
  const dataDir = options.dataDir ?? join(context.scratch, `node-${++started}`);
  mkdirSync(dataDir, { recursive: true });
  const logPath = `${dataDir}.log`;
  const log = openSync(logPath, 'w');
  const from = performance.now();
  const args = [
    'agent',
    '--data-dir',
    dataDir,
    '--http-addr',
    '127.0.0.1:0',
    '--node-name',
    'bench',
    ...(options.args ?? []),
  ];
  const child = spawn(join(context.root, 'bin', 'belfry'), args, {
    cwd: context.scratch,
    stdio: ['ignore', log, log],
    env: { PATH: process.env['PATH'], HOME: context.scratch },
  });
  const exited = new Promise<void>((done) => child.once('exit', () => done()));
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await exited;
    // The runner outlives its node by design; here it would disturb the next repetition.
    for (const pid of processesOf(dataDir, [])) endQuietly(pid);
  };
  context.defer(stop);
  const url = await urlOf(logPath, () => child.exitCode === null && child.signalCode === null);
  const client = new Client(url);
  context.defer(() => client.close());
  await client.timed('/health');
  const tree = () => processesOf(dataDir, JOB_PROGRAMS);
  return {
    url,
    client,
    dataDir,
    startMs: performance.now() - from,
    pssMb: () => pssMb(tree()),
    cpuSeconds: () => cpuSeconds(tree()),
    stop,
  };
}

async function urlOf(logPath: string, alive: () => boolean): Promise<string> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const said = readFileSync(logPath, 'utf8');
    const url = /Belfry is up: (http:\/\/\S+)/.exec(said)?.[1];
    if (url !== undefined) return url;
    if (!alive() || performance.now() > deadline) throw new Error(`the node did not start:\n${said}`);
    await sleep(10);
  }
}

function endQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // it ended by itself meanwhile
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
