/** Runner processes from the node's side: making their directory, starting them, and telling whether the one in a directory lives. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import { isAlive, type ProcessIdentity } from './identity.ts';
import { runnerDirectory, runnersDirectory } from './paths.ts';
import type { RunnerOptions } from './protocol.ts';
import { signal } from './runner/tree.ts';

const MAIN = fileURLToPath(new URL('./runner/main.ts', import.meta.url));
/**
 * A storm's garbage fits into a young generation of this size, which does not grow further, and is collected by the thread that made it:
 * helpers would only take the cores from the jobs. So would the largest compiler: it costs more in the first storms than its code saves.
 */
const NODE_FLAGS = [
  '--disable-warning=ExperimentalWarning',
  '--min-semi-space-size=8',
  '--max-semi-space-size=8',
  '--single-threaded-gc',
  '--maglev-as-top-tier',
];
const LOG_TAIL_BYTES = 2000;

export interface FoundRunner {
  readonly runner: string;
  /** null: dead (or never came to life). */
  readonly identity: ProcessIdentity | null;
}

export interface StartedRunner {
  readonly runner: string;
  readonly child: ChildProcess;
}

/** Starts a runner in a directory of its own; its environment is the node's, but its jobs get only what `options` says. */
export function startRunner(
  dataDir: string,
  options: RunnerOptions,
  modules: { clock: Clock; random: Random },
): StartedRunner {
  const suffix = Math.floor(modules.random.float() * 36 ** 6)
    .toString(36)
    .padStart(6, '0');
  const runner = `${modules.clock.now()}-${suffix}`;
  const directory = runnerDirectory(dataDir, runner);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, 'options.json'), JSON.stringify(options), { mode: 0o600 });
  const log = openSync(join(directory, 'runner.log'), 'a', 0o600);
  const child = spawn(process.execPath, [...NODE_FLAGS, MAIN, '--data-dir', dataDir, '--runner', runner], {
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, NODE_COMPILE_CACHE: compileCache(dataDir) },
  });
  closeSync(log);
  return { runner, child };
}

/**
 * Fills the cache of compiled code when there is none, in a process that then ends. A runner that has to strip types itself carries the
 * stripper (20 MB) as long as it lives; one that finds the cache never loads it. Failing costs only that memory.
 */
export async function prepareCompileCache(dataDir: string): Promise<void> {
  const filled = join(compileCache(dataDir), `runner-${process.version}-${Math.floor(statSync(MAIN).mtimeMs)}`);
  if (existsSync(filled)) return;
  const child = spawn(process.execPath, [...NODE_FLAGS, MAIN, '--fill-cache'], {
    stdio: 'ignore',
    env: { ...process.env, NODE_COMPILE_CACHE: compileCache(dataDir) },
  });
  await new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  try {
    if (existsSync(compileCache(dataDir))) writeFileSync(filled, '');
  } catch {
    // A full or read-only disk: without the mark the next start only does this again.
  }
}

function compileCache(dataDir: string): string {
  return process.env['NODE_COMPILE_CACHE'] ?? join(dataDir, 'compile-cache');
}

/**
 * Every runner directory there is. A directory without `runner.json` belongs to a runner that never got to serve anyone; it is renamed first,
 * so that a process still on its way up finds its directory gone and ends.
 */
export function findRunners(dataDir: string): FoundRunner[] {
  mkdirSync(runnersDirectory(dataDir), { recursive: true, mode: 0o700 });
  const found: FoundRunner[] = [];
  for (const name of readdirSync(runnersDirectory(dataDir)).sort()) {
    const identity = readIdentity(dataDir, name);
    if (identity !== null) found.push({ runner: name, identity: isAlive(identity) ? identity : null });
    else found.push({ runner: condemn(dataDir, name), identity: null });
  }
  // Its successor may need the room that a dead one holds.
  for (const { runner, identity } of found)
    if (identity === null) rmSync(join(runnerDirectory(dataDir, runner), 'room'), { force: true });
  return found;
}

/** The last lines a dead runner wrote, for the node's log. */
export function runnerLogTail(dataDir: string, runner: string): string {
  const path = join(runnerDirectory(dataDir, runner), 'runner.log');
  return existsSync(path) ? readFileSync(path, 'utf8').slice(-LOG_TAIL_BYTES) : '';
}

export function readIdentity(dataDir: string, runner: string): ProcessIdentity | null {
  const path = join(runnerDirectory(dataDir, runner), 'runner.json');
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return null;
  return JSON.parse(readFileSync(path, 'utf8')) as ProcessIdentity;
}

function condemn(dataDir: string, runner: string): string {
  if (runner.endsWith('.dead')) return runner;
  const dead = `${runner}.dead`;
  rmSync(runnerDirectory(dataDir, dead), { recursive: true, force: true });
  renameSync(runnerDirectory(dataDir, runner), runnerDirectory(dataDir, dead));
  // Between the look and the renaming it may have come up after all. It serves nobody, so nothing is lost with it.
  const identity = readIdentity(dataDir, dead);
  if (identity !== null && isAlive(identity)) signal(identity.pid, 'SIGKILL');
  return dead;
}
