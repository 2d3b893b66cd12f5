// `belfry config check` and `belfry config show`: the configuration as the agent would take it, without starting it.
import { type Config, OPTION_LIST, type OptionField } from '../model/config.ts';
import type { Origins } from '../model/parse-config.ts';
import { type FileProblems, loadConfig } from './load-config.ts';
import { EXIT, sayProblems, type Terminal } from './terminal.ts';

type Env = Readonly<Record<string, string | undefined>>;

export async function checkConfig(
  argv: readonly string[],
  env: Env,
  inFiles: FileProblems,
  terminal: Terminal,
): Promise<number> {
  const loaded = await loadConfig(argv, env, inFiles);
  if (!loaded.ok) {
    sayProblems(terminal, loaded.problems);
    return EXIT.usage;
  }
  for (const notice of loaded.notices) terminal.talk(`note: ${notice}`);
  terminal.data('The configuration is valid.');
  return EXIT.ok;
}

/** As a configuration file; with --origin each line says where its value came from. */
export async function showConfig(
  argv: readonly string[],
  env: Env,
  withOrigin: boolean,
  terminal: Terminal,
): Promise<number> {
  // What is wrong inside the files it names does not keep the options from being shown.
  const loaded = await loadConfig(argv, env, () => []);
  if (!loaded.ok) {
    sayProblems(terminal, loaded.problems);
    return EXIT.usage;
  }
  terminal.data(dumpConfig(loaded.config, withOrigin ? loaded.origins : null));
  return EXIT.ok;
}

/** One "name: value" a line; a secret is a comment, so that the text can be given back. Values are JSON strings, so it is YAML. */
export function dumpConfig(config: Config, origins: Origins | null): string {
  const lines = shownConfig(config).map(([field, name, value]) => {
    const line = value === null ? `# ${name}: left out, it holds a secret` : `${name}: ${JSON.stringify(value)}`;
    return origins === null ? line : `${line.padEnd(48)} # ${origins[field]}`;
  });
  return lines.join('\n');
}

/** Every option but the file itself as [field, name, text]; null for a secret that is set. */
function shownConfig(config: Config): [OptionField, string, string | null][] {
  return OPTION_LIST.filter(([field]) => field !== 'configFile').map(([field, option]) => {
    const shown = option.show(config[field]);
    return [field, option.name, option.redact === true && shown !== '' ? null : shown];
  });
}
