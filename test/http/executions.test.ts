// Executions, busy, stats (dkron.md §1.9, §1.10, §1.12, §1.16, §3).
import { beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { RFC3339_UTC, ZERO, create, ended, expectLine, manual, nodeForFile, runNow, runToEnd, running } from './kit.ts';

const node = nodeForFile();
const FIELDS = [
  'id',
  'job_name',
  'started_at',
  'finished_at',
  'success',
  'output',
  'node_name',
  'group',
  'attempt',
  'output_truncated',
];
const list = async (query = '') => node().get(`/v1/jobs/history/executions${query}`);

beforeAll(async () => {
  for (const word of ['one', 'two', 'äö']) {
    await create(node(), manual('history', { timezone: 'Asia/Tokyo', executor_config: { command: `echo ${word}` } }));
    await runToEnd(node(), 'history');
  }
}, 60_000);

describe('GET /v1/jobs/:job/executions', () => {
  test('newest first, every field, times in the job’s zone', async () => {
    const answer = await list();
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'x-total-count': '3', 'content-type': 'application/json; charset=utf-8' },
    });
    const [newest] = answer.json();
    expect(answer.json().map((execution: any) => execution.output)).toEqual(['äö\n', 'two\n', 'one\n']);
    expect(Object.keys(newest)).toEqual(FIELDS);
    expect(newest).toMatchObject({
      job_name: 'history',
      success: true,
      node_name: 'test-node',
      attempt: 1,
      output_truncated: false,
    });
    expect(newest.id).toMatch(/^\d{19}-test-node$/);
    expect(newest.started_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?\+09:00$/);
    expect(Date.parse(newest.finished_at)).toBeGreaterThanOrEqual(Date.parse(newest.started_at));
    expect(Number.isSafeInteger(newest.group)).toBe(true);
  });

  test.each([
    ['_order=DESC', 'äö two one'],
    ['_order=ASC', 'one two äö'],
    ['_order=whatever', 'one two äö'],
    ['_sort=id&_order=ASC', 'one two äö'],
    ['_sort=started_at', 'äö two one'],
    ['_sort=finished_at&_order=ASC', 'one two äö'],
    ['_sort=&_order=ASC', 'one two äö'],
    ['_start=1&_end=2', 'two'],
  ])('%s', async (query, words) => {
    const answer = await list(`?${query}`);
    expect(
      answer
        .json()
        .map((execution: any) => execution.output.trim())
        .join(' '),
    ).toBe(words);
    expect(answer.headers['x-total-count']).toBe('3');
  });

  test('_sort=attempt is taken, anything else is 400', async () => {
    expect((await list('?_sort=attempt')).status).toBe(200);
    expectLine(await list('?_sort=output'), 400, /^_sort: /);
    expectLine(await list('?_sort=constructor'), 400, /^_sort: /);
  });

  test('output_size_limit keeps the last bytes, never half a character', async () => {
    const [newest, second] = (await list('?output_size_limit=4')).json();
    expect(newest).toMatchObject({ output: 'ö\n', output_truncated: true });
    expect(second).toMatchObject({ output: 'two\n', output_truncated: false });
    expect((await list('?output_size_limit=0')).json()[0]).not.toHaveProperty('output');
    for (const none of ['', 'x', '-1'])
      expect((await list(`?output_size_limit=${none}`)).json()[0]).toMatchObject({ output: 'äö\n' });
  });

  test('an unknown job: 404', async () => expectLine(await node().get('/v1/jobs/nobody/executions'), 404, /nobody/));
});

describe('GET /v1/jobs/:job/executions/:execution', () => {
  test('full output, UTC times, no output_truncated', async () => {
    const [newest] = (await list()).json();
    const answer = await node().get(`/v1/jobs/history/executions/${newest.id}`);
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.json())).toEqual(FIELDS.filter((field) => field !== 'output_truncated'));
    expect(answer.json()).toMatchObject({ id: newest.id, group: newest.group, output: 'äö\n' });
    expect(answer.json().started_at).toMatch(RFC3339_UTC);
    expect(Date.parse(answer.json().started_at)).toBe(Date.parse(newest.started_at));
  });

  test('more than 256,000 bytes of output: the last ones; the list has the tail', async () => {
    await create(node(), manual('loud', { executor_config: { shell: 'true', command: 'seq 1 60000' } }));
    const run = await runToEnd(node(), 'loud');
    const full = (await node().get(`/v1/jobs/loud/executions/${run.executions[0].id}`)).json();
    expect(Buffer.byteLength(full.output)).toBe(256_000);
    expect(full.output.endsWith('59999\n60000\n')).toBe(true);
    const [tail] = (await node().get('/v1/jobs/loud/executions')).json();
    expect(tail.output_truncated).toBe(true);
    expect(full.output.endsWith(tail.output)).toBe(true);
    expect(Buffer.byteLength(tail.output)).toBeLessThanOrEqual(16_384);
  });

  test('a failure: success false, the reason first in the output', async () => {
    await create(node(), manual('fails', { executor_config: { shell: 'true', command: 'echo said; exit 3' } }));
    await runToEnd(node(), 'fails');
    const [failed] = (await node().get('/v1/jobs/fails/executions')).json();
    expect(failed).toMatchObject({ success: false, output: expect.stringMatching(/^exit status 3\n[^]*said\n/) });
  });

  test.each([
    '/v1/jobs/history/executions/1-nobody',
    '/v1/jobs/nobody/executions/1-a',
    '/v1/jobs/history/executions/9223372036854775808-x',
  ])('%s: 404', async (path) => {
    expectLine(await node().get(path), 404, /\S/);
  });

  test('of another job: 404', async () => {
    const [newest] = (await list()).json();
    await create(node(), manual('other'));
    expectLine(await node().get(`/v1/jobs/other/executions/${newest.id}`), 404, /\S/);
  });
});

