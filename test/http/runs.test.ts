// /v1/runs: occurrences, attempts, logs; /v1/schedule/preview; /v1/calendars.
import { beforeAll, describe, expect, test } from 'vitest';
import { RFC3339_UTC, create, ended, expectError, manual, nodeForFile, runNow, runToEnd, running } from './kit.ts';

const node = nodeForFile();
let groups: number[] = [];

beforeAll(async () => {
  await create(node(), manual('ok', { executor_config: { shell: 'true', command: 'echo out; echo err >&2' } }));
  await create(node(), manual('bad', { executor_config: { shell: 'true', command: 'exit 7' } }));
  groups = [];
  for (const name of ['ok', 'ok', 'bad', 'ok']) groups.push((await runToEnd(node(), name)).group);
}, 60_000);

const runs = async (query: string) => (await node().get(`/v1/runs${query}`)).json();

describe('GET /v1/runs', () => {
  test('newest first, every field', async () => {
    const page = await runs('');
    expect(page.runs.map((run: any) => run.group)).toEqual(groups.toReversed());
    expect(page.cursor).toBeNull();
    expect(Object.keys(page.runs[0])).toEqual([
      'group',
      'job',
      'job_id',
      'job_version',
      'trigger',
      'scheduled_at',
      'due_at',
      'parent_group',
      'phase',
      'outcome',
      'reason',
      'finished_at',
      'last_scheduled_at',
      'count',
      'count_exact',
      'executions',
    ]);
    expect(page.runs[1]).toMatchObject({
      job: 'bad',
      trigger: 'manual',
      phase: 'final',
      outcome: 'failed',
      reason: 'exit',
      parent_group: null,
      last_scheduled_at: null,
      count: 1,
      count_exact: true,
    });
    expect(page.runs[1].executions).toMatchObject([
      {
        attempt: 1,
        node: 'test-node',
        state: 'finished',
        outcome: 'failed',
        reason: 'exit',
        exit_code: 7,
        signal: null,
        message: 'exit status 7',
      },
    ]);
    expect(Object.keys(page.runs[1].executions[0])).toEqual([
      'id',
      'attempt',
      'node',
      'state',
      'started_at',
      'finished_at',
      'outcome',
      'reason',
      'exit_code',
      'signal',
      'message',
      'output_bytes',
      'log_bytes',
    ]);
    for (const field of ['scheduled_at', 'due_at', 'finished_at']) expect(page.runs[0][field]).toMatch(RFC3339_UTC);
    expect(page.runs[0].executions[0].started_at).toMatch(RFC3339_UTC);
  });

  test('by job, outcome, time', async () => {
    expect((await runs('?job=bad')).runs).toHaveLength(1);
    expect((await runs('?job=nobody')).runs).toEqual([]);
    expect((await runs('?outcome=failed')).runs).toMatchObject([{ job: 'bad' }]);
    expect((await runs('?outcome=succeeded&job=ok')).runs).toHaveLength(3);
    const { scheduled_at } = (await runs('?job=bad')).runs[0];
    expect((await runs(`?from=${scheduled_at}`)).runs.map((run: any) => run.group)).toEqual([groups[3], groups[2]]);
    expect((await runs(`?to=${scheduled_at}`)).runs.map((run: any) => run.group)).toEqual([groups[1], groups[0]]);
    const offset = `${new Date(Date.parse(scheduled_at) + 3_600_000).toISOString().slice(0, -1)}+01:00`;
    expect((await runs(`?from=${encodeURIComponent(offset)}`)).runs).toHaveLength(2);
    expect((await runs(`?from=${offset}`)).runs).toHaveLength(2);
  });

  test('in pages: all, once, in order', async () => {
    const seen: number[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page: any = await runs(`?limit=3&cursor=${encodeURIComponent(cursor)}`);
      expect(page.runs.length).toBeLessThanOrEqual(3);
      seen.push(...page.runs.map((run: any) => run.group));
      cursor = page.cursor;
    }
    expect(seen).toEqual(groups.toReversed());
  });

  test.each([
    ['outcome=exploded', 'outcome'],
    ['from=yesterday', 'from'],
    ['to=2026-02-30T00:00:00Z', 'to'],
    ['limit=0', 'limit'],
    ['limit=501', 'limit'],
    ['limit=x', 'limit'],
    ['cursor=nonsense', 'cursor'],
    [`cursor=${'x'.repeat(600)}`, 'cursor'],
  ])('%s: 400', async (query, field) =>
    expectError(await node().get(`/v1/runs?${query}`), 400, { code: 'invalid', field }),
  );
});

