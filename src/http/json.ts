/**
 * Reading JSON bodies. JSON.parse decides; when it refuses, a scan of our own finds the place, because the engine's message quotes the
 * body, which may hold secrets, and names no position for most errors.
 */

export type ParsedJson = { ok: true; value: unknown } | { ok: false; message: string; offset: number; line: number; column: number };

/** A body as JSON; `message` is one sentence with the line and column (both from 1), never a piece of the body. */
export function parseJson(text: string): ParsedJson {
  try {
    return { ok: true, value: JSON.parse(text) as unknown };
  } catch {
    const { offset, problem } = findProblem(text);
    const before = text.slice(0, offset);
    const line = before.split('\n').length;
    const column = offset - before.lastIndexOf('\n');
    return { ok: false, message: `${problem} at line ${line}, column ${column}`, offset, line, column };
  }
}

interface Problem {
  offset: number;
  problem: string;
}

const SPACE = /[ \t\n\r]*/y;
const NUMBER_OR_WORD = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

function match(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

/** The end of the string that begins at `at`, or what is wrong inside it. */
function stringEnd(text: string, at: number): number | Problem {
  for (let i = at + 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x22) return i + 1;
    if (code < 0x20) return { offset: i, problem: 'a control character inside a string (write \\n, \\t or \\u00XX)' };
    if (code !== 0x5c) continue;
    const escape = text[i + 1] ?? '';
    if (escape === 'u' ? !/^[0-9a-fA-F]{4}$/.test(text.slice(i + 2, i + 6)) : !'"\\/bfnrt'.includes(escape) || escape === '') {
      return { offset: i, problem: 'an unknown escape inside a string' };
    }
    i += escape === 'u' ? 5 : 1;
  }
  return { offset: text.length, problem: 'the text ends inside a string' };
}

type Expecting = 'value' | 'value or ]' | 'key' | 'key or }' | 'colon' | 'comma';

/** One pass over tokens with a stack of open brackets: linear, no recursion. */
function findProblem(text: string): Problem {
  const open: ('{' | '[')[] = [];
  let expecting: Expecting = 'value';
  let at = 0;
  for (;;) {
    at = match(SPACE, text, at);
    const next = text[at];
    const inside = open.at(-1);
    if (next === undefined) {
      const missing = inside === undefined ? 'the text ends where a value should be' : `the text ends before a ${inside === '{' ? '}' : ']'}`;
      return { offset: at, problem: missing };
    }
    if (expecting === 'comma') {
      if (inside === undefined) return { offset: at, problem: 'more text after the end of the value' };
      if (next === ',') {
        expecting = inside === '{' ? 'key' : 'value';
      } else if (next === (inside === '{' ? '}' : ']')) {
        open.pop();
      } else {
        return { offset: at, problem: `expected "," or "${inside === '{' ? '}' : ']'}"` };
      }
      at++;
      continue;
    }
    if (expecting === 'colon') {
      if (next !== ':') return { offset: at, problem: 'expected ":" after a key' };
      expecting = 'value';
      at++;
      continue;
    }
    if ((expecting === 'key or }' && next === '}') || (expecting === 'value or ]' && next === ']')) {
      open.pop();
      expecting = 'comma';
      at++;
      continue;
    }
    const wantsKey: boolean = expecting === 'key' || expecting === 'key or }';
    if (next === '"') {
      const end = stringEnd(text, at);
      if (typeof end !== 'number') return end;
      at = end;
      expecting = wantsKey ? 'colon' : 'comma';
      continue;
    }
    if (wantsKey) return { offset: at, problem: 'expected a key in double quotes' };
    if (next === '{' || next === '[') {
      open.push(next);
      expecting = next === '{' ? 'key or }' : 'value or ]';
      at++;
      continue;
    }
    const end = match(NUMBER_OR_WORD, text, at);
    if (end === at) return { offset: at, problem: 'expected a value' };
    at = end;
    expecting = 'comma';
  }
}
