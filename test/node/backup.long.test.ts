// Backups as a person makes them, with bin/belfry: under load, checked, restored; nothing starts twice, and jobs run again.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { startNode, type TestNode } from '../kit/node.ts';
import { skipUnless } from '../kit/skip.ts';
import { create, manual, runsOf } from './kit.ts';

const BELFRY = resolve(import.meta.dirname, '..', '..', 'bin', 'belfry');
const JOBS = 10;
const OLD_S = 600;

let directory: string;
let dataDir: string;
let node: TestNode | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'belfry-backup-'));
  dataDir = join(directory, 'data');
  mkdirSync(dataDir);
});
afterEach(async () => {
  await node?.stop('SIGKILL');
  node = undefined;
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
});

function belfry(...args: string[]): Promise<{ code: number; said: string }> {
  const options = { cwd: directory, env: { PATH: process.env['PATH'] ?? '', HOME: directory }, timeout: 25_000 };
  return new Promise((done) => {
    execFile(BELFRY, args, options, (error, stdout, stderr) =>
      done({ code: error === null ? 0 : Number(error.code ?? 99), said: stdout + stderr }),
    );
  });
}

/** The wall clock of what is started with it, by a file of offsets in seconds. */
const offsetFile = () => join(directory, 'offset');
const shift = (seconds: number): void => writeFileSync(offsetFile(), `${seconds >= 0 ? '+' : ''}${seconds}\n`);
const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';

function start(): Promise<TestNode> {
  const env = {
    LD_PRELOAD: FAKETIME,
    FAKETIME_TIMESTAMP_FILE: offsetFile(),
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
  return startNode({ dataDir, env: existsSync(FAKETIME) ? env : {}, args: ['--timezone', 'UTC'] });
}

skipUnless(existsSync(FAKETIME), 'no faketime')('an old backup restored under load', () => {
  test('nothing starts twice, what was missed is on record, and jobs run again', async () => {
    shift(-OLD_S);
    node = await start();
    const evidence = join(directory, 'evidence');
    for (let i = 0; i < JOBS; i += 1) {
      await create(node, {
        ...manual(`job-${i}`, `echo "$BELFRY_JOB $BELFRY_SCHEDULED_AT $BELFRY_EXECUTION_ID" >> ${evidence}`),
        schedule: '@every 1s',
      });
    }
    await ran(evidence, JOBS * 3);
    const file = join(directory, 'monday.backup');
    const made = await belfry('backup', 'create', file, '--data-dir', dataDir);
    expect(made, made.said).toMatchObject({ code: 0 });
    expect(made.said).toMatch(/Backup written to .*monday\.backup[\s\S]*jobs: +10/);
    const checked = await belfry('backup', 'verify', file);
    expect(checked, checked.said).toMatchObject({ code: 0 });
    const refused = await belfry('backup', 'restore', file, '--data-dir', dataDir);
    expect(refused.code).not.toBe(0);
    expect(refused.said).toContain(`in use by process ${node.pid}`);

    // Ten minutes of work the backup does not know.
    await create(node, manual('after-the-backup', 'true'));
    await ran(evidence, JOBS * 3);
    shift(0);
    await ran(evidence, JOBS * 3);
    await node.stop('SIGTERM');
    const restored = await belfry('backup', 'restore', file, '--data-dir', dataDir);
    expect(restored, restored.said).toMatchObject({ code: 0 });
    expect(restored.said).toMatch(/kept as/);
    expect(readdirSync(dataDir).some((name) => name.includes('replaced') || name.startsWith('belfry.db.'))).toBe(true);
    const before = lines(evidence);
    node = await start();
    await ran(evidence, JOBS * 3);
    const all = lines(evidence);
    const starts = new Map<string, number>();
    for (const line of all) {
      const [job = '', at = ''] = line.split(' ');
      starts.set(`${job} ${at}`, (starts.get(`${job} ${at}`) ?? 0) + 1);
    }
    expect([...starts].filter(([, count]) => count > 1)).toEqual([]);
    expect(new Set(all.map((line) => line.split(' ')[2])).size).toBe(all.length);
    expect(all.length).toBeGreaterThan(before.length);
    expect((await node.get('/v1/jobs/after-the-backup')).status).toBe(404);
    for (let i = 0; i < JOBS; i += 1) {
      const dropped = (await runsOf(node, `job-${i}`)).filter(({ reason }) => reason === 'restored');
      expect(dropped.length).toBeGreaterThanOrEqual(1);
      expect(dropped.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan(OLD_S - 60);
    }
  }, 90_000);
});

test('a backup that is not whole is found out and not restored', async () => {
  node = await startNode({ dataDir });
  await create(node, manual('one', 'true'));
  const file = join(directory, 'b.backup');
  expect((await belfry('backup', 'create', file, '--data-dir', dataDir)).code).toBe(0);
  await node.stop();
  const bytes = readFileSync(file);
  writeFileSync(file, bytes.subarray(0, Math.floor(bytes.length / 2)));
  for (const args of [
    ['verify', file],
    ['restore', file, '--data-dir', dataDir],
  ]) {
    const { code, said } = await belfry('backup', ...args);
    expect(code).toBe(1);
    expect(said).toMatch(/damaged|cut off|not whole/);
    expect(said).not.toMatch(/^\s+at /m);
  }
  node = await startNode({ dataDir });
  expect((await node.get('/v1/jobs/one')).status).toBe(200);
});

test('the commands say what is missing', async () => {
  expect(await belfry('backup', 'verify', join(directory, 'none'))).toMatchObject({
    code: 1,
    said: expect.stringContaining('none'),
  });
  expect(await belfry('backup', 'create', '--data-dir', join(directory, 'nothing'))).toMatchObject({
    code: 1,
    said: expect.stringContaining('nothing'),
  });
});

function lines(file: string): string[] {
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
}

/** Waits for so many more lines of evidence. */
async function ran(file: string, more: number): Promise<void> {
  const from = lines(file).length;
  await eventually(`${more} more runs`, async () => (lines(file).length >= from + more ? true : undefined));
}
