/** Opens houses for a test file and closes them after each test, with the check that no leader gave up unasked. */
import { afterEach, expect } from 'vitest';
import { House, type HouseOptions } from './kit.ts';

const open: House[] = [];
let database: HouseOptions['database'];

/** From here on the houses of this test file stand on stores made so. */
export function standOn(store: HouseOptions['database']): void {
  database = store;
}

afterEach(async () => {
  const houses = open.splice(0);
  for (const house of houses) await house.close();
  for (const house of houses) expect(house.failures).toEqual([]);
});

export async function openHouse(options: HouseOptions = {}): Promise<House> {
  const house = await House.open({ ...(database === undefined ? {} : { database }), ...options });
  open.push(house);
  return house;
}
