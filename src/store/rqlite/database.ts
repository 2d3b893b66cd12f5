/**
 * The store port on rqlite: SQLite replicated by Raft, over HTTP. The same SQL as sqlite.ts.
 *
 * What the 8.x API does on errors, checked: a failing statement without RETURNING ends its transaction, nothing is applied. A failing one
 * WITH RETURNING is reported, but the rest goes on and is committed. So guards never stand in a statement with RETURNING; should one
 * fail there, that is reported as an error of this program, never as `refused`.
 */
import { AppError } from '../../model/errors.ts';
import type { Consistency, Database, Row, SqlValue, Statement, StatementResult, WriteOutcome } from '../database.ts';
import { parameterCount, parameterProblem } from '../parameters.ts';
import { guardOf } from '../sqlite-errors.ts';
import { RequestTooLargeError, RqliteClient } from './client.ts';
import type { RqliteAnswer, RqliteLevel, RqliteOptions, RqliteResult } from './client.ts';

/**
 * Just after a restart rqlite 8.26 answers `weak` and even `linearizable` reads from before it has applied its own log (8 of 9 and 9 of 9
 * times, readyz being green; `strong` 0 of 9). So linearizable reads go through the log, for about 4 ms. `weak` is right once one such
 * read or write has passed, until the leader changes again.
 */
const LEVELS: Record<Consistency, RqliteLevel> = { local: 'none', leader: 'weak', linearizable: 'strong' };

/** Connects lazily: the first call finds out whether a node answers. */
export function openRqlite(options: RqliteOptions): Database {
  return new RqliteDatabase(options);
}

class RqliteDatabase implements Database {
  readonly #client: RqliteClient;
  readonly #url: string;
  /** The client's disconnects at the last read known to be complete; none yet. */
  #caughtUpAt = -1;

  constructor(options: RqliteOptions) {
    this.#client = new RqliteClient(options);
    this.#url = options.url;
  }

  async read(consistency: Consistency, sql: string, params: readonly SqlValue[] = []): Promise<Row[]> {
    assertParameters({ sql, params });
    const { disconnects } = this.#client;
    const level = this.#levelOf(consistency, disconnects);
    const answer = await this.#ask(() => this.#client.query(level, { sql, params }));
    if (answer.kind === 'failed') throw this.#unavailable(`${answer.status} ${answer.message}`, undefined);
    const [result] = answer.results;
    if (result === undefined) throw this.#unavailable('an answer without a result', undefined);
    if (result.error !== undefined) throw this.#sqlError(result.error);
    if (level === 'strong') this.#caughtUpAt = disconnects;
    return rowsOf(result);
  }

  /** After every new connection one read goes through the log, so that a server that has just restarted has applied what it knows. */
  #levelOf(consistency: Consistency, disconnects: number): RqliteLevel {
    return consistency === 'leader' && this.#caughtUpAt !== disconnects ? 'strong' : LEVELS[consistency];
  }

  async write(statements: readonly Statement[]): Promise<WriteOutcome> {
    for (const statement of statements) assertParameters(statement);
    let answer: RqliteAnswer;
    try {
      answer = await this.#client.write(statements);
    } catch (cause) {
      if (cause instanceof RequestTooLargeError)
        throw new AppError('internal', `A write was not sent: ${cause.message}.`, { cause });
      // Refused connection, timeout, reset, half an answer: the request may have reached the log.
      return { kind: 'unknown', cause };
    }
    if (answer.kind === 'failed') return this.#failedWrite(answer);
    const failed = answer.results.findIndex((result) => result.error !== undefined);
    if (failed >= 0) return this.#refusal(statements, failed, answer.results[failed]?.error ?? '');
    if (answer.results.length !== statements.length) {
      return {
        kind: 'unknown',
        cause: new Error(`${answer.results.length} answers to ${statements.length} statements`),
      };
    }
    return { kind: 'committed', results: answer.results.map((result, index) => resultOf(result, statements[index])) };
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  async #ask(request: () => Promise<RqliteAnswer>): Promise<RqliteAnswer> {
    try {
      return await request();
    } catch (cause) {
      throw this.#unavailable(cause instanceof Error ? cause.message : String(cause), cause);
    }
  }

  /** No leader, leadership lost on the way: it may or may not have been applied. 400 is a request this program should not have made. */
  #failedWrite(answer: { status: number; message: string }): WriteOutcome {
    if (answer.status === 400) throw new AppError('internal', `rqlite did not understand a write: ${answer.message}.`);
    if (isFull(answer.message)) return { kind: 'full' };
    return { kind: 'unknown', cause: new Error(`${this.#url} answered ${answer.status}: ${answer.message}`) };
  }

  #refusal(statements: readonly Statement[], failed: number, message: string): WriteOutcome {
    if (isFull(message)) return { kind: 'full' };
    if (isBusy(message)) return { kind: 'unknown', cause: new Error(message) };
    const returning = /\bRETURNING\b/i.test(statements[failed]?.sql ?? '');
    if (returning || !isConstraint(message, statements[failed])) throw this.#sqlError(message);
    return { kind: 'refused', guard: guardOf(message) };
  }

  #sqlError(message: string): AppError {
    if (/malformed|not a database/.test(message)) {
      return new AppError('damaged', `The store at ${this.#url} is damaged: ${message}.`, {
        remedy: 'Rebuild this rqlite node from its peers, or load a backup into it.',
      });
    }
    if (isBusy(message)) return this.#unavailable(message, undefined);
    return new AppError('internal', `A statement of this program failed: ${message}.`);
  }

  #unavailable(detail: string, cause: unknown): AppError {
    return new AppError(
      'unavailable',
      `The store at ${this.#url} does not answer: ${detail}.`,
      cause === undefined ? {} : { cause },
    );
  }
}

function assertParameters({ sql, params }: Statement): void {
  const problem = parameterProblem(sql, parameterCount(sql), params.length);
  if (problem !== undefined) throw new AppError('internal', `A statement of this program failed: ${problem}.`);
}

function resultOf(result: RqliteResult, statement: Statement | undefined): StatementResult {
  const rows = rowsOf(result);
  const sql = statement?.sql ?? '';
  // The counter keeps its old value through DDL, and RETURNING answers rows instead of a count.
  if (!/^\s*(?:INSERT|UPDATE|DELETE|REPLACE|WITH)\b/i.test(sql)) return { changes: 0, rows };
  return { changes: result.columns === undefined ? (result.rows_affected ?? 0) : rows.length, rows };
}

function rowsOf({ columns = [], values = [] }: RqliteResult): Row[] {
  return values.map((row) => Object.fromEntries(columns.map((column, index) => [column, valueOf(row[index])])));
}

function valueOf(value: string | number | null | readonly number[] | undefined): SqlValue {
  if (value === undefined) throw new Error('a row of rqlite has fewer values than columns');
  return Array.isArray(value) ? Uint8Array.from(value as readonly number[]) : (value as SqlValue);
}

/** Constraints say so in words; the text of a trigger's RAISE(ABORT) is a bare name, which no error of SQLite's own is. */
function isConstraint(message: string, statement: Statement | undefined): boolean {
  return statement !== undefined && (/constraint failed: /.test(message) || /^[a-z_]+$/.test(message));
}

function isFull(message: string): boolean {
  return /database or disk is full|no space left on device/i.test(message);
}

function isBusy(message: string): boolean {
  return /database (?:table )?is locked/.test(message);
}
