// `belfry config check` and `belfry config show`: the configuration as the agent would take it, without starting it.
import { type Config, OPTION_LIST, type OptionField } from '../model/config.ts';
import type { Origins } from '../model/parse-config.ts';
import { loadConfig } from './load-config.ts';
import { EXIT, sayProblems, type Terminal } from './terminal.ts';

type Env = Readonly<Record<string, string | undefined>>;

export async function checkConfig(argv: readonly string[], env: Env, terminal: Terminal): Promise<number> {
  const loaded = await loadConfig(argv, env);
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
  const loaded = await loadConfig(argv, env);
  if (!loaded.ok) {
    sayProblems(terminal, loaded.problems);
    return EXIT.usage;
  }
  terminal.data(dumpConfig(loaded.config, withOrigin ? loaded.origins : null));
  return EXIT.ok;
}

/** One "name: value" a line, secrets redacted. Values are JSON strings, so the text is YAML. */
export function dumpConfig(config: Config, origins: Origins | null): string {
  const lines = redactedConfig(config).map(([field, name, value]) => {
    const line = `${name}: ${JSON.stringify(value)}`;
    return origins === null ? line : `${line.padEnd(48)} # ${origins[field]}`;
  });
  return lines.join('\n');
}

/** Every option but the file itself as [field, name, text]; secrets are "(redacted)". */
function redactedConfig(config: Config): [OptionField, string, string][] {
  return OPTION_LIST.filter(([field]) => field !== 'configFile').map(([field, option]) => {
    const shown = option.show(config[field]);
    return [field, option.name, option.redact === true && shown !== '' ? '(redacted)' : shown];
  });
}
