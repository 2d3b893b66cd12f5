// Concurrency decided in the committing batch: forbid, queue, replace, allow, for scheduled and manual runs.
import { describe, expect, test } from 'vitest';
import { openHouse } from '../../test/sim/house.ts';

const long = { script: () => ({ durationMs: 25_000 }) };
const every10s = { name: 'j', schedule: '*/10 * * * * *' };

describe('overlap', () => {
  test('allow runs side by side', async () => {
    const house = await openHouse(long);
    await house.put({ ...every10s, concurrency: 'allow' });
    await house.run(30);
    expect(house.starts.length).toBe(3);
    expect(await house.lines('j')).toEqual([
      'schedule 00:00:10 active',
      'schedule 00:00:20 active',
      'schedule 00:00:30 active',
    ]);
  });

  test('forbid skips, and consecutive skips are one row', async () => {
    const house = await openHouse(long);
    await house.put({ ...every10s, concurrency: 'forbid' });
    await house.run(75);
    expect(await house.lines('j')).toEqual([
      'schedule 00:00:10 succeeded',
      'schedule 00:00:20-00:00:30 x2 skipped: overlap',
      'schedule 00:00:40 succeeded',
      'schedule 00:00:50-00:01:00 x2 skipped: overlap',
      'schedule 00:01:10 active',
    ]);
  });

  test('forbid: a skip does not reach over a run of the same wake-up', async () => {
    let room = true;
    const house = await openHouse({ script: () => ({ durationMs: 15_000 }), faults: { mayLaunch: () => room } });
    await house.put({ ...every10s, concurrency: 'forbid' });
    await house.run(22); // 00:10 runs, 00:20 is skipped
    room = false;
    await house.run(20);
    room = true; // 00:30 and 00:40 are due at once: one runs, the other is skipped
    await house.run(2);
    expect(await house.lines('j')).toEqual([
      'schedule 00:00:10 succeeded',
      'schedule 00:00:20 skipped: overlap',
      'schedule 00:00:30 active',
      'schedule 00:00:40 skipped: overlap',
    ]);
  });

  test('queue holds one and skips the rest', async () => {
    const house = await openHouse(long);
    await house.put({ ...every10s, concurrency: 'queue' });
    await house.run(36);
    expect(await house.lines('j')).toEqual([
      'schedule 00:00:10 succeeded',
      'schedule 00:00:20 active',
      'schedule 00:00:30 skipped: queue_full',
    ]);
  });

  test('replace ends the old one, then starts the new one', async () => {
    const house = await openHouse({ script: () => ({ durationMs: 25_000, stopMs: 3_000 }) });
    await house.put({ ...every10s, concurrency: 'replace' });
    await house.run(21);
    expect(await house.lines('j')).toEqual(['schedule 00:00:10 active', 'schedule 00:00:20 queued']);
    await house.run(3);
    expect(await house.lines('j')).toEqual(['schedule 00:00:10 cancelled: replaced', 'schedule 00:00:20 active']);
  });

  test('replace: a run between attempts gives way, and so does one whose failure is being recorded', async () => {
    const house = await openHouse({ script: () => ({ durationMs: 9_900, outcome: 'failed' }) });
    await house.put({ ...every10s, concurrency: 'replace', retries: 5, retry: { delay: '1h' } });
    await house.run(41);
    const lines = await house.lines('j');
    expect(lines.slice(0, 2)).toEqual([
      'schedule 00:00:10 cancelled: replaced',
      'schedule 00:00:20 cancelled: replaced',
    ]);
  });

  test('a manual run that overlaps is refused with the group in its way, on record, and can be forced', async () => {
    const house = await openHouse(long);
    await house.put({ ...every10s, concurrency: 'forbid' });
    await house.run(12);
    const [first] = await house.seen('j');
    const refusal = await house.do(house.leader.jobs.run('j', { force: false }).catch((error: unknown) => error));
    expect(refusal).toMatchObject({ code: 'overlap', group: first?.group });
    const { group } = await house.do(house.leader.jobs.run('j', { force: true }));
    await house.run(1);
    const lines = await house.lines('j');
    expect(lines).toContainEqual(expect.stringMatching(/^manual .* skipped: overlap$/));
    expect(house.starts.map((start) => start.group)).toContain(group);
    // The forced run counts as running.
    await house.run(24);
    expect(await house.lines('j')).toContainEqual('schedule 00:00:20-00:00:30 x2 skipped: overlap');
  });
});
