/**
 * Sources → Config. Pure and total: never throws, names every problem at once, and starts nothing.
 * Order: flag, environment, file, default. A value is taken whole from the first source that has one.
 */
import { formatAddress, isLoopback } from './address.ts';
import { type Config, FIELD_OF_NAME, JOB_ENV_NAMES, OPTION_LIST, type OptionField, OPTIONS } from './config.ts';
import { DKRON_OPTION_OF_NAME, isHarmless } from './dkron-options.ts';
import { nearest } from './nearest.ts';
import { envName, type Option } from './option.ts';

/** One flag as written; `value` is 'true' for a bare boolean flag. Repeated flags are repeated entries. */
export interface FlagEntry {
  readonly name: string;
  readonly value: string;
}

export interface ConfigSources {
  readonly flags: readonly FlagEntry[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `data` is the parsed document, of any shape. */
  readonly file: { readonly path: string; readonly data: unknown } | null;
  /** Defaults that depend on the machine. */
  readonly nodeName: string;
}

/** Where a value came from: "--http-addr", "BELFRY_HTTP_ADDR", "/etc/belfry/belfry.yml" or "default". */
export type Origins = Readonly<Record<OptionField, string>>;

/** One line of cause, one of what to do. */
export interface ConfigProblem {
  readonly message: string;
  readonly remedy: string;
}

/** What is wrong with the file an option names. */
export interface FileProblem extends ConfigProblem {
  readonly field: OptionField;
}

export type ParsedConfig =
  | { readonly ok: true; readonly config: Config; readonly origins: Origins; readonly notices: readonly string[] }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

/** A raw value of one field in one source. `where` is for people. */
interface Candidate {
  readonly source: 'file' | 'env' | 'flag';
  readonly name: string;
  readonly raw: unknown;
  readonly where: string;
}

interface Reading {
  readonly problems: ConfigProblem[];
  readonly notices: string[];
  /** Per field, the candidate of the source with the highest rank so far. */
  readonly chosen: Map<OptionField, Candidate>;
}

const PROBLEMS_MAX = 50;

export function parseConfig(sources: ConfigSources): ParsedConfig {
  const reading: Reading = { problems: [], notices: [], chosen: new Map() };
  // Lowest rank first: later sources overwrite.
  readFile(sources.file, reading);
  readEnv(sources.env, reading);
  readFlags(sources.flags, reading);
  const values = new Map<OptionField, unknown>();
  const origins = new Map<OptionField, string>();
  for (const [field, option] of OPTION_LIST) {
    const candidate = reading.chosen.get(field);
    values.set(
      field,
      candidate === undefined ? defaultOf(field, option, sources) : valueOf(option, candidate, reading),
    );
    origins.set(field, candidate?.where ?? 'default');
  }
  const config = Object.fromEntries(values) as Config;
  const whence = Object.fromEntries(origins) as Origins;
  if (reading.problems.length === 0) checkTogether(config, whence, reading);
  if (reading.problems.length > 0) return { ok: false, problems: reading.problems.slice(0, PROBLEMS_MAX) };
  return { ok: true, config, origins: whence, notices: reading.notices };
}

function defaultOf(field: OptionField, option: Option<unknown>, sources: ConfigSources): unknown {
  return field === 'nodeName' ? sources.nodeName : option.default;
}

function valueOf(option: Option<unknown>, { raw, where }: Candidate, { problems }: Reading): unknown {
  const read = option.read(raw);
  if (read.ok) return read.value;
  problems.push({
    message: `${where}: ${read.message}`,
    remedy: `For example ${option.example}. See "belfry agent --help".`,
  });
  return option.default;
}

function readFlags(flags: readonly FlagEntry[], reading: Reading): void {
  const values = new Map<string, string[]>();
  for (const { name, value } of flags) values.set(name, [...(values.get(name) ?? []), value]);
  for (const [name, given] of values) {
    const where = `--${name}`;
    const field = FIELD_OF_NAME.get(name);
    const candidate: Candidate = { source: 'flag', name, raw: given, where };
    if (field === undefined) absentOrUnknown(candidate, (near) => `--${near}`, reading);
    else choose(reading, field, isMany(field) ? candidate : { ...candidate, raw: given.at(-1) });
  }
}

function isMany(field: OptionField): boolean {
  return OPTIONS[field].kind === 'list' || OPTIONS[field].kind === 'map';
}

function readEnv(env: ConfigSources['env'], reading: Reading): void {
  for (const [where, raw] of Object.entries(env)) {
    // An empty variable is an unset one: compose files and CI pass those on.
    if (raw === undefined || raw === '') continue;
    const name = where
      .replace(/^(BELFRY|DKRON)_/, '')
      .toLowerCase()
      .replaceAll('_', '-');
    const field = FIELD_OF_NAME.get(name);
    if (where.startsWith('DKRON_') && field !== undefined) {
      reading.notices.push(`${where} is not read; the name here is ${envName(name)}.`);
    } else if (where.startsWith('BELFRY_')) {
      if (field !== undefined) choose(reading, field, { source: 'env', name, raw, where });
      else if (!isForeign(where, raw)) absentOrUnknown({ source: 'env', name, raw, where }, envName, reading);
    }
  }
}

/** Names a job's environment or Kubernetes (for a Service called "belfry…") puts there. */
function isForeign(name: string, raw: string): boolean {
  if (JOB_ENV_NAMES.has(name)) return true;
  if (/_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_\w+)$/.test(name)) return true;
  return name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(raw);
}

