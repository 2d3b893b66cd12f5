/** When the next attempt starts (SEMANTICS §6). */

/** A job's retry policy; delays in ms. */
export interface RetryPolicy {
  readonly retries: number;
  readonly delayMs: number;
  readonly factor: number;
  readonly delayMaxMs: number;
  /** 0..1: the delay is drawn from [1 - jitter, 1] of itself. */
  readonly jitter: number;
}

/** Delay before retry number `retry` (1-based), never below what the target asked for with Retry-After. `random` is uniform in [0, 1). */
export function retryDelayMs(policy: RetryPolicy, retry: number, random: number, retryAfterMs = 0): number {
  const grown = Math.min(policy.delayMaxMs, policy.delayMs * policy.factor ** (retry - 1));
  const spread = grown * (1 - policy.jitter * random);
  return Math.round(Math.max(spread, Math.min(retryAfterMs, policy.delayMaxMs)));
}
