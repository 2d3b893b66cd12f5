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
    // Whatever was set for the same moment would have fired before a later timer does.
    await new Promise<void>((resolve) => systemClock.setExactTimer(2, resolve));
    expect(fired.length).toBe(1);
    expect(fired[0]).toBeGreaterThanOrEqual(target);
  }
});

test('an exact timer that is cancelled does not fire', async () => {
  let fired = 0;
  systemClock.setExactTimer(1, () => (fired += 1)).cancel();
  await new Promise<void>((resolve) => systemClock.setExactTimer(5, resolve));
  expect(fired).toBe(0);
});
