/**
 * argv → flags, as Dkron's parser takes them: "--name value", "--name=value", "--bool", "--bool=false"; here also "--no-bool".
 * Unknown names are kept for parseConfig, which knows the nearest; what is no flag at all is left over.
 */
import { FIELD_OF_NAME, OPTIONS } from '../model/config.ts';
import { DKRON_OPTION_OF_NAME } from '../model/dkron-options.ts';
import type { ConfigProblem, FlagEntry } from '../model/parse-config.ts';

export interface ParsedFlags {
  readonly flags: readonly FlagEntry[];
  /** Arguments that belong to no flag, and flags without the value they need. */
  readonly problems: readonly ConfigProblem[];
}

export function parseFlags(argv: readonly string[]): ParsedFlags {
  const flags: FlagEntry[] = [];
  const problems: ConfigProblem[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? '';
    const match = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(word);
    if (match === null) {
      problems.push(stray(word, argv[i - 1]));
      continue;
    }
    const [, name = '', attached] = match;
    const next = argv[i + 1];
    if (isNegated(name)) {
      if (attached === undefined) flags.push({ name: name.slice('no-'.length), value: 'false' });
      else
        problems.push({
          message: `--${name}: takes no value`,
          remedy: `Write --${name.slice('no-'.length)}=${attached === 'false'}.`,
        });
    } else if (attached !== undefined) flags.push({ name, value: attached });
    else if (isBool(name)) flags.push({ name, value: 'true' });
    else if (next !== undefined && !next.startsWith('--')) {
      flags.push({ name, value: next });
      i++;
    } else if (isKnown(name)) problems.push({ message: `--${name}: needs a value`, remedy: `Write --${name} VALUE.` });
    else flags.push({ name, value: '' });
  }
  return { flags, problems };
}

/** A word of its own; `before` is what stands before it. */
function stray(word: string, before: string | undefined): ConfigProblem {
  const flag = /^--?([^-=][^=]*)$/.exec(before ?? '')?.[1];
  return {
    message: `unexpected argument "${word}"`,
    remedy:
      flag !== undefined && isBool(flag)
        ? `The value of --${flag} is attached: --${flag}=true or --${flag}=false.`
        : 'Options are written --name value.',
  };
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
