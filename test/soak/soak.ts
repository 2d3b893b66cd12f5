/**
 * Real load for a long time: `npm run soak -- --minutes 30 --rate 50`. A node of its own with options that make the retention plateau
 * reachable, a mix of jobs, a line a minute, and at the end `N passed, N failed`.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { processesNaming, startNode, type TestNode } from '../kit/node.ts';
import { type Check, judgeSoak, type Sample } from './verdict.ts';

const SAMPLE_INTERVAL_MS = 5_000;
/** History and logs that are full before the warm-up ends. */
const RETENTION = ['--retention-runs', '50', '--retention-keep', '10', '--log-runs', '20'];

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    rate: { type: 'string', default: '50' },
    'warm-up': { type: 'string', default: '5' },
  },
});
const options = {
  durationS: Number(values.minutes) * 60,
  rate: Number(values.rate),
  warmUpS: Number(values['warm-up']) * 60,
};

const target = http.createServer((_request, response) => response.end('ok'));
await new Promise<void>((done) => target.listen(0, '127.0.0.1', done));
// For trying other settings of the engine.
const { NODE_OPTIONS } = process.env;
const node = await startNode({
  args: ['--log-level', 'error', ...RETENTION],
  env: NODE_OPTIONS === undefined ? {} : { NODE_OPTIONS },
});
try {
  process.exitCode = report(await soak()) ? 0 : 1;
} finally {
  await node.stop();
  target.close();
  target.closeAllConnections();
}

async function soak(): Promise<Check[]> {
  const jobs = jobsOf(options.rate, `http://127.0.0.1:${(target.address() as AddressInfo).port}/`);
  for (const job of jobs) {
    const answer = await node.post('/v1/jobs', job);
    if (answer.status !== 201) throw new Error(`${answer.status} ${answer.text}`);
  }
  console.log(`${jobs.length} jobs, ${options.rate} runs/s for ${options.durationS / 60} min on ${node.url}`);
  const samples: Sample[] = [];
  const began = performance.now();
  let nextLineS = 60;
  for (let count = 1; ; count += 1) {
    await new Promise((resolve) => setTimeout(resolve, began + count * SAMPLE_INTERVAL_MS - performance.now()));
    const sample = await look(node, (performance.now() - began) / 1000);
    samples.push(sample);
    if (sample.atS >= nextLineS) {
      nextLineS += 60;
      console.log(lineOf(sample));
    }
    if (sample.atS >= options.durationS) break;
  }
  const health = await node.get('/health');
  const unhealthy: Check = { name: 'health', passed: health.status === 200, detail: health.text };
  return [...judgeSoak(samples, options), unhealthy, ...(await outcomes())];
}

/** One run a second each: quick ones, ones that print, ones that last, http, a parent with its child, and failures with a retry. */
function jobsOf(rate: number, url: string): object[] {
  const shell = (command: string) => ({ executor: 'shell', executor_config: { command, shell: 'true' } });
  const kinds = [
    () => ({ executor: 'shell', executor_config: { command: '/bin/true' } }),
    () => shell('head -c 20000 /dev/urandom | base64'),
    () => shell('sleep 0.7; echo $BELFRY_EXECUTION_ID'),
    () => ({ executor: 'http', executor_config: { method: 'GET', url } }),
    () => ({ ...shell('sleep 3'), concurrency: 'allow' }),
    () => ({ ...shell('test "$BELFRY_ATTEMPT" = 2'), retries: 1, retry: { delay: '100ms' } }),
  ];
  const jobs: object[] = [];
  // A parent with its child is two runs a second, and so is a failure with its retry.
  for (let perSecond = 0, index = 0; perSecond < rate; index += 1) {
    const kind = index % kinds.length;
    const name = `soak-${index}`;
    if (kind === 0 && rate - perSecond >= 2) {
      jobs.push(
        { name, schedule: '@every 1s', ...kinds[0]?.() },
        { name: `${name}-child`, schedule: '@manually', parent_job: name, ...kinds[0]?.() },
      );
      perSecond += 2;
    } else if (kind === 5 && rate - perSecond >= 2) {
      jobs.push({ name, schedule: '@every 1s', ...kinds[5]?.() });
      perSecond += 2;
    } else {
      jobs.push({ name, schedule: '@every 1s', ...kinds[kind === 5 ? 1 : kind]?.() });
      perSecond += 1;
    }
  }
  return jobs;
}

async function look(node: TestNode, atS: number): Promise<Sample> {
  // By their parent: a job that is just being started still looks like its runner.
  const runners = processesNaming(node.dataDir).filter((pid) => parentOf(pid) === node.pid);
  const sum = (of: (pid: number) => number) => runners.reduce((total, pid) => total + of(pid), 0);
  const metrics = (await node.get('/metrics')).text;
  const ended = [...metrics.matchAll(/^belfry_outcomes_total\{[^}]*\} (\d+)/gm)].reduce(
    (total, [, value]) => total + Number(value),
    0,
  );
  const database = ['belfry.db', 'belfry.db-wal'].map((name) => statSync(join(node.dataDir, name)).size);
  return {
    atS,
    nodeBytes: residentBytes(node.pid),
    runnerBytes: sum(residentBytes),
    nodeFiles: openFiles(node.pid),
    runnerFiles: sum((pid) => openFiles(pid) - spareFiles(pid)),
    spareFiles: sum(spareFiles),
    databaseBytes: database.reduce((total, size) => total + size, 0),
    ended,
  };
}

/** Nothing was dropped or lost on a node that had only its load to carry. */
async function outcomes(): Promise<Check[]> {
  const bad = [
    ...(await node.get('/metrics')).text.matchAll(
      /^belfry_outcomes_total\{outcome="(lost|missed|skipped)"[^}]*\} .*$/gm,
    ),
  ];
  return [
    {
      name: 'nothing lost, missed or skipped',
      passed: bad.length === 0,
      detail: bad.map(([line]) => line).join('; ') || 'none',
    },
  ];
}

function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
}

function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function spareFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).filter((fd) => linkOf(`/proc/${pid}/fd/${fd}`).includes('/spare/')).length;
}

/** '': closed meanwhile. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return '';
  }
}

/** 0: it has ended meanwhile. */
function parentOf(pid: number): number {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch (error) {
    if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    return 0;
  }
}

function lineOf({
  atS,
  nodeBytes,
  runnerBytes,
  nodeFiles,
  runnerFiles,
  spareFiles,
  databaseBytes,
  ended,
}: Sample): string {
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return (
    `${(atS / 60).toFixed(0).padStart(3)} min: node ${mib(nodeBytes)} and ${nodeFiles} files, runner ${mib(runnerBytes)} and ` +
    `${runnerFiles} + ${spareFiles} spare files, database ${mib(databaseBytes)}, ${ended} runs ended`
  );
}

function report(checks: readonly Check[]): boolean {
  for (const { name, passed, detail } of checks) console.log(`${passed ? 'ok    ' : 'FAILED'} ${name}: ${detail}`);
  const failed = checks.filter(({ passed }) => !passed).length;
  console.log(`${checks.length - failed} passed, ${failed} failed`);
  return failed === 0;
}
