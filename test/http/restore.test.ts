// POST /v1/restore (dkron.md §1.11).
import { describe, expect, test } from 'vitest';
import { create, expectLine, manual, nodeForFile } from './kit.ts';

const node = nodeForFile({ args: ['--max-restore-body', '64KiB'] });
const BOUNDARY = '----belfry-test';

function form(content: string, field = 'file'): { body: string; headers: Record<string, string> } {
  const before = '--' + BOUNDARY + '\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n';
  const part = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${field}"; filename="jobs.json"\r\nContent-Type: application/json\r\n\r\n${content}\r\n`;
  return {
    body: `${before}${part}--${BOUNDARY}--\r\n`,
    headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` },
  };
}

const restore = (jobs: unknown, field?: string) =>
  node().ask('POST', '/v1/restore', form(typeof jobs === 'string' ? jobs : JSON.stringify(jobs), field));

describe('POST /v1/restore', () => {
  test('what GET /v1/jobs gave: a JSON string holding a JSON array of lines', async () => {
    await create(
      node(),
      manual('a', { success_count: 4, last_success: '2026-01-01T00:00:00Z', metadata: { note: 'ü "x" [1,2]' } }),
    );
    await create(node(), manual('a-child', { schedule: '', parent_job: 'a' }));
    const backup = (await node().get('/v1/jobs?pretty')).text;
    for (const name of ['a-child', 'a']) expect((await node().ask('DELETE', `/v1/jobs/${name}`)).status).toBe(200);
    const answer = await restore(backup);
    expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'application/json; charset=utf-8' } });
    expect(JSON.parse(answer.json()).toSorted()).toEqual(['success create a', 'success create a-child']);
    expect((await node().get('/v1/jobs?pretty')).text).toBe(backup);
  });

  test('parents before children, whatever their order in the file; while paused; past times too', async () => {
    await node().post('/v1/pause');
    const jobs = [
      manual('z-child', { schedule: '', parent_job: 'z' }),
      manual('z', { schedule: '@at 2020-01-01T00:00:00Z' }),
    ];
    expect(JSON.parse((await restore(jobs)).json())).toEqual(['success create z', 'success create z-child']);
    await node().post('/v1/unpause');
    expect((await node().get('/v1/jobs/z')).json()).toMatchObject({ dependent_jobs: ['z-child'] });
  });

  test('counters merge by the larger', async () => {
    await create(node(), manual('merged', { success_count: 9 }));
    await restore([manual('merged', { success_count: 2, error_count: 5, owner: 'new' })]);
    expect((await node().get('/v1/jobs/merged')).json()).toMatchObject({
      success_count: 9,
      error_count: 5,
      owner: 'new',
    });
  });

  test.each<[string, unknown, RegExp]>([
    ['no array', { a: 1 }, /^unable to parse payload: expected a JSON array/],
    ['half an array', '[{"name":"n1"', /^unable to parse payload: the array does not end/],
    [
      'bad JSON',
      '[{"name":"n1",}]',
      /^unable to parse payload: job number 1: expected a key in double quotes at line 1, column 14/,
    ],
    ['a bad job', [manual('n1'), manual('N2')], /^job number 2: job validation failed: name: /],
    ['a bad type', [{ name: 5 }], /^job number 1: unable to parse payload: name: expected a string/],
    ['a parent that is not in the file', [manual('n1'), manual('n2', { schedule: '', parent_job: 'a' })], /parent/],
    [
      'a cycle',
      [manual('n1', { schedule: '', parent_job: 'n2' }), manual('n2', { schedule: '', parent_job: 'n1' })],
      /parent/,
    ],
    ['an empty file', '', /^unable to parse payload: expected a JSON array/],
  ])('%s: 400 and nothing changed', async (_what, jobs, text) => {
    expectLine(await restore(jobs), 400, text);
    for (const name of ['n1', 'n2']) expect((await node().get(`/v1/jobs/${name}`)).status).toBe(404);
  });

  test('no file in the form: 404', async () => {
    expectLine(await restore([manual('n1')], 'upload'), 404, /^no file in the form/);
    expectLine(await node().post('/v1/restore'), 404, /^no file in the form/);
  });

  test('a broken form: 400', async () => {
    const headers = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` };
    expectLine(await node().ask('POST', '/v1/restore', { body: 'nonsense', headers }), 400, /form/);
    expectLine(
      await node().ask('POST', '/v1/restore', { body: 'x', headers: { 'content-type': 'multipart/form-data' } }),
      400,
      /form/,
    );
  });

  test('the array as the body itself is taken as well', async () => {
    const answer = await node().post('/v1/restore', [manual('plain')], { 'content-type': 'application/json' });
    expect(JSON.parse(answer.json())).toEqual(['success create plain']);
  });

  test.each([';;;', 'application/json;', 'text', 'x/y; z'])('as %s too: bodies are JSON', async (type) => {
    const answer = await node().post('/v1/restore', [manual('plain')], { 'content-type': type });
    expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 200 });
    expect(JSON.parse(answer.json())).toEqual(['success create plain']);
  });

  test('over the limit: 413 and nothing changed', async () => {
    const jobs = [manual('n1'), manual('n2', { metadata: { x: 'x'.repeat(70_000) } })];
    expectLine(await restore(jobs), 413, /too large/);
    expectLine(await node().post('/v1/restore', jobs, { 'content-type': 'application/json' }), 413, /too large/);
    expect((await node().get('/v1/jobs/n1')).status).toBe(404);
  });
});
