import { describe, expect, test } from 'vitest';
import { type RetryPolicy, retryDelayMs } from './retry.ts';

const policy: RetryPolicy = { retries: 10, delayMs: 1_000, factor: 2, delayMaxMs: 10_000, jitter: 0 };

describe('retryDelayMs', () => {
  test('grows by its factor up to its limit', () => {
    expect([1, 2, 3, 4, 5, 50].map((retry) => retryDelayMs(policy, retry, 0))).toEqual([
      1_000, 2_000, 4_000, 8_000, 10_000, 10_000,
    ]);
  });

  test('jitter only shortens it, by at most its share', () => {
    const jittered = { ...policy, jitter: 0.5 };
    expect(retryDelayMs(jittered, 1, 0)).toBe(1_000);
    expect(retryDelayMs(jittered, 1, 0.999)).toBeGreaterThanOrEqual(500);
  });

  test('waits as long as the target asked for, within its limit', () => {
    expect(retryDelayMs(policy, 1, 0, 4_000)).toBe(4_000);
    expect(retryDelayMs(policy, 1, 0, 90_000)).toBe(10_000);
    expect(retryDelayMs(policy, 3, 0, 100)).toBe(4_000);
  });
});
