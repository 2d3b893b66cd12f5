/**
 * What happened to one time a job was due: trigger, phase, outcome and reason (SEMANTICS §1.3).
 * Stored as small integers; the arrays below are the code books and must only ever grow at the end.
 */

/** Why an occurrence exists. */
export const TRIGGERS = ['schedule', 'manual', 'parent'] as const;
export type Trigger = (typeof TRIGGERS)[number];

/**
 * Where an unfinished occurrence stands. `final` is the only phase with an outcome.
 * delayed: waits for due_at (jitter). queued: waits for the job's running occurrence (concurrency queue or replace).
 * active: its newest execution has an intent. retrying: waits for wake_at before the next attempt.
 */
export const PHASES = ['final', 'delayed', 'queued', 'active', 'retrying'] as const;
export type Phase = (typeof PHASES)[number];

/** How an occurrence or execution ended; index 0 stands for "not finished". */
export const OUTCOMES = [
  'unfinished',
  'succeeded',
  'partially_failed',
  'failed',
  'skipped',
  'missed',
  'lost',
  'cancelled',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** Why it ended so; index 0 is the empty reason of a success. */
export const REASONS = [
  '',
  'exit',
  'signal',
  'timeout',
  'memory',
  'start',
  'expectation',
  'resources',
  'overlap',
  'queue_full',
  'policy',
  'superseded',
  'window',
  'max',
  'start_deadline',
  'no_target',
  'restored',
  'start_unknown',
  'supervisor_gone',
  'request_in_flight',
  'node_gone',
  'user',
  'replaced',
  'job_deleted',
  'job_disabled',
  'shutdown',
] as const;
export type Reason = (typeof REASONS)[number];

/** Why somebody or something asked for an end. */
export type StoppedReason = Extract<Reason, 'user' | 'replaced' | 'job_deleted' | 'job_disabled' | 'shutdown'>;

/** The stored number of a code-book word. */
export function codeOf<T extends string>(book: readonly T[], word: T): number {
  const code = book.indexOf(word);
  if (code < 0) throw new Error(`not in the code book: ${word}`);
  return code;
}

/** The word of a stored number; a number from a newer version is an error, never a guess. */
export function wordOf<T extends string>(book: readonly T[], code: number): T {
  const word = book[code];
  if (word === undefined) throw new Error(`code ${code} is not in the code book of this version`);
  return word;
}
