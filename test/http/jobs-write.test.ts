// POST, PATCH and PUT of jobs (dkron.md §1.5, §2).
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { RFC3339_UTC, ZERO, create, expectLine, manual, nodeForFile } from './kit.ts';

const node = nodeForFile({ args: ['--tag', 'pool=batch'] });

const FULL = {
  name: 'full',
  displayname: 'Full job',
  timezone: 'Europe/Berlin',
  schedule: '0 30 2 * * *',
  owner: 'Ops',
  owner_email: 'ops@example.org',
  disabled: true,
  tags: { pool: 'batch:1' },
  metadata: { team: 'billing' },
  retries: 2,
  parent_job: '',
  processors: { log: { forward: 'true' } },
  concurrency: 'forbid',
  executor: 'shell',
  executor_config: { command: '/bin/true', timeout: '10m', mem_limit: '512MB' },
  ephemeral: true,
  starts_at: '2026-01-01T00:00:00Z',
  expires_at: '2099-12-31T23:59:59.5Z',
};

describe('creating', () => {
  test('201, the stored job, Location, X-Whom, JSON', async () => {
    const answer = await node().post('/v1/jobs', FULL);
    expect(answer.status).toBe(201);
    expect(answer.headers).toMatchObject({
      location: '/v1/jobs/full',
      'x-whom': 'test-node',
      'content-type': 'application/json; charset=utf-8',
    });
    expect(answer.headers['x-belfry-warning']).toBeUndefined();
    expect(answer.json()).toMatchObject({
      ...FULL,
      id: 'full',
      success_count: 0,
      error_count: 0,
      last_success: null,
      last_error: null,
      status: '',
      dependent_jobs: null,
    });
    expect((await node().get('/v1/jobs/full')).json()).toEqual(answer.json());
  });

  test('every field of a bare job has Dkron’s default, in Dkron’s order', async () => {
    const job = await create(node(), { name: 'bare', schedule: '@manually' });
    expect(Object.entries(job)).toEqual(
      Object.entries({
        id: 'bare',
        name: 'bare',
        displayname: '',
        timezone: '',
        schedule: '@manually',
        owner: '',
        owner_email: '',
        success_count: 0,
        error_count: 0,
        last_success: null,
        last_error: null,
        disabled: false,
        tags: null,
        metadata: null,
        retries: 0,
        dependent_jobs: null,
        parent_job: '',
        processors: {},
        concurrency: 'allow',
        executor: '',
        executor_config: null,
        status: '',
        next: ZERO,
        ephemeral: false,
        starts_at: null,
        expires_at: null,
      }),
    );
  });

  test('tags that no node has: 201 with a warning', async () => {
    const answer = await node().post('/v1/jobs', manual('elsewhere', { tags: { pool: 'web:2' } }));
    expect(answer.status).toBe(201);
    expect(answer.headers['x-belfry-warning']).toBe(
      'no node has its tags {"pool":"web:2"}: unless one appears, its occurrences end as missed (no_target)',
    );
    const run = await node().ask('POST', '/v1/jobs/elsewhere/run');
    expectLine(run, 404, 'no node has the tags of job elsewhere: {"pool":"web:2"}');
  });

  test('next is the next planned time in UTC', async () => {
    const job = await create(node(), manual('yearly', { schedule: '0 0 3 1 1 *', timezone: 'Europe/Berlin' }));
    expect(job['next']).toMatch(/^\d{4}-01-01T02:00:00Z$/);
    const every = await create(node(), manual('hourly', { schedule: '@every 1h' }));
    expect(every['next']).toMatch(RFC3339_UTC);
    expect(Date.parse(every['next'] as string)).toBeGreaterThan(Date.now());
  });

  test.each([
    '@yearly',
    '@annually',
    '@monthly',
    '@weekly',
    '@daily',
    '@midnight',
    '@hourly',
    '@minutely',
    '@manually',
    '@every 1h30m',
    '@at 2099-01-01T00:00:00Z',
    '@after 2099-01-01T00:00:00Z <PT2H',
    '* * * * *',
    '*/5 * * * * *',
    '0 0 12 ? * MON-FRI',
    '0 ~ ~ * * *',
    'TZ=Asia/Tokyo 0 0 12 * * *',
    'CRON_TZ=UTC 0 0 12 * * *',
    'H H * * *',
  ])('schedule %s', async (schedule) => {
    expect(await create(node(), manual('schedules', { schedule, disabled: true }))).toMatchObject({ schedule });
  });

  test('the body is JSON whatever Content-Type says', async () => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/xml; charset=x',
      'multipart/mixed',
      ';;;',
      '',
      'json',
    ]) {
      const answer = await node().post('/v1/jobs', manual('typed'), { 'content-type': type });
      expect({ type, status: answer.status }).toEqual({ type, status: 201 });
    }
  });

  test('a posted id is ignored, counters and times of a backup are taken', async () => {
    const job = await create(
      node(),
      manual('counted', {
        id: 'other',
        success_count: 7,
        error_count: 3,
        last_success: '2026-01-02T03:04:05.678Z',
        dependent_jobs: ['x'],
      }),
    );
    expect(job).toMatchObject({
      id: 'counted',
      success_count: 7,
      error_count: 3,
      last_success: '2026-01-02T03:04:05.678Z',
      dependent_jobs: null,
    });
    const lower = await create(node(), manual('counted', { success_count: 1, last_success: '2025-01-01T00:00:00Z' }));
    expect(lower).toMatchObject({ success_count: 7, error_count: 3, last_success: '2026-01-02T03:04:05.678Z' });
  });

  test('unknown fields are left out and named', async () => {
    const answer = await node().post('/v1/jobs', manual('extra', { colour: 'red', größe: 1 }));
    expect(answer.status).toBe(201);
    expect(answer.headers['x-belfry-warning']).toBe('unknown fields were left out: "colour", "gr%C3%B6%C3%9Fe"');
    expect(answer.json()).not.toHaveProperty('colour');
  });

  test('names of other scripts, percent-encoded in paths', async () => {
    const answer = await node().post('/v1/jobs', manual('ñandú-straße_1'));
    expect(answer).toMatchObject({ status: 201, headers: { location: '/v1/jobs/%C3%B1and%C3%BA-stra%C3%9Fe_1' } });
    expect((await node().get(answer.headers['location'] ?? '')).json()).toMatchObject({ name: 'ñandú-straße_1' });
  });

  test('nullable times: null, any offset, the HTML form', async () => {
    const job = await create(
      node(),
      manual('times', { starts_at: '2026-06-01T10:00:00.25+02:00', expires_at: '2099-06-01T10:30' }),
    );
    expect(job).toMatchObject({ starts_at: '2026-06-01T08:00:00.25Z', expires_at: '2099-06-01T10:30:00Z' });
    expect(await create(node(), manual('times', { starts_at: null }))).toMatchObject({
      starts_at: null,
      expires_at: null,
    });
  });

  test('what Belfry adds is kept, and shown only where it differs from the default', async () => {
    const additions = {
      targets: 'all',
      guarantee: 'at-least-once',
      misfire: { grace: '5m', policy: 'all', window: '1d', max: 3 },
      dst: { gap: 'skip', overlap: 'both' },
      jitter: '30s',
      calendars: [{ dates: ['12-25'], weekdays: [0], ranges: [] }],
      timeout: '1h',
      kill_grace: '2s',
      start_deadline: '10m',
      retry: { delay: '5s', factor: 3, max_delay: '1m', jitter: 0, elsewhere: true },
      run_if_past: true,
      concurrency: 'queue',
    };
    const job = await create(node(), manual('added', { schedule: '@daily', disabled: true, ...additions }));
    expect(job).toMatchObject(additions);
    const plain = await create(node(), manual('added', { misfire: {}, kill_grace: '10s', targets: null }));
    for (const field of Object.keys(additions)) if (field !== 'concurrency') expect(plain).not.toHaveProperty(field);
  });

  test.each<[string, Record<string, unknown>, string]>([
    [
      'a key of the executor with a typing error',
      { executor_config: { command: 'true', enviroment: 'A=1' } },
      'executor_config: "enviroment" is no key of it and does nothing: give one of command, shell, env, cwd, su, timeout, mem_limit, payload, success_codes',
    ],
    [
      'an executor that is not here',
      { executor: 'kafka' },
      'every run will fail: executor "kafka" is not in this version: give one of shell, http',
    ],
    [
      'a request that cannot be made',
      { executor: 'http', executor_config: { url: 'http://h/?secret', method: 'GET', headers: 'secret' } },
      'executor_config: every run will fail: headers is not JSON: write it as ["Name: value", "Other: value"]',
    ],
    [
      'a processor that is not here',
      { processors: { slack: {} } },
      'processors: processor "slack" is not in this version, so it gets no output; this version has log and files',
    ],
    [
      'a schedule that is over before it begins',
      { schedule: '@daily', starts_at: '2030-02-01T00:00:00Z', expires_at: '2030-01-01T00:00:00Z' },
      'schedule: It never runs: starts_at is after expires_at.',
    ],
    [
      'a schedule whose days are all left out, disabled',
      { schedule: '0 0 9 * * 1', calendars: [{ weekdays: ['mon'] }], disabled: true },
      'schedule: It never runs: its calendars exclude every time that is left.',
    ],
  ])('%s: 201 with a warning, on creation and on update', async (_what, over, warning) => {
    for (const [method, path] of [
      ['POST', '/v1/jobs'],
      ['PUT', '/v1/jobs/odd'],
    ] as const) {
      const answer = await node().ask(method, path, { body: manual('odd', over) });
      expect([answer.status, answer.headers['x-belfry-warning']]).toEqual([201, warning]);
    }
  });

  test('what there is to say never outgrows what clients take in a header', async () => {
    const processors = Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`nowhere-${i}`, {}]));
    const answer = await node().post('/v1/jobs', manual('odd', { processors }));
    expect(answer.status).toBe(201);
    expect(answer.headers['x-belfry-warning']).toHaveLength(4_000);
  });

  test('a time in the past that runs at once is no reason for a warning', async () => {
    const body = manual('past', { schedule: '@at 2020-01-01T00:00:00Z', run_if_past: true });
    expect((await node().post('/v1/jobs', body)).headers['x-belfry-warning']).toBeUndefined();
  });

  test('of its misfire just what was given, because the rest follows the node’s options', async () => {
    const misfire = { policy: 'last', max: 100 };
    expect(await create(node(), manual('lenient', { misfire }))).toMatchObject({ misfire });
    expect((await node().get('/v1/jobs/lenient')).json().misfire).toEqual(misfire);
  });

  test('runoncreate in the query, with any value, runs it at once', async () => {
    for (const [name, query] of [
      ['first', 'runoncreate'],
      ['second', 'runoncreate=false'],
    ] as const) {
      expect((await node().post(`/v1/jobs?${query}`, manual(name))).headers['location']).toBe(`/v1/jobs/${name}`);
      expect((await node().get(`/v1/runs?job=${name}`)).json().runs).toMatchObject([{ job: name, trigger: 'manual' }]);
    }
  });
});

