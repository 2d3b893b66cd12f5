/**
 * What of a job's executor and its configuration will not do as written, on whichever node it runs: the same reading as at run time, one
 * sentence each. Files, users and programs are left out, because the node that stores is not always the one that runs.
 */
import { executorProblem, unknownKeys } from '../core/executor-keys.ts';
import { parseHttpConfig } from '../core/http-config.ts';
import { parseShellConfig } from '../core/shell-config.ts';
import { compileExpectation } from './http/expect-body.ts';

type Raw = Readonly<Record<string, string>>;

export async function checkExecutor(executor: string, config: Raw): Promise<string[]> {
  const unknown = executorProblem(executor);
  if (unknown !== undefined) return [fatal(unknown)];
  const found = executor === 'http' ? await checkHttp(config) : checkShell(config);
  return [...unknownKeys(executor, config), ...found].map((text) => `executor_config: ${text}`);
}

function checkShell(config: Raw): readonly string[] {
  const parsed = parseShellConfig(config);
  return parsed.ok ? parsed.config.warnings : [fatal(parsed.problem)];
}

async function checkHttp(raw: Raw): Promise<readonly string[]> {
  const parsed = parseHttpConfig(raw);
  if (!parsed.ok) return [fatal(parsed.problem)];
  const { expectBody, warnings } = parsed.config;
  const pattern = expectBody === null ? null : await compileExpectation(expectBody);
  return pattern?.ok === false ? [...warnings, fatal(pattern.problem)] : warnings;
}

function fatal(problem: string): string {
  return `every run will fail: ${problem}`;
}
