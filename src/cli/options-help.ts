// The list of options as `--help` shows it.
import { OPTION_LIST } from '../model/config.ts';
import { envName, type Option, OPTION_GROUPS } from '../model/option.ts';

const INDENT = '      ';
const COLUMNS = 100;

export function optionsHelp(): string {
  const groups = OPTION_GROUPS.map((group) => {
    const entries = OPTION_LIST.filter(([, option]) => option.group === group).map(([, option]) => entryOf(option));
    return `${group}:\n${entries.join('\n')}`;
  });
  return `${groups.join('\n\n')}\n\nEvery option is also an environment variable (${envName('http-addr')} for --http-addr) and a key of the configuration file\n(http-addr). A flag goes before the environment, the environment before the file.`;
}

function entryOf(option: Option<unknown>): string {
  return `  --${option.name}${valueHint(option)}\n${wrap(`${option.description} ${limits(option)}`)}`;
}

function valueHint({ kind, values, readsFile }: Option<unknown>): string {
  if (kind === 'bool') return '';
  if (kind === 'enum') return ` ${(values ?? []).join('|')}`;
  if (kind === 'map') return ' KEY=VALUE';
  if (kind === 'list') return ' NAME,…';
  return ` ${readsFile === true ? 'FILE' : kind.toUpperCase()}`;
}

function limits(option: Option<unknown>): string {
  const byDefault = option.defaultText ?? option.show(option.default);
  return byDefault === '' ? '' : `(default ${byDefault})`;
}

function wrap(text: string): string {
  const lines = [''];
  for (const word of text.trim().split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line.length + word.length + INDENT.length >= COLUMNS) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.map((line) => INDENT + line).join('\n');
}
