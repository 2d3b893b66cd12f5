// Finds and reads the configuration file: the one named, or the first that exists of the usual places.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
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
  const extension = extname(path).toLowerCase();
  if (!['.yml', '.yaml', '.json'].includes(extension)) {
    return failed(
      `${path}: ${extension === '' ? 'a file without extension' : `"${extension}" files`} cannot be read`,
      'Write it as YAML (.yml) or JSON (.json).',
    );
  }
  try {
    if (statSync(path).size > FILE_BYTES_MAX)
      return failed(`${path}: larger than 1 MiB`, 'Name the right file with --config.');
    const text = readFileSync(path, 'utf8');
    return { kind: 'read', path, data: extension === '.json' ? parseJson(text) : await parseYaml(text) };
  } catch (error) {
    return failed(`${path}: ${causeOf(error)}`, 'Correct the file, or name another with --config.');
  }
}

/** An empty file is an empty mapping, as in YAML. */
function parseJson(text: string): unknown {
  return text.trim() === '' ? null : JSON.parse(text);
}

/** The first error only: a drawing of each of thousands, as the library makes by itself, takes seconds. */
async function parseYaml(text: string): Promise<unknown> {
  const { LineCounter, parseDocument } = await import('yaml');
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const [error] = document.errors;
  if (error === undefined) return document.toJS();
  const { line, col } = lineCounter.linePos(error.pos[0]);
  throw new Error(`${error.message} at line ${line}, column ${col}`);
}

function failed(message: string, remedy: string): ConfigFile {
  return { kind: 'failed', problem: { message, remedy } };
}

/** The first line says it; YAML's errors go on with a drawing of the place. */
function causeOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return (message.split('\n')[0] ?? message).replace(/:$/, '');
}
