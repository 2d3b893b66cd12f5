// GET of jobs: filters, order, ranges (dkron.md §1.4).
import { beforeAll, describe, expect, test } from 'vitest';
import { create, expectLine, manual, nodeForFile } from './kit.ts';

const node = nodeForFile();

beforeAll(async () => {
  await create(
    node(),
    manual('alpha', {
      displayname: 'Zulu',
      metadata: { team: 'billing', tier: '1' },
      success_count: 5,
      last_success: '2026-01-03T00:00:00Z',
      status: 'success',
    }),
  );
  await create(
    node(),
    manual('bravo', {
      displayname: 'yankee',
      metadata: { team: 'billing' },
      schedule: '@every 3h',
      success_count: 9,
      last_success: '2026-01-01T00:00:00Z',
      status: 'success',
    }),
  );
  await create(
    node(),
    manual('charlie', {
      metadata: { team: 'web' },
      disabled: true,
      error_count: 2,
      last_error: '2026-01-02T00:00:00Z',
      status: 'failed',
    }),
  );
  await create(node(), manual('delta', { displayname: 'Xray', schedule: '@every 1h' }));
}, 60_000);

async function names(query: string): Promise<{ total: string | undefined; names: string[] }> {
  const answer = await node().get(`/v1/jobs${query}`);
  expect(answer).toMatchObject({
    status: 200,
    headers: { 'content-type': 'application/json; charset=utf-8', 'x-whom': 'test-node' },
  });
  return { total: answer.headers['x-total-count'], names: answer.json().map((job: { name: string }) => job.name) };
}

describe('GET /v1/jobs', () => {
  test('all, by name', async () =>
    expect(await names('')).toEqual({ total: '4', names: ['alpha', 'bravo', 'charlie', 'delta'] }));

  test.each([
    ['_sort=id', 'alpha bravo charlie delta'],
    ['_sort=name', 'alpha bravo charlie delta'],
    ['_sort=', 'alpha bravo charlie delta'],
    ['_sort=displayname', 'charlie delta bravo alpha'], // absent first, then without regard to case
    ['_sort=success_count&_order=DESC', 'bravo alpha'],
    ['_sort=error_count&_order=DESC', 'charlie'],
    ['_sort=last_success&_order=DESC&q=a&status=success', 'alpha bravo'],
    ['_sort=next&_order=DESC', 'bravo delta'],
    ['_order=DESC', 'delta charlie bravo alpha'],
    ['_order=desc', 'alpha bravo charlie delta'],
    ['_order=ASC', 'alpha bravo charlie delta'],
  ])('%s', async (query, expected) => {
    const wanted = expected.split(' ');
    expect((await names(`?${query}`)).names.slice(0, wanted.length)).toEqual(wanted);
  });

  test.each([
    ['_start=0&_end=2', 'alpha bravo'],
    ['_start=1&_end=3', 'bravo charlie'],
    ['_start=3', 'delta'],
    ['_end=1', 'alpha'],
    ['_start=2&_end=99', 'charlie delta'],
    ['_start=2&_end=2', ''],
    ['_start=9&_end=19', ''],
    ['_start=3&_end=1', ''],
    ['_start=&_end=', 'alpha bravo charlie delta'],
    ['_sort=displayname&_start=1&_end=3', 'delta bravo'],
  ])('range %s, total before it', async (query, expected) => {
    expect(await names(`?${query}`)).toEqual({ total: '4', names: expected.split(' ').filter((name) => name !== '') });
  });

  test.each([
    ['q=a', 'alpha bravo charlie delta'],
    ['q=lph', 'alpha'],
    ['q=Zulu', 'alpha'],
    ['q=zulu', ''],
    ['q=%25', ''],
    ['q=_', ''],
    ['q=', 'alpha bravo charlie delta'],
    ['status=success', 'alpha bravo'],
    ['status=failed', 'charlie'],
    ['status=untriggered', 'delta'],
    ['status=running', ''],
    ['disabled=true', 'charlie'],
    ['disabled=false', 'alpha bravo delta'],
    ['disabled=1', 'charlie'],
    ['disabled=', 'alpha bravo charlie delta'],
    ['metadata[team]=billing', 'alpha bravo'],
    ['metadata%5Bteam%5D=billing', 'alpha bravo'],
    ['metadata[team]=billing&metadata[tier]=1', 'alpha'],
    ['metadata[team]=Billing', ''],
    ['metadata[nope]=', ''],
    ['status=success&q=bra&disabled=false&metadata[team]=billing', 'bravo'],
  ])('filter %s', async (query, expected) => {
    const wanted = expected.split(' ').filter((name) => name !== '');
    expect(await names(`?${query}`)).toEqual({ total: String(wanted.length), names: wanted });
  });

  test.each([
    ['_sort=started_at', /^_sort: names no field/],
    ['_sort=nmae', /did you mean name/],
    ['_start=-1', /^_start: must be a whole number/],
    ['_end=x', /^_end: /],
    ['disabled=maybe', /^disabled: must be true or false; write disabled=true, disabled=false, or leave it out/],
  ])('%s: 400', async (query, text) => expectLine(await node().get(`/v1/jobs?${query}`), 400, text));

  test('pretty: the same, indented by four, whatever its value', async () => {
    const compact = await node().get('/v1/jobs');
    for (const query of ['pretty', 'pretty=false']) {
      expect((await node().get(`/v1/jobs?${query}`)).text).toBe(JSON.stringify(compact.json(), null, 4));
    }
    const one = (await node().get('/v1/jobs/alpha')).json();
    expect((await node().get('/v1/jobs/alpha?pretty')).text).toBe(JSON.stringify(one, null, 4));
  });
});

describe('GET /v1/jobs/:job', () => {
  test('the job as the list has it', async () => {
    const answer = await node().get('/v1/jobs/alpha');
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'content-type': 'application/json; charset=utf-8', 'x-whom': 'test-node' },
    });
    expect((await node().get('/v1/jobs?q=alpha')).json()).toEqual([answer.json()]);
  });

  test.each(['nobody', 'ALPHA', '..%2Falpha', '%2e%2e', '%F0%9F%94%94', 'a%00b', 'x'.repeat(500), "'%20or%201=1"])(
    '%s: 404 with a line',
    async (name) => {
      expectLine(await node().get(`/v1/jobs/${name}`), 404, /\S/);
    },
  );

  test('a path that is not percent-encoding: 400', async () =>
    expectLine(await node().get('/v1/jobs/%zz'), 400, /percent-encoding/));
});

describe('long lists', () => {
  test('come in pieces, whole and in order', async () => {
    const jobs = Array.from({ length: 450 }, (_, i) =>
      manual(`many-${String(i).padStart(4, '0')}`, { metadata: { note: 'x'.repeat(300) } }),
    );
    for (let at = 0; at < jobs.length; at += 50)
      await Promise.all(jobs.slice(at, at + 50).map((job) => create(node(), job)));
    const answer = await node().get('/v1/jobs?q=many-');
    expect(answer.headers['transfer-encoding']).toBe('chunked');
    expect(answer.headers['x-total-count']).toBe('450');
    expect(answer.json().map((job: { name: string }) => job.name)).toEqual(jobs.map((job) => job['name']));
    expect((await node().get('/v1/jobs?q=many-&pretty')).text).toBe(JSON.stringify(answer.json(), null, 4));
    const page = await node().get('/v1/jobs?_start=100&_end=150');
    expect(page.headers['content-length']).toBe(String(page.bytes.length));
    expect(page.json()).toHaveLength(50);
  }, 60_000);
});
