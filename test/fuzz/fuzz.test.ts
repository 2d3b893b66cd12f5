// A short run of the fuzzer with a new seed each time, and proof that it sees what it looks for.
import { afterAll, expect, test } from 'vitest';
import { closeTargets, fuzz } from './run.ts';
import { countSteps } from './steps.ts';
import { must, STEPS_MAX, type Target, withInput } from './target.ts';

afterAll(closeTargets);

const seed = Math.floor(Math.random() * 2 ** 31);

test(`inputs with seed ${seed}: no crash, no hang, errors that say where`, async () => {
  const until = performance.now() + 8_000;
  const { counts, faults } = await fuzz({ seed, count: 20_000, over: () => performance.now() > until });
  expect(faults).toEqual([]);
  for (const [name, count] of counts) expect(count, name).toBeGreaterThan(0);
}, 60_000);

const planted = (run: Target['run']): Target => ({ name: 'planted', weight: 1, limitMs: 20, run });

test.each<[string, Target, RegExp]>([
  [
    'an exception',
    planted((dice) => {
      const text = dice.mangle('abc');
      withInput(text, () => {
        if (text !== 'abc') throw new TypeError('cannot read properties of undefined');
      });
    }),
    /cannot read[\s\S]*input: "/,
  ],
  ['something that does not hold', planted((dice) => must(dice.int(10) !== 3, 'never three', 3)), /never three: 3/],
  [
    'an input that takes long',
    planted((dice) => {
      const until = performance.now() + (dice.chance(0.1) ? 30 : 0);
      while (performance.now() < until);
    }),
    /took \d+ ms, more than 20/,
  ],
])('%s is found and can be repeated', async (_name, target, message) => {
  const { faults } = await fuzz({ seed: 7, count: 200 }, [target]);
  expect(faults[0]?.message).toMatch(message);
  const again = await fuzz({ seed: 7, count: 200 }, [target]);
  expect(again.faults.map(({ inputSeed }) => inputSeed)).toEqual(faults.map(({ inputSeed }) => inputSeed));
});

test('an input that costs too many steps is found, and its time is not held against it', async () => {
  const busy = planted((dice) => {
    const until = performance.now() + (dice.chance(0.1) ? 30 : 0);
    while (performance.now() < until);
  });
  const within = await fuzz({ seed: 7, count: 200, countSteps: () => Promise.resolve(STEPS_MAX) }, [busy]);
  expect(within.faults).toEqual([]);
  expect(within.slowest.get('planted')?.[0]).toMatchObject({ steps: STEPS_MAX });
  const beyond = await fuzz({ seed: 7, count: 200, countSteps: () => Promise.resolve(STEPS_MAX + 1) }, [busy]);
  expect(beyond.faults[0]?.message).toBe('one input cost 10000001 steps, more than 10000000');
});

test('steps are counted, and the same each time', async () => {
  const [first, second] = [await countSteps('schedule text', 11), await countSteps('schedule text', 11)];
  expect(first).toBeGreaterThan(10);
  expect(second).toBe(first);
}, 30_000);
