/** Room on disk: taken before it is needed, given back in the middle of a file. Both through ffi, with plainer means where that is missing. */
import { closeSync, openSync, statfsSync } from 'node:fs';
import type { Libc } from './libc.ts';

/** Allocates `bytes` from `from` on without changing the file's size; false: no room. */
export type Preallocate = (fd: number, from: number, bytes: number) => boolean;
/** Gives the blocks of [from, from + bytes) back; the file's size and the other bytes stay. */
export type PunchHole = (path: string, from: number, bytes: number) => void;

const KEEP_SIZE = 1;
const PUNCH = 2;

export function preallocator(libc: Libc | null, directory: string): Preallocate {
  return (fd, from, bytes) => {
    if (libc?.call.fallocate(fd, KEEP_SIZE, BigInt(from), BigInt(bytes)) === 0) return true;
    // No ffi, or a filesystem that cannot preallocate: then room cannot be held, only looked at.
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize >= bytes;
  };
}

export function holePuncher(libc: Libc | null): PunchHole {
  return (path, from, bytes) => {
    if (libc === null) return;
    // Without ffi, on a filesystem without holes or with the file gone, the bytes stay: the limit is then one on what is shown.
    const fd = tryOpen(path);
    if (fd === null) return;
    libc.call.fallocate(fd, PUNCH | KEEP_SIZE, BigInt(from), BigInt(bytes));
    closeSync(fd);
  };
}

function tryOpen(path: string): number | null {
  try {
    return openSync(path, 'r+');
  } catch {
    return null; // removed, or no descriptor left: the next release covers this range too
  }
}