describe('updating', () => {
  test('POST again replaces the whole job: 201 as well, and what is left out is gone', async () => {
    await create(node(), manual('again', { tags: { a: 'b' }, owner: 'x' }));
    const answer = await node().post('/v1/jobs', manual('again'));
    expect(answer.status).toBe(201);
    expect(answer.json()).toMatchObject({ tags: null, owner: '' });
  });

  test('PATCH /v1/jobs is the same: no merge', async () => {
    await create(node(), manual('patched', { owner: 'x' }));
    const answer = await node().ask('PATCH', '/v1/jobs', { body: manual('patched', { displayname: 'P' }) });
    expect(answer).toMatchObject({ status: 201, headers: { location: '/v1/jobs/patched' } });
    expect(answer.json()).toMatchObject({ owner: '', displayname: 'P' });
  });

  test('PUT /v1/jobs/:job: the body’s name counts, with a warning; without one the path’s does', async () => {
    const answer = await node().ask('PUT', '/v1/jobs/one', { body: manual('other') });
    expect(answer).toMatchObject({
      status: 201,
      headers: { location: '/v1/jobs/other', 'x-belfry-warning': expect.stringContaining('other') },
    });
    expect((await node().get('/v1/jobs/one')).status).toBe(404);
    const { name: _name, ...nameless } = manual('one');
    const named = await node().ask('PUT', '/v1/jobs/one', { body: nameless });
    expect(named).toMatchObject({ status: 201, headers: { location: '/v1/jobs/one' } });
    expect(named.headers['x-belfry-warning']).toBeUndefined();
  });
});

