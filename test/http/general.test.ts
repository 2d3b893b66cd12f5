// What docs/api.md says "in general", and rows of docs/dkron-compatibility.md that no other suite holds.
import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { type Body, create, ended, expectLine, manual, nodeForFile, runNow } from './kit.ts';

const YEAR_1 = '0001-01-01T00:00:00Z';
const node = nodeForFile();

describe('answers given before a route is looked for have no X-Whom', () => {
  test.each(['/v1/jobs/%zz', '/v1/runs/%zz'])('%s: 400, a line', async (path) => {
    const answer = await node().get(path);
    expectLine(answer, 400, /percent-encoding/);
    expect(answer.headers['x-whom']).toBeUndefined();
  });

  test('a name of over 2,000 characters: 414, a line', async () => {
    for (const path of ['/v1/jobs/', '/v1/runs/']) {
      expect((await node().get(path + 'x'.repeat(2_000))).headers['x-whom']).toBe('test-node');
      const answer = await node().get(path + 'x'.repeat(2_001));
      expectLine(answer, 414, /longer than 2,000 characters/);
      expect(answer.headers['x-whom']).toBeUndefined();
    }
  });

  test('417, without a body', async () => {
    const answer = await node().get('/v1/jobs', { expect: 'a-wonder' });
    expect({ status: answer.status, text: answer.text, whom: answer.headers['x-whom'] }).toEqual({
      status: 417,
      text: '',
      whom: undefined,
    });
  });

  test('a request line with headers over 16 KiB: 431, JSON of its own', async () => {
    expect((await node().get(`/v1/jobs?q=${'x'.repeat(15_000)}`)).status).toBe(200);
    for (const answer of [
      await node().get(`/v1/jobs?q=${'x'.repeat(17_000)}`),
      await node().get('/v1/jobs', { 'x-long': 'x'.repeat(17_000) }),
    ]) {
      expect({ status: answer.status, whom: answer.headers['x-whom'] }).toEqual({ status: 431, whom: undefined });
      expect(answer.json()).toEqual({ error: expect.any(String), message: expect.any(String), statusCode: 431 });
    }
  });

  test('after that every answer has it, errors too', async () => {
    for (const path of ['/nowhere', '/v1/runs/1', '/v1/runs', '/v1/jobs'])
      expect((await node().get(path)).headers['x-whom']).toBe('test-node');
  });
});

test('X-Total-Count stands on lists, but not on /v1/runs', async () => {
  for (const path of ['/v1/jobs', '/v1/busy', '/v1/members', '/v1/calendars'])
    expect((await node().get(path)).headers['x-total-count'], path).toMatch(/^\d+$/);
  expect((await node().get('/v1/runs')).headers['x-total-count']).toBeUndefined();
});

describe('executions and times', () => {
  async function ranIn(zone: string, name: string, over: Body): Promise<{ listed: any; single: any; job: any }> {
    await create(node(), manual(name, { timezone: zone, ...over }));
    await ended(node(), await runNow(node(), name));
    const [listed] = (await node().get(`/v1/jobs/${name}/executions`)).json();
    const single = (await node().get(`/v1/jobs/${name}/executions/${listed.id}`)).json();
    return { listed, single, job: (await node().get(`/v1/jobs/${name}`)).json() };
  }

  test('the list has the offset of the job’s zone and 16 KiB of output, one alone UTC and 256,000 bytes', async () => {
    const command = 'head -c 300000 /dev/zero | tr "\\0" x';
    const { listed, single, job } = await ranIn('Asia/Kolkata', 'zoned', {
      executor_config: { shell: 'true', command },
    });
    expect(listed).toMatchObject({ started_at: expect.stringMatching(/\+05:30$/), output_truncated: true });
    expect(listed.output).toHaveLength(16_384);
    expect(single).toMatchObject({ started_at: expect.stringMatching(/Z$/), output_truncated: true });
    expect(single.output).toHaveLength(256_000);
    // Cut, not rounded, to milliseconds.
    expect(single.finished_at).toMatch(/^.{19}(\.\d{1,6})?Z$/);
    expect(Date.parse(job.last_success)).toBe(Math.floor(Date.parse(single.finished_at)));
    expect(job.last_success).toMatch(/^.{19}(\.\d{1,3})?Z$/);
  });

  test('what never started has year 1 in every zone', async () => {
    const { listed } = await ranIn('Asia/Kolkata', 'unstarted', { executor: 'nowhere' });
    expect(listed).toMatchObject({ started_at: YEAR_1, finished_at: expect.stringMatching(/\+05:30$/) });
  });
});

test('`next` of a child is year 1, and `dependent_jobs` are computed whatever a body says', async () => {
  await create(node(), manual('parent', { dependent_jobs: ['somebody'] }));
  const { schedule: _none, ...child } = manual('child', { parent_job: 'parent', dependent_jobs: ['somebody'] });
  expect(await create(node(), child)).toMatchObject({ next: YEAR_1, dependent_jobs: null });
  expect((await node().get('/v1/jobs/parent')).json()).toMatchObject({ dependent_jobs: ['child'] });
});

test('a filter or range that is none: 400 that names it', async () => {
  expectLine(await node().get('/v1/jobs?disabled=yes'), 400, /^disabled: /);
  expectLine(await node().get('/v1/jobs?_start=first'), 400, /^_start: /);
  expectLine(await node().get('/v1/jobs/zoned/executions?_start=first'), 400, /^_start: /);
});

test('Location on run and toggle is the job, whatever the query', async () => {
  await create(node(), manual('located'));
  for (const path of ['/v1/jobs/located/run?x=1', '/v1/jobs/located?x=1', '/v1/jobs/located/toggle?x=1'])
    expect((await node().post(path)).headers['location']).toBe('/v1/jobs/located');
});

test('the metrics are those docs/dkron-compatibility.md names', async () => {
  const { text } = await node().get('/metrics');
  const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name ?? '');
  const page = await readFile(new URL('../../docs/dkron-compatibility.md', import.meta.url), 'utf8');
  const documented = [...page.matchAll(/`((?:belfry|process|dkron_job)_\w+)`/g)].map(([, name]) => name ?? '');
  expect([...new Set(documented)].sort()).toEqual(names.sort());
});
