// A hundred thousand occurrences under random load and faults. `npm run sim` does ten times as many, with other seeds.
import { describe, expect, test } from 'vitest';
import { Points } from './points.ts';
import { runWorld } from './world.ts';

const OCCURRENCES = 100_000;
/** Seeds that once failed, kept. */
const KEPT = [2, 3, 5, 6, 8, 26, 64, 105, 112, 1003];

describe('simulation', () => {
  test(`${OCCURRENCES} occurrences, every promise kept`, { timeout: 300_000 }, async () => {
    const points = new Points();
    let judged = 0;
    const seeds = [...KEPT, ...Array.from({ length: 100 }, (_, index) => 50_000 + index)];
    for (const seed of seeds) {
      if (judged >= OCCURRENCES) break;
      const result = await runWorld({ seed, occurrences: 8_000, points, profile: 'dense' });
      judged += result.occurrences;
      const again = `node test/sim/main.ts --seed ${seed} --worlds 1 --world 8000 --profile dense --trace`;
      expect(result.complaints, `seed ${seed}; repeat with: ${again}`).toEqual([]);
    }
    expect(judged).toBeGreaterThanOrEqual(OCCURRENCES);
    expect(points.ports.size).toBeGreaterThan(8);
  });

  test.each(['sparse', 'dst'] as const)(
    '%s schedules, days with a clock change',
    { timeout: 120_000 },
    async (profile) => {
      const points = new Points();
      for (const seed of [1, 2]) {
        const result = await runWorld({ seed, occurrences: 400, points, profile });
        expect(
          result.complaints,
          `repeat with: node test/sim/main.ts --seed ${seed} --worlds 1 --world 400 --profile ${profile} --trace`,
        ).toEqual([]);
      }
    },
  );
});
