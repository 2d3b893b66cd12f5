/**
 * A disk that cannot sync (strace answers fsync and fdatasync with EIO): what is not known to be on disk is neither started nor
 * acknowledged, and work goes on by itself once the disk does.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { startNode, type TestNode } from '../kit/node.ts';
import { skipUnless } from '../kit/skip.ts';
import { create, ended, manual, runNow, runToEnd } from '../node/kit.ts';

let dataDir: string;
let node: TestNode;
let injector: ChildProcess | undefined;
beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'belfry-sync-'));
  node = await startNode({ dataDir });
});
afterEach(async () => {
  await heal();
  await node.stop('SIGKILL');
  rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
});

const traces = spawnSync('strace', ['-f', '-qq', '-o', '/dev/null', 'true']).status === 0;

/** From now on every sync of the process fails, until `heal`. */
async function breakSyncs(pid: number): Promise<void> {
  const calls = 'fsync,fdatasync';
  const args = ['-f', '-p', String(pid), '-e', `trace=${calls}`, '-e', `inject=${calls}:error=EIO`, '-o', '/dev/null'];
  injector = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  injector.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await eventually('strace to hold every thread', async () => {
    const threads = readdirSync(`/proc/${pid}/task`);
    const held = threads.every((tid) =>
      /^TracerPid:\t[1-9]/m.test(readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8')),
    );
    return held && said.includes('attached') ? true : undefined;
  });
}

async function heal(): Promise<void> {
  const strace = injector;
  injector = undefined;
  if (strace === undefined || strace.exitCode !== null) return;
  const gone = new Promise((done) => strace.once('exit', done));
  strace.kill('SIGINT');
  await gone;
}

function runnerPids(): number[] {
  const directories = join(dataDir, 'runners');
  return readdirSync(directories)
    .map((name) => join(directories, name, 'runner.json'))
    .filter((path) => existsSync(path))
    .map((path) => (JSON.parse(readFileSync(path, 'utf8')) as { pid: number }).pid);
}

/** How often the job `name` has begun, by its own word. */
function starts(name: string): number {
  const path = join(dataDir, `ran-${name}`);
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 1 : 0;
}

const witness = (name: string) => manual(name, `echo began >> ${join(dataDir, `ran-${name}`)}`);

skipUnless(traces, 'no strace that may trace here')('syncs fail', () => {
  test('the journal’s: its runner ends, another takes over, nothing starts without its mark', async () => {
    await create(node, witness('a'));
    await create(node, witness('b'));
    const [broken] = runnerPids() as [number];
    await breakSyncs(broken);
    const group = await runNow(node, 'a');
    await eventually('another runner', async () => (runnerPids().some((pid) => pid !== broken) ? true : undefined));
    expect(await ended(node, group)).toMatchObject({ outcome: 'lost', reason: 'start_unknown', count: 1 });
    expect(starts('a')).toBe(0);
    expect(await runToEnd(node, 'b')).toMatchObject({ outcome: 'succeeded' });
    expect(starts('b')).toBe(1);
  });

  test('the store’s: nothing starts or is acknowledged, people are told, and work goes on with the disk', async () => {
    await create(node, witness('a'));
    await breakSyncs(node.pid);
    // The write that finds it out is repeated until its end is known.
    const found = node.post('/v1/jobs/a/run');
    const health = await eventually('the health to tell', async () => {
      const answer = await node.get('/health');
      return answer.status === 503 ? answer : undefined;
    });
    expect(health.json()).toMatchObject({
      status: 'unhealthy',
      issues: [expect.stringMatching(/^the store has not answered since \S+Z \(disk I\/O error\): /)],
    });
    const refused = await node.post('/v1/jobs', witness('b'));
    expect(refused.status).toBe(503);
    expect(refused.text).toMatch(/^the store does not answer \(disk I\/O error\); nothing was changed/);
    expect((await node.get('/v1/jobs/a')).status).toBe(200);
    expect((await node.post('/v1/schedule/preview', { schedule: '@hourly' })).status).toBe(200);
    expect(starts('a')).toBe(0);

    await heal();
    const answer = await found;
    expect(answer.status).toBe(200);
    expect(await ended(node, answer.json<{ group: number }>().group)).toMatchObject({ outcome: 'succeeded', count: 1 });
    expect(starts('a')).toBe(1);
    expect((await node.get('/health')).status).toBe(200);
    expect((await node.get('/v1/jobs/b')).status).toBe(404);
  });
});
