/**
 * The port for starting processes: posix_spawn through node:ffi, or child_process where that does not work. Either starts the process in
 * its own session with exactly the given environment, its output appended to files, and no descriptor of ours.
 */
import { accessSync, constants, statSync } from 'node:fs';
import type { SpawnKind } from '../protocol.ts';

export interface SpawnRequest {
  /** Resolved path; relative only if the job named it so, and then it counts from cwd. */
  readonly program: string;
  readonly words: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly cwd: string | null;
  readonly stdin: Uint8Array | null;
  /** Where a spawner without memory files may put `stdin` for a moment; must not exist. */
  readonly stdinPath: string;
  readonly outPath: string;
  readonly errPath: string;
  /** The two files will serve later starts too. */
  readonly filesRecur: boolean;
  /** It is to have a control group, if one can be made. */
  readonly ownGroup: boolean;
  /** For its group, where the kernel limits memory by groups. */
  readonly memLimitBytes: number | null;
}

export type SpawnResult =
  | {
      readonly kind: 'spawned';
      readonly pid: number;
      /** Epoch µs just before it was started. */
      readonly startedAtUs: number;
      /** Clock ticks since boot, as in ProcessIdentity; null: ask /proc. */
      readonly startTicks: number | null;
      /** Its own control group; null: it has none. */
      readonly cgroup: string | null;
    }
  | { readonly kind: 'failed'; /** "ENOENT" */ readonly code: string };

export interface Spawner {
  readonly kind: SpawnKind;
  /** From here on a start that fails fails alone: whatever starting needs for itself is there. */
  readonly ready: Promise<void>;
  /** So many starts may be under way at once. */
  readonly depth: number;
  /** Calls `done` once, now or soon. */
  spawn(request: SpawnRequest, done: (result: SpawnResult) => void): void;
  /** Asks for exits right now instead of at the next signal. */
  reap(): void;
  close(): void;
}

/** The end of a process, with its wait status. */
export interface Exit {
  readonly pid: number;
  readonly status: number;
}

export interface SpawnListener {
  /** Processes are dead. With ffi they are still zombies until this returns, so their marks must be written here. */
  exited(exits: readonly Exit[]): void;
  /** One or several `done` have been called in a row: what they have in common can be done now, before any exit is told. */
  settled(): void;
}

const PROGRAMS_CACHED_MAX = 1000;
const programs = new Map<string, string>();

/** Searches the job's own PATH, as execvp would; null: not found. A name with a slash is taken as it is. */
export function resolveProgram(name: string, path: string): string | null {
  if (name.includes('/')) return name;
  const cacheKey = `${path}\0${name}`;
  const cached = programs.get(cacheKey);
  if (cached !== undefined) return cached;
  for (const directory of path.split(':')) {
    const candidate = `${directory === '' ? '.' : directory}/${name}`;
    if (!isProgram(candidate)) continue;
    if (programs.size >= PROGRAMS_CACHED_MAX) programs.clear();
    programs.set(cacheKey, candidate);
    return candidate;
  }
  return null;
}

/** A remembered program has moved or gone. */
export function forgetPrograms(): void {
  programs.clear();
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false; // the next directory of PATH
  }
}
