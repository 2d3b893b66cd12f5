// The store fails under a running node: a page of the file is torn, or another process takes the data over.
import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { startNode, type TestNode } from '../kit/node.ts';
import { create, ended, manual, runNow, runsOf, runToEnd } from './kit.ts';

const PAGE = 4096;
let dataDir: string;
let nodes: TestNode[];
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'belfry-lost-'));
  nodes = [];
});
afterEach(async () => {
  for (const node of nodes) await node.stop('SIGKILL');
  rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
});

async function start(args: string[] = []): Promise<TestNode> {
  const node = await startNode({ dataDir, args });
  nodes.push(node);
  return node;
}

const database = (): string => join(dataDir, 'belfry.db');
const sums = (): string[] =>
  ['', '-wal'].map((suffix) =>
    createHash('sha256')
      .update(readFileSync(database() + suffix))
      .digest('hex'),
  );

/** A definition so long that it lies on pages of its own, which nothing but its reader touches. */
const LONG = Array.from({ length: 2_000 }, (_, index) => `mark ${index}`).join(' ');

/** Zeros where a page in the middle of the long definition was. */
function tearPage(): void {
  const file = readFileSync(database());
  const at = file.indexOf('mark 1000 ');
  if (at < 0) throw new Error('the long definition is not in the file');
  const open = openSync(database(), 'r+');
  writeSync(open, Buffer.alloc(PAGE), 0, PAGE, Math.floor(at / PAGE) * PAGE);
  closeSync(open);
}

/** A node whose file is damaged since it is up; nothing of the damaged part is in its memory. */
async function damagedNode(): Promise<TestNode> {
  const first = await start();
  await create(first, manual('torn', 'true', { metadata: { long: LONG.slice(0, 20_000) } }));
  await create(first, manual('whole', 'true'));
  for (let runs = 0; runs < 2; runs++) await runToEnd(first, 'whole');
  await first.stop();
  // A clean stop has copied it into the file.
  rmSync(`${database()}-wal`);
  rmSync(`${database()}-shm`);
  // Retention looks through the store a second after the start; then it rests for half a minute, and only the test asks.
  const node = await start(['--retention-runs', '1']);
  await eventually('the first sweep', async () => ((await runsOf(node, 'whole')).length === 1 ? true : undefined));
  tearPage();
  return node;
}

describe('a page torn under a running node', () => {
  test.each([
    ['a read', (node: TestNode) => node.get('/v1/jobs/torn')],
    ['a write', (node: TestNode) => node.post('/v1/jobs/torn/toggle')],
  ])('met by %s: told, in /health with the way back; from there on nothing is read or written', async (_name, meet) => {
    const node = await damagedNode();
    expect((await node.get('/health')).text).toBe('{"leader":true,"status":"healthy"}');

    const met = await meet(node);
    const before = sums();
    expect(met.status).toBe(503);
    expect(met.text).toMatch(
      /^The database \S+belfry\.db is damaged: .*[^.]; Restore a backup with: belfry backup restore/,
    );
    const health = await node.get('/health');
    expect(health.status).toBe(503);
    expect(health.json()).toEqual({
      issues: [expect.stringMatching(/is damaged: .*Nothing is read or written any more\. Stop the node\. Restore a/)],
      leader: false,
      status: 'unhealthy',
    });
    expect(health.text).toContain(`belfry backup restore FILE --data-dir ${dataDir}`);

    for (const answer of [
      await node.post('/v1/jobs', manual('new', 'true')),
      await node.post('/v1/jobs/whole/run'),
      await node.get('/v1/jobs/whole'),
    ]) {
      expect(answer.status).toBe(503);
      expect(answer.text).toContain('is damaged');
    }
    expect((await node.get('/v1/isleader')).status).toBe(404);
    expect(await node.get('/v1/leader')).toMatchObject({ status: 500, text: 'null' });
    expect((await node.get('/metrics')).status).toBe(200);
    const page = await node.get('/ui/', { accept: 'text/html' });
    expect(page).toMatchObject({ status: 503, headers: { 'content-type': 'text/html; charset=utf-8' } });
    expect(page.text).toMatch(/class="pill bad">1 issue<[^]*id="live"[^]*belfry backup restore FILE/);
    process.kill(node.pid, 'SIGTERM');
    await node.exited;
    expect(sums()).toEqual(before);
  });
});

describe('data taken over by another process', () => {
  test('a request that meets the fence is refused and ends the node', async () => {
    const node = await start();
    await create(node, manual('j', 'true'));
    await ended(node, await runNow(node, 'j'));
    const other = new DatabaseSync(database());
    other.exec('UPDATE leadership SET epoch = epoch + 1');
    other.close();
    const answer = await node.post('/v1/jobs/j/run');
    expect(answer.status).toBe(503);
    expect(answer.text).toMatch(/^this node is no longer the leader of its data; it ends itself/);
    // It ends at once: whoever still gets an answer is not told of a leader.
    const leads = await node.get('/v1/isleader').then(
      ({ status }) => status,
      () => 'gone',
    );
    expect(leads).not.toBe(200);
    expect(await node.exited).toBe(1);
    expect(node.output).toContain('this node is no longer the leader of its data');
  });
});
