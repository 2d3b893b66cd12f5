// Late and missed: misfire policies, catch-up rate, start deadline, jitter, places, clock steps, full disks, restores.
import { describe, expect, test } from 'vitest';
import { openHouse } from '../../test/sim/house.ts';
import type { House } from '../../test/sim/kit.ts';
import { recordMarker } from '../store/restored-marker.ts';

const minutely = { name: 'j', schedule: '0 * * * * *' };

async function down(house: House, seconds: number): Promise<void> {
  house.node.crash();
  await house.run(seconds);
  await house.restart();
  await house.run(2);
}

describe('misfire', () => {
  test('up to grace late just runs, whatever the policy', async () => {
    const house = await openHouse();
    await house.put({ ...minutely, misfire: { policy: 'skip' } });
    await house.run(30);
    await down(house, 80);
    expect(await house.lines('j')).toEqual(['schedule 00:01:00 succeeded']);
  });

  test('skip records one range row', async () => {
    const house = await openHouse();
    await house.put({ ...minutely, misfire: { policy: 'skip' } });
    await house.run(30);
    await down(house, 600);
    expect(await house.lines('j')).toEqual([
      'schedule 00:01:00-00:09:00 x9 missed: policy',
      'schedule 00:10:00 succeeded',
    ]);
  });

  test('last runs the newest when nothing later is due, else supersedes all', async () => {
    const house = await openHouse();
    await house.put({ name: 'hourly', schedule: '0 5 * * * *' });
    await house.put(minutely);
    await house.run(30);
    await down(house, 3 * 3600);
    expect(await house.lines('hourly')).toEqual([
      'schedule 00:05:00-01:05:00 x2 missed: superseded',
      'schedule 02:05:00 succeeded',
    ]);
    expect(await house.lines('j')).toEqual([
      'schedule 00:01:00-02:59:00 x179 missed: superseded',
      'schedule 03:00:00 succeeded',
    ]);
  });

  test('all runs each, at most max, at the catch-up rate; the rest is max', async () => {
    const house = await openHouse({ leader: { catchUpRate: 2 } });
    await house.put({ ...minutely, misfire: { policy: 'all', max: 20 } });
    await house.run(30);
    const before = house.time.monotonic();
    await down(house, 3600);
    expect((await house.lines('j'))[0]).toBe('schedule 00:01:00-00:39:00 x39 missed: max');
    const early = house.starts.length;
    expect(early).toBeLessThan(8);
    await house.run(15);
    expect(house.starts.length).toBe(21);
    expect(house.time.monotonic()).toBeGreaterThan(before);
  });

  test('an @at that is past its window is missed', async () => {
    const house = await openHouse();
    await house.put({ name: 'j', schedule: '@at 2026-03-01T00:10:00Z', misfire: { window: '1h' } });
    await down(house, 7200);
    expect(await house.lines('j')).toEqual(['schedule 00:10:00 missed: window']);
  });

  test('time spent disabled is not missed', async () => {
    const house = await openHouse();
    await house.put(minutely);
    await house.run(70);
    await house.do(house.leader.jobs.toggle('j'));
    await house.run(600);
    await house.do(house.leader.jobs.toggle('j'));
    await house.run(60);
    expect(await house.lines('j')).toEqual(['schedule 00:01:00 succeeded', 'schedule 00:12:00 succeeded']);
  });
});

