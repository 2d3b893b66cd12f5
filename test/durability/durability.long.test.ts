/**
 * Durability as seen from outside (strace): no program before the sync of its intent and of its accept mark, no 2xx before the sync of the
 * write. Copies of the program that do not sync must be found out.
 */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { type Answer, ask } from '../kit/http-client.ts';
import { processesNaming } from '../kit/node.ts';
import { skipUnless } from '../kit/skip.ts';
import { judge, type Verdict } from './order.ts';
import { readTrace, STRACE_ARGS } from './strace.ts';

const ROOT = resolve(import.meta.dirname, '..', '..');
const PREFIX = 'durable';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'belfry-durability-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));

const traces = spawnSync('strace', ['--seccomp-bpf', '-f', '-qq', '-o', '/dev/null', 'true']).status === 0;

skipUnless(traces, 'no strace that may trace here')('durability seen from outside', () => {
  test('1,000 runs: intent and accept mark are synced before each, every write before its answer', async () => {
    const { verdict, sent } = await traced(ROOT, { runs: 1100, jobs: 10 });
    expect(verdict.violations).toEqual([]);
    expect(verdict.executed.program + verdict.executed.request).toBeGreaterThanOrEqual(1000);
    expect(verdict.executed.request).toBeGreaterThan(20);
    expect(verdict.answered).toBe(sent);
  }, 240_000);

  test('a database that does not sync is found out', async () => {
    const copy = planted('src/store', "synchronous: 'full',", "synchronous: 'off',");
    const { verdict, sent } = await traced(copy, { runs: 30, jobs: 5 });
    expect(verdict.answered).toBe(sent);
    const count = (what: RegExp) => verdict.violations.filter((line) => what.test(line)).length;
    expect(count(/before its intent was synced/)).toBeGreaterThanOrEqual(15);
    expect(count(/^answer/)).toBeGreaterThanOrEqual(sent);
    expect(count(/accept mark/)).toBe(0);
  }, 90_000);

  test('a runner that does not sync its journal is found out', async () => {
    const copy = planted(
      'src/agent/runner',
      ' fdatasync(this.#fd, (error) => {',
      ' setImmediate(() => { const error = null;',
    );
    const { verdict } = await traced(copy, { runs: 30, jobs: 5 });
    const marks = verdict.violations.filter((line) => line.includes('before its accept mark was synced'));
    expect(marks.length).toBeGreaterThanOrEqual(15);
    expect(verdict.violations.length).toBe(marks.length);
  }, 90_000);
});

/** A copy of the program with one place under `folder` changed. */
function planted(folder: string, text: string, changed: string): string {
  const copy = join(directory, 'copy');
  mkdirSync(copy);
  cpSync(join(ROOT, 'src'), join(copy, 'src'), { recursive: true });
  cpSync(join(ROOT, 'package.json'), join(copy, 'package.json'));
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  const sources = readdirSync(join(copy, folder))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(copy, folder, name));
  const places = sources.filter((path) => readFileSync(path, 'utf8').includes(text));
  expect(places.length, `where to plant ${JSON.stringify(text)}`).toBe(1);
  const [path = ''] = places;
  writeFileSync(path, readFileSync(path, 'utf8').replace(text, changed));
  return copy;
}

interface Load {
  /** Runs to see at least. */
  readonly runs: number;
  /** Jobs that run each second; the rest is run by hand. */
  readonly jobs: number;
}

const UNFINISHED_MAX = 24;

