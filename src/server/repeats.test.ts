// Writes whose end is not known are repeated, messages are refused, ids are given once: faults the simulation found, as single cases.
import { describe, expect, test } from 'vitest';
import { openHouse } from '../../test/sim/house.ts';

type WriteFault = 'none' | 'unknown_applied' | 'full';

/** Answers the next writes that carry what a job's tick writes with these faults, in turn. */
function faultsFor(table: string) {
  const script: WriteFault[] = [];
  const write = (statements: readonly { sql: string }[]): WriteFault =>
    statements.some(({ sql }) => sql.startsWith(`INSERT INTO ${table}`)) ? (script.shift() ?? 'none') : 'none';
  return { script, write };
}

describe('a batch that is repeated', () => {
  test('does not lengthen a skip over the run it made itself', async () => {
    const { script, write } = faultsFor('occurrences');
    const house = await openHouse({ faults: { write }, script: () => ({ durationMs: 15_000 }) });
    await house.put({ name: 'j', schedule: '*/10 * * * * *', concurrency: 'forbid' });
    await house.run(28); // 00:10 runs, 00:20 is skipped
    script.push('unknown_applied');
    await house.run(3); // 00:30 runs; its batch is written twice
    expect(await house.lines('j')).toEqual([
      'schedule 00:00:10 succeeded',
      'schedule 00:00:20 skipped: overlap',
      'schedule 00:00:30 active',
    ]);
  });

  test('does not cancel the waiter it made itself', async () => {
    const { script, write } = faultsFor('occurrences');
    const house = await openHouse({ faults: { write }, script: () => ({ durationMs: 60_000, stopMs: 5_000 }) });
    await house.put({ name: 'j', schedule: '*/10 * * * * *', concurrency: 'replace' });
    await house.run(15);
    script.push('unknown_applied');
    await house.run(12);
    expect(await house.lines('j')).toEqual(['schedule 00:00:10 cancelled: replaced', 'schedule 00:00:20 active']);
  });

  test('is not taken for undone when the disk is full at its repetition', async () => {
    const { script, write } = faultsFor('occurrences');
    const house = await openHouse({ faults: { write } });
    await house.put({ name: 'j', schedule: '0 * * * * *' });
    await house.run(50);
    script.push('unknown_applied', 'full', 'full');
    await house.run(60);
    expect(await house.lines('j')).toEqual(['schedule 00:01:00 succeeded']);
    expect(house.starts.length).toBe(1);
  });
});

describe('the agent', () => {
  test('hands a run back whose job goes meanwhile: it never starts', async () => {
    const house = await openHouse();
    await house.put({ name: 'j', schedule: '@manually' });
    house.agent.refuses = 'disk_full';
    await house.do(house.leader.jobs.run('j', { force: false }));
    await house.do(house.leader.jobs.delete('j', 'detach'));
    await house.run(0.1);
    house.agent.refuses = null;
    await house.run(10);
    expect(house.starts).toEqual([]);
    expect((await house.seen('j')).map((run) => run.state)).toEqual(['cancelled: job_deleted']);
  });

  test('never got a run of a job that was deleted before the crash: it never starts', async () => {
    const house = await openHouse();
    await house.put({ name: 'j', schedule: '@manually' });
    await house.do(house.leader.jobs.run('j', { force: false }));
    await house.do(house.leader.jobs.delete('j', 'detach'));
    await house.restart();
    await house.run(10);
    expect(house.starts).toEqual([]);
    expect((await house.seen('j')).map((run) => run.state)).toEqual(['cancelled: job_deleted']);
  });
});

test('an id that retention took is not given again, even after the clock was stepped back', async () => {
  const house = await openHouse({
    leader: {
      retention: { runs: 1, ageMs: 1, keep: 1, logBytesPerJob: 1e9, logBytesTotal: 1e12, logAgeMs: 1e12, logRuns: 1e6 },
    },
  });
  await house.put({ name: 'old', schedule: '@manually' });
  await house.run(600);
  const { group } = await house.do(house.leader.jobs.run('old', { force: false }));
  await house.run(2);
  house.time.step(-300_000);
  // Newer by their instants is what counts; the row with the greatest id is the one that goes.
  await house.do(house.database.write([{ sql: 'UPDATE occurrences SET nominal_at = 1', params: [] }]));
  for (let run = 0; run < 3; run++) {
    await house.restart();
    await house.do(house.leader.jobs.run('old', { force: false }));
    await house.run(100);
  }
  expect(await house.row('SELECT count(*) AS n FROM occurrences WHERE group_id = ?', group)).toEqual({ n: 0 });
  expect(new Set(house.starts.map((start) => start.group)).size).toBe(house.starts.length);
});

test('a waiter is not starved by newer runs once its job allows overlaps', async () => {
  const house = await openHouse({ script: () => ({ durationMs: 25_000 }) });
  await house.put({ name: 'j', schedule: '*/10 * * * * *', concurrency: 'queue' });
  await house.run(21);
  await house.put({ name: 'j', schedule: '*/10 * * * * *', concurrency: 'allow' });
  await house.run(50);
  const second = (await house.seen('j')).find((run) => run.at.startsWith('2026-03-01T00:00:20'));
  expect(second?.state).not.toBe('queued');
});
