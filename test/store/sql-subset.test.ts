/** The SQL of src/store stays inside the subset that behaves the same on SQLite and rqlite (DESIGN §3). */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const STORE = join(import.meta.dirname, '../../src/store');

interface Finding {
  readonly rule: string;
  readonly text: string;
}

/** Each node would compute its own value, or the engines differ. */
const FORBIDDEN: readonly [string, RegExp][] = [
  [
    'clock',
    /\b(?:datetime|strftime|julianday|unixepoch|timediff)\s*\(|\b(?:date|time)\s*\(\s*'|\bCURRENT_(?:TIMESTAMP|DATE|TIME)\b/i,
  ],
  ['random', /\brandom(?:blob)?\s*\(/i],
  ['connection state', /\b(?:last_insert_rowid|changes|total_changes)\s*\(\s*\)/i],
  ['foreign-key action', /\bON\s+(?:DELETE|UPDATE)\s+(?:CASCADE|SET|RESTRICT)/i],
  ['transaction control', /^\s*(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b/i],
  ['or rollback', /\bOR\s+ROLLBACK\b/i],
];
/** Engine files of the SQLite implementation alone: their text never reaches rqlite. */
const SQLITE_ONLY = new Set([
  'sqlite.ts',
  'sqlite-connections.ts',
  'statement-cache.ts',
  'data-directory.ts',
  'backup.ts',
  'restore.ts',
  'reserve.ts',
]);

function findings(sql: string): Finding[] {
  const outside = sql.replaceAll(/'(?:[^']|'')*'/g, "''");
  const found = FORBIDDEN.filter(([, pattern]) => pattern.test(sql)).map(([rule]) => ({ rule, text: sql }));
  return outside.includes('"') ? [...found, { rule: 'double-quoted', text: sql }] : found;
}

const LITERAL =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|(?<=[(,=:[!&|?{};>]\s*|return\s+)\/(?:[^/\\\n[]|\\.|\[(?:\\.|[^\]\\\n])*\])+\/[a-z]*|'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`/g;
const SQL_BEGINS =
  /^\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH|CREATE|ALTER|DROP|REPLACE|PRAGMA|WHERE|AND|FROM|JOIN|VALUES|ON CONFLICT|RETURNING|ORDER BY|EXISTS|BEGIN|COMMIT|SAVEPOINT)\b/;

/** The string and template literals of a source file that look like SQL or a piece of it. */
function sqlLiterals(source: string): string[] {
  return Array.from(source.matchAll(LITERAL), (match) =>
    (match[1] ?? match[2] ?? match[3] ?? '').replaceAll(/\\(['"`])/g, '$1'),
  ).filter((text) => SQL_BEGINS.test(text));
}

function sources(): [string, string][] {
  return readdirSync(STORE, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(?:ts|sql)$/.test(name) && !name.endsWith('.test.ts') && !SQLITE_ONLY.has(name))
    .map((name) => [name, readFileSync(join(STORE, name), 'utf8')]);
}

describe('SQL subset', () => {
  it.each(sources())('%s keeps to it', (name, source) => {
    const texts = name.endsWith('.sql') ? [source.replaceAll(/--[^\n]*/g, '')] : sqlLiterals(source);
    expect(texts.flatMap(findings)).toEqual([]);
  });

  it('looks at a good number of statements', () => {
    expect(sources().flatMap(([, source]) => sqlLiterals(source)).length).toBeGreaterThan(10);
  });

  it.each([
    ['clock', `const A = "UPDATE t SET at = datetime('now')";`],
    ['clock', `const A = 'INSERT INTO t VALUES (CURRENT_TIMESTAMP)';`],
    ['random', 'const A = `SELECT id FROM t ORDER BY random() LIMIT 1`;'],
    ['connection state', `const A = 'SELECT last_insert_rowid()';`],
    ['foreign-key action', 'const A = `CREATE TABLE t (x REFERENCES u ON DELETE CASCADE)`;'],
    ['transaction control', `const A = 'BEGIN IMMEDIATE';`],
    ['double-quoted', `const A = 'SELECT * FROM t WHERE x = "y"';`],
  ])('is seen to catch: %s', (rule, source) => {
    expect(
      sqlLiterals(source)
        .flatMap(findings)
        .map((finding) => finding.rule),
    ).toEqual([rule]);
  });

  it('does not take comments, patterns and prose for SQL', () => {
    const source = `// 'SELECT random()'\nconst a = /'SELECT random()'/; const b = 'a time (now)'; /* "UPDATE random()" */`;
    expect(sqlLiterals(source)).toEqual([]);
  });
});
