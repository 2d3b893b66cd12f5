/**
 * Follows the two output files of one execution: notes what appeared when, releases the oldest bytes past the limit, and says at the end what
 * there was. The job writes to the files itself, so nothing here can lose its output.
 */
import { appendFileSync, closeSync, fstatSync, mkdirSync, openSync, readSync, statSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  chunkLine,
  type LogChunk,
  type LogIndex,
  type LogStream,
  logFile,
  readIndex,
  releasedLine,
} from '../log-index.ts';
import { openLog, readTail } from '../logs.ts';
import { logBase } from '../paths.ts';
import type { PunchHole } from './files.ts';
import type { SpareFile, SpareFiles } from './spare-files.ts';

export interface LogLimits {
  readonly dataDir: string;
  /** Asked anew each time: it shrinks while the disk is full. */
  readonly outputBytesMax: () => number;
  readonly tailBytes: number;
  readonly punch: PunchHole;
}

/** Spare files a run may begin to write to, by stream; a stream without one has its file in the log directory from the start. */
export interface SpareOutput {
  readonly files: SpareFiles;
  readonly jobId: number;
  stdout: SpareFile | null;
  stderr: SpareFile | null;
}

export const STREAMS: readonly LogStream[] = ['stdout', 'stderr'];

export interface LogSummary {
  readonly outputBytes: number;
  readonly logBytes: number;
  readonly tail: string;
}

const SILENT: LogSummary = { outputBytes: 0, logBytes: 0, tail: '' };
/** An index of this many chunks doubles its step, so that a job which writes for weeks has an index of megabytes, not gigabytes. */
const CHUNKS_PER_STEP = 4096;
const STEP_US = 100_000;
/** Holes are punched in whole blocks. */
const BLOCK_BYTES = 4096;

export class RunLog {
  readonly #limits: LogLimits;
  readonly #key: number;
  readonly #base: string;
  readonly #seen = { stdout: 0, stderr: 0 };
  /** Chunks not wholly released, oldest first, with how many of their bytes remain. */
  #kept: { stream: LogStream; length: number }[] = [];
  #total = 0;
  #released = { all: 0, stdout: 0, stderr: 0 };
  #punched = { stdout: 0, stderr: 0 };
  #chunkCount = 0;
  #lastChunkAtUs = 0;
  /** A first chunk that is the whole log needs no index; it is held back until a second one comes. */
  #held: LogChunk | null = null;

  #spare: SpareOutput | null = null;

  constructor(limits: LogLimits, key: number) {
    this.#limits = limits;
    this.#key = key;
    this.#base = logBase(limits.dataDir, key);
  }

  /** Where the run is to write from its start. Before that only. */
  use(spare: SpareOutput): void {
    this.#spare = spare;
  }

  /** The run writes to files of its own after all. */
  disuse(): void {
    for (const stream of STREAMS) this.#discard(stream);
    this.#spare = null;
  }

  /** The file that the stream is written to now. */
  path(stream: LogStream): string {
    return this.#spare?.[stream]?.path ?? logFile(this.#base, stream);
  }

  /** Neither file is this run's own. */
  get filesRecur(): boolean {
    return this.#spare !== null && this.#spare.stdout !== null && this.#spare.stderr !== null;
  }

  get outPath(): string {
    return this.path('stdout');
  }

  get errPath(): string {
    return this.path('stderr');
  }

  get stdinPath(): string {
    return `${this.#base}.in`;
  }

