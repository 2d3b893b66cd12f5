/** Why a process could not be started, in words. */
import { statSync } from 'node:fs';
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

/** The kernel gives one code for a missing program and a missing directory; looking afterwards tells which. */
export function startFailure(result: Extract<SpawnResult, { kind: 'failed' }>, request: SpawnRequest): Verdict {
  const words = CODE_WORDS[result.code] ?? result.code;
  if (RESOURCE_CODES.has(result.code)) return failure('resources', `fork/exec ${request.program}: ${words}`);
  if (request.cwd !== null) {
    const stat = statSync(request.cwd, { throwIfNoEntry: false });
    if (stat === undefined || !stat.isDirectory())
      return failure(
        'start',
        `chdir ${request.cwd}: ${stat === undefined ? 'no such file or directory' : 'not a directory'}`,
      );
  }
  return failure('start', `fork/exec ${request.program}: ${words}`);
}
