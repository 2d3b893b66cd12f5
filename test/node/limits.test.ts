// Out of descriptors, out of processes, endless output: the run pays, the node stays.
import { spawnSync } from 'node:child_process';
import { chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { processesNaming, startNode, type TestNode } from '../kit/node.ts';
import { skipUnless } from '../kit/skip.ts';
import { create, ended, manual, runNow, runsOf, runToEnd } from './kit.ts';

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;

/** There may be several, and any of them may get the next run. */
function runnersOf(node: TestNode): number[] {
  const found = processesNaming(node.dataDir).filter((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('runner/main'),
  );
  expect(found.length).toBeGreaterThan(0);
  return found;
}

/** Sets a soft limit of living processes. */
function limit(pids: readonly number[], name: string, value: number, under: readonly string[] = []): void {
  for (const pid of pids) {
    const words = [...under, 'prlimit', '--pid', String(pid), `--${name}=${value}:`];
    const { status, stderr } = spawnSync('env', words);
    expect(status, stderr.toString()).toBe(0);
  }
}

skipUnless(hasPrlimit, 'no prlimit')('out of file descriptors', () => {
  test('a run fails for want of resources, the node stays, and later runs work', async () => {
    await using node = await startNode();
    // What a job reads costs its runner a descriptor.
    await create(
      node,
      manual('one', 'cat', { executor_config: { command: 'cat', payload: Buffer.from('hello').toString('base64') } }),
    );
    expect(await runToEnd(node, 'one')).toMatchObject({ outcome: 'succeeded' });
    const runners = runnersOf(node);
    limit(runners, 'nofile', 3);
    const run = await runToEnd(node, 'one');
    expect(run).toMatchObject({ outcome: 'failed', reason: 'resources' });
    expect(run.executions[0]?.message).toMatch(/descriptor|file|EMFILE/);
    limit(runners, 'nofile', 1024);
    expect(await runToEnd(node, 'one')).toMatchObject({ outcome: 'succeeded' });
    expect(runnersOf(node)).toEqual(runners);
  });

  test('the node itself answers again once it has some', async () => {
    await using node = await startNode();
    await create(node, { ...manual('tick', 'true'), schedule: '@every 1s' });
    limit([node.pid], 'nofile', readdirSync(`/proc/${node.pid}/fd`).length);
    // Whatever becomes of these: nobody can be let in now.
    await Promise.allSettled(Array.from({ length: 5 }, () => node.get('/health')));
    limit([node.pid], 'nofile', 1024);
    await eventually('an answer', async () =>
      (await node.get('/health').catch(() => undefined))?.status === 200 ? true : undefined,
    );
    expect(node.running).toBe(true);
    expect((await runsOf(node, 'tick')).filter(({ outcome }) => outcome !== 'succeeded' && outcome !== null)).toEqual(
      [],
    );
  });
});

skipUnless(isRoot && hasPrlimit, 'not root: limits of processes bind only other users')('out of processes', () => {
  test('a run fails for want of resources, the node stays, and later runs work', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'belfry-nobody-'));
    chownSync(dataDir, NOBODY, NOBODY);
    const under = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
    const node = await startNode({ dataDir, under });
    try {
      await create(node, manual('one', 'true'));
      expect(await runToEnd(node, 'one')).toMatchObject({ outcome: 'succeeded' });
      const runners = runnersOf(node);
      limit(runners, 'nproc', 1, under);
      expect(await runToEnd(node, 'one')).toMatchObject({ outcome: 'failed', reason: 'resources' });
      limit(runners, 'nproc', 10_000, under);
      expect(await runToEnd(node, 'one')).toMatchObject({ outcome: 'succeeded' });
      expect(runnersOf(node)).toEqual(runners);
    } finally {
      await node.stop();
      rmSync(dataDir, { recursive: true, force: true });
    }
  });
});

