/**
 * The agent and its runner alone, without scheduler and store: `node bench/runner.ts [--runs 3000] [--spawn auto|ffi|child_process]
 * [--cgroups off|auto|on] [--shell] [--program PATH] [--rate N]`. Without --rate all runs are handed over at once.
 * Prints one JSON line: runs per second, CPU milliseconds per run of the runner and of this process, lateness from hand-over to start.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createAgent } from '../src/agent/agent.ts';
import { systemClock } from '../src/lib/clock.ts';
import { systemRandom } from '../src/lib/random.ts';
import type { StartRequest } from '../src/model/agent.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '3000' },
    spawn: { type: 'string', default: 'auto' },
    cgroups: { type: 'string', default: 'auto' },
    program: { type: 'string' },
    executor: { type: 'string', default: 'shell' },
    shell: { type: 'boolean', default: false },
    rate: { type: 'string' },
  },
});

const runs = Number(values.runs);
const scratch = mkdtempSync(join(tmpdir(), 'belfry-bench-'));
const program = values.program ?? staticProgram();
const quiet = { info() {}, warn: console.error, error: console.error };
const agent = createAgent(
  { dataDir: join(scratch, 'data'), node: 'bench', spawn: values.spawn as 'auto', cgroups: values.cgroups as 'auto' },
  { clock: systemClock, random: systemRandom, log: quiet, reaper: null },
);

const sentAtUs = new Map<number, number>();
const lateMs: number[] = [];
const outcomes = new Map<string, number>();
let ended = 0;
const done = Promise.withResolvers<void>();
agent.subscribe({
  started: (list) => {
    for (const run of list) lateMs.push((run.startedAtUs - (sentAtUs.get(run.key) ?? 0)) / 1000);
  },
  ended: (list) => {
    agent.acknowledge(list.map((run) => run.key));
    for (const run of list) outcomes.set(run.message ?? 'ok', (outcomes.get(run.message ?? 'ok') ?? 0) + 1);
    ended += list.length;
    if (ended >= runs) done.resolve();
  },
  refused: (list) => console.error('refused', list[0]),
});
await agent.known();
if (values.executor === 'http') agent.warm(['http']);
await systemClock.sleep(700);
const pids = agent.processIds();
const idlePssMb = pids.map(pssMb);
const before = pids.map(cpuMs);
const own = process.cpuUsage();
const base = systemClock.nowUs();
const t0 = systemClock.monotonic();
await send();
await done.promise;
const ms = systemClock.monotonic() - t0;
const after = pids.map(cpuMs);
const used = process.cpuUsage(own);
lateMs.sort((a, b) => a - b);
const quantile = (q: number) => Math.round((lateMs[Math.min(lateMs.length - 1, Math.floor(q * lateMs.length))] ?? 0) * 10) / 10;
const runnerCpu = after.reduce((sum, value, i) => sum + value - (before[i] ?? 0), 0);
console.log(
  JSON.stringify({
    runs,
    spawn: agent.state().runners.map((runner) => runner.spawn).join(),
    perSecond: Math.round((runs / ms) * 1000),
    runnerCpuMsPerRun: Math.round((runnerCpu / runs) * 1000) / 1000,
    nodeCpuMsPerRun: Math.round(((used.user + used.system) / 1000 / runs) * 1000) / 1000,
    lateMs: { p50: quantile(0.5), p99: quantile(0.99), max: quantile(1) },
    pssMb: { idle: idlePssMb, after: pids.map(pssMb) },
    outcomes: Object.fromEntries(outcomes),
  }),
);
await agent.drain(0);
rmSync(scratch, { recursive: true, force: true });

async function send(): Promise<void> {
  const rate = values.rate === undefined ? runs : Number(values.rate);
  for (let from = 0; from < runs; from += rate) {
    const due = t0 + (from / rate) * 1000;
    const wait = due - systemClock.monotonic();
    if (wait > 0) await systemClock.sleep(wait);
    const batch = Array.from({ length: Math.min(rate, runs - from) }, (_, i) => request(from + i));
    const nowUs = systemClock.nowUs();
    for (const run of batch) sentAtUs.set(run.key, nowUs);
    agent.start(1, batch);
  }
}

function request(i: number): StartRequest {
  const config: Record<string, string> = values.executor === 'http' ? { url: program, method: 'GET' } : { command: program };
  if (values.shell) config['shell'] = 'true';
  const key = base + i;
  return { key, id: `${key}000-bench`, group: key, attempt: 1, job: `job-${i % 100}`, jobId: 1, trigger: 'schedule', scheduledAt: Math.floor(base / 1000), executor: values.executor, config, timeoutMs: null, killGraceMs: 1000 };
}

/** A program that ends at once without dynamic linking, so that the figure is ours and not the linker's. */
function staticProgram(): string {
  const source = join(scratch, 'nothing.c');
  writeFileSync(source, 'int main(void) { return 0; }\n');
  const built = spawnSync('gcc', ['-O2', '-static', '-o', join(scratch, 'nothing'), source]);
  return built.status === 0 && existsSync(join(scratch, 'nothing')) ? join(scratch, 'nothing') : '/bin/true';
}

function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function pssMb(pid: number): number {
  return Math.round(Number(/^Pss: +(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]) / 102.4) / 10;
}
