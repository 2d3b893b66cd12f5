/**
 * argv → flags, as Dkron's parser takes them: "--name value", "--name=value", "--bool", "--bool=false"; here also "--no-bool".
 * Unknown names are kept for parseConfig, which knows the nearest; what is no flag at all is left over.
 */
import { FIELD_OF_NAME, OPTIONS } from '../model/config.ts';
import { DKRON_OPTION_OF_NAME } from '../model/dkron-options.ts';
import type { FlagEntry } from '../model/parse-config.ts';

export interface ParsedFlags {
  readonly flags: readonly FlagEntry[];
  /** Arguments that belong to no flag. */
  readonly rest: readonly string[];
  /** Names of flags that need a value and have none. */
  readonly lacking: readonly string[];
}

export function parseFlags(argv: readonly string[]): ParsedFlags {
  const flags: FlagEntry[] = [];
  const rest: string[] = [];
  const lacking: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const match = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(argv[i] ?? '');
    if (match === null) {
      rest.push(argv[i] ?? '');
      continue;
    }
    const [, name = '', attached] = match;
    const next = argv[i + 1];
    if (attached !== undefined) flags.push({ name, value: attached });
    else if (isBool(name)) flags.push({ name, value: 'true' });
    else if (isNegated(name)) flags.push({ name: name.slice('no-'.length), value: 'false' });
    else if (next !== undefined && !next.startsWith('--')) {
      flags.push({ name, value: next });
      i++;
    } else if (isKnown(name)) lacking.push(name);
    else flags.push({ name, value: '' });
  }
  return { flags, rest, lacking };
}

function isBool(name: string): boolean {
  const field = FIELD_OF_NAME.get(name);
  return field === undefined ? DKRON_OPTION_OF_NAME.get(name)?.bool === true : OPTIONS[field].kind === 'bool';
}

function isNegated(name: string): boolean {
  return name.startsWith('no-') && !isKnown(name) && isBool(name.slice('no-'.length));
}

function isKnown(name: string): boolean {
  return FIELD_OF_NAME.has(name) || DKRON_OPTION_OF_NAME.has(name);
}
