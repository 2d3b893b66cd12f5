/** Opens houses for a test file and closes them after each test, with the check that no leader gave up unasked. */
import { afterEach, expect } from 'vitest';
import { House, type HouseOptions } from './kit.ts';

const open: House[] = [];

afterEach(async () => {
  const houses = open.splice(0);
  for (const house of houses) await house.close();
  for (const house of houses) expect(house.failures).toEqual([]);
});

export async function openHouse(options: HouseOptions = {}): Promise<House> {
  const house = await House.open(options);
  open.push(house);
  return house;
}
