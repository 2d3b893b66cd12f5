// A node that was told to stop: from that moment on it starts nothing and answers for nothing it will not start.
import { expect, test } from 'vitest';
import { openHouse } from '../../test/sim/house.ts';
import type { House } from '../../test/sim/kit.ts';
import type { Leader } from './leader.ts';

const leaderOf = (house: House): Leader => house.node.leader as Leader;

test('no launch, no manual run; what does not launch is taken', async () => {
  const house = await openHouse({ script: () => ({ durationMs: 1_000 }) });
  await house.put({ name: 'j', schedule: '@every 10s' });
  await house.run(12);
  expect(house.starts.length).toBe(1);
  const { jobs, scheduler } = leaderOf(house);
  scheduler.stop();
  const refusal = { code: 'unavailable', message: expect.stringMatching(/^this node is stopping/) as string };
  await expect(house.do(jobs.run('j', { force: true }))).rejects.toMatchObject(refusal);
  await expect(house.do(jobs.run('nobody', { force: false }))).rejects.toMatchObject({ code: 'not_found' });
  await house.do(jobs.toggle('j'));
  await house.do(jobs.toggle('j'));
  await house.run(60);
  expect(house.starts.length).toBe(1);
  expect(await house.lines('j')).toEqual([expect.stringMatching(/^schedule 00:00:10 succeeded/)]);
});
