// /v1/runs: occurrences, attempts, logs; /v1/schedule/preview; /v1/calendars.
import { beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
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
      'stopping',
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
    ['outcome=Failed', 'outcome'],
    ['outcome=unfinished%20', 'outcome'],
    ['from=yesterday', 'from'],
    ['from=NaN', 'from'],
    ['from=1795405797', 'from'],
    ['from=9223372036854775808', 'from'],
    ['from=2026-11-23T05:00:00', 'from'],
    ['from=%2B275760-09-13T00:00:00Z', 'from'],
    ['to=2026-02-30T00:00:00Z', 'to'],
    ['from=2026-11-23T05:00:00Z&to=2026-11-23T04:59:59Z', 'to'],
    ['limit=0', 'limit'],
    ['limit=-1', 'limit'],
    ['limit=501', 'limit'],
    ['limit=1000000000', 'limit'],
    ['limit=9223372036854775808', 'limit'],
    ['limit=1e2', 'limit'],
    ['limit=5&limit=x', 'limit'],
    ['limit=x', 'limit'],
    ['cursor=nonsense', 'cursor'],
    ['cursor=1-9007199254740992', 'cursor'],
    ['cursor=9223372036854775808-1', 'cursor'],
    [`cursor=${'x'.repeat(600)}`, 'cursor'],
    ['job=%zz', 'job'],
    ['job=%00', 'job'],
    ['job=Backup', 'job'],
    ['job=a%2Fb', 'job'],
    ['jobs=ok', 'jobs'],
    ['outcome[]=failed', 'outcome[]'],
    ['group=1', 'group'],
    ['__proto__=x', '__proto__'],
  ])('%s: 400', async (query, field) =>
    expectError(await node().get(`/v1/runs?${query}`), 400, {
      code: 'invalid',
      field,
      message: expect.stringMatching(/./),
      remedy: expect.stringMatching(/./),
    }),
  );

  test('an unknown parameter: the remedy names the near one', async () =>
    expectError(await node().get('/v1/runs?outcom=failed'), 400, {
      remedy: 'did you mean outcome? use job, outcome, from, to, cursor, limit or pretty',
    }));

  test('what is no error: empty values, an empty span, `pretty`, a percent-encoded name', async () => {
    expect((await runs('?job=&outcome=&from=&to=&cursor=&limit=')).runs).toHaveLength(4);
    const at = '2026-11-23T05:00:00Z';
    expect((await runs(`?from=${at}&to=${at}`)).runs).toEqual([]);
    expect((await node().get('/v1/runs?pretty')).text).toMatch(/^\{\n {4}"runs"/);
    expect((await runs('?job=%6Fk')).runs).toHaveLength(3);
  });

  test('a cursor is a place in the history: with another filter it goes on from there', async () => {
    const { cursor } = await runs('?limit=1');
    expect((await runs(`?job=bad&cursor=${cursor}`)).runs).toMatchObject([{ group: groups[2] }]);
    expect((await runs(`?outcome=failed&cursor=0-0`)).runs).toEqual([]);
  });
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

describe('a run that is active', () => {
  test('shows the bytes it wrote so far, and while it ends, since when and for what', async () => {
    const command = 'trap "" TERM; echo hello; echo err >&2; while :; do sleep 0.1; done';
    await create(node(), manual('deaf', { kill_grace: '3s', executor_config: { shell: 'true', command } }));
    const group = await runNow(node(), 'deaf');
    const wrote = await eventually('its output', async () => {
      const run = (await node().get(`/v1/runs/${group}`)).json();
      return run.executions[0]?.output_bytes === 10 ? run : undefined;
    });
    expect(wrote).toMatchObject({ stopping: null, executions: [{ state: 'running', log_bytes: 10 }] });

    const stopped = (await node().post(`/v1/runs/${group}/stop`)).json();
    expect(stopped).toMatchObject({
      phase: 'active',
      outcome: null,
      stopping: { since: expect.stringMatching(RFC3339_UTC), reason: 'user' },
    });
    expect((await runs('?job=deaf')).runs).toMatchObject([{ stopping: stopped.stopping }]);
    // A second request does not begin anew.
    expect((await node().post(`/v1/runs/${group}/stop`)).json().stopping).toEqual(stopped.stopping);
    expect(await ended(node(), group)).toMatchObject({
      reason: 'user',
      stopping: null,
      executions: [{ output_bytes: 10, log_bytes: 10 }],
    });
  });

  test('is not being stopped only because its job goes and leaves it', async () => {
    await create(node(), manual('left', { executor_config: { command: 'sleep 60' } }));
    const group = await runNow(node(), 'left');
    await running(node(), group);
    await node().ask('DELETE', '/v1/jobs/left');
    expect((await node().get(`/v1/runs/${group}`)).json()).toMatchObject({ outcome: null, stopping: null });
    await node().post(`/v1/runs/${group}/stop`);
    await ended(node(), group);
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
    const beyond = await node().get(`/v1/runs/${groups[0]}/log?from=99`);
    expect(beyond).toMatchObject({
      status: 200,
      text: '',
      headers: { 'x-belfry-from': '8', 'x-belfry-next': '8', 'x-belfry-total-bytes': '8' },
    });
    expect(await node().get(`/v1/runs/${groups[0]}/log?limit=0`)).toMatchObject({ status: 200, text: '' });
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
    ['from=9007199254740992', 'from'],
    ['limit=-1', 'limit'],
    ['limit=1048577', 'limit'],
    ['form=1', 'form'],
  ])('%s: 400', async (query, field) => {
    expectError(await node().get(`/v1/runs/${groups[0]}/log?${query}`), 400, { code: 'invalid', field });
  });
  test('of nothing: 404', async () => {
    expectError(await node().get('/v1/runs/1/log'), 404, { code: 'not_found' });
    expectError(await node().get(`/v1/runs/${groups[0]}/log?execution=1-x`), 404, { code: 'not_found' });
  });

  test('of an execution of another run: 404, where to look', async () => {
    const [execution] = (await node().get(`/v1/runs/${groups[1]}`)).json().executions;
    expectError(await node().get(`/v1/runs/${groups[0]}/log?execution=${execution.id}`), 404, {
      code: 'not_found',
      field: 'execution',
      message: `run ${groups[0]} has no execution "${execution.id}"`,
      remedy: `GET /v1/runs/${groups[0]} lists them`,
    });
  });

  test('of a run that never started: 404, why', async () => {
    await create(node(), manual('once', { concurrency: 'forbid', executor_config: { command: 'sleep 60' } }));
    const group = await runNow(node(), 'once');
    expect((await node().post('/v1/jobs/once/run')).status).toBe(409);
    const [skipped] = (await runs('?job=once&outcome=skipped')).runs;
    expectError(await node().get(`/v1/runs/${skipped.group}/log`), 404, {
      code: 'not_found',
      message: `run ${skipped.group} has no log, because it has no execution (skipped: overlap)`,
      remedy: `GET /v1/runs/${skipped.group} tells more`,
    });
    await node().post(`/v1/runs/${group}/stop`);
    await ended(node(), group);
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
  test.each(['{', '', 'null', '[]'])('body %j: 400', async (body) =>
    expectError(await preview(body), 400, { code: 'invalid', remedy: expect.any(String) }),
  );
  test('a body at fault: field, message and remedy, as for a job', async () => {
    const faultOf = async (body: unknown) => (await preview(body)).json().error;
    expect(await faultOf({ schedule: '@daily', timzone: 'UTC' })).toEqual({
      code: 'invalid',
      message: 'is not a known field',
      field: 'timzone',
      remedy: 'did you mean timezone?',
    });
    const dst = { gap: 'skp' };
    expect(await faultOf({ schedule: '@daily', dst })).toEqual({
      code: 'invalid',
      message: 'must be one of after, skip, shift, got "skp"',
      field: 'dst.gap',
      remedy: 'did you mean skip?',
    });
    const asJob = await node().post('/v1/jobs', { name: 'x', schedule: '@daily', dst });
    expect(asJob.text).toContain('dst.gap: must be one of after, skip, shift, got "skp"; did you mean skip?');
    expect(await faultOf([])).toEqual({
      code: 'invalid',
      message: 'expected a JSON object, got an array',
      remedy: 'send for example {"schedule":"30 2 * * *"}; every field is in /v1/openapi.json',
    });
  });
  test('places count from 0 in JSON and from 1 in a line of text, and a suggestion is said once', async () => {
    const schedule = '0 0 * * mno';
    const { error } = (await preview({ schedule })).json();
    expect(error).toMatchObject({ position: 8, suggestion: '0 0 * * mon' });
    const line = (await node().post('/v1/jobs', { name: 'x', schedule, executor: 'shell' })).text;
    expect(line).toBe(
      `job validation failed: schedule: ${error.message} (at character 9); did you mean "0 0 * * mon"?`,
    );
    const zone = await node().post('/v1/jobs', { name: 'x', schedule: '@daily', timezone: 'Mars', executor: 'shell' });
    expect(zone.text).not.toContain('at character');
  });
  test('times of day are read as in a job', async () => {
    const answer = await preview({ schedule: '@daily', starts_at: '2028-01-01T10:00', count: 1 });
    expect(answer.json()).toMatchObject({ valid: true, times: [{ at: '2028-01-02T00:00:00Z' }] });
  });
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
