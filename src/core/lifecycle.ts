/** What follows from the end of an attempt: another attempt, or the occurrence's final outcome (SEMANTICS §1.5 and §6). */
import type { ExecutionEnded } from '../model/agent.ts';
import type { Outcome, Reason } from '../model/occurrence.ts';
import { retryDelayMs, type RetryPolicy } from './retry.ts';

/** The attempts made so far, the ended one included. */
export interface AttemptHistory {
  readonly attempt: number;
  readonly relaunches: number;
}

export interface LifecyclePolicy {
  readonly retry: RetryPolicy;
  readonly atLeastOnce: boolean;
  readonly relaunchMax: number;
}

/** again: the occurrence waits `delayMs` for its next attempt. final: it has its outcome. */
export type NextStep =
  | { readonly kind: 'again'; readonly why: 'retry' | 'relaunch'; readonly delayMs: number }
  | { readonly kind: 'final'; readonly outcome: Outcome; readonly reason: Reason };

/** `random` is uniform in [0, 1). Only `failed` is retried; `lost` starts again only under at-least-once. */
export function afterAttempt(
  ended: Pick<ExecutionEnded, 'outcome' | 'reason' | 'retryAfterMs'>,
  history: AttemptHistory,
  policy: LifecyclePolicy,
  random: number,
): NextStep {
  if (ended.outcome === 'lost' && policy.atLeastOnce && history.relaunches < policy.relaunchMax) {
    return { kind: 'again', why: 'relaunch', delayMs: 0 };
  }
  const retry = history.attempt - history.relaunches;
  if (ended.outcome === 'failed' && retry <= policy.retry.retries) {
    return { kind: 'again', why: 'retry', delayMs: retryDelayMs(policy.retry, retry, random, ended.retryAfterMs) };
  }
  return { kind: 'final', outcome: ended.outcome, reason: ended.reason };
}
