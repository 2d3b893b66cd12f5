/**
 * Reading and removing the logs of executions, from any process that sees the data directory. The full log is the chunks of both streams in
 * the order they were observed; offsets count from its first byte ever written and stay true when early ranges have been released.
 */
import { closeSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type LogIndex, type LogStream, logFile, readIndex } from './log-index.ts';
import { logBase, logsDirectory } from './paths.ts';

export interface LogPart {
  readonly stream: LogStream;
  readonly observedAtUs: number;
  readonly observedLate: boolean;
  /** Offset in the full log, and bytes. */
  readonly from: number;
  readonly length: number;
}

export interface LogRead {
  readonly bytes: Buffer;
  /** Where `bytes` begin in the full log: what was asked for, or the first kept byte when that was released. */
  readonly from: number;
  readonly totalBytes: number;
  readonly firstKeptByte: number;
  readonly chunks: readonly LogPart[];
}

/** One answer never takes more than this into memory. */
export const LOG_READ_BYTES_MAX = 1024 * 1024;

export interface LogReader {
  readonly totalBytes: number;
  readonly firstKeptByte: number;
  read(from: number, limit: number): LogRead;
}

/** A log as it stands now; open again to see what a live run has added. null: nothing on disk (no output, or removed). */
export function openLog(dataDir: string, key: number): LogReader | null {
  const base = logBase(dataDir, key);
  const index = readIndex(base);
  if (index.chunks.length === 0) return null;
  const totalBytes = index.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  return {
    totalBytes,
    firstKeptByte: index.released,
    read: (from, limit) => readRange(base, index, totalBytes, from, Math.min(limit, LOG_READ_BYTES_MAX)),
  };
}

/** At most `limit` bytes of the full log from `from`; an empty answer at its end. */
export function readLog(dataDir: string, query: { key: number; from: number; limit: number }): LogRead {
  const log = openLog(dataDir, query.key);
  if (log === null) return { bytes: Buffer.alloc(0), from: 0, totalBytes: 0, firstKeptByte: 0, chunks: [] };
  return log.read(query.from, query.limit);
}

/** The last `bytes` of the full log. */
export function tailOf(dataDir: string, key: number, bytes: number): Buffer {
  const log = openLog(dataDir, key);
  return log === null ? Buffer.alloc(0) : readTail(log, bytes);
}

/** Bytes of the execution's log still on disk. */
export function logSize(dataDir: string, key: number): number {
  const log = openLog(dataDir, key);
  return log === null ? 0 : log.totalBytes - log.firstKeptByte;
}

/** Bytes written so far and how many of them are kept, by a look at the files alone unless ranges have been released. */
export function logSizes(dataDir: string, key: number): { written: number; kept: number } {
  const base = logBase(dataDir, key);
  const stats = (['stdout', 'stderr'] as const).flatMap(
    (stream) => statSync(logFile(base, stream), { throwIfNoEntry: false }) ?? [],
  );
  const written = stats.reduce((sum, { size }) => sum + size, 0);
  const isWhole = stats.every(({ size, blocks }) => blocks * 512 >= size);
  return { written, kept: isWhole ? written : Math.min(written, logSize(dataDir, key)) };
}

/** Removes an execution's log; one that is not there is no error. */
export function removeLog(dataDir: string, key: number): void {
  const base = logBase(dataDir, key);
  for (const ending of ['.out', '.err', '.idx']) rmSync(`${base}${ending}`, { force: true });
}

/** An execution with a log on disk and the blocks it takes there. */
export interface StoredLog {
  readonly key: number;
  readonly diskBytes: number;
}

/** Every log on disk, oldest first, hour by hour: for retention by count, age and bytes. Hours that have become empty are removed. */
export async function* storedLogs(dataDir: string): AsyncGenerator<readonly StoredLog[]> {
  const root = logsDirectory(dataDir);
  const hours = await readdir(root).catch(emptyWhenMissing);
  for (const hour of hours.sort((a, b) => Number(a) - Number(b))) {
    const names = await readdir(join(root, hour)).catch(emptyWhenMissing);
    if (names.length === 0 && hour !== hours.at(-1)) await rm(join(root, hour), { recursive: true, force: true });
    const sizes = new Map<number, number>();
    for (const name of names) {
      const key = Number(name.split('.', 1)[0]);
      const stat = statSync(join(root, hour, name), { throwIfNoEntry: false });
      if (Number.isSafeInteger(key) && stat !== undefined) sizes.set(key, (sizes.get(key) ?? 0) + stat.blocks * 512);
    }
    yield [...sizes].map(([key, diskBytes]) => ({ key, diskBytes })).sort((a, b) => a.key - b.key);
  }
}

function emptyWhenMissing(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOENT') return [];
  throw error;
}

export function readTail(log: LogReader, bytes: number): Buffer {
  const parts: Buffer[] = [];
  for (let from = Math.max(log.firstKeptByte, log.totalBytes - bytes); from < log.totalBytes;) {
    const part = log.read(from, LOG_READ_BYTES_MAX);
    if (part.bytes.length === 0) break;
    parts.push(part.bytes);
    from = part.from + part.bytes.length;
  }
  return Buffer.concat(parts);
}

function readRange(base: string, index: LogIndex, totalBytes: number, wanted: number, limit: number): LogRead {
  const from = Math.min(Math.max(wanted, index.released, 0), totalBytes);
  const end = Math.min(totalBytes, from + Math.max(0, limit));
  const bytes = Buffer.alloc(end - from);
  const chunks: LogPart[] = [];
  const files = new Map<LogStream, number>();
  try {
    let at = 0;
    for (const chunk of index.chunks) {
      const first = Math.max(at, from);
      const last = Math.min(at + chunk.length, end);
      if (first < last) {
        const fd = openOnce(files, base, chunk.stream);
        readSync(fd, bytes, first - from, last - first, chunk.offset + first - at);
        chunks.push({
          stream: chunk.stream,
          observedAtUs: chunk.observedAtUs,
          observedLate: chunk.late,
          from: first,
          length: last - first,
        });
      }
      at += chunk.length;
      if (at >= end) break;
    }
  } catch (error) {
    // A file went between the look at the index and this one (retention), or was lost: there is nothing to show of it.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { bytes: Buffer.alloc(0), from, totalBytes, firstKeptByte: index.released, chunks: [] };
  } finally {
    for (const fd of files.values()) closeSync(fd);
  }
  return { bytes, from, totalBytes, firstKeptByte: index.released, chunks };
}

function openOnce(files: Map<LogStream, number>, base: string, stream: LogStream): number {
  let fd = files.get(stream);
  if (fd === undefined) {
    fd = openSync(logFile(base, stream), 'r');
    files.set(stream, fd);
  }
  return fd;
}
