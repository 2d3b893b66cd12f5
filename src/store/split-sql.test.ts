import { expect, it } from 'vitest';
import { splitSql } from './split-sql.ts';

it.each<[string, string[]]>([
  ['', []],
  [' ;; \n;', []],
  ['SELECT 1;', ['SELECT 1']],
  ['SELECT 1;SELECT 2;', ['SELECT 1', 'SELECT 2']],
  [
    `INSERT INTO a VALUES ('it''s; -- no comment'); -- ; a comment; with 'quotes\nSELECT "a;b", [c;d], \`e;f\`;`,
    [`INSERT INTO a VALUES ('it''s; -- no comment')`, 'SELECT "a;b", [c;d], `e;f`'],
  ],
  ['/* a; b */ SELECT 4 - 2 / 1;', ['SELECT 4 - 2 / 1']],
  [
    'CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT CASE WHEN 1 THEN 2 END; DELETE FROM b; END; SELECT 1;',
    ['CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT CASE WHEN 1 THEN 2 END; DELETE FROM b; END', 'SELECT 1'],
  ],
])('cuts %j', (text, statements) => {
  expect(splitSql(text)).toEqual(statements);
});

it.each(['SELECT 1', "SELECT 'open;", 'CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM b;'])(
  'refuses what ends inside a statement: %j',
  (text) => {
    expect(() => splitSql(text)).toThrow('ends inside a statement');
  },
);
