// Run, toggle, delete, cursor (dkron.md §1.6–1.8).
import { describe, expect, test } from 'vitest';
import {
  RFC3339_UTC,
  ZERO,
  create,
  ended,
  expectError,
  expectLine,
  manual,
  nodeForFile,
  runNow,
  runToEnd,
  running,
} from './kit.ts';

const node = nodeForFile();
const SLOW = { executor_config: { command: 'sleep 60' } };

describe('running', () => {
  test.each([
    ['POST /v1/jobs/:job', ''],
    ['POST /v1/jobs/:job/run', '/run'],
  ])('%s: 200 at once with the job, its group and Location', async (_form, suffix) => {
    const name = `runs${suffix === '' ? '' : '-run'}`;
    const job = await create(node(), manual(name));
    const answer = await node().post(`/v1/jobs/${name}${suffix}`);
    expect(answer).toMatchObject({ status: 200, headers: { location: `/v1/jobs/${name}`, 'x-whom': 'test-node' } });
    const { group, ...shown } = answer.json();
    expect(Object.keys(shown)).toEqual(Object.keys(job));
    expect(Number.isSafeInteger(group)).toBe(true);
    expect(await ended(node(), group)).toMatchObject({
      group,
      job: name,
      trigger: 'manual',
      outcome: 'succeeded',
      reason: '',
    });
  });

  test('counters, last times and status follow', async () => {
    await create(node(), manual('counts'));
    await runToEnd(node(), 'counts');
    await create(node(), manual('counts', { executor_config: { command: 'false' } }));
    await runToEnd(node(), 'counts');
    const job = (await node().get('/v1/jobs/counts')).json();
    expect(job).toMatchObject({ success_count: 1, error_count: 1, status: 'failed' });
    expect(job.last_success).toMatch(RFC3339_UTC);
    expect(job.last_error).toMatch(RFC3339_UTC);
    expect((await node().get('/v1/jobs?status=failed')).json()).toMatchObject([{ name: 'counts' }]);
  });

  test('success after a retry is success', async () => {
    const marker = `${node().dataDir}/second-time`;
    const command = `test -e ${marker} || { touch ${marker}; exit 1; }`;
    await create(
      node(),
      manual('retried', { retries: 1, retry: { delay: '10ms' }, executor_config: { shell: 'true', command } }),
    );
    expect(await runToEnd(node(), 'retried')).toMatchObject({
      outcome: 'succeeded',
      executions: [
        { attempt: 1, outcome: 'failed' },
        { attempt: 2, outcome: 'succeeded' },
      ],
    });
    expect((await node().get('/v1/jobs/retried')).json()).toMatchObject({
      success_count: 1,
      error_count: 1,
      status: 'success',
    });
  });

  test('a disabled job can be run by hand', async () => {
    await create(node(), manual('disabled', { disabled: true }));
    expect(await runToEnd(node(), 'disabled')).toMatchObject({ outcome: 'succeeded' });
  });

  test('dependents follow success', async () => {
    await create(node(), manual('leads'));
    await create(node(), manual('follows', { schedule: '', parent_job: 'leads' }));
    const parent = await runToEnd(node(), 'leads');
    const { runs } = (await node().get('/v1/runs?job=follows')).json();
    expect(runs).toMatchObject([{ trigger: 'parent', parent_group: parent.group }]);
    await ended(node(), runs[0].group);
  });

  test('an ephemeral job goes after success', async () => {
    await create(node(), manual('ephemeral', { ephemeral: true }));
    await runToEnd(node(), 'ephemeral');
    expect((await node().get('/v1/jobs/ephemeral')).status).toBe(404);
  });

  test('an unknown job: 404', async () => {
    for (const suffix of ['', '/run', '/toggle'])
      expectLine(await node().post(`/v1/jobs/nobody${suffix}`), 404, /nobody/);
  });

  test('forbid: 409 with the running group, on record as skipped; force overrides', async () => {
    await create(node(), manual('alone', { ...SLOW, concurrency: 'forbid' }));
    const first = await runNow(node(), 'alone');
    await running(node(), first);
    const refused = await node().post('/v1/jobs/alone/run');
    expectLine(refused, 409, String(first));
    expect(refused.headers['x-belfry-group']).toBe(String(first));
    expect((await node().get('/v1/runs?job=alone&outcome=skipped')).json().runs).toMatchObject([
      { trigger: 'manual', reason: 'overlap' },
    ]);
    for (const no of ['?force=false', '?force=0', '?force=f'])
      expect((await node().post(`/v1/jobs/alone/run${no}`)).status).toBe(409);
    for (const unclear of ['?force=yes', '?force', '?force='])
      expectLine(
        await node().post(`/v1/jobs/alone/run${unclear}`),
        400,
        /^force: must be true or false; write force=true/,
      );
    const forced = await runNow(node(), 'alone', '?force=true');
    for (const group of [first, forced, await runNow(node(), 'alone', '?force=1')]) {
      await node().post(`/v1/runs/${group}/stop`);
      expect(await ended(node(), group)).toMatchObject({ outcome: 'cancelled', reason: 'user' });
    }
  });
});

