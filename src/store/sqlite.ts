/**
 * The store port on SQLite in this process (node:sqlite): the database of one node.
 *
 * Batches are committed in groups: what arrives during one turn of the loop shares one transaction and so one sync. Each batch stands in
 * its own savepoint, so a refused one takes nothing else with it.
 *
 * Reads use the writing connection: on one thread a second one would only double the page cache.
 */
import { existsSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../model/errors.ts';
import { assertWhole } from './damage.ts';
import type { Consistency, Database, Row, SqlValue, Statement, StatementResult, WriteOutcome } from './database.ts';
import { finishRestore } from './restore-swap.ts';
import {
  CACHE_BYTES_BULK,
  createEmptyDatabase,
  openConnections,
  setCache,
  SQLITE_DEFAULTS,
} from './sqlite-connections.ts';
import type { SqliteOptions } from './sqlite-connections.ts';
import { appErrorOf, classify } from './sqlite-errors.ts';
import type { SqliteFailure } from './sqlite-errors.ts';
import { StatementCache } from './statement-cache.ts';
import type { CachedStatement } from './statement-cache.ts';

/** A group commit takes further batches until it holds so many statements: bounds how long the loop is busy at a stretch. */
const GROUP_STATEMENTS_MAX = 4096;

const NO_ROWS: readonly Row[] = Object.freeze([]);
/** Most statements change nothing or one row and return nothing: those results are shared, so that a batch allocates little. */
const NO_CHANGE: StatementResult = Object.freeze({ changes: 0, rows: NO_ROWS });
const ONE_CHANGE: StatementResult = Object.freeze({ changes: 1, rows: NO_ROWS });

interface PendingWrite {
  readonly statements: readonly Statement[];
  readonly resolve: (outcome: WriteOutcome) => void;
  readonly reject: (error: unknown) => void;
}

/** What a finished group tells each of its batches: an outcome, or an error to throw. */
type Ending = { readonly outcome: WriteOutcome } | { readonly error: unknown };

/**
 * Opens the database file, creating it when absent. Throws AppError: `damaged` (the message names the file and the restore command),
 * `disk_full`, or `unavailable`. The caller holds the data directory's lock.
 */
export function openSqlite(path: string, options: SqliteOptions): SqliteDatabase {
  finishRestore(path);
  assertWhole(path);
  if (!existsSync(path)) createEmptyDatabase(path);
  return new SqliteDatabase(path, { ...SQLITE_DEFAULTS, ...options });
}

export class SqliteDatabase implements Database {
  readonly path: string;
  readonly #clock: Clock;
  readonly #writer: DatabaseSync;
  readonly #keeper: DatabaseSync;
  readonly #cache: StatementCache;
  readonly #cacheBytesMax: number;
  #queue: PendingWrite[] = [];
  #draining: Promise<void> | undefined;
  #damaged: AppError | undefined;
  #closed = false;
  #fullAnswers = 0;

  constructor(path: string, settings: Required<SqliteOptions>) {
    const { writer, keeper } = openConnections(path, settings);
    this.path = path;
    this.#clock = settings.clock;
    this.#cacheBytesMax = settings.cacheBytesMax;
    this.#writer = writer;
    this.#keeper = keeper;
    this.#cache = new StatementCache(writer);
  }

  /** For work that touches many pages once: they must not stay in memory afterwards. Other reads and writes go on meanwhile. */
  async withSmallCache<T>(work: () => Promise<T>): Promise<T> {
    setCache(this.#writer, CACHE_BYTES_BULK);
    try {
      return await work();
    } finally {
      if (!this.#closed) setCache(this.#writer, this.#cacheBytesMax);
    }
  }

  /** Copies what is in the -wal into the file, so that the file has all its blocks and the -wal starts again at its beginning. */
  checkpoint(): void {
    if (this.#damaged === undefined) this.#tryExec('PRAGMA wal_checkpoint(PASSIVE)');
  }

  /** How many batches were answered `full` so far: a quota, say, shows nowhere else. */
  get fullAnswers(): number {
    return this.#fullAnswers;
  }

  read(_consistency: Consistency, sql: string, params: readonly SqlValue[] = []): Promise<Row[]> {
    if (this.#damaged !== undefined) return Promise.reject(this.#damaged);
    if (this.#closed) return Promise.reject(new AppError('unavailable', 'The store is closed.'));
    try {
      return Promise.resolve(this.#cache.get(sql, params.length).statement.all(...params) as Row[]);
    } catch (error) {
      return Promise.reject(this.#readError(classify(error), error));
    }
  }

  write(statements: readonly Statement[]): Promise<WriteOutcome> {
    if (this.#damaged !== undefined) return Promise.reject(this.#damaged);
    if (this.#closed) return Promise.resolve({ kind: 'unknown', cause: new Error('the store is closed') });
    return new Promise((resolve, reject) => {
      this.#queue.push({ statements, resolve, reject });
      this.#draining ??= this.#drain();
    });
  }

  /**
   * Finishes what was handed in, then closes. What is in the -wal goes home first (best effort: it is safe where it is), so that a
   * copy of the one file made after a clean stop is whole. After damage nothing goes home: the keeper has the -wal open until the writer
   * is closed, so SQLite does not do it either.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#draining;
    this.#cache.clear();
    if (this.#damaged === undefined) this.#tryExec('PRAGMA wal_checkpoint(PASSIVE)');
    this.#writer.close();
    this.#keeper.close();
  }

  /** Overload rule: callers wait for their promise, so the queue is as long as the number of writers that do not. */
  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      await this.#clock.yield();
      const group = this.#nextGroup();
      const endings = this.#commitGroup(group);
      group.forEach((pending, index) => settle(pending, endings[index]));
    }
    this.#draining = undefined;
  }

  #nextGroup(): PendingWrite[] {
    let size = 0;
    let end = 0;
    for (; end < this.#queue.length; end++) {
      size += this.#queue[end]?.statements.length ?? 0;
      if (end > 0 && size > GROUP_STATEMENTS_MAX) break;
    }
    return this.#queue.splice(0, end);
  }

  #commitGroup(group: readonly PendingWrite[]): Ending[] {
    const [only] = group;
    if (group.length === 1 && only !== undefined) return [this.#commitAlone(only.statements)];
    try {
      return this.#commitTogether(group);
    } catch (error) {
      const failure = this.#abandon(error);
      // It may have been committed after all; and on damage nothing more is to be written.
      if (failure.kind === 'uncertain' || failure.kind === 'damaged')
        return group.map(() => this.#ending(failure, error));
      // One batch failed in a way that ended the transaction of all (the disk is full, a bug): each gets its own answer.
      return group.map((pending) => this.#commitAlone(pending.statements));
    }
  }

  #commitAlone(statements: readonly Statement[], attempt = 1): Ending {
    if (this.#damaged !== undefined) return { error: this.#damaged };
    try {
      this.#exec('BEGIN IMMEDIATE');
      const results = this.#apply(statements);
      this.#exec('COMMIT');
      return { outcome: { kind: 'committed', results } };
    } catch (error) {
      const failure = this.#abandon(error);
      if (failure.kind !== 'full' || attempt > 1) return this.#ending(failure, error);
      // The -wal may only look full: once its pages are home it starts again at its beginning, in blocks that are ours already.
      this.#tryExec('PRAGMA wal_checkpoint(PASSIVE)');
      return this.#commitAlone(statements, attempt + 1);
    }
  }

  #commitTogether(group: readonly PendingWrite[]): Ending[] {
    this.#exec('BEGIN IMMEDIATE');
    const endings = group.map(({ statements }) => this.#applyInSavepoint(statements));
    this.#exec('COMMIT');
    return endings;
  }

  #applyInSavepoint(statements: readonly Statement[]): Ending {
    this.#exec('SAVEPOINT batch');
    try {
      const results = this.#apply(statements);
      this.#exec('RELEASE batch');
      return { outcome: { kind: 'committed', results } };
    } catch (error) {
      const failure = classify(error);
      if (failure.kind !== 'refused' || !this.#writer.isTransaction) throw error;
      this.#exec('ROLLBACK TO batch');
      this.#exec('RELEASE batch');
      return this.#ending(failure, error);
    }
  }

  #apply(statements: readonly Statement[]): StatementResult[] {
    const results: StatementResult[] = [];
    for (const { sql, params } of statements) {
      const cached = this.#cache.get(sql, params.length);
      if (cached.returns === 'rows') {
        const rows = allRows(cached, params);
        results.push({ changes: cached.writes ? rows.length : 0, rows });
      } else {
        const ran = cached.statement.run(...params);
        // SQLite's counter keeps its old value through statements that change no rows by nature (DDL).
        const changes = cached.writes ? (ran.changes as number) : 0;
        results.push(changes === 1 ? ONE_CHANGE : changes === 0 ? NO_CHANGE : { changes, rows: NO_ROWS });
      }
    }
    return results;
  }

  /** Leaves the connection without a transaction, whatever state the error left it in. */
  #abandon(error: unknown): SqliteFailure {
    if (this.#writer.isTransaction) this.#tryExec('ROLLBACK');
    return classify(error);
  }

  #ending(failure: SqliteFailure, error: unknown): Ending {
    switch (failure.kind) {
      case 'refused':
        return { outcome: { kind: 'refused', guard: failure.guard } };
      case 'full':
        this.#fullAnswers += 1;
        return { outcome: { kind: 'full' } };
      case 'busy':
      case 'uncertain':
        return { outcome: { kind: 'unknown', cause: error } };
      case 'damaged':
      case 'bug':
        return { error: this.#readError(failure, error) };
    }
  }

  #readError(failure: SqliteFailure, cause: unknown): AppError {
    const error = appErrorOf(failure, this.path, cause);
    // Once damage was met nothing more is read or written: the copy to be examined must stay as it is.
    if (failure.kind === 'damaged') this.#damaged ??= error;
    return this.#damaged ?? error;
  }

  #exec(sql: string): void {
    this.#cache.get(sql, 0).statement.run();
  }

  /** For clean-up after which the state is checked anyway: its failure must not hide the first error. */
  #tryExec(sql: string): void {
    try {
      this.#writer.exec(sql);
    } catch (error) {
      const failure = classify(error);
      if (failure.kind === 'damaged') this.#readError(failure, error);
    }
  }
}

/**
 * In rqlite a statement with RETURNING that fails does not end its transaction, so the rest of the batch would be committed. A guard there
 * is therefore an error of this program; it is refused here too, where every test runs.
 */
function allRows(cached: CachedStatement, params: readonly SqlValue[]): Row[] {
  try {
    return cached.statement.all(...params) as Row[];
  } catch (error) {
    if (classify(error).kind !== 'refused') throw error;
    throw new Error('a constraint failed in a statement with RETURNING; put guards into statements of their own', {
      cause: error,
    });
  }
}

function settle(pending: PendingWrite, ending: Ending | undefined): void {
  if (ending === undefined) pending.reject(new AppError('internal', 'A batch of a group was not answered.'));
  else if ('error' in ending) pending.reject(ending.error);
  else pending.resolve(ending.outcome);
}
