// The scripts under examples/ do what they say, against a running node.
import { execFile } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { create, manual, nodeForFile } from './kit.ts';

const node = nodeForFile();
const EXAMPLES = resolve(import.meta.dirname, '..', '..', 'examples');

function example(name: string, ...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const env = { PATH: '/usr/bin:/bin', BELFRY_URL: node().url, TMPDIR: node().dataDir };
  return new Promise((done) => {
    const child = execFile(
      join(EXAMPLES, name),
      args,
      { env, timeout: 30_000, maxBuffer: 2 ** 24 },
      (_error, out, err) => done({ code: child.exitCode, out, err }),
    );
  });
}

describe('examples', () => {
  test('first-job.sh', async () => {
    const { code, out } = await example('first-job.sh');
    expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining('hello from hello, due at 20') });
    expect((await node().get('/v1/jobs')).json()).toEqual([]);
  }, 40_000);

  test('run-and-wait.sh: the log, and the exit code of the run', async () => {
    await create(node(), manual('good', { executor_config: { shell: 'true', command: 'seq 1 200000' } }));
    const good = await example('run-and-wait.sh', 'good');
    expect(good.code).toBe(0);
    expect(good.out).toBe(Array.from({ length: 200_000 }, (_, i) => `${i + 1}\n`).join(''));
    await create(node(), manual('bad', { executor_config: { shell: 'true', command: 'echo no; exit 3' } }));
    expect(await example('run-and-wait.sh', 'bad')).toMatchObject({ code: 1, out: 'no\n' });
    expect((await example('run-and-wait.sh', 'nobody')).code).not.toBe(0);
  });

  test('workflow.sh', async () => {
    expect(await example('workflow.sh')).toMatchObject({ code: 0, out: 'loaded\ntransformed\nextracted\n' });
  });

  test('backup-jobs.sh', async () => {
    await create(node(), manual('kept', { owner: 'me' }));
    const file = join(node().dataDir, 'jobs.json');
    expect((await example('backup-jobs.sh', 'save', file)).code).toBe(0);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toContainEqual(
      expect.objectContaining({ name: 'kept', owner: 'me' }),
    );
    await node().ask('DELETE', '/v1/jobs/kept');
    expect(await example('backup-jobs.sh', 'load', file)).toMatchObject({
      code: 0,
      out: expect.stringContaining('success create kept'),
    });
    expect((await node().get('/v1/jobs/kept')).json()).toMatchObject({ owner: 'me' });
    expect((await example('backup-jobs.sh', 'lose', file)).code).toBe(2);
  });

  test('preview.sh', async () => {
    const { code, out } = await example('preview.sh', '30 2 * * 1-5', 'Europe/Madrid');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ valid: true });
  });

  test('none is left out here', () => {
    const named = readFileSync(import.meta.filename, 'utf8');
    for (const name of readdirSync(EXAMPLES)) expect(named).toContain(`'${name}'`);
  });
});
