// Ends of a node: jobs go on and are adopted, or are drained; as PID 1 it takes care of orphans.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { type NodeOptions, processesNaming, startNode, type TestNode } from '../kit/node.ts';
import { skipUnless } from '../kit/skip.ts';
import { type Body, create, ended, lastLine, manual, release, runNow, runOf, runsOf, started, waiting } from './kit.ts';

let dataDir: string;
let nodes: TestNode[];
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'belfry-stop-'));
  nodes = [];
});
afterEach(async () => {
  for (const node of nodes) await node.stop('SIGKILL');
  rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
});

async function start(options: NodeOptions = {}): Promise<TestNode> {
  const node = await startNode({ ...options, dataDir });
  nodes.push(node);
  return node;
}

describe('a node that is told to stop', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s: ends within 5 s, says what goes on; the next node adopts it',
    async (signal) => {
      const first = await start();
      await create(first, waiting(first, 'long'));
      const group = await runNow(first, 'long');
      const before = await started(first, group);
      const began = performance.now();
      process.kill(first.pid, signal);
      expect(await first.exited).toBe(0);
      expect(performance.now() - began).toBeLessThan(5_000);
      const words = lastLine(first.output);
      expect(words).toMatch(/^1 job goes on without the node/);
      expect(words).toContain(`--data-dir ${dataDir}`);
      expect(words).toContain('/v1/runs/GROUP/stop');

      const second = await start();
      expect(await runOf(second, group)).toMatchObject({
        outcome: null,
        executions: [{ id: before.executions[0]?.id, state: 'running' }],
      });
      release(second, 'long');
      const run = await ended(second, group);
      expect(run).toMatchObject({ outcome: 'succeeded', executions: [{ exit_code: 0 }] });
      expect((await second.get(`/v1/runs/${group}/log`)).text).toBe('went on\n');
    },
  );

  test('what the last line says works: start again, stop the run', async () => {
    const first = await start();
    await create(first, waiting(first, 'long'));
    const group = await runNow(first, 'long');
    await started(first, group);
    await first.crash();
    const second = await start();
    const answer = await second.post(`/v1/runs/${group}/stop`);
    expect(answer.status).toBe(200);
    expect(await ended(second, group)).toMatchObject({ outcome: 'cancelled', reason: 'user' });
  });

  test('without running jobs its last line says so', async () => {
    const node = await start();
    process.kill(node.pid, 'SIGTERM');
    expect(await node.exited).toBe(0);
    expect(lastLine(node.output)).toBe('The node has stopped; no job is running.');
    expect(node.output).not.toMatch(/without the node/);
  });

  test('a restart loses no answered write, and nothing of a run that ended meanwhile', async () => {
    const first = await start();
    await create(first, waiting(first, 'long'));
    const group = await runNow(first, 'long');
    await started(first, group);
    await first.crash();
    release(first, 'long');
    await eventually('the job to be gone', async () =>
      processesNaming(join(dataDir, 'go-long')).length === 0 ? true : undefined,
    );
    const second = await start();
    expect(await ended(second, group)).toMatchObject({ outcome: 'succeeded', executions: [{ exit_code: 0 }] });
  });
});

