import { describe, expect, test } from 'vitest';
import { JsonArrayError, jsonElements } from './json-elements.ts';

async function* pieces(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  // One buffer for all pieces, as a stream may do.
  const reused = Buffer.alloc(size);
  for (let at = 0; at < bytes.length; at += size) {
    const length = bytes.copy(reused, 0, at, at + size);
    yield reused.subarray(0, length);
  }
}

const all = (text: string, size = 3, max = 1000) => Array.fromAsync(jsonElements(pieces(text, size), max));

describe('jsonElements', () => {
  test.each([1, 2, 3, 7, 1000])('cuts an array that comes in pieces of %i bytes', async (size) => {
    const value = [{ a: '[,]{}"\\' }, { b: { c: [1, { d: 'é漢🔔' }] } }, 5, 'x', []];
    const texts = await all(` \n${JSON.stringify(value, null, 2)}\n `, size);
    expect(texts.map((text) => JSON.parse(text))).toEqual(value);
  });

  test('an empty array has no elements', async () => {
    expect(await all('[]')).toEqual([]);
    expect(await all(' [ \n ] ')).toEqual([]);
  });

  test.each([
    ['', 'expected a JSON array'],
    ['{"a":1}', 'expected a JSON array'],
    ['[1,2', 'the array does not end'],
    ['["a', 'the array does not end'],
    ['[1]x', 'more text after the end'],
    ['[1][2]', 'more text after the end'],
    ['[1,,2]', 'nothing between commas'],
    ['[1,]', 'nothing between commas'],
    ['[,1]', 'nothing between commas'],
  ])('%j is refused', async (text, message) => {
    await expect(all(text)).rejects.toThrow(JsonArrayError);
    await expect(all(text)).rejects.toThrow(message);
  });

  test('an element over the limit is refused with its number before it is whole', async () => {
    await expect(all(`[1,"${'x'.repeat(2000)}`, 64)).rejects.toThrow('job number 2 is larger than 1000 bytes');
  });
});