describe('edits', () => {
  test('what was due before an edit, a delete or a disable is on record', async () => {
    let room = true;
    const house = await openHouse({ faults: { mayLaunch: () => room } });
    for (const name of ['edited', 'deleted', 'disabled']) await house.put({ ...minutely, name });
    await house.run(45);
    room = false;
    await house.run(30);
    room = true; // the scheduler looks again within half a second; the edits come before that
    await house.put({ name: 'edited', schedule: '30 * * * * *' });
    await house.do(house.leader.jobs.delete('deleted', 'detach'));
    await house.do(house.leader.jobs.toggle('disabled'));
    await house.run(40);
    expect(await house.lines('edited')).toEqual(['schedule 00:01:00 succeeded', 'schedule 00:01:30 succeeded']);
    expect((await house.lines('deleted')).length).toBe(1);
    expect((await house.lines('disabled')).length).toBe(1);
  });

  test('delete and disable cancel what waits and launch nothing more', async () => {
    const house = await openHouse({ script: () => ({ durationMs: 100_000 }) });
    for (const name of ['deleted', 'disabled']) {
      await house.put({ name, schedule: '*/10 * * * * *', concurrency: 'queue' });
    }
    await house.run(25);
    await house.do(house.leader.jobs.delete('deleted', 'kill'));
    await house.do(house.leader.jobs.toggle('disabled'));
    const started = house.starts.length;
    await house.run(200);
    expect(house.starts.length).toBe(started);
    expect(await house.lines('deleted')).toEqual([
      'schedule 00:00:10 cancelled: job_deleted',
      'schedule 00:00:20 cancelled: job_deleted',
    ]);
    expect(await house.lines('disabled')).toEqual([
      'schedule 00:00:10 succeeded',
      'schedule 00:00:20 cancelled: job_disabled',
    ]);
  });

  test('a job created again under an old name inherits nothing', async () => {
    const house = await openHouse({ script: () => ({ durationMs: 30_000 }) });
    await house.put({ name: 'j', schedule: '@manually' });
    await house.do(house.leader.jobs.run('j', { force: false }));
    await house.run(1);
    await house.do(house.leader.jobs.delete('j', 'detach'));
    await house.put({ name: 'j', schedule: '@manually' });
    await house.put({ name: 'kid', parent_job: 'j' });
    await house.run(60);
    expect((await house.seen('j')).map((run) => run.state)).toEqual(['succeeded']);
    expect(await house.lines('kid')).toEqual([]);
    expect(
      await house.row("SELECT s.success_count AS n FROM job_state s JOIN jobs j ON j.id = s.job_id WHERE j.name = 'j'"),
    ).toEqual({ n: 0 });
  });
});

describe('places and deadlines', () => {
  test('above max_runs runs wait in due order, and one job takes half while others wait', async () => {
    const house = await openHouse({ leader: { maxRuns: 4 }, script: () => ({ durationMs: 20_000 }) });
    await house.put({ name: 'many', schedule: '* * * * * *' });
    await house.put({ name: 'few', schedule: '*/10 * * * * *' });
    await house.run(50);
    const running = new Map<string, number>();
    let most = 0;
    for (const start of house.starts.slice(4)) running.set(start.job, (running.get(start.job) ?? 0) + 1);
    for (const count of running.values()) most = Math.max(most, count);
    expect(house.leader.counts().running).toBe(4);
    expect(house.leader.counts().waiting).toBeGreaterThan(20);
    expect(running.get('few')).toBeGreaterThanOrEqual(2);
  });

  test('while max_waiting runs wait schedules wait too: nothing is lost, and what is too late obeys its misfire policy', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const leader = { maxRuns: 2, maxWaiting: 5 };
    const house = await openHouse({ leader, script: () => ({ durationMs: 3_000 }) });
    for (const name of names)
      await house.put({ name, schedule: '* * * * * *', misfire: { policy: 'skip', grace: '5s' } });
    await house.run(60);
    // One wake-up plans all instants of a job that are not too late: six at most, where without the limit 300 would wait.
    expect(house.leader.counts().waiting).toBeGreaterThan(0);
    expect(house.leader.counts().waiting).toBeLessThan(42);
    for (const name of names) await house.do(house.leader.jobs.toggle(name));
    await house.run(60);
    const runs = (await Promise.all(names.map((name) => house.seen(name)))).flat();
    expect(runs.reduce((sum, run) => sum + run.count, 0)).toBe(names.length * 60);
    const states = new Set(runs.map((run) => run.state));
    expect([...states].sort()).toEqual(['cancelled: job_disabled', 'missed: policy', 'succeeded']);
  });

  test('start_deadline makes a waiting run missed, but never a retry', async () => {
    const house = await openHouse({
      leader: { maxRuns: 1 },
      script: ({ job, attempt }) =>
        job === 'slow' ? { durationMs: 30_000 } : { outcome: attempt === 1 ? 'failed' : 'succeeded' },
    });
    await house.put({ name: 'slow', schedule: '10 0 * * * *' });
    await house.put({ name: 'j', schedule: '11 0 * * * *', start_deadline: '10s' });
    await house.put({
      name: 'retried',
      schedule: '45 0 * * * *',
      start_deadline: '5s',
      retries: 1,
      retry: { delay: '20s', jitter: 0 },
    });
    await house.run(75);
    expect(await house.lines('j')).toEqual(['schedule 00:00:11 missed: start_deadline']);
    expect((await house.seen('j'))[0]?.executions).toEqual([]);
    expect(await house.lines('retried')).toEqual(['schedule 00:00:45 succeeded']);
  });

  test.each([
    ['skip', 'missed: policy'],
    ['last', 'succeeded'],
    ['all', 'succeeded'],
  ])('jitter: what is found too late asks its misfire policy (%s)', async (policy, state) => {
    const house = await openHouse();
    await house.put({ name: 'j', schedule: '0 0 * * * *', jitter: '20m', misfire: { policy, grace: '1m' } });
    await house.run(3_601);
    expect((await house.lines('j'))[0]).toBe('schedule 01:00:00 delayed');
    house.node.crash();
    await house.run(1_800);
    await house.restart();
    await house.run(20);
    expect(await house.lines('j')).toEqual([`schedule 01:00:00 ${state}`]);
    expect((await house.seen('j'))[0]?.executions.length).toBe(state === 'succeeded' ? 1 : 0);
  });

  test('jitter: written at its instant, started later, and the wait is durable', async () => {
    const house = await openHouse();
    await house.put({ name: 'j', schedule: '0 */5 * * * *', jitter: '4m' });
    await house.run(301);
    const { due_at: due } = await house.row('SELECT due_at FROM occurrences');
    expect(await house.lines('j')).toEqual(['schedule 00:05:00 delayed']);
    await house.restart();
    await house.run(250);
    expect(await house.lines('j')).toEqual(['schedule 00:05:00 succeeded']);
    expect((house.starts[0]?.key ?? 0) >= (due as number)).toBe(true);
    const started = await house.row('SELECT started_at_us / 1000 AS at FROM executions');
    expect(Math.abs((started['at'] as number) - (due as number))).toBeLessThan(1_100);
  });
});

