/**
 * Cuts an SQL file into its statements. Semicolons inside strings, names, comments and trigger bodies do not end one. Comments outside
 * of strings are dropped, so that the text kept in the database's schema is the same however the file is commented.
 */
export function splitSql(text: string): string[] {
  const statements: string[] = [];
  let current = '';
  for (const [token] of text.matchAll(TOKEN)) {
    if (UNCLOSED.test(token)) throw new Error(`an SQL file ends inside a statement: a ${token} is never closed`);
    if (token.startsWith('--') || token.startsWith('/*')) continue;
    if (token === ';' && !insideTrigger(current)) {
      if (current.trim() !== '') statements.push(current.trim());
      current = '';
    } else {
      current += token;
    }
  }
  if (current.trim() !== '') throw new Error(`an SQL file ends inside a statement: ${current.trim().slice(0, 60)}`);
  return statements;
}

/** Strings and quoted names (a doubled quote continues them), comments, semicolons, and the runs between. A lone `-` or `/` is text. */
const TOKEN = /'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?\*\/|;|[^'"`[;\-/]+|[\s\S]/g;

const UNCLOSED = /^['"`[]$/;

/** A trigger's statement is whole at the semicolon after its END; CASE … END inside its body is followed by something else. */
function insideTrigger(current: string): boolean {
  return /^\s*CREATE\s+(?:TEMP\w*\s+)?TRIGGER\b/i.test(current) && !/;\s*END\s*$/i.test(current);
}
