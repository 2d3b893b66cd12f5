/** Which executors this version has, and the keys each of them reads (dkron.md §11). */
import { nearest } from '../model/nearest.ts';

const HTTP_KEYS =
  'url method headers body timeout expectCode expectBody debug ' +
  'tlsNoVerifyPeer tlsCertificateFile tlsCertificateKeyFile tlsRootCAsFile';

const EXECUTOR_KEYS: ReadonlyMap<string, readonly string[]> = new Map([
  ['shell', ['command', 'shell', 'env', 'cwd', 'su', 'timeout', 'mem_limit', 'payload', 'success_codes']],
  ['http', HTTP_KEYS.split(' ')],
]);

const SHOWN_CHARACTERS_MAX = 40;
const UNKNOWN_SHOWN_MAX = 10;

/** Why no run of a job with this executor can start; undefined when this version has it. */
export function executorProblem(name: string): string | undefined {
  if (EXECUTOR_KEYS.has(name)) return undefined;
  const known = [...EXECUTOR_KEYS.keys()];
  if (name === '') return `executor is empty: give one of ${known.join(', ')}`;
  return `executor ${quoted(name)} is not in this version: ${remedy(name, known)}`;
}

/** One line for each key that the executor does not read. */
export function unknownKeys(executor: string, config: Readonly<Record<string, string>>): string[] {
  return unknownOf(config, EXECUTOR_KEYS.get(executor) ?? []);
}

/** As unknownKeys, for any map with known keys. */
export function unknownOf(config: Readonly<Record<string, string>>, known: readonly string[]): string[] {
  return Object.keys(config)
    .filter((key) => !known.includes(key))
    .slice(0, UNKNOWN_SHOWN_MAX)
    .map((key) => `${quoted(key)} is no key of it and does nothing: ${keyRemedy(key, known)}`);
}

/** A value as a message may show it: in quotes, on one line, short. */
export function quoted(text: string): string {
  const cut = text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}...` : text;
  return JSON.stringify(cut);
}

/** What other tools, and Dkron's own documentation in places, call these keys. */
const OTHER_NAMES: ReadonlyMap<string, readonly string[]> = new Map([
  ['command', ['cmd', 'script', 'run', 'exec']],
  ['env', ['environment', 'envs', 'vars']],
  ['cwd', ['dir', 'directory', 'workdir', 'working_dir', 'working_directory']],
  ['su', ['user', 'username', 'run_as']],
  ['mem_limit', ['memory_limit', 'memory']],
  ['success_codes', ['exit_codes']],
  ['payload', ['stdin', 'input']],
  ['url', ['uri', 'endpoint', 'address']],
  ['body', ['data', 'payload']],
  ['expectCode', ['status', 'expected_status']],
  ['tlsNoVerifyPeer', ['insecure', 'verify', 'skip_verify']],
]);

function keyRemedy(key: string, known: readonly string[]): string {
  const meant = known.find((own) => OTHER_NAMES.get(own)?.includes(key.toLowerCase()));
  return meant === undefined ? remedy(key, known) : `did you mean ${meant}?`;
}

function remedy(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  return near === undefined ? `give one of ${known.join(', ')}` : `did you mean ${near}?`;
}
