/**
 * Knows whether there is room on disk. It keeps a reserve that is given up when the rest is used, so that jobs already running can go on writing
 * for a while; meanwhile nothing new is accepted and their older output is released. When there is room again the reserve is taken again.
 */
import { closeSync, ftruncateSync, openSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Preallocate } from './files.ts';

export interface DiskWatchOptions {
  readonly directory: string;
  readonly reserveBytes: number;
}

export interface DiskWatchModules {
  readonly clock: Clock;
  readonly preallocate: Preallocate;
  readonly onChange: (full: boolean) => void;
}

/** Free space is looked at this often while something runs or the disk is full. */
export const DISK_LOOK_INTERVAL_MS = 200;
/** How often a full disk is looked at again without anybody asking. */
const RETRY_MS = 1000;

export class DiskWatch {
  readonly #options: DiskWatchOptions;
  readonly #modules: DiskWatchModules;
  readonly #fd: number;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #retry: Timer | null = null;
  /** Nothing may be accepted, and what runs keeps little output. */
  full = false;

  constructor(options: DiskWatchOptions, modules: DiskWatchModules) {
    this.#options = options;
    this.#modules = modules;
    this.#fd = openSync(join(options.directory, 'room'), 'w', 0o600);
    this.full = !this.#take();
    if (this.full) this.#retryLater();
  }

  /** Cheap to call often: looks at most every DISK_LOOK_INTERVAL_MS, unless something has just failed for want of room. */
  look(failed = false): void {
    const now = this.#modules.clock.monotonic();
    if (!failed && now - this.#lookedAt < DISK_LOOK_INTERVAL_MS) return;
    this.#lookedAt = now;
    const free = this.#freeBytes();
    if (!this.full && (failed || free < this.#options.reserveBytes / 2)) {
      ftruncateSync(this.#fd, 0);
      this.#change(true);
    } else if (this.full && free > this.#options.reserveBytes * 2 && this.#take()) {
      this.#change(false);
    }
  }

  close(): void {
    this.#retry?.cancel();
    closeSync(this.#fd);
  }

  #take(): boolean {
    return this.#modules.preallocate(this.#fd, 0, this.#options.reserveBytes);
  }

  #change(full: boolean): void {
    this.full = full;
    this.#modules.onChange(full);
    this.#retry?.cancel();
    if (full) this.#retryLater();
  }

  /** Live runs are looked at by the watcher, which looks at the disk too; without any, the end of a full disk is looked for here. */
  #retryLater(): void {
    this.#retry = this.#modules.clock.setTimer(RETRY_MS, () => {
      this.#retryLater();
      this.look();
    });
  }

  #freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.#options.directory);
    return bavail * bsize;
  }
}