describe('--drain', () => {
  const drain = ['--drain', '--kill-grace', '300ms'];

  test('waits for what runs', async () => {
    const node = await start({ args: drain });
    await create(node, waiting(node, 'long'));
    const group = await runNow(node, 'long');
    await started(node, group);
    process.kill(node.pid, 'SIGTERM');
    await eventually('the drain', async () => (node.output.includes('draining') ? true : undefined));
    expect(node.running).toBe(true);
    // The API still tells how it goes.
    expect(await runOf(node, group)).toMatchObject({ outcome: null });
    release(node, 'long');
    expect(await node.exited).toBe(0);
    expect(await ended(await start(), group)).toMatchObject({ outcome: 'succeeded' });
  });

  test('says so meanwhile: nothing new is started, questions are answered, jobs can be stored', async () => {
    const node = await start({ args: drain });
    await create(node, waiting(node, 'long'));
    const group = await runNow(node, 'long');
    await started(node, group);
    process.kill(node.pid, 'SIGTERM');
    const health = await eventually('the drain', async () => {
      const answer = await node.get('/health');
      return answer.status === 200 ? undefined : answer;
    });
    expect(health.status).toBe(503);
    expect(health.json<Body>()).toEqual({
      status: 'draining',
      leader: false,
      issues: [
        expect.stringMatching(
          /^the node is stopping and starts nothing new: it waits for 1 run to end, until \d{4}-\S+Z at most$/,
        ),
      ],
    });
    expect((await node.get('/ui/')).text).toContain('class="pill warn">draining<');
    expect(await node.get('/v1/isleader')).toMatchObject({ status: 404, text: '"This node is a follower"' });
    expect(await node.get('/v1/leader')).toMatchObject({ status: 500, text: 'null' });

    for (const [path, body] of [
      ['/v1/jobs/long/run', undefined],
      ['/v1/jobs/long', undefined],
      ['/v1/jobs?runoncreate', manual('born', 'true')],
    ] as const) {
      const refused = await node.post(path, body);
      expect(refused).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
      expect(refused.text).toMatch(/^this node is stopping and starts nothing new; .*; ask again once/);
    }
    expect((await node.post('/v1/jobs/nobody/run')).status).toBe(404);
    await create(node, manual('later', 'true'));
    expect((await node.get('/v1/jobs')).headers['x-total-count']).toBe('2');
    expect((await runsOf(node, 'long')).length).toBe(1);

    release(node, 'long');
    expect(await node.exited).toBe(0);
    const next = await start();
    expect(await ended(next, group)).toMatchObject({ outcome: 'succeeded' });
    expect((await runsOf(next, 'long')).length).toBe(1);
  });

  test.each<[string, readonly string[], boolean]>([
    ['a second signal ends the wait', drain, true],
    ['so does --drain-timeout', [...drain, '--drain-timeout', '500ms'], false],
  ])('%s: TERM, grace, KILL, on record as cancelled', async (_name, args, again) => {
    const node = await start({ args });
    const marks = join(dataDir, 'marks');
    await create(
      node,
      manual('deaf', `trap 'echo term >> ${marks}' TERM; while :; do sleep 0.1; done`, { kill_grace: '300ms' }),
    );
    await create(
      node,
      manual('quick', `trap 'echo bye; exit 3' TERM; while :; do sleep 0.1; done`, { kill_grace: '300ms' }),
    );
    const groups = [await runNow(node, 'deaf'), await runNow(node, 'quick')];
    for (const group of groups) await started(node, group);
    process.kill(node.pid, 'SIGTERM');
    await eventually('the drain', async () => (node.output.includes('draining') ? true : undefined));
    if (again) process.kill(node.pid, 'SIGTERM');
    expect(await node.exited).toBe(0);
    expect(readFileSync(marks, 'utf8')).toMatch(/^term\n/);
    const next = await start();
    for (const group of groups)
      expect(await ended(next, group)).toMatchObject({ outcome: 'cancelled', reason: 'shutdown' });
  });
});

const mayUnshare = process.getuid?.() === 0 && existsSync('/usr/bin/unshare');
skipUnless(mayUnshare, 'not root, or no unshare')('as PID 1', () => {
  test('it reaps orphans and ends its jobs with it', async () => {
    const node = await start({
      under: ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'],
      args: ['--drain', '--cgroups', 'off'],
    });
    // The inner shell is gone at once; what it left is nobody's child but PID 1's.
    await create(node, manual('orphans', 'for i in 1 2 3 4 5; do (sh -c "sleep 0.2 & exit 0" &); done; sleep 0.1'));
    const group = await runNow(node, 'orphans');
    await ended(node, group);
    await create(node, manual('zombies', 'sleep 0.4; grep -l "^State:.Z" /proc/[0-9]*/status | wc -l'));
    const look = await runNow(node, 'zombies');
    await ended(node, look);
    expect((await node.get(`/v1/runs/${look}/log`)).text.trim()).toBe('0');
  });
});