  /** Goes on where an earlier runner stopped; what it has not indexed counts as observed late. */
  resume(): void {
    const index: LogIndex = readIndex(this.#base);
    for (const chunk of index.chunks) this.#count(chunk);
    this.#released = { all: index.released, stdout: index.releasedOut, stderr: index.releasedErr };
    this.#dropFromKept(index.released);
    // Written again in whole: the part that readIndex deduced from the files' sizes becomes part of the record.
    const lines = index.chunks.map(chunkLine).join('') + (index.released > 0 ? releasedLine(index) : '');
    if (lines !== '') appendOrSkip(`${this.#base}.idx`, lines, 'w');
    this.#held = null;
  }

  /** Looks once; true: there was something new. */
  poll(nowUs: number): boolean {
    if (nowUs - this.#lastChunkAtUs < this.#stepUs()) return false;
    return this.#look(nowUs);
  }

  /** The last look: removes empty files, and reads the tail. */
  finish(nowUs: number): LogSummary {
    const spare = this.#spare;
    if (spare !== null && this.#total === 0 && this.#returnUnwritten(spare)) return SILENT;
    this.#look(nowUs);
    const tail = this.#total === 0 ? '' : decodeTail(this.#readTail());
    for (const stream of STREAMS) {
      this.#spare?.files.learn(this.#spare.jobId, stream, this.#seen[stream] > 0);
      if ((this.#spare?.[stream] ?? null) !== null) {
        // Still no room for its name: counted, and not in the log.
        this.#released.all += this.#seen[stream] - this.#released[stream];
        this.#discard(stream);
      } else if (this.#seen[stream] === 0) unlinkIfThere(logFile(this.#base, stream));
    }
    if (this.#total > 0 && this.#total === this.#released.all) unlinkIfThere(`${this.#base}.idx`);
    return { outputBytes: this.#total, logBytes: this.#total - this.#released.all, tail };
  }

  /** The most usual end: nothing was ever written to either file. Nothing is on disk then, and nothing has to be looked up. */
  #returnUnwritten({ files, jobId, stdout, stderr }: SpareOutput): boolean {
    if (stdout === null || stderr === null || !files.areUnwritten(stdout, stderr)) return false;
    for (const stream of STREAMS) files.learn(jobId, stream, false);
    files.putBack(stdout, stderr);
    this.#spare = null;
    return true;
  }

  /** Also one with output that found no name in the log directory: there is no room for it. */
  #discard(stream: LogStream): void {
    const file = this.#spare?.[stream] ?? null;
    if (this.#spare === null || file === null) return;
    this.#spare.files.discard(file);
    this.#spare[stream] = null;
  }

  /** There is output: the spare file becomes the log's. Without room for its name it stays where it is until the next look. */
  #keep(stream: LogStream): void {
    const file = this.#spare?.[stream] ?? null;
    if (this.#spare === null || file === null) return;
    const path = logFile(this.#base, stream);
    try {
      mkdirSync(dirname(path), { recursive: true });
      this.#spare.files.keep(file, path);
      this.#spare[stream] = null;
    } catch {
      // Disk full, or the directory was removed this very moment.
    }
  }

  #stat(stream: LogStream): { size: number; mtimeMs: number } | undefined {
    const file = this.#spare?.[stream] ?? null;
    return file === null ? statSync(logFile(this.#base, stream), { throwIfNoEntry: false }) : fstatSync(file.fd);
  }

  #readTail(): Buffer {
    try {
      const last = this.#kept.at(-1)?.stream;
      // Without its log's name nobody else can read it.
      if (last !== undefined && (this.#held !== null || (this.#spare?.[last] ?? null) !== null))
        return readEnd(this.path(last), this.#seen[last], this.#limits.tailBytes);
      const log = openLog(this.#limits.dataDir, this.#key);
      return log === null ? Buffer.alloc(0) : readTail(log, this.#limits.tailBytes);
    } catch {
      // Out of descriptors, or somebody removed the files: the result matters more than its tail, and the log is read again by who asks.
      return Buffer.alloc(0);
    }
  }

  #stepUs(): number {
    return STEP_US * 2 ** Math.min(20, Math.floor(this.#chunkCount / CHUNKS_PER_STEP));
  }

  #look(nowUs: number): boolean {
    const grown: { stream: LogStream; size: number; mtimeMs: number }[] = [];
    for (const stream of STREAMS) {
      const stat = this.#stat(stream);
      if (stat === undefined || stat.size === 0) continue;
      // Also one that found no room for its name at an earlier look.
      this.#keep(stream);
      if (stat.size <= this.#seen[stream]) continue;
      grown.push({ stream, size: stat.size, mtimeMs: stat.mtimeMs });
    }
    if (grown.length === 0) return false;
    if (grown.length > 1) grown.sort((a, b) => a.mtimeMs - b.mtimeMs);
    const chunks = grown.map(({ stream, size }) => {
      const offset = this.#seen[stream];
      return { stream, offset, length: size - offset, observedAtUs: nowUs, late: false };
    });
    for (const chunk of chunks) this.#count(chunk);
    this.#lastChunkAtUs = nowUs;
    this.#write(chunks);
    this.release();
    return true;
  }

  #count(chunk: LogChunk): void {
    this.#seen[chunk.stream] = chunk.offset + chunk.length;
    this.#total += chunk.length;
    this.#chunkCount += 1;
    const last = this.#kept.at(-1);
    if (last?.stream === chunk.stream) last.length += chunk.length;
    else this.#kept.push({ stream: chunk.stream, length: chunk.length });
  }

  #write(chunks: readonly LogChunk[]): void {
    if (this.#chunkCount === 1 && chunks[0] !== undefined) {
      this.#held = chunks[0];
      return;
    }
    const held = this.#held === null ? '' : chunkLine(this.#held);
    this.#held = null;
    appendOrSkip(`${this.#base}.idx`, held + chunks.map(chunkLine).join(''), 'a');
  }

  /** Past the limit the oldest bytes go, a good piece at a time so that a fast writer does not cost a hole per look. */
  release(): void {
    const limit = this.#limits.outputBytesMax();
    const excess = this.#total - this.#released.all - limit;
    if (excess <= 0 || excess < Math.min(limit / 8, 8 * 1024 * 1024)) return;
    this.#released.all += excess;
    const dropped = this.#dropFromKept(excess);
    this.#released.stdout += dropped.stdout;
    this.#released.stderr += dropped.stderr;
    const { all, stdout, stderr } = this.#released;
    const held = this.#held === null ? '' : chunkLine(this.#held);
    this.#held = null;
    appendOrSkip(
      `${this.#base}.idx`,
      held + releasedLine({ released: all, releasedOut: stdout, releasedErr: stderr }),
      'a',
    );
    for (const stream of STREAMS) this.#punch(stream);
  }

  #dropFromKept(bytes: number): { stdout: number; stderr: number } {
    const dropped = { stdout: 0, stderr: 0 };
    let gone = 0;
    for (let left = bytes; left > 0;) {
      const chunk = this.#kept[gone];
      if (chunk === undefined) break;
      const taken = Math.min(left, chunk.length);
      dropped[chunk.stream] += taken;
      chunk.length -= taken;
      left -= taken;
      if (chunk.length === 0) gone += 1;
    }
    if (gone > 0) this.#kept.splice(0, gone);
    return dropped;
  }

  #punch(stream: LogStream): void {
    const end = Math.floor(this.#released[stream] / BLOCK_BYTES) * BLOCK_BYTES;
    const from = this.#punched[stream];
    if (end <= from) return;
    this.#limits.punch(this.path(stream), from, end - from);
    this.#punched[stream] = end;
  }
}

/** UTF-8 with U+FFFD for what is not; a character cut in two at the beginning is left out. */
export function decodeTail(bytes: Uint8Array): string {
  let from = 0;
  while (from < 4 && from < bytes.length && ((bytes[from] as number) & 0xc0) === 0x80) from += 1;
  return new TextDecoder().decode(from === 4 ? bytes : bytes.subarray(from));
}

function readEnd(path: string, size: number, bytesMax: number): Buffer {
  const bytes = Buffer.allocUnsafe(Math.min(size, bytesMax));
  const fd = openSync(path, 'r');
  try {
    return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, size - bytes.length));
  } finally {
    closeSync(fd);
  }
}

function appendOrSkip(path: string, text: string, flag: 'a' | 'w'): void {
  try {
    appendFileSync(path, text, { flag, mode: 0o640 });
  } catch {
    // Disk full, out of descriptors, directory removed: the index stays behind, and readers deduce the rest from the files themselves.
  }
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
