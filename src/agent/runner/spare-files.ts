/**
 * Empty files kept ready for output. Creating and removing two files costs a silent run more than everything else the runner does for it, so
 * a run writes to spare ones: as soon as there is output they get its log's name, and what stayed empty serves the next run.
 */
import { closeSync, constants, fstatSync, mkdirSync, openSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { LogStream } from '../log-index.ts';
import { logsDirectory } from '../paths.ts';
import type { Libc } from './libc.ts';

export interface SpareFile {
  readonly name: number;
  readonly path: string;
  /** For reading only. */
  readonly fd: number;
}

export interface SpareFilesOptions {
  readonly dataDir: string;
  /** The runner's own directory: what it leaves behind goes with it. */
  readonly directory: string;
}

/** Kept waiting for each stream; each holds a descriptor. */
export const IDLE_MAX = 160;
/** Made at the start, so that the first storm finds some. */
const MADE_AHEAD = 8;
/** In use and waiting; beyond, a run creates files of its own. */
const FILES_MAX = 1024;
/** Jobs remembered as writing. */
const WRITERS_MAX = 100_000;
const F_SETLEASE = 1024;
const F_RDLCK = 0;
const F_UNLCK = 2;
const CREATE = constants.O_RDONLY | constants.O_CREAT | constants.O_EXCL;

export class SpareFiles {
  readonly #libc: Libc;
  readonly #directory: string;
  /** By stream, so that two files once used together are so again. */
  readonly #idle: Readonly<Record<LogStream, SpareFile[]>> = { stdout: [], stderr: [] };
  readonly #writers = { stdout: new Set<number>(), stderr: new Set<number>() };
  #next = 1;
  #count = 0;

  private constructor(libc: Libc, directory: string) {
    this.#libc = libc;
    this.#directory = directory;
  }

  /** null: without ffi or leases, or with logs on another filesystem, no file can be told to be unused, or be renamed. */
  static open(options: SpareFilesOptions, libc: Libc | null): SpareFiles | null {
    if (libc === null) return null;
    const directory = spareDirectory(options.directory);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    mkdirSync(logsDirectory(options.dataDir), { recursive: true });
    if (statSync(directory).dev !== statSync(logsDirectory(options.dataDir)).dev) return null;
    const files = new SpareFiles(libc, directory);
    const first = files.#make();
    if (first === null || !files.#isUnwritten(first)) return null;
    files.discard(first);
    for (const stream of ['stdout', 'stderr'] as const) {
      for (let i = 0; i < MADE_AHEAD; i += 1) {
        const file = files.#make();
        if (file !== null) files.#idle[stream].push(file);
      }
    }
    return files;
  }

  /**
   * An empty file nobody else has open. null: none to be had now, and the run makes its own; or the job wrote to this stream last time, and
   * it would only cost the renaming.
   */
  takeFor(jobId: number, stream: LogStream): SpareFile | null {
    if (this.#writers[stream].has(jobId)) return null;
    for (let file = this.#idle[stream].pop(); file !== undefined; file = this.#idle[stream].pop()) {
      // Who clears up old or empty files takes them too: the run would write to a new file of that name, which nobody looks at.
      if (fstatSync(file.fd).nlink === 1) return file;
      this.discard(file);
    }
    return this.#make();
  }

  /** How a run of the job ended on this stream. */
  learn(jobId: number, stream: LogStream, wrote: boolean): void {
    const writers = this.#writers[stream];
    if (!wrote) writers.delete(jobId);
    else if (writers.size < WRITERS_MAX) writers.add(jobId);
  }

  /** Both are empty, and nobody can write to them any more: what a background child of the run has open must never take a later run's output. */
  areUnwritten(stdout: SpareFile, stderr: SpareFile): boolean {
    return this.#isUnwritten(stdout) && this.#isUnwritten(stderr);
  }

  /** Unwritten ones, for the next run. */
  putBack(stdout: SpareFile, stderr: SpareFile): void {
    for (const [stream, file] of [['stdout', stdout] as const, ['stderr', stderr] as const]) {
      if (this.#idle[stream].length < IDLE_MAX) this.#idle[stream].push(file);
      else this.discard(file);
    }
  }

  discard(file: SpareFile): void {
    this.#close(file);
    try {
      unlinkSync(file.path);
    } catch {
      // Already gone, or it goes with the directory.
    }
  }

  /** It becomes the file at `path`, whose directory must exist. Throws what renaming throws, and then it is still a spare one. */
  keep(file: SpareFile, path: string): void {
    renameSync(file.path, path);
    this.#close(file);
  }

  close(): void {
    for (const files of Object.values(this.#idle)) for (const file of files.splice(0)) this.discard(file);
  }

  #make(): SpareFile | null {
    if (this.#count >= FILES_MAX) return null;
    const name = this.#next;
    this.#next += 1;
    const path = sparePath(this.#directory, name);
    try {
      const file = { name, path, fd: openSync(path, CREATE, 0o640) };
      this.#count += 1;
      return file;
    } catch {
      // Full disk, out of descriptors, directory removed: the run's own try tells what is wrong.
      return null;
    }
  }

  #close(file: SpareFile): void {
    closeSync(file.fd);
    this.#count -= 1;
  }

  /** Empty, still there under its only name, and open for writing nowhere: only then the kernel grants a read lease (fcntl(2), F_SETLEASE). */
  #isUnwritten({ fd }: SpareFile): boolean {
    const { fcntl } = this.#libc.call;
    if (fcntl(fd, F_SETLEASE, F_RDLCK) !== 0 || fcntl(fd, F_SETLEASE, F_UNLCK) !== 0) return false;
    const { size, nlink } = fstatSync(fd);
    return size === 0 && nlink === 1;
  }
}

export function spareDirectory(runnerDirectory: string): string {
  return join(runnerDirectory, 'spare');
}

export function sparePath(directory: string, name: number): string {
  return `${directory}/${name}`;
}
