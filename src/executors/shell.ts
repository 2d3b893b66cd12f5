/**
 * Dkron's shell executor (dkron.md §11.1) as a plan: what to start, where, as whom, with which limits. The runner carries it out; nothing
 * here starts a process. Everything wrong with the configuration is found before anything runs.
 */
import { processEnvironment } from '../core/process-environment.ts';
import { shellWords } from '../core/shell-words.ts';
import type { StartRequest } from '../model/agent.ts';
import { parseBytes } from '../model/bytes.ts';
import { parseDuration } from '../model/duration.ts';
import { lookUpUser } from './shell-user.ts';

/** A process to start. */
export interface ProcessPlan {
  /** argv; the first word is the program as the job names it. */
  readonly words: readonly string[];
  /** The same `K=V` array for the same environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** null: the node's own. */
  readonly cwd: string | null;
  readonly stdin: Uint8Array | null;
  /** Wall limit from the start: the smaller of the job's and the executor's; null: none. */
  readonly timeoutMs: number | null;
  readonly memLimitBytes: number | null;
  readonly successCodes: readonly number[];
}

export type ShellPlan =
  | { readonly kind: 'plan'; readonly plan: ProcessPlan }
  | { readonly kind: 'invalid'; readonly message: string };

export interface ShellContext {
  readonly node: string;
  readonly base: Readonly<Record<string, string>>;
}

const TRUE_WORDS = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const SUCCESS_DEFAULT: readonly number[] = [0];

/** Reads the job's configuration. `invalid` is the sentence the execution fails with (reason `start`). */
export function planShell(run: StartRequest, context: ShellContext): ShellPlan {
  const { config } = run;
  const command = config['command'] ?? '';
  const words = commandWords(command, TRUE_WORDS.has(config['shell'] ?? ''));
  if (typeof words === 'string') return invalid(words);
  const timeoutMs = smallerTimeout(config['timeout'], run.timeoutMs);
  if (timeoutMs === undefined) return invalid('timeout is not a duration: write it as 30s or 1h30m');
  const memLimitBytes = optional(config['mem_limit'], parseBytes);
  if (memLimitBytes === undefined || memLimitBytes === 0)
    return invalid('mem_limit is not a size: write it as bytes or 512MiB');
  const successCodes = optional(config['success_codes'], parseCodes);
  if (successCodes === undefined) return invalid('success_codes is not a list of exit codes: write it as 0,2');
  const stdin = optional(config['payload'], decodeBase64);
  if (stdin === undefined) return invalid('payload is not base64');
  const user = optional(config['su'], lookUpUser);
  if (user === undefined) return invalid('su is not user or user:group');
  if (user !== null && 'problem' in user) return invalid(user.problem);
  return {
    kind: 'plan',
    plan: {
      words: user === null ? words : [...user.prefix, ...words],
      environment: processEnvironment(run, context.node, context.base, user?.user ?? null),
      cwd: (config['cwd'] ?? '') === '' ? null : (config['cwd'] as string),
      stdin,
      timeoutMs,
      memLimitBytes,
      successCodes: successCodes ?? SUCCESS_DEFAULT,
    },
  };
}

function invalid(message: string): ShellPlan {
  return { kind: 'invalid', message };
}

/** Absent or empty is null; text that `parse` cannot read is undefined. */
function optional<T>(text: string | undefined, parse: (text: string) => T | undefined): T | null | undefined {
  return text === undefined || text === '' ? null : parse(text);
}

function commandWords(command: string, shell: boolean): readonly string[] | string {
  if (command.trim() === '') return 'command missing';
  if (command.includes('\0')) return 'command contains a NUL byte';
  if (shell) return ['/bin/sh', '-c', command];
  const parsed = shellWords(command);
  if (parsed.kind === 'unbalanced')
    return `command has an unclosed quote or backslash at character ${parsed.position + 1}`;
  if (parsed.words.length === 0 || parsed.words[0] === '') return 'command missing';
  return parsed.words;
}

function smallerTimeout(text: string | undefined, limitMs: number | null): number | null | undefined {
  const own = optional(text, parseDuration);
  if (own === undefined || (own !== null && own < 0)) return undefined;
  // Zero is Go's "no timeout".
  if (own === null || own === 0) return limitMs;
  return limitMs === null ? own : Math.min(own, limitMs);
}

function parseCodes(text: string): readonly number[] | undefined {
  const codes = text.split(',').map((word) => word.trim());
  return codes.every((word) => /^\d{1,3}$/.test(word) && Number(word) <= 255) ? codes.map(Number) : undefined;
}

function decodeBase64(text: string): Uint8Array | undefined {
  const compact = text.replaceAll(/\s/g, '');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(compact)) return undefined;
  return Buffer.from(compact, 'base64');
}