/** Runs a node of `root` under strace with some load; answers what the trace shows and how many writes got a 2xx. */
async function traced(root: string, load: Load): Promise<{ verdict: Verdict; sent: number }> {
  const trace = join(directory, 'trace');
  const dataDir = join(directory, 'data');
  const target = await startTarget();
  const args = ['--disable-warning=ExperimentalWarning', join(root, 'src/main.ts'), 'agent', '--data-dir', dataDir];
  args.push(
    '--http-addr',
    '127.0.0.1:0',
    '--disk-reserve',
    '1MiB',
    '--log-level',
    'error',
    '--timezone',
    'UTC',
    '--drain',
  );
  const child = spawn('strace', [...STRACE_ARGS, '-o', trace, process.execPath, ...args], {
    env: { PATH: process.env['PATH'] ?? '', HOME: directory },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<number | null>((done) => child.once('exit', done));
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  try {
    const url = await eventually('the node to be up', async () => /Belfry is up: (\S+)/.exec(said)?.[1], 30_000).catch(
      () => {
        throw new Error(`the node did not start: ${said}`);
      },
    );
    const sent = await drive(url, target.url, load);
    process.kill((JSON.parse(readFileSync(join(dataDir, 'holder.json'), 'utf8')) as { pid: number }).pid, 'SIGTERM');
    expect(await ended, said).toBe(0);
    const address = new URL(url).host;
    const verdict = await judge(readTrace(trace), { prefix: PREFIX, address, answeredAlone: sent.alone });
    return { verdict, sent: sent.all };
  } finally {
    // A killed strace lets its tracees go on: all of them name the directory.
    for (const pid of processesNaming(directory)) process.kill(pid, 'SIGKILL');
    await ended;
    await target.close();
  }
}

/** Single writes of every kind, then jobs and manual runs many at a time, until enough has run. */
async function drive(url: string, target: string, load: Load): Promise<{ all: number; alone: number }> {
  let sent = 0;
  const write = async (method: string, path: string, body?: unknown): Promise<Answer> => {
    const answer = await ask(url, method, path, body === undefined ? {} : { body });
    expect(answer.status, `${method} ${path}: ${answer.text}`).toBeLessThan(300);
    sent += 1;
    return answer;
  };
  const shell = (name: string, extra: object) => ({
    name,
    executor: 'shell',
    executor_config: { command: '/bin/true' },
    ...extra,
  });
  const lone = `${PREFIX}-0`;
  await write('POST', '/v1/jobs', shell(lone, { schedule: '@yearly' }));
  await write('PUT', `/v1/jobs/${lone}`, shell(lone, { schedule: '@monthly' }));
  await write('POST', `/v1/jobs/${lone}/toggle`);
  await write('POST', `/v1/jobs/${lone}/toggle`);
  await write('PUT', '/v1/calendars/holidays', { dates: ['2026-12-25'] });
  await write('POST', '/v1/pause');
  await write('POST', '/v1/unpause');
  await write('POST', `/v1/jobs/${lone}/run`);
  await write('DELETE', `/v1/jobs/${lone}`);
  const alone = sent;
  const jobs = Array.from({ length: load.jobs }, (_, index) => `${PREFIX}-${index + 1}`);
  const caller = `${PREFIX}-${load.jobs + 1}`;
  await Promise.all([
    ...jobs.map((name) => write('POST', '/v1/jobs', shell(name, { schedule: '@every 1s' }))),
    write('POST', '/v1/jobs', {
      name: caller,
      schedule: '@manually',
      executor: 'http',
      executor_config: { method: 'GET', url: target },
    }),
  ]);
  // No more at once than can be traced without falling behind: a backlog would have to be drained at the end.
  for (;;) {
    const { text } = await ask(url, 'GET', '/metrics');
    if (valueOf(text, 'belfry_outcomes_total{outcome="succeeded"') >= load.runs) break;
    const room = UNFINISHED_MAX - valueOf(text, 'belfry_occurrences_unfinished');
    const names = Array.from({ length: Math.max(0, room) }, (_, index) =>
      index % 4 === 0 ? caller : jobs[index % jobs.length],
    );
    await Promise.all(names.map((name) => write('POST', `/v1/jobs/${name}/run`)));
  }
  return { all: sent, alone };
}

/** The first value of a metric whose line begins so; 0: not there yet. */
function valueOf(metrics: string, start: string): number {
  const line = metrics.split('\n').find((one) => one.startsWith(start));
  return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(' ')));
}

async function startTarget(): Promise<{ url: string; close(): Promise<void> }> {
  const server = http.createServer((_request, response) => response.end('ok'));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}
