// The ratchet of the source tree: planted files and functions over the limit are found, and growth is told from shrinking.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { compare, measure } from '../../scripts/ratchet.ts';

let tree: string;
beforeEach(() => {
  tree = mkdtempSync(join(tmpdir(), 'belfry-sizes-'));
  mkdirSync(join(tree, 'src'));
});
afterEach(() => rmSync(tree, { recursive: true, force: true }));

const lines = (count: number): string =>
  Array.from({ length: count }, (_, i) => `export const v${i} = ${i};\n`).join('');
const body = (count: number): string => '  console.log(1);\n'.repeat(count - 2);

test('a file over 350 lines and a function over 50 are found, those at the limit are not', () => {
  writeFileSync(join(tree, 'src/long.ts'), lines(351));
  writeFileSync(join(tree, 'src/just.ts'), lines(350));
  writeFileSync(
    join(tree, 'src/function.ts'),
    `export function big() {\n${body(51)}}\nexport function fits() {\n${body(50)}}\n`,
  );
  writeFileSync(join(tree, 'src/long.test.ts'), lines(400));
  expect(measure(tree, ['src', 'bench'])).toEqual({ 'src/function.ts#big': 51, 'src/long.ts': 351 });
});

test('nameless functions are told apart by their order', () => {
  writeFileSync(join(tree, 'src/nameless.ts'), `[() => {\n${body(51)}}, () => {\n${body(52)}}].map(String);\n`);
  expect(measure(tree, ['src'])).toEqual({ 'src/nameless.ts#anonymous': 51, 'src/nameless.ts#anonymous 2': 52 });
});

test('a tree within the limits has no sizes', () => {
  writeFileSync(join(tree, 'src/short.ts'), lines(3));
  expect(measure(tree, ['src'])).toEqual({});
});

test('new and grown are worse, shrunk and gone are better', () => {
  const was = { same: 60, grown: 60, shrunk: 60, gone: 60 };
  const { worse, better } = compare(was, { same: 60, grown: 61, shrunk: 59, fresh: 51 });
  expect(worse.map(({ path }) => path)).toEqual(['fresh', 'grown']);
  expect(better.map(({ path }) => path)).toEqual(['gone', 'shrunk']);
});
