/** Prepared statements by their text. Statement text is constant in this program, so the limit is a safety net, not a working set. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { parameterCount, parameterProblem } from './parameters.ts';

export interface CachedStatement {
  readonly statement: StatementSync;
  /** Decided once: `all()` costs more than `run()`, so it is used only where rows come back. */
  readonly returns: 'rows' | 'nothing';
  /** False for SELECT, DDL and the like: what they return or count are not changes. */
  readonly writes: boolean;
  readonly parameters: number;
}

const STATEMENTS_MAX = 512;

export class StatementCache {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, CachedStatement>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Throws what SQLite says about text it cannot prepare, or that the number of parameters is wrong. */
  get(sql: string, parametersGiven: number): CachedStatement {
    const cached = this.#statements.get(sql) ?? this.#prepare(sql);
    const problem = parameterProblem(sql, cached.parameters, parametersGiven);
    if (problem !== undefined) throw new Error(problem);
    return cached;
  }

  clear(): void {
    this.#statements.clear();
  }

  #prepare(sql: string): CachedStatement {
    if (this.#statements.size >= STATEMENTS_MAX) this.#dropOldest();
    const statement = this.#database.prepare(sql);
    const returns = statement.columns().length > 0 ? 'rows' : 'nothing';
    const cached: CachedStatement = { statement, returns, writes: changesRows(sql), parameters: parameterCount(sql) };
    this.#statements.set(sql, cached);
    return cached;
  }

  #dropOldest(): void {
    for (const oldest of this.#statements.keys()) {
      this.#statements.delete(oldest);
      return;
    }
  }
}

/** WITH may begin either kind; only a writing one returns rows by RETURNING. */
function changesRows(sql: string): boolean {
  return (
    /^\s*(?:INSERT|UPDATE|DELETE|REPLACE)\b/i.test(sql) ||
    (/^\s*WITH\b/i.test(sql) && /\b(?:INSERT|UPDATE|DELETE)\b/i.test(sql))
  );
}
