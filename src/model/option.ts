/**
 * What an option is: its name, its kind, and how a value from a flag, the environment or a file is read. Pure: the host's name, files and
 * the environment are handed in by the CLI.
 */
import { type Address, addressProblem, formatAddress, parseAddress } from './address.ts';
import { formatBytes, parseBytes } from './bytes.ts';
import { formatDuration, parseDuration } from './duration.ts';
import { nearest } from './nearest.ts';

export type OptionKind = 'string' | 'int' | 'bool' | 'duration' | 'bytes' | 'list' | 'enum' | 'map' | 'address';

/** Headings of `--help` and of docs/configuration.md, in this order. */
export const OPTION_GROUPS = [
  'Node',
  'HTTP',
  'Scheduling',
  'Runs',
  'Output',
  'Retention',
  'Shutdown',
  'Logging',
  'Store',
] as const;
export type OptionGroup = (typeof OPTION_GROUPS)[number];

/** A value read, or what is wrong with it as the end of a sentence ("must be …"). */
export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly message: string };

export interface OptionText {
  /** Flag and file key in kebab case; the environment name is derived (envName). */
  readonly name: string;
  readonly group: OptionGroup;
  readonly description: string;
  /** A value as one would write it. */
  readonly example: string;
  /** The release that brought it. */
  readonly since: string;
  /** Dkron has an option of this name and meaning. */
  readonly dkron?: true;
  /** The value is a secret: left out wherever options are dumped. */
  readonly redact?: true;
  /** Other words for it as a file key or in the environment (Dkron's `tags` for `tag`). */
  readonly aliases?: readonly string[];
  /** The value is the path of a file that must be readable at start. */
  readonly readsFile?: true;
  /** What the default is when it depends on the machine. */
  readonly defaultText?: string;
}

export interface Option<T> extends OptionText {
  readonly kind: OptionKind;
  readonly default: T;
  /** The limits in words, for the documentation. */
  readonly constraint?: string;
  /** enum: the values a person may write. */
  readonly values?: readonly string[];
  /** From a string (flag, environment) or a file's native value. Never throws. */
  read(raw: unknown): Read<T>;
  /** The value as one would write it; `read` gives it back. */
  show(value: T): string;
}

/** BELFRY_HTTP_ADDR for "http-addr". */
export function envName(name: string): string {
  return `BELFRY_${name.toUpperCase().replaceAll('-', '_')}`;
}

/** Text over this is no option value; it bounds the work of reading one. */
const TEXT_MAX = 4096;
const ITEMS_MAX = 1000;

const good = <T>(value: T): Read<T> => ({ ok: true, value });
const bad = (message: string): { ok: false; message: string } => ({ ok: false, message });

function readText(raw: unknown): Read<string> {
  if (typeof raw === 'number' || typeof raw === 'boolean') return good(String(raw));
  if (typeof raw !== 'string') return bad(`must be text, not ${nameOf(raw)}`);
  if (raw.length > TEXT_MAX) return bad(`must be at most ${TEXT_MAX} characters`);
  return raw.includes('\0') ? bad('must not contain a NUL character') : good(raw.trim());
}

function nameOf(raw: unknown): string {
  if (raw === null || raw === undefined) return 'nothing';
  return Array.isArray(raw) ? 'a list' : `${typeof raw === 'object' ? 'an' : 'a'} ${typeof raw}`;
}

/** Text; `check` gives what is wrong with it, or undefined. An empty value means null where null is allowed. */
export function text<const D extends string | null>(
  spec: OptionText & { default: D; constraint?: string; check?: (value: string) => string | undefined },
): Option<D extends null ? string | null : string> {
  type T = D extends null ? string | null : string;
  const { check, ...rest } = spec;
  return {
    ...rest,
    kind: 'string',
    default: spec.default as unknown as T,
    read(raw) {
      const read = readText(raw);
      if (!read.ok) return read;
      if (read.value === '') return spec.default === null ? good(null as T) : bad('must not be empty');
      const problem = check?.(read.value);
      return problem === undefined ? good(read.value as T) : bad(problem);
    },
    show: (value) => value ?? '',
  };
}

