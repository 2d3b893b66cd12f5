import { describe, expect, test } from 'vitest';
import { parseJson, parseJsonOnce } from './json.ts';

describe('parseJson', () => {
  test('takes what JSON.parse takes', () => {
    for (const text of ['{}', '[]', ' {"a":[1,2,{"b":null}]} ', '"x"', '-1.5e3', 'true']) {
      expect(parseJson(text)).toEqual({ ok: true, value: JSON.parse(text) });
    }
  });

  test.each([
    ['', 1, 1, 'the text ends where a value should be'],
    ['{"name": x}', 1, 10, 'expected a value'],
    ['{"a":1,}', 1, 8, 'expected a key in double quotes'],
    ['{"a" 1}', 1, 6, 'expected ":" after a key'],
    ['{\n  "a": 1\n  "b": 2\n}', 3, 3, 'expected "," or "}"'],
    ['[1 2]', 1, 4, 'expected "," or "]"'],
    ['[1,2', 1, 5, 'the text ends before a ]'],
    ['{"a":1', 1, 7, 'the text ends before a }'],
    ['{"a":"secret', 1, 13, 'the text ends inside a string'],
    ['{"a":"\\x"}', 1, 7, 'an unknown escape inside a string'],
    ['{"a":"\\u12g4"}', 1, 7, 'an unknown escape inside a string'],
    ['{"a":NaN}', 1, 6, 'expected a value'],
    ['{"a":01}', 1, 7, 'expected "," or "}"'],
    ["{'a':1}", 1, 2, 'expected a key in double quotes'],
    ['{} {}', 1, 4, 'more text after the end of the value'],
    ['\ufeff{}', 1, 1, 'expected a value'],
    ['{"a":"x\ny"}', 1, 8, 'a control character inside a string (write \\n, \\t or \\u00XX)'],
  ])('%j is refused at its place', (text, line, column, problem) => {
    const parsed = parseJson(text);
    expect(parsed).toMatchObject({ ok: false, line, column, message: `${problem} at line ${line}, column ${column}` });
  });

  test('agrees with JSON.parse that a mutilated text is bad, and finds a place in it', () => {
    const good = '{"name":"a","tags":{"x":"y\\u00e9"},"list":[1,-2.5e-3,true,null],"s":"\\"q\\""}';
    for (let i = 0; i < good.length; i++) {
      for (const broken of [
        good.slice(0, i),
        good.slice(0, i) + good.slice(i + 1),
        `${good.slice(0, i)}\u0001${good.slice(i)}`,
      ]) {
        const parsed = parseJson(broken);
        if (!parsed.ok) expect(parsed.offset).toBeLessThanOrEqual(broken.length);
      }
    }
  });

  test('deep nesting and long strings cost no stack', () => {
    expect(parseJson('['.repeat(500_000)).ok).toBe(false);
    expect(parseJson(`{"a":"${'\\n'.repeat(500_000)}`).ok).toBe(false);
  });
});

test.each([
  ['{"a":1,\n "a":2}', 'the key "a" is written again at line 2, column 2'],
  ['[{"b":{"c":1,"\\u0063":2}}]', 'the key "\\u0063" is written again at line 1, column 14'],
  ['{"a":[}', 'expected a value at line 1, column 7'],
])('a key written twice is refused with its place where a person wrote the text: %s', (text, message) => {
  expect(parseJsonOnce(text)).toMatchObject({ ok: false, message });
});

test('a key may stand in each of several objects, and as a value', () => {
  const text = '{"a":{"a":"a","b":[{"a":1},{"a":2}]},"b":"a","c":["a","a"]}';
  expect(parseJsonOnce(text)).toEqual({ ok: true, value: JSON.parse(text) as unknown });
  expect(parseJson('{"a":1,"a":2}')).toEqual({ ok: true, value: { a: 2 } });
});
