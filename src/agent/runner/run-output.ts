/** The output of a run as the runner handles it, whether a process writes its files or an executor of ours does. */
import { constants, type FileHandle, mkdir, open } from 'node:fs/promises';
import { isUtf8 } from 'node:buffer';
import { dirname } from 'node:path';
import type { OutputSink } from '../../executors/executor.ts';
import { decodeTail, type LogLimits, type LogSummary, RunLog } from './run-log.ts';

export interface RunOutput {
  /** Looks for news; true: there was some. */
  poll(nowUs: number): boolean;
  /** Gives back what is past the limit, though nothing was added. */
  release(): void;
  finish(nowUs: number): LogSummary;
}

/** Looks (the watcher's, about a second in all) for which a run's short output stays in memory. */
const LOOKS_IN_MEMORY = 5;

/**
 * Output of an in-process executor. Up to `tailBytes` it stays in memory while the run is young, because a file per short request would
 * cost more than the request; what is longer, not text, or of a run that goes on is written to the same files a process would have
 * written, where it can be read meanwhile. Short text of a short run is found in the result's tail, whole.
 */
export class BufferedOutput implements RunOutput, OutputSink {
  readonly #limits: LogLimits;
  readonly #key: number;
  /** Once there is a file. */
  #log: RunLog | null = null;
  #parts: Uint8Array[] = [];
  #length = 0;
  #file: Promise<FileHandle | null> | null = null;
  #writing: Promise<void> = Promise.resolve();
  #dropped = 0;
  #looks = 0;

  constructor(limits: LogLimits, key: number) {
    this.#limits = limits;
    this.#key = key;
  }

  write(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#parts.push(chunk);
    this.#length += chunk.length;
    if (this.#file !== null || this.#length > this.#limits.tailBytes || this.#looks >= LOOKS_IN_MEMORY) this.#spill();
  }

  drained(): Promise<void> {
    return this.#writing;
  }

  /** To be awaited before `finish`: everything written is in its file, or (null) stays in memory for good. */
  settle(): Promise<void> | null {
    if (this.#file === null && this.#length > 0 && !isUtf8(Buffer.concat(this.#parts))) this.#spill();
    return this.#file === null ? null : this.#closeFile();
  }

  poll(nowUs: number): boolean {
    this.#looks += 1;
    if (this.#looks === LOOKS_IN_MEMORY && this.#length > 0) this.#spill();
    return this.#log?.poll(nowUs) ?? false;
  }

  release(): void {
    this.#log?.release();
  }

  finish(nowUs: number): LogSummary {
    if (this.#log === null) {
      return {
        outputBytes: this.#length,
        logBytes: 0,
        tail: this.#length === 0 ? '' : decodeTail(Buffer.concat(this.#parts)),
      };
    }
    const summary = this.#log.finish(nowUs);
    return { ...summary, outputBytes: summary.outputBytes + this.#dropped };
  }

  async #closeFile(): Promise<void> {
    await this.#writing;
    const file = await this.#file;
    await file?.close();
  }

  #spill(): void {
    const bytes = this.#parts.length === 1 ? (this.#parts[0] as Uint8Array) : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#length = 0;
    this.#log ??= new RunLog(this.#limits, this.#key);
    this.#file ??= openAppending(this.#log.outPath);
    this.#writing = this.#writing.then(() => this.#append(bytes));
  }

  /** Past the room on disk output is dropped and counted. */
  async #append(bytes: Uint8Array): Promise<void> {
    const file = await this.#file;
    let written = 0;
    try {
      while (file !== null && file !== undefined && written < bytes.length) {
        written += (await file.write(bytes, written)).bytesWritten;
      }
    } catch (error) {
      if (!isNoRoom(error)) throw error;
    }
    this.#dropped += bytes.length - written;
  }
}

async function openAppending(path: string): Promise<FileHandle | null> {
  try {
    await mkdir(dirname(path), { recursive: true });
    return await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o640);
  } catch (error) {
    if (isNoRoom(error)) return null;
    throw error;
  }
}

function isNoRoom(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE'].includes((error as NodeJS.ErrnoException).code ?? '');
}
