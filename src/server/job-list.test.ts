// The list follows what happens to jobs, whoever does it, and a new leader lists the same.
import { expect, test } from 'vitest';
import { openHouse } from '../../test/sim/house.ts';
import { type JobInput, parseJobInput } from '../model/job.ts';

const all = {
  q: null,
  status: null,
  disabled: null,
  metadata: {},
  sort: 'name',
  descending: false,
  start: 0,
  end: null,
} as const;

test('created, renamed for people, deleted, ephemeral, restored, and after a restart', async () => {
  const house = await openHouse({ script: () => ({ durationMs: 1_000 }) });
  const list = async (query: object = {}) => {
    const { total, jobs } = await house.do(house.leader.jobs.list({ ...all, ...query }));
    return `${total}: ${jobs.map(({ name }) => name).join(' ')}`;
  };
  const manual = { schedule: '@manually' };
  for (const name of ['b', 'c', 'a', 'd']) await house.put({ ...manual, name });
  expect(await list()).toBe('4: a b c d');
  expect(await list({ descending: true, start: 1, end: 3 })).toBe('4: c b');
  await house.put({ ...manual, name: 'c', displayname: 'Nightly' });
  expect(await list({ q: 'ight' })).toBe('1: c');
  await house.put({ ...manual, name: 'c', displayname: 'Weekly' });
  expect(await list({ q: 'ight' })).toBe('0: ');
  await house.do(house.leader.jobs.delete('b', 'detach'));
  await house.put({ name: 'once', schedule: '@at 2026-03-01T00:00:05Z', ephemeral: true });
  expect(await list()).toBe('4: a c d once');
  await house.run(10);
  expect(await list()).toBe('3: a c d');
  await house.put({ ...manual, name: 'b' });
  expect(await list({ start: 1 })).toBe('4: b c d');
  await house.restart();
  expect(await list()).toBe('4: a b c d');
  expect(await list({ q: 'Week' })).toBe('1: c');
});

test('who depends on a job: its children, in order, also those of the same commit, and none once they have gone', async () => {
  const house = await openHouse({ script: () => ({ durationMs: 1_000 }) });
  const { jobs } = house.leader;
  const dependents = async () => (await house.do(jobs.get('mother'))).dependent_jobs;
  const put = (job: Record<string, unknown>) => jobs.put(input(job), { runOnCreate: false });
  await house.put({ name: 'mother', schedule: '@manually' });
  expect(await dependents()).toBeNull();
  const [updated] = await house.do(
    Promise.all([
      put({ name: 'mother', schedule: '@manually', owner: 'Ops' }),
      put({ name: 'son', parent_job: 'mother' }),
      put({ name: 'daughter', parent_job: 'mother' }),
    ]),
  );
  expect(updated.job).toMatchObject({ owner: 'Ops', dependent_jobs: ['daughter', 'son'] });
  expect(await dependents()).toEqual(['daughter', 'son']);
  await house.restart();
  expect((await house.do(house.leader.jobs.get('mother'))).dependent_jobs).toEqual(['daughter', 'son']);
  await house.do(house.leader.jobs.delete('son', 'detach'));
  expect((await house.do(house.leader.jobs.get('mother'))).dependent_jobs).toEqual(['daughter']);
  await house.do(house.leader.jobs.delete('daughter', 'detach'));
  expect((await house.do(house.leader.jobs.get('mother'))).dependent_jobs).toBeNull();
});

function input(job: Record<string, unknown>): JobInput {
  const parsed = parseJobInput({ executor: 'shell', executor_config: { command: 'true' }, ...job });
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.job;
}
