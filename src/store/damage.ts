/**
 * What can be seen of a damaged database file before SQLite touches it: a wrong header, and a file that ends before its pages do.
 * It reads 100 bytes and the file's size; only when pages are missing does it read the frame headers of the -wal as well, because a
 * crash in the middle of a checkpoint leaves a short file whose missing pages are all still there. SQLite itself would fill such a file
 * with zeros at the next checkpoint. Damage inside pages is found by SQLite at first touch, and wholly by `belfry backup verify`.
 */
import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { AppError } from '../model/errors.ts';

const MAGIC = 'SQLite format 3\0';
const HEADER_BYTES = 100;
const WAL_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;

/** The command that brings a damaged data directory back. */
export function restoreHint(dataDir: string): string {
  return `Restore a backup with: belfry backup restore FILE --data-dir ${dataDir} (the damaged file is kept beside it).`;
}

/** Throws AppError('damaged') when the file at `path` cannot be a whole database. An absent one is fine if its -wal is absent too. */
export function assertWhole(path: string): void {
  const detail = damageOf(path);
  if (detail === undefined) return;
  throw new AppError('damaged', `The database ${path} is damaged: ${detail}.`, { remedy: restoreHint(dirname(path)) });
}

/** The damage in words, or undefined. */
export function damageOf(path: string): string | undefined {
  if (!existsSync(path)) {
    return hasBytes(`${path}-wal`) ? 'the file is missing, but its -wal is here' : undefined;
  }
  if (!statSync(path).isFile()) return statSync(path).isDirectory() ? 'it is a directory' : 'it is not a regular file';
  const file = openSync(path, 'r');
  try {
    return damageOfFile(file, `${path}-wal`);
  } finally {
    closeSync(file);
  }
}

function damageOfFile(file: number, walPath: string): string | undefined {
  const size = fstatSync(file).size;
  if (size === 0) return 'the file is empty';
  if (size < HEADER_BYTES) return `the file has only ${size} bytes`;
  const header = Buffer.alloc(HEADER_BYTES);
  readSync(file, header, 0, HEADER_BYTES, 0);
  if (header.toString('latin1', 0, MAGIC.length) !== MAGIC) return 'the file does not begin as an SQLite database';
  const pageBytes = pageSize(header.readUInt16BE(16));
  if (pageBytes === undefined) return 'its header names an impossible page size';
  const pages = header.readUInt32BE(28);
  const whole = Math.floor(size / pageBytes);
  if (whole >= pages) return undefined;
  const missing = missingFromWal(walPath, pageBytes, whole + 1, pages);
  if (missing === 0) return undefined;
  return `it is cut off: ${size} bytes hold ${whole} of ${pages} pages, and ${missing} of the others are not in its -wal`;
}

/** The header's page size: a power of two from 512; 1 stands for 65536. */
function pageSize(field: number): number | undefined {
  if (field === 1) return 65536;
  return field >= 512 && (field & (field - 1)) === 0 ? field : undefined;
}

/** How many pages of [from, to] have no frame in the current cycle of the -wal. */
function missingFromWal(walPath: string, pageBytes: number, from: number, to: number): number {
  const found = new Set<number>();
  if (hasBytes(walPath)) {
    const wal = openSync(walPath, 'r');
    try {
      for (const page of walPages(wal, pageBytes)) if (page >= from && page <= to) found.add(page);
    } finally {
      closeSync(wal);
    }
  }
  return to - from + 1 - found.size;
}

/** Page numbers of the frames that carry the salt of the -wal's header; frames left over from earlier cycles carry another. */
function* walPages(wal: number, pageBytes: number): Generator<number> {
  const header = Buffer.alloc(WAL_HEADER_BYTES);
  if (readSync(wal, header, 0, WAL_HEADER_BYTES, 0) < WAL_HEADER_BYTES) return;
  const salt = header.subarray(16, 24);
  const frame = Buffer.alloc(FRAME_HEADER_BYTES);
  for (let at = WAL_HEADER_BYTES; ; at += FRAME_HEADER_BYTES + pageBytes) {
    if (readSync(wal, frame, 0, FRAME_HEADER_BYTES, at) < FRAME_HEADER_BYTES) return;
    if (!frame.subarray(8, 16).equals(salt)) return;
    yield frame.readUInt32BE(0);
  }
}

function hasBytes(path: string): boolean {
  return existsSync(path) && statSync(path).size > 0;
}
