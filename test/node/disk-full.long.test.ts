// A full disk: nothing acknowledged is lost, launching stops first, and everything goes on by itself once there is room.
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { startNode, type TestNode } from '../kit/node.ts';
import { skipUnless } from '../kit/skip.ts';
import { create, ended, manual, release, runNow, runOf, runsOf, runToEnd, started } from './kit.ts';

const DISK = '64m';
const PRINTED_BYTES = 6_000_000;
let dataDir: string;
let node: TestNode | undefined;
let mounted = false;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'belfry-disk-'));
  mounted = mount(dataDir);
});
afterEach(async () => {
  await node?.stop('SIGKILL');
  node = undefined;
  if (mounted) spawnSync('umount', ['-l', dataDir]);
  rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
});

function mount(path: string): boolean {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK}`, 'tmpfs', path]).status === 0;
}

function mayMount(): boolean {
  const path = mkdtempSync(join(tmpdir(), 'belfry-mount-'));
  const may = mount(path);
  if (may) spawnSync('umount', [path]);
  rmSync(path, { recursive: true, force: true });
  return may;
}

/** Takes all room there is. */
function fill(): void {
  const fd = openSync(join(dataDir, 'filler'), 'a');
  try {
    for (let size = 2 ** 20; size >= 4096; size /= 2) {
      for (;;) {
        try {
          writeSync(fd, Buffer.alloc(size));
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
          break;
        }
      }
    }
  } finally {
    closeSync(fd);
  }
}

const empty = (): void => rmSync(join(dataDir, 'filler'));

function start(): Promise<TestNode> {
  return startNode({ dataDir, args: ['--disk-reserve', '4MiB', '--misfire-grace', '1s', '--misfire-policy', 'last'] });
}

skipUnless(process.getuid?.() === 0 && mayMount(), 'a filesystem of its own cannot be mounted here')(
  'a full disk',
  () => {
    test('stops launching, says so, loses nothing, and goes on by itself', async () => {
      node = await start();
      await create(node, { ...manual('tick', 'true'), schedule: '@every 1s' });
      // It prints nothing: whether the filler or its line came first would decide how it ends.
      await create(node, manual('long', `until test -e ${dataDir}/go-long; do sleep 0.05; done`));
      await create(
        node,
        manual(
          'printer',
          `until test -e ${dataDir}/go-printer; do sleep 0.05; done; for i in $(seq 60); do head -c 100000 /dev/zero; sleep 0.05; done; exit 4`,
        ),
      );
      const [long, printer] = [await runNow(node, 'long'), await runNow(node, 'printer')];
      for (const group of [long, printer]) await started(node, group);
      const { url } = node;
      await eventually('a tick', async () =>
        (await runsOf(node as TestNode, 'tick')).some(({ outcome }) => outcome === 'succeeded') ? true : undefined,
      );

      release(node, 'long');
      fill();
      release(node, 'printer');
      await eventually('health to tell', async () => {
        const health = await node?.get('/health');
        return health?.status !== 200 && /the disk is/.test(health?.text ?? '') ? true : undefined;
      });
      const refused = await node.post('/v1/jobs', manual('late', 'true'));
      expect({ status: refused.status, text: refused.text }).toEqual({
        status: 503,
        text: expect.stringMatching(/disk|room/),
      });
      expect(refused.headers['retry-after']).toBeDefined();
      expect((await node.post('/v1/jobs/long/run')).status).toBe(503);
      expect((await node.get('/v1/jobs/late')).status).toBe(404);
      // The results of what ran when it became full are on record all the same.
      expect(await ended(node, long)).toMatchObject({ outcome: 'succeeded' });
      const printed = await ended(node, printer);
      expect(printed).toMatchObject({ outcome: 'failed', executions: [{ exit_code: 4 }] });
      // What had no room is gone but counted: all but the pieces that the job itself was refused.
      const [{ output_bytes, log_bytes } = { output_bytes: 0, log_bytes: 0 }] = printed.executions;
      expect(output_bytes).toBeGreaterThan(PRINTED_BYTES / 2);
      expect(output_bytes).toBeLessThanOrEqual(PRINTED_BYTES);
      expect(log_bytes).toBeLessThan(PRINTED_BYTES / 2);
      // Nothing new is launched while the schedule goes on.
      const before = (await runsOf(node, 'tick')).length;
      const seen = Date.now();
      await eventually('three instants to pass', async () => (Date.now() > seen + 3_500 ? true : undefined));
      expect((await runsOf(node, 'tick')).length).toBeLessThanOrEqual(before + 1);
      expect(node.running).toBe(true);

      empty();
      await eventually('health', async () => ((await node?.get('/health'))?.status === 200 ? true : undefined));
      await create(node, manual('late', 'true'));
      expect(await runToEnd(node, 'late')).toMatchObject({ outcome: 'succeeded' });
      await eventually('ticks again', async () =>
        (await runsOf(node as TestNode, 'tick')).filter(
          ({ scheduled_at, outcome }) => Date.parse(scheduled_at) > seen + 4_000 && outcome === 'succeeded',
        ).length >= 2
          ? true
          : undefined,
      );
      expect(gaps(await runsOf(node, 'tick'))).toEqual([]);
      expect(url).toBe(node.url);

      await node.stop('SIGTERM');
      node = await start();
      expect(await runOf(node, long)).toMatchObject({ outcome: 'succeeded' });
      expect((await node.get('/v1/jobs?_sort=name')).json<{ name: string }[]>().map(({ name }) => name)).toEqual([
        'late',
        'long',
        'printer',
        'tick',
      ]);
      expect((await runsOf(node, 'tick')).filter(({ outcome }) => outcome === 'lost')).toEqual([]);
    }, 90_000);

    test('a node that starts on a full disk says so and serves what it knows', async () => {
      node = await start();
      await create(node, manual('one', 'true'));
      await node.stop('SIGKILL');
      fill();
      node = await start();
      expect((await node.get('/v1/jobs/one')).status).toBe(200);
      expect((await node.get('/health')).text).toMatch(/the disk is/);
      expect((await node.post('/v1/jobs/one/run')).status).toBe(503);
      empty();
      await eventually('health', async () => ((await node?.get('/health'))?.status === 200 ? true : undefined));
      expect(await runToEnd(node, 'one')).toMatchObject({ outcome: 'succeeded' });
    }, 60_000);
  },
);

/** Seconds of an every-second job that no row stands for. */
function gaps(runs: readonly { scheduled_at: string; count: number }[]): number[] {
  const covered = new Set<number>();
  for (const { scheduled_at, count } of runs) {
    for (let i = 0; i < count; i += 1) covered.add(Math.floor(Date.parse(scheduled_at) / 1000) + i);
  }
  const all = [...covered].sort((a, b) => a - b);
  const [first = 0, last = 0] = [all[0], all.at(-1)];
  return Array.from({ length: last - first + 1 }, (_, index) => first + index).filter((second) => !covered.has(second));
}
