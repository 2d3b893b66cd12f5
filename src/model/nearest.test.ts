import { describe, expect, test } from 'vitest';
import { editDistance, nearest } from './nearest.ts';

describe('nearest', () => {
  test.each([
    ['@dayly', '@daily'],
    ['monn', 'mon'],
    ['MNO', 'mon'],
    ['tusday', 'tuesday'],
    ['xyz', undefined],
    ['', undefined],
    ['m', undefined],
    ['x'.repeat(100), undefined],
  ])('%s → %s', (word, expected) => {
    expect(nearest(word, ['@daily', 'mon', 'tuesday'])).toBe(expected);
  });

  test('distances', () => {
    expect([
      editDistance('', 'abc'),
      editDistance('kitten', 'sitting'),
      editDistance('ab', 'ba'),
      editDistance('same', 'same'),
      editDistance('abcdef', 'ghijkl', 2),
    ]).toEqual([3, 3, 1, 0, 2]);
  });
});