function readFile(file: ConfigSources['file'], reading: Reading): void {
  if (file === null || file.data === null || file.data === undefined) return;
  const { path, data } = file;
  if (typeof data !== 'object' || Array.isArray(data)) {
    reading.problems.push({
      message: `${path}: must be a mapping of options`,
      remedy: 'Write one "name: value" a line.',
    });
    return;
  }
  const seen = new Set<string>();
  for (const [key, raw] of Object.entries(data)) {
    // Dkron's files are read without regard to letter case.
    const name = key.toLowerCase();
    const where = `${path}: ${key}`;
    const field = FIELD_OF_NAME.get(name);
    if (seen.has(name)) reading.problems.push({ message: `${where}: written twice`, remedy: 'Keep one of them.' });
    seen.add(name);
    const candidate: Candidate = { source: 'file', name, raw, where };
    if (field === undefined) absentOrUnknown(candidate, (near) => near, reading);
    else if (field === 'configFile')
      reading.problems.push({ message: `${where}: cannot stand in the file it picks`, remedy: 'Remove it.' });
    else if (raw !== null) choose(reading, field, candidate);
  }
}

/** In one source the option's own name wins over an alias, as Dkron ignores `tags` when `tag` is given. */
function choose(reading: Reading, field: OptionField, candidate: Candidate): void {
  const before = reading.chosen.get(field);
  if (before?.source === candidate.source && before.name === OPTIONS[field].name) return;
  reading.chosen.set(field, candidate);
}

function absentOrUnknown(found: Candidate, spell: (name: string) => string, { problems, notices }: Reading): void {
  const known = DKRON_OPTION_OF_NAME.get(found.name);
  if (known === undefined) {
    const near = nearest(found.name, [...FIELD_OF_NAME.keys(), ...DKRON_OPTION_OF_NAME.keys()]);
    const remedy = near === undefined ? 'See "belfry agent --help" for the options.' : `Did you mean ${spell(near)}?`;
    problems.push({ message: `${found.where}: unknown option`, remedy });
  } else if (isHarmless(known, found.raw)) {
    notices.push(`${found.where} changes nothing here.`);
  } else {
    problems.push({ message: `${found.where}: not in this version: ${known.why}`, remedy: 'Remove it.' });
  }
}

/** Rules over several options; only run when each is right by itself. */
function checkTogether(config: Config, origins: Origins, { problems, notices }: Reading): void {
  if ((config.tlsCert === null) !== (config.tlsKey === null)) {
    const [has, lacks] = config.tlsCert === null ? (['tlsKey', 'tlsCert'] as const) : (['tlsCert', 'tlsKey'] as const);
    const lacking = OPTIONS[lacks].name;
    problems.push({
      message: `${origins[has]}: needs --${lacking} as well`,
      remedy: `Add --${lacking}, or remove --${OPTIONS[has].name}.`,
    });
  }
  if (isLoopback(config.httpAddr)) return;
  const open = config.authBasicFile === null && config.authTokenFile === null;
  const where = formatAddress(config.httpAddr);
  if (open && !config.insecureHttp) {
    problems.push({
      message: `${origins.httpAddr}: ${where} can be reached by others and no credentials are asked for; whoever reaches it could run any command here`,
      remedy: 'Add --auth-basic-file or --auth-token-file, or listen on 127.0.0.1, or say --insecure-http.',
    });
  } else if (open) {
    notices.push(
      `The API on ${where} asks for no credentials (--insecure-http): whoever reaches it can run any command here.`,
    );
  } else if (config.tlsCert === null) {
    notices.push(
      `The API on ${where} has no TLS: credentials and job definitions cross the network in the clear (--tls-cert, --tls-key).`,
    );
  }
}
