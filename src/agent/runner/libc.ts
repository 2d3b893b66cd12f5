/**
 * The C library through node:ffi, for what Node lacks: starting processes cheaply, asking for an exit without consuming it, preallocating
 * and punching files. A wrong pointer kills the process, so every address here lies in one arena of fixed size, and every use is bounded.
 */
import type { DynamicLibraryResult } from 'node:ffi';
import { createRequire } from 'node:module';
import { MEMORY_BYTES } from './spawn-memory.ts';

const SIGNATURES = {
  getpid: { return: 'i32', arguments: [] },
  getsid: { return: 'i32', arguments: ['i32'] },
  prctl: { return: 'i32', arguments: ['i32', 'u64', 'u64', 'u64', 'u64'] },
  posix_spawn: { return: 'i32', arguments: ['pointer', 'pointer', 'pointer', 'pointer', 'pointer', 'pointer'] },
  posix_spawn_file_actions_init: { return: 'i32', arguments: ['pointer'] },
  posix_spawn_file_actions_destroy: { return: 'i32', arguments: ['pointer'] },
  posix_spawn_file_actions_addopen: { return: 'i32', arguments: ['pointer', 'i32', 'pointer', 'i32', 'u32'] },
  posix_spawn_file_actions_adddup2: { return: 'i32', arguments: ['pointer', 'i32', 'i32'] },
  posix_spawn_file_actions_addchdir_np: { return: 'i32', arguments: ['pointer', 'pointer'] },
  posix_spawn_file_actions_addclosefrom_np: { return: 'i32', arguments: ['pointer', 'i32'] },
  posix_spawnattr_init: { return: 'i32', arguments: ['pointer'] },
  posix_spawnattr_setflags: { return: 'i32', arguments: ['pointer', 'i16'] },
  posix_spawnattr_setsigmask: { return: 'i32', arguments: ['pointer', 'pointer'] },
  posix_spawnattr_setsigdefault: { return: 'i32', arguments: ['pointer', 'pointer'] },
  clock_gettime: { return: 'i32', arguments: ['i32', 'pointer'] },
  waitid: { return: 'i32', arguments: ['i32', 'u32', 'pointer', 'i32'] },
  waitpid: { return: 'i32', arguments: ['i32', 'pointer', 'i32'] },
  memfd_create: { return: 'i32', arguments: ['pointer', 'u32'] },
  fcntl: { return: 'i32', arguments: ['i32', 'i32', 'i32'] },
  fallocate: { return: 'i32', arguments: ['i32', 'i32', 'i64', 'i64'] },
} as const;

export interface Libc {
  readonly call: DynamicLibraryResult<typeof SIGNATURES>['functions'];
  readonly arena: Arena;
}

/** Memory at a fixed address, shared with the spawning thread (spawn-memory.ts says what lies where). */
export interface Arena {
  readonly memory: SharedArrayBuffer;
  readonly bytes: Buffer;
  readonly view: DataView;
  readonly base: bigint;
}

/** null: this Node has no usable ffi, or the platform is not 64-bit Linux (whose structure layouts the callers rely on). */
export function openLibc(): Libc | null {
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) return null;
  try {
    const ffi = createRequire(import.meta.url)('node:ffi') as typeof import('node:ffi') & {
      getRawPointer(buffer: SharedArrayBuffer): bigint;
    };
    const { functions } = ffi.dlopen(null, SIGNATURES);
    const memory = new SharedArrayBuffer(MEMORY_BYTES);
    const arena = { memory, bytes: Buffer.from(memory), view: new DataView(memory), base: ffi.getRawPointer(memory) };
    return functions.getpid() === process.pid ? { call: functions, arena } : null;
  } catch {
    // No node:ffi, a symbol missing in this libc (musl, old glibc), or an API that has changed: the caller has another way.
    return null;
  }
}

const PR_GET_DUMPABLE = 3;
const PR_SET_CHILD_SUBREAPER = 36;

/** Makes orphans among the descendants children of this process, so that it learns their exits. */
export function becomeSubreaper(libc: Libc): boolean {
  return libc.call.prctl(PR_SET_CHILD_SUBREAPER, 1n, 0n, 0n, 0n) === 0;
}

/** Whether children may open files of this process by way of /proc: not those of a Node that has file capabilities. */
export function isDumpable(libc: Libc): boolean {
  return libc.call.prctl(PR_GET_DUMPABLE, 0n, 0n, 0n, 0n) === 1;
}
