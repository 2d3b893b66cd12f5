import { expect, test } from 'vitest';
import { matchesTags } from './target.ts';

const node = { name: 'web1', tags: { pool: 'batch', dc: 'dc1', server: 'true', empty: '' } };

test.each<[Record<string, string>, boolean]>([
  [{}, true],
  [{ pool: 'batch' }, true],
  [{ pool: 'Batch' }, false],
  [{ pool: 'batch', dc: 'dc1' }, true],
  [{ pool: 'batch', dc: 'dc2' }, false],
  [{ absent: 'x' }, false],
  [{ absent: '' }, false],
  [{ empty: '' }, true],
  [{ pool: 'batch:1' }, true],
  [{ pool: 'batch:12' }, true],
  [{ pool: 'batch:0' }, false],
  [{ pool: 'batch:-1' }, false],
  [{ pool: 'batch:many' }, false],
  [{ pool: 'batch:' }, false],
  [{ pool: 'batch:0:0' }, true],
  [{ pool: 'other:1' }, false],
  [{ pool: '!other' }, true],
  [{ pool: '!batch' }, false],
  [{ pool: '!batch:1' }, false],
  [{ absent: '!x' }, true],
  [{ pool: 'web|batch' }, true],
  [{ pool: 'web|db' }, false],
  [{ pool: '!web|db' }, true],
  [{ pool: '!web|batch' }, false],
  [{ node: 'web1' }, true],
  [{ node: 'web2' }, false],
  [{ node: '!web1' }, false],
  [{ toString: 'x' }, false],
])('%j: %s', (wanted, matches) => {
  expect(matchesTags(wanted, node)).toBe(matches);
});