describe('GET /v1/runs/:group', () => {
  test('one run as the list has it', async () => {
    const run = (await node().get(`/v1/runs/${groups[2]}`)).json();
    expect((await runs('?job=bad')).runs).toEqual([run]);
  });
  test('an unknown one: 404; what cannot be one: 400', async () => {
    expectError(await node().get('/v1/runs/1'), 404, { code: 'not_found' });
    for (const group of ['9223372036854775808', '-1', 'x', '1.5', '9007199254740992']) {
      expectError(await node().get(`/v1/runs/${group}`), 400, {
        code: 'invalid',
        field: 'group',
        remedy: expect.any(String),
      });
    }
  });
});

describe('POST /v1/runs/:group/stop', () => {
  test('ends the whole tree; answers at once', async () => {
    await create(
      node(),
      manual('tree', { executor_config: { shell: 'true', command: 'sleep 61 & setsid sleep 62 & wait' } }),
    );
    const group = await runNow(node(), 'tree');
    await running(node(), group);
    const answer = await node().post(`/v1/runs/${group}/stop`);
    expect(answer.status).toBe(200);
    expect(answer.json()).toMatchObject({ group, job: 'tree' });
    expect(await ended(node(), group)).toMatchObject({
      outcome: 'cancelled',
      reason: 'user',
      executions: [{ outcome: 'cancelled', reason: 'user' }],
    });
  });
  test('a run that has ended stays as it is', async () => {
    const answer = await node().post(`/v1/runs/${groups[0]}/stop`);
    expect(answer.status).toBe(200);
    expect(answer.json()).toMatchObject({ outcome: 'succeeded' });
  });
  test('an unknown one: 404', async () =>
    expectError(await node().post('/v1/runs/1/stop'), 404, { code: 'not_found' }));
  test('GET stops nothing', async () => expect((await node().get(`/v1/runs/${groups[0]}/stop`)).status).toBe(404));
});

describe('GET /v1/runs/:group/log', () => {
  test('the bytes, with positions in headers', async () => {
    const answer = await node().get(`/v1/runs/${groups[0]}/log`);
    expect(answer.text.split('\n').sort()).toEqual(['', 'err', 'out']);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'x-belfry-execution': expect.stringMatching(/-test-node$/),
      'x-belfry-from': '0',
      'x-belfry-next': '8',
      'x-belfry-total-bytes': '8',
      'x-belfry-first-kept-byte': '0',
    });
    expect((await node().get(`/v1/runs/${groups[0]}/log?from=2&limit=3`)).text).toBe(answer.text.slice(2, 5));
    expect((await node().get(`/v1/runs/${groups[0]}/log?from=99`)).text).toBe('');
    const execution = answer.headers['x-belfry-execution'] ?? '';
    expect((await node().get(`/v1/runs/${groups[0]}/log?execution=${execution}`)).text).toBe(answer.text);
  });

  test('as JSON with the stream of each piece', async () => {
    const answer = await node().get(`/v1/runs/${groups[0]}/log`, { accept: 'application/json' });
    const { data, chunks, ...rest } = answer.json();
    expect(rest).toMatchObject({ from: 0, next: 8, total_bytes: 8, first_kept_byte: 0 });
    const bytes = Buffer.from(data, 'base64');
    const of = (stream: string) =>
      chunks
        .filter((chunk: any) => chunk.stream === stream)
        .map((chunk: any) => bytes.toString('utf8', chunk.from, chunk.from + chunk.length))
        .join('');
    expect({ out: of('stdout'), err: of('stderr') }).toEqual({ out: 'out\n', err: 'err\n' });
    expect(chunks[0].observed_at).toMatch(RFC3339_UTC);
  });

  test.each([
    ['from=-1', 'from'],
    ['from=x', 'from'],
    ['limit=1048577', 'limit'],
  ])('%s: 400', async (query, field) => {
    expectError(await node().get(`/v1/runs/${groups[0]}/log?${query}`), 400, { code: 'invalid', field });
  });
  test('of nothing: 404', async () => {
    expectError(await node().get('/v1/runs/1/log'), 404, { code: 'not_found' });
    expectError(await node().get(`/v1/runs/${groups[0]}/log?execution=1-x`), 404, { code: 'not_found' });
  });
});

