/**
 * The store port. Two implementations: SQLite in this process (sqlite.ts) and rqlite over HTTP (rqlite/database.ts).
 *
 * A write is one atomic batch of statements, because the cluster store has no interactive transactions: a decision that must be
 * atomic is SQL inside the batch, or is read first and guarded in the batch. Every batch must be safe to repeat after `unknown`.
 * SQL is the subset of SQLite 3.45 that behaves the same on both: no clock or random functions, no dependence on foreign-key
 * actions, no double-quoted literals, integers below 2^53, constant statement text (plans are cached by text).
 */

export type SqlValue = string | number | null | Uint8Array;
export type Row = Record<string, SqlValue>;

/** One statement; `sql` must be a constant of the program, never built from data. */
export interface Statement {
  readonly sql: string;
  readonly params: readonly SqlValue[];
}

/**
 * How fresh a read must be. `local`: this node's copy, possibly stale. `leader`: through the store's leader (rqlite `weak`).
 * `linearizable`: nothing acknowledged before the call is missing. In-process SQLite gives linearizable for all.
 */
export type Consistency = 'local' | 'leader' | 'linearizable';

/** What one statement of a committed batch did. `rows` holds what RETURNING gave, else it is empty. */
export interface StatementResult {
  readonly changes: number;
  readonly rows: readonly Row[];
}

/**
 * How a write ended. committed: all of it is durable. refused: nothing was applied; `guard` is 'fence' when the epoch is no longer
 * ours, else the name the failing constraint carries. unknown: it may have happened (timeout, lost connection): repeat or read.
 * full: the disk has no room; nothing was applied.
 */
export type WriteOutcome =
  | { readonly kind: 'committed'; readonly results: readonly StatementResult[] }
  | { readonly kind: 'refused'; readonly guard: string }
  | { readonly kind: 'full' }
  | { readonly kind: 'unknown'; readonly cause: unknown };

export interface Database {
  /** Rows as objects keyed by column name. Throws AppError('unavailable' | 'damaged'); a failed read is never an empty answer. */
  read(consistency: Consistency, sql: string, params?: readonly SqlValue[]): Promise<Row[]>;
  /** One atomic batch. Throws AppError('damaged') only; every other end is a WriteOutcome. */
  write(statements: readonly Statement[]): Promise<WriteOutcome>;
  /** Copies what was written to where it stays, now instead of in the course of a later write. Absent where the store does that by itself. */
  checkpoint?(): void;
  close(): Promise<void>;
}

/**
 * The fence (DESIGN §3): first statement of every leader write. With a stale epoch CASE yields NULL, the NOT NULL constraint on
 * `guard` fails and the whole batch rolls back.
 */
export function fence(epoch: number): Statement {
  return { sql: 'UPDATE leadership SET guard = CASE WHEN epoch = ? THEN 1 END WHERE id = 1', params: [epoch] };
}