describe('toggling', () => {
  test('flips disabled: 200, the job, Location', async () => {
    await create(node(), manual('toggled', { schedule: '@every 1h' }));
    const off = await node().post('/v1/jobs/toggled/toggle');
    expect(off).toMatchObject({ status: 200, headers: { location: '/v1/jobs/toggled' } });
    expect(off.json()).toMatchObject({ id: 'toggled', disabled: true, next: ZERO });
    expect((await node().get('/v1/jobs/toggled')).json()).toEqual(off.json());
    const on = (await node().post('/v1/jobs/toggled/toggle')).json();
    expect(on.disabled).toBe(false);
    expect(on.next).not.toBe(ZERO);
  });
});

describe('deleting', () => {
  test('200 with the job as it was, then 404; its runs stay on record', async () => {
    await create(node(), manual('gone', { owner: 'me' }));
    const { group } = await runToEnd(node(), 'gone');
    const answer = await node().ask('DELETE', '/v1/jobs/gone');
    expect(answer.status).toBe(200);
    expect(answer.json()).toMatchObject({ name: 'gone', owner: 'me', success_count: 1 });
    for (const path of ['/v1/jobs/gone', '/v1/jobs/gone/executions']) expectLine(await node().get(path), 404, /gone/);
    expectLine(await node().ask('DELETE', '/v1/jobs/gone'), 404, /gone/);
    expect((await node().get('/v1/runs?job=gone')).json().runs).toMatchObject([{ group, outcome: 'succeeded' }]);
  });

  test('a job made again under the name has no history', async () => {
    await create(node(), manual('again'));
    await runToEnd(node(), 'again');
    await node().ask('DELETE', '/v1/jobs/again');
    expect(await create(node(), manual('again'))).toMatchObject({ success_count: 0, last_success: null, status: '' });
    expect((await node().get('/v1/jobs/again/executions')).json()).toEqual([]);
  });

  test('not while it is a parent: 409', async () => {
    await create(node(), manual('parent'));
    await create(node(), manual('kid', { schedule: '', parent_job: 'parent' }));
    expectLine(await node().ask('DELETE', '/v1/jobs/parent'), 409, /kid/);
    await node().ask('DELETE', '/v1/jobs/kid');
    expect((await node().ask('DELETE', '/v1/jobs/parent')).status).toBe(200);
  });

  test('?running=kill ends what runs, anything else but detach is 400', async () => {
    await create(node(), manual('killed', SLOW));
    const group = await runNow(node(), 'killed');
    await running(node(), group);
    expectLine(await node().ask('DELETE', '/v1/jobs/killed?running=maybe'), 400, /^running: /);
    expect((await node().ask('DELETE', '/v1/jobs/killed?running=kill')).status).toBe(200);
    expect(await ended(node(), group)).toMatchObject({ outcome: 'cancelled', reason: 'job_deleted' });
  });

  test('a running execution is detached else, and its end recorded', async () => {
    await create(
      node(),
      manual('detached', {
        executor_config: { command: `sh -c 'while ! test -e ${node().dataDir}/go; do sleep 0.05; done'` },
      }),
    );
    const group = await runNow(node(), 'detached');
    await running(node(), group);
    await node().ask('DELETE', '/v1/jobs/detached');
    await create(node(), manual('releases', { executor_config: { command: `touch ${node().dataDir}/go` } }));
    await runToEnd(node(), 'releases');
    expect(await ended(node(), group)).toMatchObject({ outcome: 'succeeded' });
  });
});

describe('POST /v1/jobs/:job/cursor', () => {
  test('moves to now and answers the job', async () => {
    await create(node(), manual('cursor', { schedule: '@every 1h' }));
    const answer = await node().post('/v1/jobs/cursor/cursor', { to: 'now' });
    expect(answer.status).toBe(200);
    expect(answer.json()).toMatchObject({ name: 'cursor' });
  });
  test.each([[{ to: 'yesterday' }], [{}], ['{'], [undefined]])('%j: 400 as an object', async (body) => {
    expectError(await node().post('/v1/jobs/cursor/cursor', body), 400, { code: 'invalid' });
  });
  test('what is wrong with the body', async () => {
    const faultOf = async (body: unknown) => (await node().post('/v1/jobs/cursor/cursor', body)).json().error;
    const example = { code: 'invalid', remedy: 'send for example {"to":"now"}; every field is in /v1/openapi.json' };
    expect(await faultOf({})).toEqual({ ...example, field: 'to', message: 'is missing' });
    expect(await faultOf([])).toEqual({ ...example, message: 'expected a JSON object, got an array' });
    expect(await faultOf({ too: 'now' })).toMatchObject({ field: 'too', remedy: 'did you mean to?' });
    expect(await faultOf({ to: 'now', force: true })).toMatchObject({ field: 'force', remedy: 'known are to' });
    expect(await faultOf({ to: 'then' })).toMatchObject({ field: 'to', message: 'must be "now", got "then"' });
  });
  test('an unknown job: 404 as an object', async () => {
    expectError(await node().post('/v1/jobs/nobody/cursor', { to: 'now' }), 404, { code: 'not_found' });
  });
});
