/** Why a process could not be started, in words. */
import { accessSync, closeSync, constants, openSync, readSync, type Stats, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { quoted } from '../../core/executor-keys.ts';
import { needsShell } from '../../core/shell-config.ts';
import { failure, type Verdict } from './run.ts';
import type { SpawnRequest, SpawnResult } from './spawner.ts';

const RESOURCE_CODES = new Set(['EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM', 'ENOSPC', 'EDQUOT']);

const CODE_WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOTDIR: 'not a directory',
  ENOEXEC: 'exec format error',
  E2BIG: 'argument list too long',
  EINVAL: 'invalid argument',
  ELOOP: 'too many levels of symbolic links',
  ENAMETOOLONG: 'file name too long',
  ETXTBSY: 'text file busy',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files in system',
  EAGAIN: 'resource temporarily unavailable',
  ENOMEM: 'cannot allocate memory',
  ENOSPC: 'no space left on device',
  EDQUOT: 'disk quota exceeded',
};

/** So much of a script's first line is looked at; the kernel takes no more. */
const FIRST_LINE_BYTES_MAX = 256;

/** The sentence is stored with every run. */
const PATH_SHOWN_MAX = 300;

/** The kernel gives one code for a missing program, interpreter and directory; looking afterwards tells which. */
export function startFailure(result: Extract<SpawnResult, { kind: 'failed' }>, request: SpawnRequest): Verdict {
  const { program, cwd } = request;
  const words = CODE_WORDS[result.code] ?? result.code;
  const begun = `fork/exec ${shown(program)}: ${words}`;
  if (RESOURCE_CODES.has(result.code)) return failure('resources', begun);
  const where = cwd === null ? null : directoryProblem(cwd);
  if (cwd !== null && where !== null) return failure('start', `chdir ${shown(cwd)}: ${where}`);
  const why = programProblem(result.code, cwd === null ? program : resolve(cwd, program));
  return failure('start', why === null ? begun : `${begun} (${why})`);
}

/** `path`: the job's own PATH, in which `name` is no program. */
export function notFound(name: string, path: string): Verdict {
  const remedy = needsShell(name)
    ? 'only a shell knows it: set shell to "true"'
    : `${shown(path)}; write its whole path, or give another PATH in env`;
  return failure('start', `exec: ${quoted(name)}: executable file not found in $PATH (${remedy})`);
}

function shown(path: string): string {
  return path.length > PATH_SHOWN_MAX ? `${path.slice(0, PATH_SHOWN_MAX)}…` : path;
}

function directoryProblem(path: string): string | null {
  const stat = look(path);
  if (typeof stat === 'string') return CODE_WORDS[stat] ?? stat;
  if (!stat.isDirectory()) return 'not a directory';
  return mayExecute(path) ? null : 'permission denied';
}

function programProblem(code: string, path: string): string | null {
  const stat = look(path);
  if (typeof stat === 'string') return null;
  if (stat.isDirectory()) return 'it is a directory';
  if (!stat.isFile()) return 'it is no regular file';
  if (code === 'EACCES' && (stat.mode & 0o111) === 0)
    return 'the file is not executable: chmod +x, or name its interpreter in the command';
  if (code === 'ENOEXEC') return 'the file is neither a program for this machine nor begins with a line like #!/bin/sh';
  return code === 'ENOENT' || code === 'EACCES' ? interpreterProblem(firstLine(path)) : null;
}

/** The file itself is there and may be executed. */
function interpreterProblem(line: string | null): string | null {
  if (line === null) return null;
  if (!line.startsWith('#!')) return 'the file is there; the loader it was built for is missing or may not be executed';
  const interpreter = /^#![ \t]*([^ \t]*)/.exec(line)?.[1] ?? '';
  if (interpreter.endsWith('\r'))
    return 'the script has Windows line ends, so its first line names no interpreter: convert it, for example with dos2unix';
  return `the script is there; the interpreter in its first line, ${JSON.stringify(interpreter)}, is missing or may not be executed`;
}

/** Its code when it cannot be looked at. */
function look(path: string): Stats | string {
  try {
    return statSync(path);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'error';
  }
}

function mayExecute(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // whatever the reason, the process would meet it too
  }
}

/** null: it cannot be read. */
function firstLine(path: string): string | null {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const bytes = Buffer.alloc(FIRST_LINE_BYTES_MAX);
      return bytes.toString('latin1', 0, readSync(fd, bytes)).split('\n', 1)[0] ?? '';
    } finally {
      closeSync(fd);
    }
  } catch {
    return null; // executable and not readable is allowed
  }
}
