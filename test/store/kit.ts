/** What the store's own suites share: directories that clean up after themselves, sample data, child processes. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, expect } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import type { Database, SqlValue, Statement } from '../../src/store/database.ts';
import type { SqliteOptions } from '../../src/store/sqlite-connections.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import type { SqliteDatabase } from '../../src/store/sqlite.ts';

const cleanups: (() => unknown)[] = [];

/** Runs after the test, latest first. */
export function defer(cleanup: () => unknown): void {
  cleanups.push(cleanup);
}

afterEach(async () => {
  while (cleanups.length > 0) await cleanups.pop()?.();
});

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'belfry-test-'));
  defer(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Closed after the test at the latest. */
export function openStore(path: string, options: Partial<SqliteOptions> = {}): SqliteDatabase {
  const database = openSqlite(path, { clock: systemClock, ...options });
  defer(() => database.close());
  return database;
}

export function s(sql: string, ...params: SqlValue[]): Statement {
  return { sql, params };
}

export async function commit(database: Database, ...statements: Statement[]): Promise<void> {
  expect(await database.write(statements)).toMatchObject({ kind: 'committed' });
}

/** One number. */
export async function value(database: Database, sql: string): Promise<SqlValue | undefined> {
  const [row] = await database.read('linearizable', sql);
  return row === undefined ? undefined : Object.values(row)[0];
}

const EXECUTION = `INSERT INTO executions (key, group_id, job_id, attempt, relaunch, node, outcome, reason, output_bytes, log_bytes, message)
  VALUES (?, ?, 1, 1, 0, 'node', 0, 0, 0, 0, ?)`;

/** `count` executions from `first`, about 300 bytes each. */
export function executions(first: number, count: number): Statement[] {
  return Array.from({ length: count }, (_, index) => s(EXECUTION, first + index, first + index, 'm'.repeat(256)));
}

export interface Child {
  readonly process: ChildProcess;
  readonly pid: number;
  /** Waits for the next line of its output. */
  line(): Promise<string>;
  /** Sends the signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<void>;
}

/** Runs a TypeScript program in a process of its own, killed after the test at the latest. */
export function startChild(program: string, args: readonly string[]): Child {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  };
  defer(() => end('SIGKILL'));
  return {
    process: child,
    pid: child.pid ?? 0,
    line: async () => {
      const next = await lines.next();
      if (next.done === true) throw new Error(`the child ended before it said anything more (${program})`);
      return next.value;
    },
    end,
  };
}