describe('refusing', () => {
  test('a compressed body: told to send it as it is', async () => {
    const headers = { 'content-encoding': 'gzip' };
    const answer = await node().ask('POST', '/v1/jobs', { body: gzipSync(JSON.stringify(manual('x'))), headers });
    expect(answer.status).toBe(400);
    expect(answer.text).toMatch(/; send it as it is: bodies with a Content-Encoding are not decoded/);
  });

  test.each<[string, unknown, RegExp]>([
    ['no body', undefined, /^unable to parse payload: expected a JSON object/],
    ['text', 'hello', /^unable to parse payload: not JSON: expected a value at line 1, column 1/],
    ['half an object', '{"name":"x",\n"schedule":', /^unable to parse payload: not JSON: .* at line 2, column 12/],
    ['NaN', '{"name":"x","retries":NaN}', /^unable to parse payload: not JSON: expected a value at line 1, column 23/],
    ['a list', [], /^unable to parse payload: expected a JSON object/],
    ['null', 'null', /^unable to parse payload: expected a JSON object/],
    ['a number for a name', { name: 1 }, /^unable to parse payload: name: expected a string/],
    [
      'true in a map',
      manual('x', { executor_config: { shell: true } }),
      /^unable to parse payload: executor_config\.shell: expected a string/,
    ],
    [
      'true in a processor',
      manual('x', { processors: { log: { forward: true } } }),
      /^unable to parse payload: processors\.log\.forward: expected a string/,
    ],
    ['negative retries', manual('x', { retries: -1 }), /^unable to parse payload: retries: must be at least 0/],
    [
      '2^63 retries',
      '{"name":"x","schedule":"@manually","retries":9223372036854775808}',
      /^unable to parse payload: retries: /,
    ],
    [
      'a bad time',
      manual('x', { starts_at: 'tomorrow' }),
      /^unable to parse payload: starts_at: "tomorrow" is not a time/,
    ],
    ['no name', { schedule: '@manually' }, /^job validation failed: name: name cannot be empty/],
    ['upper case', manual('Abc'), /^job validation failed: name: name contains illegal character "A"/],
    ['a slash', manual('a/b'), /illegal character "\/"/],
    ['dots', manual('..'), /illegal character "\."/],
    ['unicode', manual('漢字'), /illegal character "漢"/],
    ['a line break', manual('a\nb'), /illegal character "\\n"/],
    ['a long name', manual('x'.repeat(241)), /longer than 240 bytes/],
    [
      'itself as parent',
      manual('x', { parent_job: 'x' }),
      /^job validation failed: parent_job: the job can not have itself as parent/,
    ],
    ['no schedule', { name: 'x' }, /^job validation failed: schedule: schedule is empty/],
    ['a bad schedule', manual('x', { schedule: '61 * * * *' }), /^job validation failed: schedule: /],
    ['an unknown descriptor', manual('x', { schedule: '@dayly' }), /^job validation failed: schedule: /],
    ['30 February', manual('x', { schedule: '0 0 30 2 *' }), /^job validation failed: schedule: /],
    ['@at in the past', manual('x', { schedule: '@at 2020-01-01T00:00:00Z' }), /^job validation failed: schedule: /],
    ['only a zone', manual('x', { schedule: 'TZ=UTC' }), /^job validation failed: schedule: /],
    ['100,000 characters', manual('x', { schedule: '*,'.repeat(50_000) }), /^job validation failed: schedule: /],
    [
      'a bad schedule of a child',
      manual('x', { schedule: '61 * * * *', parent_job: 'p' }),
      /^job validation failed: schedule: /,
    ],
    [
      'concurrency',
      manual('x', { concurrency: 'never' }),
      /^job validation failed: concurrency: concurrency must be one of/,
    ],
    [
      'an unknown zone',
      manual('x', { timezone: 'Europe/Berlim' }),
      /^job validation failed: timezone: .*Europe\/Berlin/,
    ],
    [
      'a shell timeout',
      manual('x', { executor_config: { command: 'true', timeout: 'soon' } }),
      /^job validation failed: executor_config\.timeout: /,
    ],
    [
      'a memory limit',
      manual('x', { executor_config: { command: 'true', mem_limit: '1 horse' } }),
      /^job validation failed: executor_config\.mem_limit: /,
    ],
    [
      'an unknown calendar',
      manual('x', { schedule: '@daily', calendars: ['no-such'] }),
      /^job validation failed: calendars/,
    ],
  ])('%s: 400 with the field and the remedy', async (_what, body, text) => {
    const answer = await node().post('/v1/jobs', body);
    expectLine(answer, 400, text);
    expect(answer.text).toContain('; ');
    expect((await node().get('/v1/jobs/x')).status).toBe(404);
  });

  test('the reason is never a piece of the body', async () => {
    const answer = await node().post('/v1/jobs', '{"executor_config":{"command":"secret-1" "x"}}');
    expect(answer.text).not.toContain('secret-1');
    const typed = await node().post('/v1/jobs', manual('x', { executor_config: { command: { token: 'secret-2' } } }));
    expect(typed.text).not.toContain('secret-2');
  });

  test('a missing parent: 404 with exactly that', async () => {
    expectLine(
      await node().post('/v1/jobs', manual('orphan', { parent_job: 'nobody', schedule: '' })),
      404,
      /^specified parent job not found$/,
    );
    expect((await node().get('/v1/jobs/orphan')).status).toBe(404);
  });

  test('cyclic parents', async () => {
    await create(node(), manual('ring-a'));
    await create(node(), manual('ring-b', { schedule: '', parent_job: 'ring-a' }));
    await create(node(), manual('ring-c', { schedule: '', parent_job: 'ring-b' }));
    expectLine(
      await node().post('/v1/jobs', manual('ring-a', { schedule: '', parent_job: 'ring-c' })),
      400,
      /^job validation failed: parent_job: /,
    );
    expect((await node().get('/v1/jobs/ring-a')).json()).toMatchObject({ parent_job: '', dependent_jobs: ['ring-b'] });
  });

  test('a body over 1 MiB: 413', async () => {
    const body = JSON.stringify(manual('big', { metadata: { x: 'x'.repeat(1_048_576) } }));
    expectLine(await node().post('/v1/jobs', body), 413, /too large.*--max-body/);
    expect((await node().get('/v1/jobs/big')).status).toBe(404);
  });

  test('a body just under it is taken', async () => {
    const bare = JSON.stringify(manual('nearly', { metadata: { x: '' } }));
    const body = JSON.stringify(manual('nearly', { metadata: { x: 'x'.repeat(1_048_576 - bare.length) } }));
    expect((await node().post('/v1/jobs', body)).status).toBe(201);
  });

  test('a prototype in the body reaches nothing', async () => {
    const answer = await node().post(
      '/v1/jobs',
      '{"name":"proto","schedule":"@manually","__proto__":{"disabled":true},"constructor":{}}',
    );
    expect(answer.status).toBe(201);
    expect(answer.json()).toMatchObject({ disabled: false });
    expect(answer.headers['x-belfry-warning']).toContain('"__proto__"');
    expectLine(
      await node().post('/v1/jobs', '{"name":"proto","schedule":"@manually","tags":{"__proto__":"x"}}'),
      400,
      /__proto__/,
    );
  });
});

