/**
 * `npm run ratchet`: files over 350 lines and functions over 50 may get shorter or fewer, never longer or more. scripts/ratchet.json holds
 * those that exist; a new one fails, so does one that grew, and one that shrank must be lowered there (`npm run ratchet -- --lower`).
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** "src/x.ts" or "src/x.ts#function" → lines. */
export type Sizes = Readonly<Record<string, number>>;

/** Sizes over the limits, of everything under `folders` of `root`; tests are exempt. */
export function measure(root: string, folders: readonly string[]): Sizes {
  const config = join(import.meta.dirname, 'lint', 'sizes.json');
  const existing = folders.filter((folder) => existsSync(join(root, folder)));
  if (existing.length === 0) return {};
  const ignored = ['--ignore-pattern', '**/*.test.ts', '--ignore-pattern', '**/gen/**'];
  const args = ['-c', config, '--disable-nested-config', '--no-error-on-unmatched-pattern', '-f', 'json', ...ignored];
  const { diagnostics } = JSON.parse(oxlint(root, [...args, ...existing])) as { diagnostics: Diagnostic[] };
  const sizes = new Map<string, number>();
  for (const diagnostic of diagnostics) {
    const [path, lines] = sizeOf(diagnostic);
    // Functions without a name are told apart by their order, which an edit above them does not change.
    const twin = [...sizes.keys()].filter((known) => known === path || known.startsWith(`${path} `)).length;
    sizes.set(twin === 0 ? path : `${path} ${twin + 1}`, lines);
  }
  return Object.fromEntries([...sizes].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

interface Diagnostic {
  readonly message: string;
  readonly code: string;
  readonly filename: string;
}

function sizeOf({ message, code, filename }: Diagnostic): [string, number] {
  const lines = Number(/\((\d+)\)/.exec(message)?.[1]);
  if (Number.isNaN(lines)) throw new Error(`no size in what oxlint says: ${message}`);
  if (code.includes('max-lines-per-function')) {
    return [`${filename}#${/`([^`]+)`/.exec(message)?.[1] ?? 'anonymous'}`, lines];
  }
  return [filename, lines];
}

/** oxlint exits with 1 when it finds something: its output is what counts. */
function oxlint(cwd: string, args: readonly string[]): string {
  const file = resolve(import.meta.dirname, '..', 'node_modules', '.bin', 'oxlint');
  try {
    return execFileSync(file, args, {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      maxBuffer: 2 ** 26,
    });
  } catch (error) {
    const { stdout } = error as { stdout?: string };
    if (stdout?.trimStart().startsWith('{') === true) return stdout;
    throw error;
  }
}

export type Verdict = { readonly path: string; readonly now: number | undefined; readonly was: number | undefined };

/** What differs from the baseline: grown or new (worse), shrunk or gone (better). */
export function compare(baseline: Sizes, now: Sizes): { worse: Verdict[]; better: Verdict[] } {
  const paths = [...new Set([...Object.keys(baseline), ...Object.keys(now)])].toSorted();
  const changes = paths.map((path) => ({ path, now: now[path], was: baseline[path] }));
  return {
    worse: changes.filter(({ now: lines = 0, was = 0 }) => lines > was),
    better: changes.filter(({ now: lines = 0, was = 0 }) => lines < was),
  };
}

function main(): void {
  const root = resolve(import.meta.dirname, '..');
  const file = join(import.meta.dirname, 'ratchet.json');
  const baseline = JSON.parse(readFileSync(file, 'utf8')) as Sizes;
  const now = measure(root, ['src', 'scripts', 'bench', 'packages']);
  const { worse, better } = compare(baseline, now);
  for (const { path, now: lines, was } of worse)
    console.log(`${path}: ${lines} lines, ${was === undefined ? 'new' : `was ${was}`}`);
  if (worse.length > 0)
    console.log('Over the limit (350 lines a file, 50 a function): look for a decision to move elsewhere.');
  if (better.length > 0 && process.argv.includes('--lower')) {
    const kept = Object.entries(now).filter(([path, lines]) => lines <= (baseline[path] ?? 0));
    writeFileSync(file, `${JSON.stringify(Object.fromEntries(kept), null, 2)}\n`);
  } else if (better.length > 0) {
    for (const { path, now: lines, was } of better)
      console.log(`${path}: ${lines ?? 'none'}, was ${was}: run "npm run ratchet -- --lower"`);
    process.exitCode = 1;
  }
  if (worse.length > 0) process.exitCode = 1;
}

if (import.meta.main) main();
