/**
 * The agent and its runner alone, without scheduler and store. --runs 3000  --spawn auto|ffi|child_process  --cgroups off|auto|on
 * --sh 1 (through /bin/sh)  --program PATH  --rate N a second (else all at once)  --url URL (http requests instead of processes)
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { systemClock } from '../src/lib/clock.ts';
import { systemRandom } from '../src/lib/random.ts';
import type { StartRequest } from '../src/model/agent.ts';
import { cpuSeconds, pssMb } from './drive/processes.ts';
import type { Benchmark, BenchContext, Figures } from './lib/benchmark.ts';
import { latencies, rounded } from './lib/samples.ts';

export const runner: Benchmark = {
  name: 'runner',
  about: 'the agent and its runner alone: starts per second, CPU per start',
  async run(context) {
    const runs = context.option('runs', 3_000);
    return [{ name: `${runs} runs`, figures: await measure(context, runs) }];
  },
};

/** The runner warms up what it needs before the first start. */
const WARM_UP_MS = 700;

async function measure(context: BenchContext, runs: number): Promise<Figures> {
  const agent = await openAgent(context);
  const sentAtUs = new Map<number, number>();
  const lateMs: number[] = [];
  let ended = 0;
  const done = Promise.withResolvers<void>();
  agent.subscribe({
    started: (list) => {
      for (const run of list) lateMs.push((run.startedAtUs - (sentAtUs.get(run.key) ?? 0)) / 1000);
    },
    ended: (list) => {
      agent.acknowledge(list.map((run) => run.key));
      ended += list.length;
      if (ended >= runs) done.resolve();
    },
    refused: (list) => done.reject(new Error(`refused: ${list[0]?.why}`)),
  });
  await agent.known();
  const request = requestOf(context);
  agent.warm([request(0).executor]);
  await systemClock.sleep(WARM_UP_MS);
  const pids = agent.processIds();
  const [cpuBefore, own, from] = [cpuSeconds(pids), process.cpuUsage(), performance.now()];
  const rate = context.option('rate', runs);
  for (let at = 0; at < runs; at += rate) {
    const waitMs = from + (at / rate) * 1000 - performance.now();
    if (waitMs > 0) await systemClock.sleep(waitMs);
    const batch = Array.from({ length: Math.min(rate, runs - at) }, (_, i) => request(at + i));
    const nowUs = systemClock.nowUs();
    for (const run of batch) sentAtUs.set(run.key, nowUs);
    agent.start(1, batch);
  }
  await done.promise;
  const seconds = (performance.now() - from) / 1000;
  const used = process.cpuUsage(own);
  const runnerCpu = cpuSeconds(pids) - cpuBefore;
  const memory = pssMb(pids);
  await agent.drain(0);
  return {
    runs_per_s: rounded(runs / seconds),
    runner_cpu_us: rounded((runnerCpu * 1e6) / runs),
    node_cpu_us: rounded((used.user + used.system) / runs),
    runner_pss_mb: rounded(memory),
    ...latencies('late', lateMs),
  };
}

async function openAgent(context: BenchContext) {
  const source = pathToFileURL(join(context.root, 'src/agent/agent.ts')).href;
  const { createAgent } = (await import(source)) as typeof import('../src/agent/agent.ts');
  const log = { info: () => undefined, warn: console.error, error: console.error };
  const options = {
    dataDir: join(context.scratch, 'runner'),
    node: 'bench',
    spawn: (context.text('spawn') ?? 'auto') as 'auto',
    cgroups: (context.text('cgroups') ?? 'auto') as 'auto',
  };
  return createAgent(options, { clock: systemClock, random: systemRandom, log, reaper: null });
}

function requestOf(context: BenchContext): (i: number) => StartRequest {
  const url = context.text('url');
  const program = url === undefined ? (context.text('program') ?? staticProgram(context)) : '';
  const command: Record<string, string> = {
    command: program,
    ...(context.text('sh') === undefined ? {} : { shell: 'true' }),
  };
  const config = url === undefined ? command : { url, method: 'GET' };
  const executor = url === undefined ? 'shell' : 'http';
  const base = systemClock.nowUs();
  return (i) => {
    const key = base + i;
    const job = { job: `job-${i % 100}`, jobId: 1, trigger: 'schedule', scheduledAt: Math.floor(base / 1000) } as const;
    return {
      key,
      id: `${key}000-bench`,
      group: key,
      attempt: 1,
      ...job,
      executor,
      config,
      timeoutMs: null,
      killGraceMs: 1_000,
    };
  };
}

/** A program that ends at once without dynamic linking, so that the figure is ours and not the linker's. */
function staticProgram(context: BenchContext): string {
  const [source, program] = [join(context.scratch, 'nothing.c'), join(context.scratch, 'nothing')];
  writeFileSync(source, 'int main(void) { return 0; }\n');
  const built = spawnSync('gcc', ['-O2', '-static', '-o', program, source]);
  return built.status === 0 ? program : '/bin/true';
}