describe('parents and children', () => {
  test('a parent lists its children; a child needs no schedule and has no next', async () => {
    await create(node(), manual('mother'));
    const child = await create(node(), manual('child', { schedule: '', parent_job: 'mother' }));
    expect(child).toMatchObject({ parent_job: 'mother', schedule: '', next: ZERO });
    await create(node(), manual('child-2', { parent_job: 'mother', schedule: '@daily' }));
    expect((await node().get('/v1/jobs/mother')).json()).toMatchObject({ dependent_jobs: ['child', 'child-2'] });
    await create(node(), manual('child'));
    expect((await node().get('/v1/jobs/mother')).json()).toMatchObject({ dependent_jobs: ['child-2'] });
  });
});

describe('pause', () => {
  test('submissions get 503 whatever their body, everything else goes on', async () => {
    await create(node(), manual('before-pause'));
    expect((await node().post('/v1/pause')).json()).toEqual({ paused: true });
    for (const [method, path] of [
      ['POST', '/v1/jobs'],
      ['PATCH', '/v1/jobs'],
      ['PUT', '/v1/jobs/x'],
    ] as const) {
      expectLine(await node().ask(method, path, { body: '{' }), 503, /paused/);
    }
    expect((await node().post('/v1/jobs/before-pause/run')).status).toBe(200);
    expect((await node().post('/v1/jobs/before-pause/toggle')).status).toBe(200);
    expect((await node().get('/v1/pause')).json()).toEqual({ paused: true });
    expect((await node().post('/v1/unpause')).json()).toEqual({ paused: false });
    expect((await node().post('/v1/jobs', manual('after-pause'))).status).toBe(201);
  });
});
