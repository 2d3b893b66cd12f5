/**
 * Writes the runner's spool. Appends are plain writes (they survive kill -9 in the page cache); `sync` makes them survive a power cut and is
 * shared by everyone who asks meanwhile. Part of the file is preallocated, so that results find room on a full disk.
 */
import { closeSync, fdatasync, fdatasyncSync, fsyncSync, openSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { encodeRecord, spoolPath, type SpoolRecord } from '../spool.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Preallocate } from './files.ts';

export interface JournalOptions {
  readonly directory: string;
  readonly runner: string;
  readonly reserveBytes: number;
}

export interface JournalModules {
  readonly clock: Clock;
  readonly preallocate: Preallocate;
  /** The records that say all that still matters, for rewriting the file. */
  readonly live: () => Iterable<SpoolRecord>;
}

/** The file is rewritten when it has grown past this and past twice what was live at the last rewriting. */
export const COMPACT_BYTES = 8 * 1024 * 1024;
/** End marks are on disk at latest so long after they were written, unless a sync for something else comes first. */
export const SYNC_DELAY_MS = 100;

export class Journal {
  readonly #options: JournalOptions;
  readonly #modules: JournalModules;
  #fd: number;
  /** Kept open: a new name is durable only when its directory is synced, and by then there may be no descriptor left to open it. */
  readonly #directoryFd: number;
  #size = 0;
  /** The file's blocks are allocated up to here. */
  #allocated = 0;
  #compactAt = COMPACT_BYTES;
  #dirty = false;
  #syncing = false;
  /** It was too large while a sync was under way. */
  #compactDue = false;
  #waiting: (() => void)[] = [];
  #timer: Timer | null = null;

  constructor(options: JournalOptions, modules: JournalModules) {
    this.#options = options;
    this.#modules = modules;
    this.#fd = openSync(spoolPath(options.directory), 'wx', 0o600);
    this.#directoryFd = openSync(options.directory, 'r');
    this.#reserve(options.reserveBytes);
    this.append([{ r: 'open', version: 1, runner: options.runner }]);
    fdatasyncSync(this.#fd);
    fsyncSync(this.#directoryFd);
  }

  /**
   * Room for `bytes` more while `keepFree` bytes stay allocated for results. Extends the allocation when the disk has room; false: it has
   * not, so nothing new may be accepted.
   */
  hasRoom(bytes: number, keepFree: number): boolean {
    const wanted = this.#size + bytes + keepFree;
    if (wanted <= this.#allocated) return true;
    return this.#reserve(wanted - this.#size + this.#options.reserveBytes);
  }

  /** All of the records or none; false: the disk is full. */
  append(records: readonly SpoolRecord[]): boolean {
    return this.appendBytes(encodeRecords(records));
  }

  /** The same for records encoded before, by who needed to know their size. */
  appendBytes(bytes: Buffer): boolean {
    let written = 0;
    try {
      while (written < bytes.length)
        written += writeSync(this.#fd, bytes, written, bytes.length - written, this.#size + written);
    } catch (error) {
      if (!isFull(error)) throw error;
      // What was half written must never be read as records; its blocks exist, so overwriting it needs no room.
      if (written > 0) writeSync(this.#fd, Buffer.alloc(written), 0, written, this.#size);
      return false;
    }
    this.#size += bytes.length;
    this.#dirty = true;
    return true;
  }

  /** Resolves when everything appended so far is on disk. One fdatasync serves all who ask while another one runs. */
  sync(): Promise<void> {
    if (!this.#dirty && !this.#syncing) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (!this.#syncing) this.#startSync();
    });
  }

  /** Syncs within SYNC_DELAY_MS; cheap to call for every result. */
  syncSoon(): void {
    this.#timer ??= this.#modules.clock.setTimer(SYNC_DELAY_MS, () => {
      this.#timer = null;
      void this.sync();
    });
  }

  /** Rewrites the file when most of it is about executions long acknowledged, at once or when the sync under way is over. */
  compactIfLarge(): void {
    this.#compactDue = this.#syncing && this.#size >= this.#compactAt;
    if (this.#size < this.#compactAt || this.#syncing) return;
    const path = `${spoolPath(this.#options.directory)}.new`;
    const old = { fd: this.#fd, size: this.#size, allocated: this.#allocated };
    try {
      this.#fd = openSync(path, 'w', 0o600);
      this.#size = 0;
      this.#allocated = 0;
      this.#reserve(this.#options.reserveBytes);
      const complete = this.append([{ r: 'open', version: 1, runner: this.#options.runner }, ...this.#modules.live()]);
      if (!complete) throw Object.assign(new Error('no room to rewrite the journal'), { code: 'ENOSPC' });
      fdatasyncSync(this.#fd);
      renameSync(path, spoolPath(this.#options.directory));
      fsyncSync(this.#directoryFd);
    } catch (error) {
      if (!isFull(error) && (error as NodeJS.ErrnoException).code !== 'EMFILE') throw error;
      if (this.#fd !== old.fd) {
        closeSync(this.#fd);
        unlinkSync(path);
      }
      this.#fd = old.fd;
      this.#size = old.size;
      this.#allocated = old.allocated;
      this.#compactAt = old.size + COMPACT_BYTES;
      return;
    }
    closeSync(old.fd);
    this.#dirty = false;
    this.#compactAt = Math.max(COMPACT_BYTES, this.#size * 2);
  }

  close(): void {
    this.#timer?.cancel();
    this.#compactDue = false;
    if (this.#dirty) fdatasyncSync(this.#fd);
    closeSync(this.#fd);
    closeSync(this.#directoryFd);
  }

  #reserve(bytes: number): boolean {
    if (!this.#modules.preallocate(this.#fd, this.#size, bytes)) return false;
    this.#allocated = this.#size + bytes;
    return true;
  }

  #startSync(): void {
    const served = this.#waiting;
    this.#waiting = [];
    this.#syncing = true;
    this.#dirty = false;
    fdatasync(this.#fd, (error) => {
      this.#syncing = false;
      // After a failed sync nobody knows what is on disk, and asking again would lie: this runner ends, the next one reads what there is.
      if (error !== null) throw new Error('the journal cannot be synced', { cause: error });
      for (const resolve of served) resolve();
      if (this.#waiting.length > 0) this.#startSync();
      else if (this.#compactDue) this.compactIfLarge();
    });
  }
}

export function encodeRecords(records: readonly SpoolRecord[]): Buffer {
  return Buffer.from(
    records.length === 1 ? encodeRecord(records[0] as SpoolRecord) : records.map(encodeRecord).join(''),
  );
}

function isFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT';
}
