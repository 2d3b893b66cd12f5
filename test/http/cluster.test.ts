// The node in Dkron's words, health, metrics, pages, paths (dkron.md §1.0–1.3, §1.13–1.15).
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { readExposition } from '../kit/exposition.ts';
import { startNode } from '../kit/node.ts';
import { create, expectLine, manual, nodeForFile, runToEnd } from './kit.ts';

const node = nodeForFile({ args: ['--tag', 'pool=batch'] });
const BROWSER = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

describe('this node', () => {
  test.each(['/v1', '/v1/'])('GET %s', async (path) => {
    const answer = await node().get(path);
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'x-whom': 'test-node', 'content-type': 'application/json; charset=utf-8' },
    });
    const status = answer.json();
    expect(Object.keys(status)).toEqual(['agent', 'serf', 'tags']);
    expect(status.agent).toEqual({ name: 'test-node', version: expect.stringMatching(/^\d+\.\d+\.\d+/) });
    expect(status.serf).toMatchObject({
      members: '1',
      failed: '0',
      left: '0',
      health_score: '0',
      encrypted: 'false',
      coordinate_resets: '0',
    });
    for (const value of [...Object.values(status.serf), ...Object.values(status.tags)])
      expect(typeof value).toBe('string');
    expect(status.tags).toMatchObject({
      role: 'dkron',
      dc: 'dc1',
      region: 'global',
      server: 'true',
      pool: 'batch',
      version: status.agent.version,
    });
  });

  test('GET /v1/members: itself, alive, with a stable id', async () => {
    const answer = await node().get('/v1/members');
    expect(answer.headers['x-total-count']).toBe('1');
    const [member] = answer.json();
    expect(member).toMatchObject({
      Name: 'test-node',
      Addr: '127.0.0.1',
      Status: 1,
      statusText: 'alive',
      Tags: { pool: 'batch' },
    });
    expect(Object.keys(member)).toEqual([
      'Name',
      'Addr',
      'Port',
      'Tags',
      'Status',
      'ProtocolMin',
      'ProtocolMax',
      'ProtocolCur',
      'DelegateMin',
      'DelegateMax',
      'DelegateCur',
      'id',
      'statusText',
    ]);
    expect((await node().get('/v1/members')).text).toBe(answer.text);
  });

  test('GET /v1/leader: the bare member', async () => {
    const { id: _id, statusText: _text, ...member } = (await node().get('/v1/members')).json()[0];
    expect((await node().get('/v1/leader')).json()).toEqual(member);
  });

  test('GET /v1/isleader: a JSON string', async () => {
    const answer = await node().get('/v1/isleader');
    expect(answer.status).toBe(200);
    expect(answer.json()).toMatch(/leader/);
  });

  test('POST /v1/leave: the servers, then a graceful end', async () => {
    const other = await startNode();
    try {
      const answer = await other.post('/v1/leave');
      expect(answer.status).toBe(200);
      expect(answer.json()).toMatchObject({ global: [{ Name: 'test-node', Region: 'global', Datacenter: 'dc1' }] });
      expect(await other.exited).toBe(0);
    } finally {
      await other.stop();
    }
  });
});

describe('health, metrics, variables', () => {
  test('GET /health: keys in order, no X-Whom', async () => {
    const answer = await node().get('/health');
    expect(answer).toMatchObject({ status: 200, text: '{"leader":true,"status":"healthy"}' });
    expect(answer.headers['x-whom']).toBeUndefined();
  });

  test('GET /metrics: Dkron’s counters per job', async () => {
    await create(node(), manual('measured'));
    await runToEnd(node(), 'measured');
    await create(node(), manual('measured', { executor_config: { command: 'false' } }));
    await runToEnd(node(), 'measured');
    const answer = await node().get('/metrics', { 'accept-encoding': 'gzip' });
    expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(answer.headers['content-encoding']).toBeUndefined();
    const families = readExposition(answer.text);
    expect(families.get('belfry_launch_lateness_seconds')?.samples.at(-1)?.value).toBe(2);
    expect(families.get('process_cpu_seconds_total')?.type).toBe('counter');
    expect(answer.text).toMatch(/^dkron_job_executions_succeeded_total\{job_name="measured"\} 1$/m);
    expect(answer.text).toMatch(/^dkron_job_executions_failed_total\{job_name="measured"\} 1$/m);
  });

  test('GET /debug/vars', async () => {
    await create(node(), manual('entry', { schedule: '@every 1h' }));
    expect((await node().get('/debug/vars')).json()).toMatchObject({
      node: 'test-node',
      scheduler_started: 1,
      cron_entries: { entry: '@every 1h' },
      memstats: { Alloc: expect.any(Number) },
    });
  });
});