export function int(spec: OptionText & { default: number; min: number; max: number }): Option<number> {
  const constraint = `${spec.min} to ${spec.max}`;
  return {
    ...spec,
    kind: 'int',
    constraint,
    read(raw) {
      const read = readText(raw);
      if (!read.ok) return read;
      const value = /^[+-]?\d{1,16}$/.test(read.value) ? Number(read.value) : Number.NaN;
      return value >= spec.min && value <= spec.max ? good(value) : bad(`must be a whole number, ${constraint}`);
    },
    show: String,
  };
}

const BOOLS: ReadonlyMap<string, boolean> = new Map([
  ...['true', 'yes', 'on', '1', 't'].map((word) => [word, true] as const),
  ...['false', 'no', 'off', '0', 'f'].map((word) => [word, false] as const),
]);

export function bool(spec: OptionText & { default: boolean }): Option<boolean> {
  return {
    ...spec,
    kind: 'bool',
    read(raw) {
      const read = readText(raw);
      if (!read.ok) return read;
      const value = BOOLS.get(read.value.toLowerCase());
      return value === undefined ? bad('must be true or false (or yes, no, on, off, 1, 0)') : good(value);
    },
    show: String,
  };
}

/** Milliseconds; limits are written as durations too. `default: null` means "none", written "none" or empty. */
export function duration<const D extends string | null>(
  spec: OptionText & { default: D; min: string; max: string },
): Option<D extends null ? number | null : number> {
  type T = D extends null ? number | null : number;
  const minMs = parseDuration(spec.min) ?? 0;
  const maxMs = parseDuration(spec.max) ?? 0;
  const constraint = `${spec.min} to ${spec.max}${spec.default === null ? ', or "none"' : ''}`;
  return {
    ...spec,
    kind: 'duration',
    constraint,
    default: (spec.default === null ? null : parseDuration(spec.default)) as T,
    read(raw) {
      const read = readText(raw);
      if (!read.ok) return read;
      if (spec.default === null && (read.value === '' || read.value === 'none')) return good(null as T);
      const ms = parseDuration(read.value);
      if (ms === undefined) return bad('must be a duration such as "90s", "10m", "1h30m" or "7d"');
      return ms >= minMs && ms <= maxMs ? good(Math.round(ms) as T) : bad(`must be ${constraint}`);
    },
    show: (value) => (value === null ? 'none' : formatDuration(value)),
  };
}

/** Whole bytes; limits are written as sizes too. */
export function bytes(spec: OptionText & { default: string; min: string; max: string }): Option<number> {
  const min = parseBytes(spec.min) ?? 0;
  const max = parseBytes(spec.max) ?? 0;
  const constraint = `${spec.min} to ${spec.max}`;
  return {
    ...spec,
    kind: 'bytes',
    constraint,
    default: parseBytes(spec.default) ?? 0,
    read(raw) {
      const read = readText(raw);
      if (!read.ok) return read;
      const value = parseBytes(read.value);
      if (value === undefined) return bad('must be a size such as "512KiB", "64MiB" or "1GiB"');
      return value >= min && value <= max ? good(value) : bad(`must be ${constraint}`);
    },
    show: formatBytes,
  };
}

/** Names separated by commas, or a file's list; repeated flags add up. */
export function list(
  spec: OptionText & { constraint?: string; check: (item: string) => string | undefined },
): Option<readonly string[]> {
  const { check, ...rest } = spec;
  return {
    ...rest,
    kind: 'list',
    default: [],
    read(raw) {
      const items: string[] = [];
      for (const part of Array.isArray(raw) ? raw : [raw]) {
        const read = readText(part);
        if (!read.ok) return read;
        items.push(
          ...read.value
            .split(',')
            .map((item) => item.trim())
            .filter((item) => item !== ''),
        );
      }
      if (items.length > ITEMS_MAX) return bad(`must have at most ${ITEMS_MAX} entries`);
      const problem = items.map(check).find((found) => found !== undefined);
      return problem === undefined ? good([...new Set(items)]) : bad(problem);
    },
    show: (value) => value.join(','),
  };
}

