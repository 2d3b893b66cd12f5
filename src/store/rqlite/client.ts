/**
 * rqlite's HTTP API (8.x, 9.x), as far as the store needs it. One pool of kept-alive connections to one node; any node forwards to the
 * Raft leader by itself. Nothing here is retried: whether a lost answer may be asked for again is for the caller to know.
 */
import { Pool } from 'undici';
import type { SqlValue, Statement } from '../database.ts';

export interface RqliteOptions {
  /** e.g. http://127.0.0.1:4001 */
  readonly url: string;
  /** From sending a request to the end of its answer; a write takes a round through Raft, an election about a second. */
  readonly timeoutMs?: number;
  /** A larger batch is an error of the caller: it would stall Raft for everybody. */
  readonly requestBytesMax?: number;
  /** A larger answer is refused: a query lacks its LIMIT. */
  readonly responseBytesMax?: number;
  readonly connectionsMax?: number;
}

export const RQLITE_DEFAULTS = {
  timeoutMs: 10_000,
  requestBytesMax: 32 * 2 ** 20,
  responseBytesMax: 256 * 2 ** 20,
  connectionsMax: 16,
} as const;

/** One statement's answer. Columns and values are absent where nothing comes back, `rows_affected` where it is 0. */
export interface RqliteResult {
  readonly columns?: readonly string[];
  readonly values?: readonly (readonly (string | number | null | readonly number[])[])[];
  readonly rows_affected?: number;
  readonly error?: string;
}

export type RqliteAnswer =
  | { readonly kind: 'results'; readonly results: readonly RqliteResult[] }
  /** rqlite answered, but not with results (no leader, leadership lost, out of room). */
  | { readonly kind: 'failed'; readonly status: number; readonly message: string };

export type RqliteLevel = 'none' | 'weak' | 'strong';

/** Thrown before anything is sent. */
export class RequestTooLargeError extends Error {}

export class RqliteClient {
  readonly #pool: Pool;
  readonly #settings: Required<RqliteOptions>;
  #disconnects = 0;

  constructor(options: RqliteOptions) {
    this.#settings = { ...RQLITE_DEFAULTS, ...options };
    const { url, connectionsMax, timeoutMs, responseBytesMax } = this.#settings;
    this.#pool = new Pool(url, {
      connections: connectionsMax,
      connect: { timeout: timeoutMs },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      maxResponseSize: responseBytesMax,
    });
    this.#pool.on('disconnect', () => (this.#disconnects += 1));
  }

  /** Rises whenever a connection ended: the server may have restarted since. */
  get disconnects(): number {
    return this.#disconnects;
  }

  /** One atomic batch. Rejects on a lost connection or timeout: then it may have happened. */
  write(statements: readonly Statement[]): Promise<RqliteAnswer> {
    // Both endpoints return what RETURNING gives; only /db/request takes a plain SELECT, but it looks at every statement first.
    const endpoint = statements.some(({ sql }) => /^\s*SELECT\b/i.test(sql)) ? 'request' : 'execute';
    return this.#post(`/db/${endpoint}?transaction&blob_array`, statements);
  }

  /** One query. Rejects on a lost connection or timeout. */
  query(level: RqliteLevel, statement: Statement): Promise<RqliteAnswer> {
    return this.#post(`/db/query?level=${level}&blob_array`, [statement]);
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  async #post(path: string, statements: readonly Statement[]): Promise<RqliteAnswer> {
    const body = encodeBatch(statements);
    if (body.length > this.#settings.requestBytesMax) {
      throw new RequestTooLargeError(
        `a batch of ${body.length} bytes is over the limit of ${this.#settings.requestBytesMax}`,
      );
    }
    const { statusCode, body: answer } = await this.#pool.request({
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json' },
      body,
      // The pool's own timeouts are between events; this one is for the whole exchange.
      signal: AbortSignal.timeout(this.#settings.timeoutMs),
    });
    const text = await answer.text();
    return decodeAnswer(statusCode, text);
  }
}

/** `[["SQL", arg, …], …]` as bytes. */
function encodeBatch(statements: readonly Statement[]): Buffer {
  return Buffer.from(JSON.stringify(statements.map(encodeStatement)));
}

function encodeStatement({ sql, params }: Statement): SqlValue[] {
  if (!params.some((param) => param instanceof Uint8Array)) return [sql, ...params];
  return [withHexBlobs(sql, params), ...params.map(hexed)];
}

function hexed(param: SqlValue): SqlValue {
  return param instanceof Uint8Array ? Buffer.from(param).toString('hex') : param;
}

/** This API has no blob parameters: they go as hex text, and their place in the statement becomes `unhex(?)`. */
function withHexBlobs(sql: string, params: readonly SqlValue[]): string {
  let index = -1;
  return sql.replaceAll(/'(?:[^']|'')*'|\?/g, (token) => {
    if (token !== '?') return token;
    index += 1;
    return params[index] instanceof Uint8Array ? 'unhex(?)' : token;
  });
}

function decodeAnswer(status: number, text: string): RqliteAnswer {
  if (status !== 200) return { kind: 'failed', status, message: text.trim().slice(0, 300) };
  const answer: unknown = JSON.parse(text);
  if (!isRecord(answer)) throw new Error('rqlite answered no JSON object');
  if (answer['error'] !== undefined)
    return { kind: 'failed', status, message: JSON.stringify(answer['error']).slice(0, 300) };
  const results = answer['results'] ?? [];
  if (!Array.isArray(results) || !results.every(isResult)) throw new Error('rqlite answered results of another shape');
  return { kind: 'results', results };
}

/** Far enough that rows can be made of it; another server at this address is met with an error, not a crash. */
function isResult(value: unknown): value is RqliteResult {
  if (!isRecord(value)) return false;
  const { columns = [], values = [], rows_affected = 0, error } = value;
  const named = Array.isArray(columns) && columns.every((column) => typeof column === 'string');
  const width = (columns as unknown[]).length;
  const rows =
    Array.isArray(values) && values.every((row) => Array.isArray(row) && row.length === width && row.every(isValue));
  return named && rows && typeof rows_affected === 'number' && (error === undefined || typeof error === 'string');
}

/** A blob comes as an array of its bytes. */
function isValue(value: unknown): boolean {
  if (Array.isArray(value)) return value.every((byte) => typeof byte === 'number');
  return value === null || typeof value === 'string' || typeof value === 'number';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
