import { describe, expect, test } from 'vitest';
import { afterAttempt, type LifecyclePolicy } from './lifecycle.ts';

const policy: LifecyclePolicy = {
  retry: { retries: 2, delayMs: 1_000, factor: 2, delayMaxMs: 60_000, jitter: 0 },
  atLeastOnce: false,
  relaunchMax: 3,
};
const failed = { outcome: 'failed', reason: 'exit' } as const;
const lost = { outcome: 'lost', reason: 'supervisor_gone' } as const;

describe('afterAttempt', () => {
  test('a failure is tried again until the retries are used up', () => {
    expect(afterAttempt(failed, { attempt: 1, relaunches: 0 }, policy, 0)).toEqual({
      kind: 'again',
      why: 'retry',
      delayMs: 1_000,
    });
    expect(afterAttempt(failed, { attempt: 2, relaunches: 0 }, policy, 0)).toEqual({
      kind: 'again',
      why: 'retry',
      delayMs: 2_000,
    });
    expect(afterAttempt(failed, { attempt: 3, relaunches: 0 }, policy, 0)).toEqual({
      kind: 'final',
      outcome: 'failed',
      reason: 'exit',
    });
  });

  test('relaunches use up no retries', () => {
    const step = afterAttempt(failed, { attempt: 4, relaunches: 2 }, { ...policy, atLeastOnce: true }, 0);
    expect(step).toMatchObject({ kind: 'again', why: 'retry', delayMs: 2_000 });
  });

  test('lost is final unless the guarantee is at-least-once', () => {
    expect(afterAttempt(lost, { attempt: 1, relaunches: 0 }, policy, 0)).toEqual({ kind: 'final', ...lost });
    const again = { ...policy, atLeastOnce: true };
    expect(afterAttempt(lost, { attempt: 1, relaunches: 0 }, again, 0)).toEqual({
      kind: 'again',
      why: 'relaunch',
      delayMs: 0,
    });
    expect(afterAttempt(lost, { attempt: 4, relaunches: 3 }, again, 0)).toEqual({ kind: 'final', ...lost });
  });

  test('a success and a cancellation are final', () => {
    expect(afterAttempt({ outcome: 'succeeded', reason: '' }, { attempt: 1, relaunches: 0 }, policy, 0).kind).toBe(
      'final',
    );
    expect(afterAttempt({ outcome: 'cancelled', reason: 'user' }, { attempt: 1, relaunches: 0 }, policy, 0).kind).toBe(
      'final',
    );
  });
});
