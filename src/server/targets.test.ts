// Tags choose the node: a job meant for others does not run here, and that is on record.
import { expect, test } from 'vitest';
import { openHouse } from '../../test/sim/house.ts';

const short = { script: () => ({ durationMs: 100 }) };

test('tags of this node: it runs', async () => {
  const house = await openHouse(short);
  await house.put({ name: 'j', schedule: '@at 2026-03-01T00:00:05Z', tags: { pool: 'batch:1', node: 'node1' } });
  await house.run(10);
  expect(await house.lines('j')).toEqual(['schedule 00:00:05 succeeded']);
});

test('tags of another: it waits for its grace, then it is missed; nothing was started', async () => {
  const house = await openHouse(short);
  await house.put({ name: 'j', schedule: '@at 2026-03-01T00:00:05Z', tags: { pool: 'web' } });
  await house.run(60);
  expect(await house.lines('j')).toEqual(['schedule 00:00:05 active']);
  await house.run(10);
  expect(await house.lines('j')).toEqual(['schedule 00:00:05 missed: no_target']);
  expect(house.starts).toEqual([]);
  expect(await house.row('SELECT count(*) AS n FROM executions')).toEqual({ n: 0 });
});

test('a node with the tags appears in time', async () => {
  const leader = { tags: { pool: 'batch' } };
  const house = await openHouse({ ...short, leader });
  await house.put({ name: 'j', schedule: '@at 2026-03-01T00:00:05Z', tags: { pool: 'web' } });
  await house.run(30);
  leader.tags = { pool: 'web' };
  await house.restart();
  await house.run(2);
  expect(await house.lines('j')).toEqual(['schedule 00:00:05 succeeded']);
});

test('what waits for a node takes no place from others, and can be stopped', async () => {
  const house = await openHouse({ ...short, leader: { maxRuns: 1, maxWaiting: 2 } });
  await house.put({ name: 'other', schedule: '@every 1s', tags: { pool: 'web' } });
  await house.put({ name: 'here', schedule: '@every 10s' });
  await house.run(35);
  expect((await house.lines('here')).every((line) => line.endsWith('succeeded'))).toBe(true);
  expect((await house.lines('here')).length).toBe(3);
  await house.do(house.leader.jobs.delete('other', 'kill'));
  await house.run(1);
  expect(new Set((await house.lines('other')).map((line) => line.replace(/^.* /, '')))).toEqual(
    new Set(['job_deleted']),
  );
});

test('by hand: refused, with the tags', async () => {
  const house = await openHouse(short);
  await house.put({ name: 'j', schedule: '@manually', tags: { pool: 'web' } });
  const refused = house.do(house.leader.jobs.run('j', { force: false }));
  await expect(refused).rejects.toMatchObject({
    code: 'no_target',
    message: 'no node has the tags of job j: {"pool":"web"}',
  });
  expect(await house.lines('j')).toEqual([]);
});
