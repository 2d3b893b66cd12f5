/**
 * The shell executor's configuration (dkron.md §11.1): text in, checked values out. What depends on the node (users, files, PATH) is
 * left to the executor.
 */
import { parseBytes } from '../model/bytes.ts';
import { parseDuration } from '../model/duration.ts';
import { quoted } from './executor-keys.ts';
import { shellWords } from './shell-words.ts';

export interface ShellConfig {
  /** argv; the first word is the program as the job names it. */
  readonly words: readonly string[];
  /** null: the node's own. */
  readonly cwd: string | null;
  /** `user` or `user:group`; null: the node's own user. */
  readonly su: string | null;
  readonly timeoutMs: number | null;
  readonly memLimitBytes: number | null;
  readonly successCodes: readonly number[];
  /** base64 without blanks; null: nothing on stdin. */
  readonly payload: string | null;
  /** What will not do what its author seems to mean. */
  readonly warnings: readonly string[];
}

export type ParsedShellConfig =
  | { readonly ok: true; readonly config: ShellConfig }
  /** The sentence the execution fails with. */
  | { readonly ok: false; readonly problem: string };

type Raw = Readonly<Record<string, string>>;

const SUCCESS_DEFAULT: readonly number[] = [0];

export function parseShellConfig(raw: Raw): ParsedShellConfig {
  const { timeout = '', mem_limit: memory = '', success_codes: codes = '', payload = '', su = '', cwd = '' } = raw;
  const command = parseCommand(raw);
  if ('problem' in command) return refused(command.problem);
  const timeoutMs = timeout === '' ? 0 : parseDuration(timeout);
  if (timeoutMs === undefined || timeoutMs < 0)
    return refused(`timeout ${quoted(timeout)} is not a duration: write it as 30s or 1h30m`);
  const memLimitBytes = memory === '' ? null : (parseBytes(memory) ?? 0);
  if (memLimitBytes === 0) return refused(`mem_limit ${quoted(memory)} is not a size: write it as bytes or 512MiB`);
  const successCodes = codes === '' ? SUCCESS_DEFAULT : parseCodes(codes);
  if (successCodes === undefined)
    return refused(`success_codes ${quoted(codes)} is not a list of exit codes (0 to 255): write it as 0,2`);
  // As Go reads it: line breaks anywhere, padding at the end; plain text rarely passes for that.
  const compact = payload.replaceAll(/[\r\n]/g, '');
  if (compact.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(compact))
    return refused('payload is not base64: give what "base64 -w0 FILE" prints');
  if (su !== '' && !/^[^:\s]+(?::[^:\s]+)?$/.test(su)) return refused(`su ${quoted(su)} is not user or user:group`);
  if (cwd.includes('\0')) return refused('cwd contains a NUL byte');
  const config = {
    words: command.words,
    cwd: cwd === '' ? null : cwd,
    su: su === '' ? null : su,
    // Zero is Go's "no timeout".
    timeoutMs: timeoutMs === 0 ? null : timeoutMs,
    memLimitBytes,
    successCodes,
    payload: payload === '' ? null : compact,
    warnings: [...command.warnings, ...cwdWarnings(cwd), ...envWarnings(raw['env'] ?? '')],
  };
  return { ok: true, config };
}

function refused(problem: string): ParsedShellConfig {
  return { ok: false, problem };
}

type Command = { readonly words: readonly string[]; readonly warnings: readonly string[] };

const TRUE_WORDS = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const FALSE_WORDS = new Set(['', '0', 'f', 'F', 'FALSE', 'false', 'False']);

function parseCommand({ command = '', shell = '' }: Raw): Command | { readonly problem: string } {
  if (command.trim() === '') return { problem: 'command missing: say in the key command what is to run' };
  if (command.includes('\0')) return { problem: 'command contains a NUL byte' };
  if (TRUE_WORDS.has(shell)) return { words: ['/bin/sh', '-c', command], warnings: [] };
  const warnings = FALSE_WORDS.has(shell) ? [] : [`shell ${quoted(shell)} is no boolean: false is used; write "true"`];
  const parsed = shellWords(command);
  if (parsed.kind === 'unbalanced')
    return { problem: `command has an unclosed quote or backslash at character ${parsed.position + 1}` };
  const { words, stoppedAt } = parsed;
  if (words.length === 0 || words[0] === '')
    return { problem: 'command missing: it begins with nothing that can be run without shell "true"' };
  const why = whyShell(command, words[0] as string, stoppedAt);
  return { words, warnings: why === undefined ? warnings : [...warnings, why] };
}

/** What a command without a shell seems to want of one. */
function whyShell(command: string, program: string, stoppedAt: number | null): string | undefined {
  if (stoppedAt !== null)
    return `command is cut at the ${quoted(command[stoppedAt] as string)} at character ${stoppedAt + 1}: only what stands before it runs; set shell to "true", or quote it`;
  if (needsShell(program))
    return `command begins with ${quoted(program)}, which only a shell knows: set shell to "true"`;
  const variable = variableIn(command);
  if (variable === undefined) return undefined;
  return `command has ${quoted(variable)} in it, which is passed as it is written: set shell to "true" to have it replaced`;
}

/** The first thing outside single quotes that a shell would replace. `$1` is left alone: awk has it too. */
function variableIn(command: string): string | undefined {
  if (!/[$`]/.test(command)) return undefined;
  for (const [piece] of command.matchAll(/\\.|'[^']*'|"(?:[^"\\]|\\.)*"|[^\\'"]+/gs)) {
    if (piece.startsWith("'")) continue;
    const [found] = /\$(?:[A-Za-z_]\w*|\{)|`/.exec(piece.replaceAll(/\\./gs, '')) ?? [];
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Whether a program's name is one that only a shell can make something of. */
export function needsShell(program: string): boolean {
  return NEEDS_SHELL.test(program);
}

/** Builtins that no program can stand in for, words of the shell's grammar, and assignments before a command. */
const NEEDS_SHELL =
  /^(?:cd|exit|exec|eval|export|set|unset|source|\.|if|for|while|until|case|ulimit|umask|trap|alias|\{|!|\[\[|[A-Za-z_][A-Za-z0-9_]*=.*)$/s;

function parseCodes(text: string): readonly number[] | undefined {
  const codes = text.split(',').map((word) => word.trim());
  return codes.every((word) => /^\d{1,3}$/.test(word) && Number(word) <= 255) ? codes.map(Number) : undefined;
}

function cwdWarnings(cwd: string): string[] {
  return cwd.startsWith('~') ? ['cwd begins with "~", which only a shell replaces: write the whole path'] : [];
}

/** A piece before the first `NAME=` belongs to nothing (parseJobEnv). Its value may be a secret, so only the place is told. */
function envWarnings(env: string): string[] {
  const [first = ''] = env.split(',', 1);
  if (env.trim() === '' || /^\s*[A-Za-z_][A-Za-z0-9_]*=/.test(first)) return [];
  return ['env does not begin with NAME=: what stands before the first one is left out; write it as A=1,B=2'];
}
