// The arguments, the environment and the file of this process → Config, or everything that is wrong with them.
import { hostname } from 'node:os';
import { type ConfigProblem, type FlagEntry, type ParsedConfig, parseConfig } from '../model/parse-config.ts';
import { type ConfigFile, findConfigFile, readConfigFile } from './config-file.ts';
import { parseFlags } from './flags.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** Reads, never starts or writes anything. */
export async function loadConfig(argv: readonly string[], env: Env): Promise<ParsedConfig> {
  const { flags, rest, lacking } = parseFlags(argv);
  const found = await readConfigFile(configPath(flags, env));
  const problems: ConfigProblem[] = [
    ...rest.map((word) => ({ message: `unexpected argument "${word}"`, remedy: 'Options are written --name value.' })),
    ...lacking.map((name) => ({ message: `--${name}: needs a value`, remedy: `Write --${name} VALUE.` })),
    ...(found.kind === 'failed' ? [found.problem] : []),
  ];
  const parsed = parseConfig({ flags, env, file: fileOf(found), nodeName: nodeName() });
  if (parsed.ok && problems.length === 0) return parsed;
  return { ok: false, problems: parsed.ok ? problems : [...problems, ...parsed.problems] };
}

function fileOf(found: ConfigFile): { path: string; data: unknown } | null {
  return found.kind === 'read' ? found : null;
}

function configPath(flags: readonly FlagEntry[], env: Env): string | undefined {
  const flag = flags.findLast(({ name }) => name === 'config')?.value;
  return flag ?? (env['BELFRY_CONFIG'] || findConfigFile(env['HOME']));
}

/** A host's name may hold what a node's must not. */
function nodeName(): string {
  return (
    hostname()
      .replaceAll(/[^A-Za-z0-9._-]/g, '-')
      .slice(0, 128) || 'localhost'
  );
}