describe('bad days', () => {
  test('a clock stepped back emits nothing twice; stepped forward it is a misfire', async () => {
    const house = await openHouse();
    await house.put(minutely);
    await house.run(130);
    house.time.step(-90_000);
    await house.run(95);
    expect(await house.lines('j')).toEqual(['schedule 00:01:00 succeeded', 'schedule 00:02:00 succeeded']);
    house.time.step(600_000);
    await house.run(5);
    expect(await house.lines('j')).toEqual([
      'schedule 00:01:00 succeeded',
      'schedule 00:02:00 succeeded',
      'schedule 00:03:00-00:11:00 x9 missed: superseded',
      'schedule 00:12:00 succeeded',
    ]);
    expect(house.events.filter((event) => event.kind === 'clock_stepped').length).toBe(2);
  });

  test('no room: nothing is launched, nothing spins, and all of it runs or is recorded afterwards', async () => {
    let full = false;
    const house = await openHouse({
      faults: { write: () => (full ? 'full' : 'none') },
      script: () => ({ durationMs: 3_000 }),
    });
    await house.put({ ...minutely, concurrency: 'queue', schedule: '*/2 * * * * *' });
    await house.run(5);
    full = true;
    await house.run(60);
    const refused = await house.do(house.leader.jobs.toggle('j').catch((error: unknown) => error));
    expect(refused).toMatchObject({ code: 'disk_full' });
    full = false;
    await house.run(20);
    const counts = (await house.seen('j')).reduce((sum, run) => sum + run.count, 0);
    expect(counts).toBe(42);
    expect(
      (await house.seen('j')).filter((run) => ['queued', 'active'].includes(run.state)).length,
    ).toBeLessThanOrEqual(2);
  });

  test('an ended run gives its place to the next one, though its result finds no room yet', async () => {
    let full = false;
    const house = await openHouse({
      leader: { maxRuns: 1 },
      faults: { write: () => (full ? 'full' : 'none') },
      script: () => ({ durationMs: 3_000 }),
    });
    await house.put({ ...minutely, name: 'a' });
    await house.put({ ...minutely, name: 'b' });
    await house.run(61);
    expect(house.leader.counts()).toMatchObject({ running: 1, waiting: 1 });
    full = true;
    await house.run(4);
    expect(house.leader.counts()).toMatchObject({ running: 1, waiting: 0 });
    expect(house.events.filter(({ kind }) => kind === 'execution_ended')).toEqual([]);
    full = false;
    await house.run(5);
    for (const name of ['a', 'b']) expect(await house.lines(name)).toEqual(['schedule 00:01:00 succeeded']);
  });

  test('a job disabled before the result of its run is committed gets no further attempt', async () => {
    let full = true;
    const isResult = ({ sql }: { readonly sql: string }) => /UPDATE executions/.test(sql);
    const house = await openHouse({
      faults: { write: (statements) => (full && statements.some(isResult) ? 'full' : 'none') },
      script: () => ({ durationMs: 1_000, outcome: 'failed' }),
    });
    await house.put({ ...minutely, retries: 3, retry: { delay: '1s', jitter: 0 } });
    await house.run(63);
    expect(house.leader.counts()).toMatchObject({ running: 0, unfinished: 1, results: 1 });
    await house.do(house.leader.jobs.toggle('j'));
    full = false;
    await house.run(30);
    expect(await house.lines('j')).toEqual(['schedule 00:01:00 failed: exit']);
    expect((await house.seen('j'))[0]?.executions).toHaveLength(1);
    expect(house.leader.counts()).toMatchObject({ running: 0, unfinished: 0, results: 0 });
  });

  test('results that cannot be committed hold schedules back as runs that wait do', async () => {
    let full = true;
    const isResult = ({ sql }: { readonly sql: string }) => /UPDATE executions/.test(sql);
    const house = await openHouse({
      leader: { maxRuns: 2, maxWaiting: 5 },
      faults: { write: (statements) => (full && statements.some(isResult) ? 'full' : 'none') },
    });
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) await house.put({ name, schedule: '* * * * * *' });
    await house.run(60);
    expect(house.leader.counts().results).toBeGreaterThanOrEqual(5);
    expect(house.leader.counts().results).toBeLessThan(42);
    full = false;
    await house.run(5);
    expect(house.leader.counts().results).toBeLessThan(5);
  });

  test('a low disk holds launching back without a busy loop', async () => {
    let asked = 0;
    let room = true;
    const house = await openHouse({
      faults: {
        mayLaunch: () => {
          asked++;
          return room;
        },
      },
    });
    await house.put(minutely);
    room = false;
    await house.run(120);
    expect(house.starts).toEqual([]);
    expect(asked).toBeLessThan(1_000);
    room = true;
    await house.run(2);
    expect(house.starts.length).toBe(1);
  });

  test('a second leader fences the first: its writes are refused and it gives up', async () => {
    const house = await openHouse();
    await house.put(minutely);
    await house.run(30);
    const old = house.node;
    old.stop();
    house.forget();
    await house.restart();
    await house.run(60);
    old.resume();
    await house.run(60);
    expect(old.dead).toBe(true);
    expect(house.failures.splice(0).map(String)).toEqual([
      'FencedError: this node is no longer the leader of its data',
    ]);
    expect(await house.lines('j')).toEqual(['schedule 00:01:00 succeeded', 'schedule 00:02:00 succeeded']);
  });

  test('after a restore the gap is one row and unknown intents are lost', async () => {
    const house = await openHouse({ script: () => ({ durationMs: 90_000 }) });
    await house.put(minutely);
    await house.run(65);
    house.node.crash();
    house.agent.powerCut();
    house.agent.forgetAll();
    await house.run(600);
    await house.do(
      house.database.write([recordMarker({ restoredAt: house.time.wall(), backupCreatedAt: null, catchUp: false })]),
    );
    await house.restart();
    await house.run(60);
    expect(await house.lines('j')).toEqual([
      'schedule 00:01:00 lost: restored',
      'schedule 00:02:00-00:11:00 x10 missed: restored',
      'schedule 00:12:00 active',
    ]);
  });
});