describe('POST /v1/schedule/preview', () => {
  const preview = (body: unknown) => node().post('/v1/schedule/preview', body);
  test('words and times strictly after `from`', async () => {
    const answer = (
      await preview({ schedule: '0 30 2 * * *', timezone: 'Europe/Madrid', from: '2026-11-22T01:30:00Z', count: 2 })
    ).json();
    expect(answer).toMatchObject({
      valid: true,
      times: [{ at: '2026-11-23T01:30:00Z', local: '2026-11-23T02:30:00+01:00' }, { at: '2026-11-24T01:30:00Z' }],
    });
    expect(answer.description).not.toBe('');
    expect((await preview({ schedule: '@hourly' })).json().times).toHaveLength(10);
    expect((await preview({ schedule: '@hourly', count: 1000 })).json().times).toHaveLength(1000);
  });
  test('clock changes are marked', async () => {
    const { times } = (
      await preview({ schedule: '30 2 * * *', timezone: 'Europe/Madrid', from: '2027-03-27T12:00:00Z', count: 1 })
    ).json();
    expect(times).toMatchObject([{ at: '2027-03-28T01:00:00Z', mark: 'gap' }]);
  });
  test('a schedule that does not parse is an answer', async () => {
    const answer = await preview({ schedule: '0 0 * * mno' });
    expect(answer.status).toBe(200);
    expect(answer.json()).toMatchObject({
      valid: false,
      times: [],
      error: { field: expect.any(String), position: 8, message: expect.any(String) },
    });
  });
  test('a 100,000-character schedule is answered quickly', async () => {
    const began = performance.now();
    expect((await preview({ schedule: '1,'.repeat(50_000) })).json()).toMatchObject({ valid: false });
    expect(performance.now() - began).toBeLessThan(10_000);
  });
  test.each<[unknown, string]>([
    [{}, 'schedule'],
    [{ schedule: 5 }, 'schedule'],
    [{ schedule: '@daily', count: 1001 }, 'count'],
    [{ schedule: '@daily', count: 0 }, 'count'],
    [{ schedule: '@daily', from: 'now' }, 'from'],
    [{ schedule: '@daily', jitter: 'x' }, 'jitter'],
  ])('%j: 400', async (body, field) => expectError(await preview(body), 400, { code: 'invalid', field }));
  test.each(['{', '', 'null'])('body %j: 400', async (body) =>
    expectError(await preview(body), 400, { code: 'invalid' }),
  );
});

describe('/v1/calendars', () => {
  const put = (name: string, body: unknown) => node().ask('PUT', `/v1/calendars/${name}`, { body });
  test('put, get, list, use, delete', async () => {
    const stored = await put('holidays', {
      dates: ['12-25', '2026-01-06'],
      weekdays: ['sun'],
      ranges: [{ from: '12-24', to: '01-02' }],
    });
    expect(stored.status).toBe(200);
    expect(stored.json()).toMatchObject({ name: 'holidays', dates: ['12-25', '2026-01-06'] });
    expect((await node().get('/v1/calendars/holidays')).json()).toEqual(stored.json());
    const all = await node().get('/v1/calendars');
    expect(all.headers['x-total-count']).toBe('1');
    expect(all.json()).toEqual([stored.json()]);
    await create(node(), manual('rests', { schedule: '@daily', calendars: ['holidays'] }));
    expectError(await node().ask('DELETE', '/v1/calendars/holidays'), 409, { code: 'conflict' });
    await node().ask('DELETE', '/v1/jobs/rests');
    expect((await node().ask('DELETE', '/v1/calendars/holidays')).status).toBe(204);
    expectError(await node().get('/v1/calendars/holidays'), 404, { code: 'not_found' });
    expectError(await node().ask('DELETE', '/v1/calendars/holidays'), 404, { code: 'not_found' });
  });
  test.each<[string, unknown, string | undefined]>([
    ['a day', { dates: ['25-12'] }, 'dates.0'],
    ['an unknown field', { days: [] }, undefined],
    ['another name', { name: 'y' }, 'name'],
    ['a list', [], undefined],
    ['half', '{', undefined],
  ])('%s: 400', async (_what, body, field) => {
    expectError(await put('x', body), 400, { code: 'invalid', ...(field === undefined ? {} : { field }) });
  });
  test('a bad name: 400', async () => expectError(await put('A%2FB', {}), 400, { code: 'invalid', field: 'name' }));
});
