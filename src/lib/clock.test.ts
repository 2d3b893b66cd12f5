import { expect, test } from 'vitest';
import { systemClock } from './clock.ts';

test('an exact timer fires at its moment of wall time, not before, and once', async () => {
  for (const ms of [0, 1, 3, 20]) {
    const target = Date.now() + ms;
    const fired: number[] = [];
    await new Promise<void>((resolve) => {
      systemClock.setExactTimer(ms, () => {
        fired.push(Date.now());
        resolve();
      });
    });
    await systemClock.sleep(5);
    expect(fired.length).toBe(1);
    expect(fired[0]).toBeGreaterThanOrEqual(target);
  }
});

test('an exact timer that is cancelled does not fire', async () => {
  let fired = 0;
  systemClock.setExactTimer(10, () => (fired += 1)).cancel();
  await systemClock.sleep(30);
  expect(fired).toBe(0);
});