/** One of `values`; `synonyms` are other words for some of them. */
export function oneOf<const V extends string>(
  spec: OptionText & { default: NoInfer<V>; values: readonly V[]; synonyms?: Readonly<Record<string, NoInfer<V>>> },
): Option<V> {
  const { synonyms, ...rest } = spec;
  const meanings = new Map<string, V>([...spec.values.map((v) => [v, v] as const), ...Object.entries(synonyms ?? {})]);
  return {
    ...rest,
    kind: 'enum',
    constraint: spec.values.join(', '),
    read(raw) {
      const read = readText(raw);
      if (!read.ok) return read;
      const word = read.value.toLowerCase();
      const value = meanings.get(word);
      if (value !== undefined) return good(value);
      const near = nearest(word, meanings.keys());
      return bad(`must be one of ${spec.values.join(', ')}${near === undefined ? '' : `; did you mean "${near}"?`}`);
    },
    show: (value) => value,
  };
}

/** key=value pairs: repeated flags, blanks between them in the environment, a file's mapping or list, or a JSON object as text. */
export function map(
  spec: OptionText & { constraint?: string; check?: (keys: readonly string[]) => string | undefined },
): Option<Readonly<Record<string, string>>> {
  const { check, ...rest } = spec;
  return {
    ...rest,
    kind: 'map',
    default: {},
    read(raw) {
      const pairs = pairsOf(raw);
      if (!pairs.ok) return pairs;
      if (pairs.value.length > ITEMS_MAX) return bad(`must have at most ${ITEMS_MAX} entries`);
      const wrong = pairs.value.find(([key]) => !/^[^\s=]{1,128}$/.test(key));
      if (wrong !== undefined) return bad('must be key=value pairs; a key has 1 to 128 characters without blanks');
      const problem = check?.(pairs.value.map(([key]) => key));
      if (problem !== undefined) return bad(problem);
      // No prototype, so that a key "__proto__" is a key like any other.
      return good(Object.assign(Object.create(null) as Record<string, string>, Object.fromEntries(pairs.value)));
    },
    show: (value) => (Object.keys(value).length === 0 ? '' : JSON.stringify(value)),
  };
}

function pairsOf(raw: unknown): Read<[string, string][]> {
  if (typeof raw === 'string') return pairsOfText(raw);
  if (Array.isArray(raw)) {
    const parts = raw.map((item) => (typeof item === 'string' ? splitPair(item.trim()) : undefined));
    return parts.includes(undefined) ? bad('must be a list of "key=value"') : good(parts as [string, string][]);
  }
  if (typeof raw !== 'object' || raw === null) return bad(`must be key=value pairs, not ${nameOf(raw)}`);
  const pairs: [string, string][] = [];
  for (const [key, item] of Object.entries(raw)) {
    const read = readText(item);
    if (!read.ok) return bad(`: the value of one key ${read.message}`);
    pairs.push([key, read.value]);
  }
  return good(pairs);
}

function pairsOfText(raw: string): Read<[string, string][]> {
  if (raw.length > TEXT_MAX) return bad(`must be at most ${TEXT_MAX} characters`);
  if (raw.trimStart().startsWith('{')) {
    try {
      return pairsOf(JSON.parse(raw) as unknown);
    } catch (error) {
      return bad(
        `must be key=value pairs or a JSON object: ${error instanceof Error ? error.message : 'invalid JSON'}`,
      );
    }
  }
  const parts = raw
    .split(/\s+/)
    .filter((part) => part !== '')
    .map(splitPair);
  return parts.includes(undefined) ? bad('must be key=value, e.g. "pool=web"') : good(parts as [string, string][]);
}

function splitPair(pair: string): [string, string] | undefined {
  const at = pair.indexOf('=');
  return at > 0 ? [pair.slice(0, at), pair.slice(at + 1)] : undefined;
}

export function address(spec: OptionText & { default: string }): Option<Address> {
  return {
    ...spec,
    kind: 'address',
    constraint: 'host:port; ":port" means every interface',
    default: parseAddress(spec.default) ?? { host: '127.0.0.1', port: 0 },
    read(raw) {
      const read = readText(raw);
      if (!read.ok) return read;
      if (read.value.includes('{{'))
        return bad('must be written out: address templates ("{{ … }}") are not in this version');
      const value = parseAddress(read.value);
      return value === undefined ? bad(addressProblem(read.value)) : good(value);
    },
    show: formatAddress,
  };
}
