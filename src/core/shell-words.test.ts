import { expect, test } from 'vitest';
import { shellWords } from './shell-words.ts';

const cases: [text: string, words: string[], stoppedAt: number | null][] = [
  ['', [], null],
  ['  a\tb \n c ', ['a', 'b', 'c'], null],
  [`echo 'a  b' "c d" e\\ f`, ['echo', 'a  b', 'c d', 'e f'], null],
  [`a""b '' ""`, ['ab', '', ''], null],
  [`"a\\"b\\\\c\\$d\\e"`, ['a"b\\c$d\\e'], null],
  [`'a\\b'`, ['a\\b'], null],
  ['a\\\nb', ['ab'], null],
  // No expansion of any kind.
  ['echo $HOME `x` *', ['echo', '$HOME', '`x`', '*'], null],
  // Dkron's parser stops at the first operator.
  ['make all && rm -rf x', ['make', 'all'], 9],
  ['a;b', ['a'], 1],
  ['a|b', ['a'], 1],
  [`echo "a && b"`, ['echo', 'a && b'], null],
  ['ä ö\u{1f514}', ['ä', 'ö\u{1f514}'], null],
];
test.each(cases)('%j', (text, words, stoppedAt) => {
  expect(shellWords(text)).toEqual({ kind: 'words', words, stoppedAt });
});

test.each([
  [`echo 'open`, 5],
  ['echo "open', 5],
  ['echo \\', 5],
])('%j is unbalanced', (text, position) => {
  expect(shellWords(text)).toEqual({ kind: 'unbalanced', position });
});

test('a long line takes linear time', () => {
  const words = shellWords(`x "${'a'.repeat(500_000)}" ${'\\b'.repeat(100_000)}`);
  expect(words.kind === 'words' && words.words.map((word) => word.length)).toEqual([1, 500_000, 100_000]);
});
