// Occurrences that share a statement: what became of each is known, also when some of them did not come into being.
import { describe, expect, it } from 'vitest';
import { openHouse } from '../../test/sim/house.ts';
import type { House } from '../../test/sim/kit.ts';

/** Two statements' worth, and the same with some left over. */
const FULL = 32;
const WITH_REST = 37;

async function openWithJobs(count: number): Promise<House> {
  const house = await openHouse();
  for (let i = 0; i < count; i++) await house.put({ name: `j${i}`, schedule: '10 0 0 * * *' });
  return house;
}

describe('a shared statement', () => {
  it('starts every job of it once', async () => {
    const house = await openWithJobs(WITH_REST);
    await house.run(20);
    expect(house.starts.map((start) => start.job).toSorted()).toEqual(
      Array.from({ length: WITH_REST }, (_, i) => `j${i}`).toSorted(),
    );
    expect(house.leader.live.size).toBe(0);
  });

  it('starts the others when one of it changed behind the plan', async () => {
    const house = await openWithJobs(FULL);
    // As if another leader had written a newer version: this one's plan for the job is outdated.
    const behind = {
      sql: "UPDATE job_state SET version = 2 WHERE job_id = (SELECT id FROM jobs WHERE name = 'j3')",
      params: [],
    };
    expect(await house.do(house.database.write([behind]))).toMatchObject({ kind: 'committed' });
    await house.run(20);
    expect(house.starts.map((start) => start.job).toSorted()).toEqual(
      Array.from({ length: FULL }, (_, i) => `j${i}`)
        .filter((name) => name !== 'j3')
        .toSorted(),
    );
    expect(await house.seen('j3')).toEqual([]);
    expect(house.leader.live.size).toBe(0);
    expect(house.failures).toEqual([]);
  });
});
