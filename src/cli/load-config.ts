// The arguments, the environment and the file of this process → Config, or everything that is wrong with them.
import { hostname } from 'node:os';
import { readRefusal } from '../lib/read-refusal.ts';
import { type Config, OPTION_LIST } from '../model/config.ts';
import {
  type ConfigProblem,
  type FileProblem,
  type FlagEntry,
  type ParsedConfig,
  parseConfig,
} from '../model/parse-config.ts';
import { type ConfigFile, findConfigFile, readConfigFile } from './config-file.ts';
import { parseFlags } from './flags.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** Reads the files that options of the API name and says what is wrong in them; handed in, since the CLI may not import the API. */
export type FileProblems = (config: Config) => readonly FileProblem[];

/** Reads, never starts or writes anything. `inFiles` says what is wrong inside the files that options name. */
export async function loadConfig(argv: readonly string[], env: Env, inFiles: FileProblems): Promise<ParsedConfig> {
  const { flags, problems: misplaced } = parseFlags(argv);
  const found = await readConfigFile(configPath(flags, env));
  const problems: ConfigProblem[] = [...misplaced, ...(found.kind === 'failed' ? [found.problem] : [])];
  const parsed = parseConfig({ flags, env, file: fileOf(found), nodeName: nodeName() });
  problems.push(...(parsed.ok ? fileProblems(parsed, inFiles) : parsed.problems));
  return parsed.ok && problems.length === 0 ? parsed : { ok: false, problems };
}

/** What cannot be read, else what is wrong inside; one problem per file. */
function fileProblems(parsed: Extract<ParsedConfig, { ok: true }>, inFiles: FileProblems): ConfigProblem[] {
  const unreadable = unreadableFiles(parsed);
  if (unreadable.length > 0) return unreadable;
  return inFiles(parsed.config).map(({ field, message, remedy }) => ({
    message: `${parsed.origins[field]}: ${message}`,
    remedy,
  }));
}

/** Files that options name are opened only later, some after other things have started: what cannot be read is said now. */
function unreadableFiles({ config, origins }: Extract<ParsedConfig, { ok: true }>): ConfigProblem[] {
  return OPTION_LIST.flatMap(([field, option]) => {
    // The configuration file itself has been read, or its problem said, by now.
    if (option.readsFile !== true || field === 'configFile') return [];
    const path = config[field];
    if (typeof path !== 'string') return [];
    const cause = readRefusal(path);
    if (cause === undefined) return [];
    const message = `${origins[field]}: cannot read ${path} (${cause})`;
    return [{ message, remedy: 'Name a file this user can read.' }];
  });
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
