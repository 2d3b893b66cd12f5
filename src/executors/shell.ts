/**
 * Dkron's shell executor (dkron.md §11.1) as a plan: what to start, where, as whom, with which limits. The runner carries it out; nothing
 * here starts a process. Everything wrong with the configuration is found before anything runs.
 */
import { processEnvironment } from '../core/process-environment.ts';
import { parseShellConfig } from '../core/shell-config.ts';
import type { StartRequest } from '../model/agent.ts';
import { lookUpUser } from './shell-user.ts';

/** A process to start. */
export interface ProcessPlan {
  /** argv; the first word is the program to start. */
  readonly words: readonly string[];
  /** The job's own program, also where another one starts it as its user. */
  readonly command: string;
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

/** Reads the job's configuration. `invalid` is the sentence the execution fails with (reason `start`). */
export function planShell(run: StartRequest, context: ShellContext): ShellPlan {
  const parsed = parseShellConfig(run.config);
  if (!parsed.ok) return { kind: 'invalid', message: parsed.problem };
  const { words, cwd, su, timeoutMs, memLimitBytes, successCodes, payload } = parsed.config;
  const user = su === null ? null : lookUpUser(su);
  if (user !== null && 'problem' in user) return { kind: 'invalid', message: user.problem };
  return {
    kind: 'plan',
    plan: {
      words: user === null ? words : [...user.prefix, ...words],
      command: words[0] as string,
      environment: processEnvironment(run, context.node, context.base, user?.user ?? null),
      cwd,
      stdin: payload === null ? null : Buffer.from(payload, 'base64'),
      timeoutMs: smaller(timeoutMs, run.timeoutMs),
      memLimitBytes,
      successCodes,
    },
  };
}

function smaller(own: number | null, limit: number | null): number | null {
  if (own === null || limit === null) return own ?? limit;
  return Math.min(own, limit);
}
