/** A batch of launches in the making, and how its results are read: which statement tells what became of which intent. */
import type { CompiledJob } from '../core/compiled-job.ts';
import { OUTCOMES, PHASES, type Reason, REASONS, type Trigger, wordOf } from '../model/occurrence.ts';
import type { Statement, StatementResult } from '../store/database.ts';
import { type Decision, type NewOccurrence, plainLaunches } from '../store/occurrences.ts';
import type { LiveRun } from './live.ts';

/** What is to come into being. Instants epoch ms. */
export type Intent =
  | {
      readonly kind: 'new';
      readonly job: CompiledJob;
      readonly trigger: Trigger;
      readonly nominalAt: number;
      readonly dueAt: number;
      readonly parentGroup: number | null;
      readonly catchUp: boolean;
      readonly forced: boolean;
    }
  | { readonly kind: 'wake'; readonly run: LiveRun }
  /** It waited for its jitter and is too late by now. */
  | { readonly kind: 'miss'; readonly run: LiveRun; readonly reason: Reason }
  | { readonly kind: 'retry'; readonly run: LiveRun; readonly relaunch: boolean }
  | { readonly kind: 'promote'; readonly run: LiveRun; readonly beside: boolean };

/** What became of an intent; decision null: nothing came into being (the job changed or went, or it exists already). */
export interface Launched {
  readonly group: number;
  readonly decision: Decision | null;
}

/** A batch in the making: intents' statements with the places where their decisions will be found. */
export interface LaunchBatch {
  readonly statements: Statement[];
  readonly places: Place[];
}

/** Where a batch's results tell what became of an intent. */
export interface Place {
  readonly intent: Intent;
  readonly group: number;
  readonly key: number;
  /** Its statement. */
  index: number;
  /** How many intents share that statement: only if it changed so many rows is it known what became of each. */
  sharing: number;
  readonly extendIndex: number;
  readonly delayed: boolean;
}

const ACTIVE: Decision = { phase: 'active', outcome: 'unfinished', reason: '' };
const DELAYED: Decision = { phase: 'delayed', outcome: 'unfinished', reason: '' };
/** A skip made the row before it longer. */
export const EXTENDED: Decision = { phase: 'final', outcome: 'skipped', reason: 'overlap' };

/** Whether the batch has no new occurrence of the job yet. */
export function isFirstOfJob(batch: LaunchBatch, jobId: number): boolean {
  return !batch.places.some(({ intent }) => intent.kind === 'new' && intent.job.id === jobId);
}

/** The plain ones of a batch, many to a statement. */
export function preparePlain(batch: LaunchBatch, plain: readonly { place: Place; occurrence: NewOccurrence }[]): void {
  let at = 0;
  for (const { statement, count } of plainLaunches(plain.map(({ occurrence }) => occurrence))) {
    for (const { place } of plain.slice(at, at + count)) {
      place.index = batch.statements.length;
      place.sharing = count;
    }
    batch.statements.push(statement);
    at += count;
  }
}

/** Some of those that share the statement did not come into being, and only the store knows which. */
export function isUnclear(place: Place, results: readonly StatementResult[]): boolean {
  return place.sharing > 1 && (results[place.index]?.changes ?? 0) < place.sharing;
}

/** null: nothing came into being. */
export function decisionAt(place: Place, results: readonly StatementResult[]): Decision | null {
  const result = results[place.index];
  if (result === undefined) throw new Error('the batch has fewer results than statements');
  const row = result.rows[0] as { phase: number; outcome: number; reason: number } | undefined;
  if (row !== undefined) return decisionOf(row);
  if (result.changes > 0) return place.delayed ? DELAYED : ACTIVE;
  return place.extendIndex >= 0 && (results[place.extendIndex]?.changes ?? 0) > 0 ? EXTENDED : null;
}

/** A row's codes in words. */
export function decisionOf(row: { phase: number; outcome: number; reason: number }): Decision {
  return {
    phase: wordOf(PHASES, row.phase),
    outcome: wordOf(OUTCOMES, row.outcome),
    reason: wordOf(REASONS, row.reason),
  };
}

/** What the store needs of an intent; `extend` is the skipped row that may be made longer. */
export function newOccurrence(
  intent: Extract<Intent, { kind: 'new' }>,
  group: number,
  extend: number | null,
  now: number,
): NewOccurrence {
  const { job, trigger, nominalAt, dueAt, parentGroup, forced } = intent;
  // Planned at its nominal instant, due later by its jitter.
  const delayed = trigger === 'schedule' && dueAt > now;
  const { concurrency } = job;
  return {
    group,
    jobId: job.id,
    jobVersion: job.version,
    trigger,
    nominalAt,
    dueAt,
    parentGroup,
    concurrency,
    delayed,
    forced,
    extend,
  };
}