describe('output without end', () => {
  const BYTES = 300_000_000;

  test('300 MB without a newline: all counted, little kept, memory bounded', async () => {
    await using node = await startNode({ args: ['--log-bytes-per-run', '8MiB'] });
    await create(node, manual('flood', `head -c ${BYTES} /dev/zero | tr '\\0' x`));
    const group = await runNow(node, 'flood');
    const runners = runnersOf(node);
    const pids = [node.pid, ...runners];
    let peak = 0;
    const run = await eventually(
      'the flood to end',
      async () => {
        peak = Math.max(peak, ...pids.map(residentBytes));
        const answer = (await node.get(`/v1/runs/${group}`)).json();
        return answer.outcome === null ? undefined : answer;
      },
      60_000,
    );
    expect(run).toMatchObject({ outcome: 'succeeded', executions: [{ output_bytes: BYTES }] });
    // The oldest are released once there is an eighth too much.
    expect(run.executions[0].log_bytes).toBeLessThanOrEqual(9 * 2 ** 20);
    expect(run.executions[0].log_bytes).toBeGreaterThan(2 ** 20);
    expect(peak).toBeLessThan(300 * 2 ** 20);
    expect(blocksOf(join(node.dataDir, 'logs'))).toBeLessThan(16 * 2 ** 20);
    const page = await node.get(`/v1/runs/${group}/log?from=${BYTES - 10}&limit=100`);
    expect(page.text).toContain('x'.repeat(10));
    const [shown] = (await node.get('/v1/jobs/flood/executions')).json<{ output: string }[]>();
    expect(shown?.output.length).toBeLessThanOrEqual(16 * 1024);
  }, 90_000);

  test('binary garbage is kept byte for byte and shown as text that is valid', async () => {
    await using node = await startNode();
    await create(node, manual('noise', `head -c 200000 /dev/urandom | tee ${node.dataDir}/copy`));
    const group = await runNow(node, 'noise');
    expect(await ended(node, group)).toMatchObject({
      outcome: 'succeeded',
      executions: [{ output_bytes: 200_000, log_bytes: 200_000 }],
    });
    const log = await node.get(`/v1/runs/${group}/log?limit=200000`);
    expect(log.bytes.equals(readFileSync(join(node.dataDir, 'copy')))).toBe(true);
    const shown = await node.get('/v1/jobs/noise/executions');
    expect(() => JSON.parse(shown.text) as unknown).not.toThrow();
  });
});

function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
}

function blocksOf(directory: string): number {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).reduce(
    (sum, name) => sum + statSync(join(directory, name)).blocks * 512,
    0,
  );
}

test('a log that retention took: its last bytes are still told, and where they begin', async () => {
  await using node = await startNode({ args: ['--log-runs', '1', '--output-tail', '20', '--retention-runs', '10'] });
  await create(node, manual('counts', 'seq 1 100'));
  const { group } = await runToEnd(node, 'counts');
  await runToEnd(node, 'counts');
  const log = (query: string) => node.get(`/v1/runs/${group}/log${query}`);
  const gone = await eventually('retention', async () => {
    const answer = await log('');
    return answer.headers['x-belfry-first-kept-byte'] === '0' ? undefined : answer;
  });
  expect(gone).toMatchObject({
    status: 200,
    text: '\n95\n96\n97\n98\n99\n100\n',
    headers: {
      'x-belfry-from': '272',
      'x-belfry-next': '292',
      'x-belfry-total-bytes': '292',
      'x-belfry-first-kept-byte': '272',
    },
  });
  expect(await log('?from=289')).toMatchObject({ text: '00\n', headers: { 'x-belfry-from': '289' } });
  expect(await log('?from=292')).toMatchObject({ status: 200, text: '', headers: { 'x-belfry-next': '292' } });
  const [counted] = (await runsOf(node, 'counts')).filter((run) => run.group === group);
  expect(counted?.executions).toMatchObject([{ output_bytes: 292, log_bytes: 0 }]);
});

describe('a log nobody can write to', () => {
  test.each([
    ['its reader has gone', ['bash', '-c', 'exec "$@" > >(head -n 1 > /dev/null)', 'bash']],
    ['its disk is full', ['sh', '-c', 'exec "$@" > /dev/full', 'sh']],
  ])('%s: the node stays and jobs run', async (_name, under) => {
    await using node = await startNode({ under });
    await create(node, manual('loud', 'echo hello', { processors: { log: { forward: 'true' } } }));
    for (let runs = 0; runs < 3; runs++) expect(await runToEnd(node, 'loud')).toMatchObject({ outcome: 'succeeded' });
    expect((await node.get('/health')).status).toBe(200);
    expect(node.running).toBe(true);
  });
});
