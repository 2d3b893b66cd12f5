// Retries, relaunches, dependents, ephemeral jobs, late results.
import { describe, expect, test } from 'vitest';
import { openHouse } from '../../test/sim/house.ts';
import { type House, LEADER_OPTIONS } from '../../test/sim/kit.ts';

const counters = (house: House, job: string) =>
  house.row(
    'SELECT s.success_count AS success, s.error_count AS error, s.status FROM job_state s JOIN jobs j ON j.id = s.job_id WHERE j.name = ?',
    job,
  );

describe('attempts', () => {
  test('a failure is retried after its delay, and success after a retry is success', async () => {
    const house = await openHouse({ script: ({ attempt }) => ({ outcome: attempt < 3 ? 'failed' : 'succeeded' }) });
    await house.put({ name: 'j', schedule: '0 * * * * *', retries: 3, retry: { delay: '5s', factor: 2, jitter: 0 } });
    await house.run(85);
    const [run] = await house.seen('j');
    expect(run?.state).toBe('succeeded');
    expect(run?.executions.map((one) => `${one.attempt} ${one.outcome}`)).toEqual([
      '1 failed',
      '2 failed',
      '3 succeeded',
    ]);
    const [first, second, third] = house.starts.map((start) => start.key / 1e6);
    expect((second ?? 0) - (first ?? 0)).toBeCloseTo(6, 0);
    expect((third ?? 0) - (second ?? 0)).toBeCloseTo(11, 0);
    expect(await counters(house, 'j')).toEqual({ success: 1, error: 2, status: 'success' });
  });

  test('the wait before a later attempt is not lateness, and a toggle is one event', async () => {
    const house = await openHouse({ script: ({ attempt }) => ({ outcome: attempt === 1 ? 'failed' : 'succeeded' }) });
    await house.put({ name: 'j', schedule: '0 * * * * *', retries: 1, retry: { delay: '20s', factor: 1, jitter: 0 } });
    await house.run(100);
    const late = house.events.flatMap((event) => (event.kind === 'execution_started' ? event.latenessMs : []));
    expect(late).toHaveLength(2);
    expect(Math.max(...late)).toBeLessThan(1_000);
    await house.do(house.leader.jobs.toggle('j'));
    const changes = house.events.flatMap((event) => (event.kind === 'job_changed' ? event.change : []));
    expect(changes).toEqual(['created', 'disabled']);
  });

  test('retries run out', async () => {
    const house = await openHouse({ script: () => ({ outcome: 'failed' }) });
    await house.put({ name: 'j', schedule: '@manually', retries: 2 });
    await house.do(house.leader.jobs.run('j', { force: false }));
    await house.run(30);
    expect((await house.seen('j')).map((run) => [run.state, run.executions.length])).toEqual([['failed: exit', 3]]);
  });

  test('a result told twice between attempts begins no second wait', async () => {
    const house = await openHouse({ script: ({ attempt }) => ({ outcome: attempt === 1 ? 'failed' : 'succeeded' }) });
    await house.put({ name: 'j', schedule: '@manually', retries: 5, retry: { delay: '10s', factor: 1, jitter: 0 } });
    await house.do(house.leader.jobs.run('j', { force: false }));
    await house.run(3);
    const [ended] = house.ends;
    if (ended === undefined) throw new Error('nothing ended');
    house.agent.redeliver(ended);
    house.agent.redeliver(ended);
    await house.run(30);
    expect((await house.seen('j')).map((run) => run.executions.map((one) => one.outcome))).toEqual([
      ['failed', 'succeeded'],
    ]);
  });

  test('the end of an execution in no history is kept apart, told, acknowledged, and dropped with age', async () => {
    const house = await openHouse({ leader: { retention: { ...LEADER_OPTIONS.retention, ageMs: 3_600_000 } } });
    await house.put({ name: 'j', schedule: '@manually' });
    await house.do(house.leader.jobs.run('j', { force: false }));
    await house.run(3);
    const [ended] = house.ends;
    if (ended === undefined) throw new Error('nothing ended');
    house.agent.redeliver({ ...ended, key: 77, exitCode: 3, outcome: 'failed' });
    await house.run(3);
    expect(house.events.filter(({ kind }) => kind === 'orphan_result')).toEqual([
      { kind: 'orphan_result', execution: 77, outcome: 'failed', exitCode: 3 },
    ]);
    const kept = () => house.row('SELECT count(*) AS n FROM orphan_results');
    expect(await kept()).toEqual({ n: 1 });
    expect(await counters(house, 'j')).toEqual({ success: 1, error: 0, status: 'success' });
    await house.run(7_200);
    expect(await kept()).toEqual({ n: 0 });
  });

  test.each([false, true])('disabling a job ends its retries (the leader dies meanwhile: %s)', async (dies) => {
    const house = await openHouse({ script: () => ({ outcome: 'failed', durationMs: 10_000 }) });
    await house.put({ name: 'j', schedule: '@manually', retries: 3, retry: { delay: '1s', jitter: 0 } });
    await house.do(house.leader.jobs.run('j', { force: false }));
    await house.run(5);
    await house.do(house.leader.jobs.toggle('j'));
    if (dies) await house.restart();
    await house.run(60);
    expect((await house.seen('j')).map((run) => [run.state, run.executions.length])).toEqual([['failed: exit', 1]]);
    // By hand a disabled job runs as any other.
    await house.do(house.leader.jobs.run('j', { force: false }));
    await house.run(5);
    if (dies) await house.restart();
    await house.run(60);
    expect((await house.seen('j')).map((run) => [run.state, run.executions.length]).at(-1)).toEqual([
      'failed: exit',
      4,
    ]);
  });

  test('retries survive the death of the leader', async () => {
    const house = await openHouse({ script: ({ attempt }) => ({ outcome: attempt === 1 ? 'failed' : 'succeeded' }) });
    await house.put({ name: 'j', schedule: '@manually', retries: 1, retry: { delay: '20s', jitter: 0 } });
    await house.do(house.leader.jobs.run('j', { force: false }));
    await house.run(5);
    await house.restart();
    await house.run(10);
    expect(house.starts.length).toBe(1);
    await house.run(10);
    expect((await house.seen('j')).map((run) => run.state)).toEqual(['succeeded']);
  });

  test('lost ends an at-most-once run and relaunches an at-least-once one, at most three times', async () => {
    const house = await openHouse({ script: () => ({ durationMs: 60_000 }), truths: 0 });
    await house.put({ name: 'once', schedule: '@manually', retries: 5 });
    await house.put({ name: 'again', schedule: '@manually', guarantee: 'at-least-once' });
    for (const name of ['once', 'again']) await house.do(house.leader.jobs.run(name, { force: false }));
    for (let cut = 0; cut < 6; cut++) {
      await house.run(5);
      house.agent.powerCut();
    }
    await house.run(30);
    expect((await house.seen('once')).map((run) => [run.state, run.executions.length])).toEqual([
      ['lost: supervisor_gone', 1],
    ]);
    expect((await house.seen('again')).map((run) => [run.state, run.executions.length])).toEqual([
      ['lost: supervisor_gone', 4],
    ]);
  });

  test('a late result corrects a lost run once: record, counters, daily totals, dependents', async () => {
    const house = await openHouse({ script: () => ({ durationMs: 60_000 }), truths: 1 });
    await house.put({ name: 'j', schedule: '@manually' });
    await house.put({ name: 'kid', parent_job: 'j' });
    await house.do(house.leader.jobs.run('j', { force: false }));
    await house.run(5);
    house.agent.powerCut();
    await house.run(0.5);
    expect((await house.seen('j')).map((run) => run.state)).toEqual(['lost: supervisor_gone']);
    expect(await counters(house, 'j')).toMatchObject({ success: 0, error: 1 });
    await house.run(65);
    expect((await house.seen('j')).map((run) => run.state)).toEqual(['succeeded']);
    expect(await counters(house, 'j')).toEqual({ success: 1, error: 0, status: 'success' });
    expect(await house.row('SELECT sum(success) AS success, sum(failed) AS failed FROM daily_stats')).toEqual({
      success: 1,
      failed: 0,
    });
    expect((await house.seen('kid')).length).toBe(1);
    const [late] = house.ends.slice(-1);
    if (late === undefined) throw new Error('nothing ended');
    house.agent.redeliver({ ...late, outcome: 'failed', reason: 'exit' });
    house.agent.redeliver(late);
    await house.run(20);
    expect((await house.seen('j')).map((run) => run.state)).toEqual(['succeeded']);
    expect((await house.seen('kid')).length).toBe(1);
  });

  test('dependents run once per success of their parent, across a crash', async () => {
    const house = await openHouse();
    await house.put({ name: 'parent', schedule: '*/10 * * * * *' });
    await house.put({ name: 'kid', parent_job: 'parent' });
    await house.put({ name: 'grandkid', parent_job: 'kid' });
    for (let turn = 0; turn < 5; turn++) {
      await house.run(7);
      await house.restart();
    }
    await house.run(10);
    const parents = (await house.seen('parent')).filter((run) => run.state === 'succeeded').length;
    expect(parents).toBeGreaterThan(3);
    expect((await house.seen('kid')).length).toBe(parents);
    expect((await house.seen('grandkid')).length).toBe(
      (await house.seen('kid')).filter((run) => run.state === 'succeeded').length,
    );
  });

  test('a disabled dependent and one outside its dates do not run', async () => {
    const house = await openHouse();
    await house.put({ name: 'parent', schedule: '@manually' });
    await house.put({ name: 'off', parent_job: 'parent', disabled: true });
    await house.put({ name: 'over', parent_job: 'parent', expires_at: '2026-01-01T00:00:00Z' });
    await house.do(house.leader.jobs.run('parent', { force: false }));
    await house.run(5);
    expect([...(await house.lines('off')), ...(await house.lines('over'))]).toEqual([]);
  });

  test('an ephemeral job goes after its success, with its waiting runs, and leaves its parent', async () => {
    const house = await openHouse({
      script: ({ trigger }) => ({ outcome: trigger === 'manual' ? 'failed' : 'succeeded' }),
    });
    await house.put({ name: 'j', schedule: '@every 10s', ephemeral: true });
    await house.do(house.leader.jobs.run('j', { force: false }));
    await house.run(5);
    expect(house.leader.jobs.count).toBe(1);
    await house.run(10);
    expect(house.leader.jobs.count).toBe(0);
    await house.run(30);
    expect((await house.seen('j')).map((run) => `${run.trigger} ${run.state}`)).toEqual([
      'manual failed: exit',
      'schedule succeeded',
    ]);
  });
});