describe('GET /v1/busy', () => {
  test('what runs now, with the zero time as its end', async () => {
    await create(node(), manual('busy', { executor_config: { shell: 'true', command: 'echo started; sleep 60' } }));
    const group = await runNow(node(), 'busy');
    await running(node(), group);
    const answer = await node().get('/v1/busy');
    expect(answer).toMatchObject({ status: 200, headers: { 'x-total-count': '1' } });
    expect(answer.json()).toMatchObject([
      { job_name: 'busy', finished_at: ZERO, success: false, group, attempt: 1, node_name: 'test-node' },
    ]);
    expect(answer.json()[0].started_at).toMatch(RFC3339_UTC);
    expect((await node().get('/v1/jobs/busy/executions')).json()).toMatchObject([
      { finished_at: ZERO, success: false },
    ]);
    await node().post(`/v1/runs/${group}/stop`);
    await ended(node(), group);
    expect((await node().get('/v1/busy')).json()).toEqual([]);
  });

  test('shows the end of a long output, and says that it is one', async () => {
    const command = 'head -c 20000 /dev/zero | tr "\\0" x; echo end; sleep 60';
    await create(node(), manual('chatty', { executor_config: { shell: 'true', command } }));
    const group = await runNow(node(), 'chatty');
    const shown = await eventually('its output', async () => {
      const [execution] = (await node().get('/v1/busy')).json();
      return execution?.output?.endsWith('end\n') === true ? execution : undefined;
    });
    expect(shown.output).toHaveLength(16_384);
    expect(shown.output_truncated).toBe(true);
    await node().post(`/v1/runs/${group}/stop`);
    await ended(node(), group);
  });
});

describe('DELETE /v1/jobs/:job/executions', () => {
  test('wipes history and counters of that job alone', async () => {
    for (const name of ['wiped', 'wiped-not']) {
      await create(node(), manual(name));
      await runToEnd(node(), name);
    }
    const answer = await node().ask('DELETE', '/v1/jobs/wiped/executions');
    expect(answer.status).toBe(200);
    expect(answer.json()).toMatchObject({
      name: 'wiped',
      success_count: 0,
      error_count: 0,
      last_success: null,
      last_error: null,
    });
    expect((await node().get('/v1/jobs/wiped/executions')).json()).toEqual([]);
    expect((await node().get('/v1/jobs/wiped-not/executions')).json()).toHaveLength(1);
    expect((await node().get('/v1/jobs/wiped-not')).json()).toMatchObject({ success_count: 1 });
  });
  test('an unknown job: 404', async () =>
    expectLine(await node().ask('DELETE', '/v1/jobs/nobody/executions'), 404, /nobody/));
});

describe('GET /v1/stats', () => {
  test('one entry a day, oldest first, today last', async () => {
    const { stats } = (await node().get('/v1/stats?days=2')).json();
    const today = new Date().toISOString().slice(0, 10);
    expect(stats).toHaveLength(2);
    expect(Object.keys(stats[0])).toEqual(['date', 'success_count', 'failed_count']);
    expect(stats[0]).toEqual({ date: expect.stringMatching(/T00:00:00Z$/), success_count: 0, failed_count: 0 });
    expect(stats[1].date).toBe(`${today}T00:00:00Z`);
    expect(stats[1].success_count).toBeGreaterThanOrEqual(3);
    expect(stats[1].failed_count).toBeGreaterThanOrEqual(1);
  });
  test.each([
    ['', 30],
    ['?days=0', 30],
    ['?days=-5', 30],
    ['?days=x', 30],
    ['?days=1.5', 30],
    ['?days=366', 365],
    ['?days=99999999999', 365],
    ['?days=7', 7],
  ])('%s: %i days', async (query, days) => {
    expect((await node().get(`/v1/stats${query}`)).json().stats).toHaveLength(days);
  });
});