describe('paths', () => {
  test.each([
    ['GET', '/v2'],
    ['GET', '/v1/nothing'],
    ['DELETE', '/v1/jobs'],
    ['PUT', '/v1/pause'],
    ['GET', '/v1/leave'],
    ['GET', '/v1/unpause'],
    ['GET', '/v1/restore'],
    ['OPTIONS', '/v1/jobs'],
    ['POST', '/health'],
    ['GET', '/v1/jobs//run'],
    ['GET', '/v1/../etc/passwd'],
  ])('%s %s: 404 page not found', async (method, path) =>
    expectLine(await node().ask(method, path), 404, /^404 page not found$/),
  );

  test.each([
    ['GET', '/v1/jobs/', 301, '/v1/jobs'],
    ['GET', '/v1/jobs/?q=a&pretty', 301, '/v1/jobs?q=a&pretty'],
    ['GET', '/v1/members/', 301, '/v1/members'],
    ['POST', '/v1/jobs/', 307, '/v1/jobs'],
    ['PUT', '/v1/jobs/a/', 307, '/v1/jobs/a'],
    ['DELETE', '/v1/jobs/a/', 307, '/v1/jobs/a'],
    ['POST', '/v1/jobs/a/run/', 307, '/v1/jobs/a/run'],
    ['GET', '/ui', 301, '/ui/'],
  ])('%s %s: %i to %s', async (method, path, status, location) => {
    expect(await node().ask(method, path)).toMatchObject({ status, headers: { location } });
  });

  test('no redirect leads to another host', async () =>
    expectLine(await node().get('//evil.com/v1/jobs/'), 404, /^404/));

  test('HEAD has the headers of GET and changes nothing', async () => {
    const answer = await node().ask('HEAD', '/v1/members');
    expect(answer).toMatchObject({ status: 200, text: '', headers: { 'x-total-count': '1' } });
    for (const path of ['/v1/pause', '/v1/leave']) await node().ask('HEAD', path);
    expect((await node().get('/v1/pause')).json()).toEqual({ paused: false });
  });
});

describe('pages', () => {
  test('GET /: 303 to /ui/ when HTML will do, else 404', async () => {
    for (const headers of [BROWSER, {}, { accept: '*/*' }, { accept: 'text/html' }]) {
      expect(await node().get('/', headers)).toMatchObject({ status: 303, headers: { location: '/ui/' } });
    }
    expectLine(await node().get('/', { accept: 'application/json' }), 404, /./);
  });

  test('GET /ui/: self-contained, under a policy, nothing unescaped', async () => {
    await create(node(), manual('shown', { metadata: { x: '<script>' } }));
    await runToEnd(node(), 'shown');
    const answer = await node().get('/ui/', BROWSER);
    expect(answer).toMatchObject({
      status: 200,
      headers: {
        'content-type': 'text/html; charset=utf-8',
        'x-frame-options': 'DENY',
        'x-content-type-options': 'nosniff',
      },
    });
    expect(answer.headers['content-security-policy']).toMatch(
      /^default-src 'none'; style-src 'sha256-[^;]*; script-src 'sha256-[^;]*; connect-src 'self'/,
    );
    expect(answer.text).toContain('shown');
    expect(answer.text).toContain('healthy');
    expect(answer.text).toContain('curl');
    expect(answer.text).not.toMatch(/(?:src|href)="https?:/);
    // The browser runs only what the policy names: a changed space in either would stop it.
    for (const tag of ['style', 'script']) {
      const inside = new RegExp(`<${tag}>([^]*?)</${tag}>`).exec(answer.text)?.[1] ?? '';
      const hash = createHash('sha256').update(inside).digest('base64');
      expect(answer.headers['content-security-policy']).toContain(`${tag}-src 'sha256-${hash}'`);
    }
  });

  test('the document of the API is served as committed', async () => {
    const committed = await readFile(new URL('../../docs/openapi.json', import.meta.url), 'utf8');
    const answer = await node().get('/v1/openapi.json');
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(answer.json()).toEqual(JSON.parse(committed));
  });

  test('--no-ui and --enable-prometheus=false take them away', async () => {
    const bare = await startNode({ args: ['--ui=false', '--enable-prometheus=false'] });
    try {
      for (const path of ['/', '/ui/', '/metrics']) expect((await bare.get(path)).status).toBe(404);
    } finally {
      await bare.stop();
    }
  });
});

describe('pause outlives a restart', () => {
  test('durable', async () => {
    const first = await startNode();
    try {
      await first.post('/v1/pause');
      await first.crash();
      const second = await startNode({ dataDir: first.dataDir });
      try {
        expect(await eventually('the flag', async () => (await second.get('/v1/pause')).json())).toEqual({
          paused: true,
        });
      } finally {
        await second.stop();
      }
    } finally {
      await first.stop();
    }
  });
});
