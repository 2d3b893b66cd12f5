/**
 * Splits a command line into words as a shell would quote them, without any expansion. Dkron's rule: parsing stops at an unquoted
 * operator (`;`, `&`, `|`, `<`, `>`, parentheses), so `a && b` runs `a`; who wants operators asks for `shell: true`.
 */

export type ShellWords =
  | {
      readonly kind: 'words';
      readonly words: readonly string[];
      /** Where an operator ended the parsing; null: nowhere. */ readonly stoppedAt: number | null;
    }
  | { readonly kind: 'unbalanced'; readonly position: number };

const OPERATORS = new Set([';', '&', '|', '<', '>', '(', ')']);
const BLANKS = new Set([' ', '\t', '\n', '\r']);
/** Inside double quotes a backslash escapes only these; before anything else it stands for itself. */
const ESCAPED_IN_QUOTES = new Set(['"', '\\', '$', '`', '\n']);

/** Linear in the text's length. A quote or backslash that nothing closes is `unbalanced` at its position. */
export function shellWords(text: string): ShellWords {
  const words: string[] = [];
  let word: string | null = null;
  let at = 0;
  while (at < text.length) {
    const char = text[at] as string;
    if (BLANKS.has(char)) {
      if (word !== null) words.push(word);
      word = null;
      at += 1;
    } else if (OPERATORS.has(char)) {
      if (word !== null) words.push(word);
      return { kind: 'words', words, stoppedAt: at };
    } else {
      const piece = readPiece(text, at);
      if (piece === null) return { kind: 'unbalanced', position: at };
      word = (word ?? '') + piece.text;
      at = piece.end;
    }
  }
  if (word !== null) words.push(word);
  return { kind: 'words', words, stoppedAt: null };
}

interface Piece {
  readonly text: string;
  readonly end: number;
}

function readPiece(text: string, at: number): Piece | null {
  const char = text[at] as string;
  if (char === "'") {
    const end = text.indexOf("'", at + 1);
    return end < 0 ? null : { text: text.slice(at + 1, end), end: end + 1 };
  }
  if (char === '"') return readDoubleQuoted(text, at + 1);
  if (char !== '\\') return { text: char, end: at + 1 };
  const next = text[at + 1];
  if (next === undefined) return null;
  return { text: next === '\n' ? '' : next, end: at + 2 };
}

function readDoubleQuoted(text: string, from: number): Piece | null {
  const parts: string[] = [];
  for (let at = from; at < text.length; at += 1) {
    const char = text[at] as string;
    if (char === '"') return { text: parts.join(''), end: at + 1 };
    const next = text[at + 1];
    if (char === '\\' && next !== undefined && ESCAPED_IN_QUOTES.has(next)) {
      if (next !== '\n') parts.push(next);
      at += 1;
    } else {
      parts.push(char);
    }
  }
  return null;
}
