// Finds and reads the configuration file: the one named, or the first that exists of the usual places.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { ErrorCode } from 'yaml';
import { parseJsonOnce } from '../lib/json.ts';
import type { ConfigProblem } from '../model/parse-config.ts';

/** A larger file is no configuration; the limit keeps a wrong path (a database, a log) from being read into memory. */
const FILE_BYTES_MAX = 1024 * 1024;

const NAMES = ['belfry.yml', 'belfry.yaml', 'belfry.json'];

export type ConfigFile =
  | { readonly kind: 'none' }
  | { readonly kind: 'read'; readonly path: string; readonly data: unknown }
  | { readonly kind: 'failed'; readonly problem: ConfigProblem };

/** The first existing file of the usual places, Dkron's order: the system's, the user's, this directory's. */
export function findConfigFile(home: string | undefined): string | undefined {
  const folders = ['/etc/belfry', ...(home === undefined || home === '' ? [] : [join(home, '.belfry')]), 'config'];
  return folders.flatMap((folder) => NAMES.map((name) => join(folder, name))).find((path) => existsSync(path));
}

/** `path` undefined: no file is asked for. */
export async function readConfigFile(path: string | undefined): Promise<ConfigFile> {
  if (path === undefined) return { kind: 'none' };
  if (path === '') return failed('--config: is empty', 'Name a file, or leave it out.');
  try {
    const problem = unfit(path);
    if (problem !== undefined) return { kind: 'failed', problem };
    const text = readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
    return { kind: 'read', path, data: isJson(path) ? jsonData(text) : await yamlData(text) };
  } catch (error) {
    return failed(`${path}: ${causeOf(error)}`, 'Correct the file, or name another with --config.');
  }
}

/** What is wrong with the file before its text is read: reading a FIFO would wait for its writer. */
function unfit(path: string): ConfigProblem | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined)
    return { message: `${path}: there is no such file`, remedy: 'Name the right one with --config or BELFRY_CONFIG.' };
  if (!found.isFile()) {
    const what = found.isDirectory() ? 'is a directory' : 'is not a regular file';
    return { message: `${path}: ${what}`, remedy: 'Name a file with --config.' };
  }
  const extension = extname(path).toLowerCase();
  if (!['.yml', '.yaml', '.json'].includes(extension)) {
    const what = extension === '' ? 'a file without extension' : `"${extension}" files`;
    return { message: `${path}: ${what} cannot be read`, remedy: 'Write it as YAML (.yml) or JSON (.json).' };
  }
  if (found.size > FILE_BYTES_MAX)
    return { message: `${path}: larger than 1 MiB`, remedy: 'Name the right file with --config.' };
  return undefined;
}

function isJson(path: string): boolean {
  return extname(path).toLowerCase() === '.json';
}

/** An empty file is an empty mapping, as in YAML. */
function jsonData(text: string): unknown {
  if (text.trim() === '') return null;
  const parsed = parseJsonOnce(text);
  if (parsed.ok) return parsed.value;
  throw new Error(parsed.message);
}

/** The first error only: a drawing of each of thousands, as the library makes by itself, takes seconds. */
async function yamlData(text: string): Promise<unknown> {
  const { LineCounter, parseDocument } = await import('yaml');
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const [error] = document.errors;
  if (error === undefined) return document.toJS();
  const { line, col } = lineCounter.linePos(error.pos[0]);
  throw new Error(`${YAML_WORDS[error.code] ?? error.message} at line ${line}, column ${col}`);
}

/** Where the library's own words are for programmers. */
const YAML_WORDS: Partial<Record<ErrorCode, string>> = {
  DUPLICATE_KEY: 'a key is written again',
  MULTIPLE_DOCS: 'a second document begins',
};

function failed(message: string, remedy: string): ConfigFile {
  return { kind: 'failed', problem: { message, remedy } };
}

/** The first line says it; YAML's errors go on with a drawing of the place. */
function causeOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return (message.split('\n')[0] ?? message).replace(/:$/, '');
}
