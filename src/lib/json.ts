/**
 * Reading JSON. JSON.parse decides; when it refuses, a scan of our own finds the place, because the engine's message quotes the text, which
 * may hold secrets, and names no position for most errors.
 */

export type ParsedJson =
  | { ok: true; value: unknown }
  | { ok: false; message: string; offset: number; line: number; column: number };

/** `message` is one sentence with the line and column (both from 1), never a value. A key written twice counts as written last. */
export function parseJson(text: string): ParsedJson {
  try {
    return { ok: true, value: JSON.parse(text) as unknown };
  } catch {
    return placed(text, findProblem(text, null) ?? { offset: text.length, problem: 'something no JSON has' });
  }
}

/** As parseJson, for what a person wrote: a key written twice is a mistake. */
export function parseJsonOnce(text: string): ParsedJson {
  const parsed = parseJson(text);
  const repeated = parsed.ok ? findProblem(text, []) : undefined;
  return repeated === undefined ? parsed : placed(text, repeated);
}

function placed(text: string, { offset, problem }: Problem): ParsedJson {
  const before = text.slice(0, offset);
  const line = before.split('\n').length;
  const column = offset - before.lastIndexOf('\n');
  return { ok: false, message: `${problem} at line ${line}, column ${column}`, offset, line, column };
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
    if (
      escape === 'u'
        ? !/^[0-9a-fA-F]{4}$/.test(text.slice(i + 2, i + 6))
        : !'"\\/bfnrt'.includes(escape) || escape === ''
    ) {
      return { offset: i, problem: 'an unknown escape inside a string' };
    }
    i += escape === 'u' ? 5 : 1;
  }
  return { offset: text.length, problem: 'the text ends inside a string' };
}

type Expecting = 'value' | 'value or ]' | 'key' | 'key or }' | 'colon' | 'comma';

/** Where a scan stands: linear over tokens, with a stack of open brackets instead of recursion. */
interface Scan {
  at: number;
  expecting: Expecting;
  readonly open: ('{' | '[')[];
  /** The keys so far of each open bracket; null when they may repeat. */
  readonly keys: Set<string>[] | null;
}

function findProblem(text: string, keys: Scan['keys']): Problem | undefined {
  const scan: Scan = { at: 0, expecting: 'value', open: [], keys };
  for (;;) {
    scan.at = match(SPACE, text, scan.at);
    const next = text[scan.at];
    if (next === undefined && scan.open.length === 0 && scan.expecting === 'comma') return undefined;
    if (next === undefined) return { offset: scan.at, problem: endProblem(scan) };
    const problem = isMark(scan, next) ? markProblem(scan, next) : tokenProblem(scan, next, text);
    if (problem !== undefined) return typeof problem === 'string' ? { offset: scan.at, problem } : problem;
  }
}

const closing = (scan: Scan): '}' | ']' => (scan.open.at(-1) === '{' ? '}' : ']');

function endProblem(scan: Scan): string {
  return scan.open.length === 0 ? 'the text ends where a value should be' : `the text ends before a ${closing(scan)}`;
}

/** Whether punctuation is due: after a value, after a key, or the end of an empty object or array. */
function isMark({ expecting }: Scan, next: string): boolean {
  if (expecting === 'comma' || expecting === 'colon') return true;
  return (expecting === 'key or }' && next === '}') || (expecting === 'value or ]' && next === ']');
}

/** Takes one mark, or says what it should be. */
function markProblem(scan: Scan, next: string): string | undefined {
  const close = closing(scan);
  if (scan.expecting === 'colon') {
    if (next !== ':') return 'expected ":" after a key';
    scan.expecting = 'value';
  } else if (scan.open.length === 0) {
    return 'more text after the end of the value';
  } else if (next === close) {
    scan.open.pop();
    scan.keys?.pop();
    scan.expecting = 'comma';
  } else if (next === ',') {
    scan.expecting = close === '}' ? 'key' : 'value';
  } else {
    return `expected "," or "${close}"`;
  }
  scan.at++;
  return undefined;
}

/** Takes a key, a value or the beginning of one, or says what is wrong with it. */
function tokenProblem(scan: Scan, next: string, text: string): string | Problem | undefined {
  const wantsKey = scan.expecting === 'key' || scan.expecting === 'key or }';
  if (next === '"') {
    const end = stringEnd(text, scan.at);
    if (typeof end !== 'number') return end;
    if (wantsKey && isRepeated(scan, text.slice(scan.at, end)))
      return `the key ${text.slice(scan.at, end)} is written again`;
    scan.at = end;
    scan.expecting = wantsKey ? 'colon' : 'comma';
    return undefined;
  }
  if (wantsKey) return 'expected a key in double quotes';
  if (next === '{' || next === '[') {
    scan.open.push(next);
    scan.keys?.push(new Set());
    scan.expecting = next === '{' ? 'key or }' : 'value or ]';
    scan.at++;
    return undefined;
  }
  const end = match(NUMBER_OR_WORD, text, scan.at);
  if (end === scan.at) return 'expected a value';
  scan.at = end;
  scan.expecting = 'comma';
  return undefined;
}

/** Keys are compared as they mean, not as they are written: "a" may stand there as an escape. */
function isRepeated({ keys }: Scan, written: string): boolean {
  const seen = keys?.at(-1);
  if (seen === undefined) return false;
  const key = JSON.parse(written) as string;
  if (seen.has(key)) return true;
  seen.add(key);
  return false;
}
