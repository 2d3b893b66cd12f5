/**
 * Brings pages from the -wal home into the file (SQLite: checkpoint) beside the loop. A commit that does it itself copies thousands of
 * pages and syncs them, tens of milliseconds in which no run is launched and no question answered; so a thread with a connection of its own
 * copies most of them while commits go on, and the loop only the few that were written meanwhile: the -wal starts again at its beginning
 * when none are left.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import type { Clock, Timer } from '../lib/clock.ts';
import type { CheckpointThreadData } from './checkpoint-thread.ts';

export interface CheckpointSettings {
  readonly clock: Clock;
  readonly checkpointPages: number;
  readonly synchronous: 'full' | 'off';
}

/** So few are copied by the loop: a few milliseconds. */
const REST_PAGES = 1000;
/** At so many times `checkpointPages` a commit copies what is left after all: bounds the -wal where the thread cannot keep up. */
const PAGES_MAX_FACTOR = 3;
/** An idle thread costs 7 MB, another start of it 30 ms of another core. */
const IDLE_MS = 10_000;
const THREAD = new URL('./checkpoint-thread.ts', import.meta.url);
/** It makes next to no garbage. */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16, stackSizeMb: 1 };

/** Pages in the -wal, and how many of them are home. */
interface WalState {
  readonly log: number;
  readonly checkpointed: number;
}

export class Checkpointer {
  readonly #writer: DatabaseSync;
  readonly #state: StatementSync;
  readonly #settings: CheckpointSettings;
  readonly #data: CheckpointThreadData;
  readonly #script: URL;
  #thread: Worker | undefined;
  #copying = false;
  #paused = false;
  #homeBefore = 0;
  #ended = false;
  #idle: Timer | null = null;
  /** Nothing more is asked of the thread until the -wal is this long: a reader (a backup) or a full disk holds up what there is. */
  #heldUntil = 0;
  /** How often the thread has been asked. */
  passes = 0;

  constructor(writer: DatabaseSync, path: string, settings: CheckpointSettings, script = THREAD) {
    this.#writer = writer;
    this.#settings = settings;
    this.#data = { path, synchronous: settings.synchronous };
    this.#script = script;
    this.#state = writer.prepare('PRAGMA wal_checkpoint(NOOP)');
    this.#commitsCopyAt(settings.checkpointPages * PAGES_MAX_FACTOR);
  }

  /** To be called after each commit: 4 µs. */
  committed(): void {
    if (this.#copying || this.#paused || this.#ended) return;
    const { log, checkpointed } = this.#look();
    if (log < this.#heldUntil - this.#settings.checkpointPages) this.#heldUntil = 0;
    if (log - checkpointed >= this.#settings.checkpointPages && log >= this.#heldUntil) this.#ask();
  }

  /** While nobody waits (a start, say) commits copy by themselves: the thread's memory is not all given back. */
  pause(paused: boolean): void {
    this.#paused = paused;
    if (!this.#ended) this.#commitsCopyAt(this.#settings.checkpointPages * (paused ? 1 : PAGES_MAX_FACTOR));
  }

  /** Ends the thread; a copy under way is finished first. */
  async close(): Promise<void> {
    this.#ended = true;
    this.#idle?.cancel();
    await this.#thread?.terminate();
  }

  #look(): WalState {
    try {
      return this.#state.get() as unknown as WalState;
    } catch {
      // A disk that cannot be read shows in the reads and writes themselves.
      return { log: 0, checkpointed: 0 };
    }
  }

  #ask(): void {
    this.#idle?.cancel();
    this.#idle = null;
    try {
      this.#thread ??= this.#start();
    } catch {
      return this.#doWithout();
    }
    this.#copying = true;
    this.#homeBefore = this.#look().checkpointed;
    this.passes += 1;
    this.#thread.postMessage('copy');
  }

  #start(): Worker {
    const thread = new Worker(this.#script, { workerData: this.#data, resourceLimits: THREAD_LIMITS });
    thread.on('message', () => this.#copied());
    thread.on('error', () => this.#doWithout());
    thread.unref();
    return thread;
  }

  /** Where there is no memory or descriptor for a thread, commits copy as in any SQLite: slower, not wrong. */
  #doWithout(): void {
    this.#ended = true;
    this.#commitsCopyAt(this.#settings.checkpointPages);
  }

  #copied(): void {
    if (this.#ended) return;
    this.#copying = false;
    const { log, checkpointed } = this.#look();
    if (log - checkpointed <= REST_PAGES) this.#copyRest();
    else if (checkpointed > this.#homeBefore) return this.#ask();
    else this.#heldUntil = log + this.#settings.checkpointPages;
    this.#idle = this.#settings.clock.setTimer(IDLE_MS, () => {
      void this.#thread?.terminate();
      this.#thread = undefined;
    });
  }

  /** Its failure is met again by the write that needs the room, and answered there. */
  #copyRest(): void {
    try {
      this.#writer.exec('PRAGMA wal_checkpoint(PASSIVE)');
    } catch {
      // See above.
    }
  }

  #commitsCopyAt(pages: number): void {
    this.#writer.exec(`PRAGMA wal_autocheckpoint = ${pages}`);
  }
}
