/** The threads that wait in posix_spawn, seen from the runner's own one: starts go to whichever is free, by way of a ring in shared memory. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Arena } from './libc.ts';
import {
  ATTRIBUTES,
  CARRIED_OUT,
  COMPLETED,
  CONTROL,
  DONE,
  GROUP,
  MOVE,
  MOVED,
  ONESELF,
  RING,
  SLOTS,
  STATES,
  STOPPING,
  SUBMITTED,
  TAKEN,
  type ThreadData,
  UNDER_WAY,
  WAITING,
  WAKE,
} from './spawn-memory.ts';

/**
 * Two: while one waits for its child to have its program the other prepares the next start, and a program on a filesystem that hangs keeps
 * only one of them. More gained little on two cores, for 7 MB each.
 */
const THREADS = 2;
/** While all of them hang another one is added, up to so many. */
const THREADS_MAX = 8;
const THREAD = new URL('./spawn-thread.ts', import.meta.url);
/** It makes next to no garbage: a small heap keeps the runner small. */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16, stackSizeMb: 1 };

export class SpawnThreads {
  readonly ready: Promise<void>;
  readonly #arena: Arena;
  readonly #control: Int32Array;
  readonly #ring: Int32Array;
  readonly #states: Int32Array;
  readonly #data: ThreadData;
  readonly #carriedOut: () => void;
  #submitted = 0;
  #count = 0;
  #completed = -1;

  /**
   * `ownDescriptors`: descriptors of this thread mean nothing to a start. `carriedOut`: `collect` has something. `broken`: a thread has died,
   * which no start can go wrong enough for.
   */
  constructor(arena: Arena, ownDescriptors: boolean, carriedOut: () => void, broken: (error: Error) => void) {
    const { memory, base } = arena;
    this.#arena = arena;
    this.#control = new Int32Array(memory, CONTROL, 8);
    this.#ring = new Int32Array(memory, RING, SLOTS);
    this.#states = new Int32Array(memory, STATES, SLOTS);
    this.#data = { memory, base, attributes: ATTRIBUTES, ownDescriptors };
    this.#carriedOut = carriedOut;
    const threads = Array.from({ length: THREADS }, () => this.#add(broken));
    this.ready = Promise.all(threads).then(() => undefined);
  }

  /** To be called each second while starts are under way: where none has been carried out since the last call, one more thread takes what waits. */
  relieve(): void {
    const completed = Atomics.load(this.#control, COMPLETED);
    const waits = Atomics.load(this.#control, TAKEN) !== Atomics.load(this.#control, SUBMITTED);
    // Without memory for another one those that hang are waited for.
    const nothing = () => undefined;
    if (waits && completed === this.#completed && this.#count < THREADS_MAX) this.#add(nothing).catch(nothing);
    this.#completed = completed;
  }

  /** Rejects where the system has no thread to give. */
  async #add(broken: (error: Error) => void): Promise<void> {
    const thread = new Worker(THREAD, { workerData: this.#data, resourceLimits: THREAD_LIMITS });
    this.#count += 1;
    thread.on('message', this.#carriedOut);
    thread.on('error', broken);
    await once(thread, 'message');
    thread.unref();
  }

  /** Hands over the start prepared in a free slot. */
  submit(index: number): void {
    Atomics.store(this.#states, index, UNDER_WAY);
    this.#enqueue(index);
  }

  #enqueue(entry: number): void {
    Atomics.store(this.#ring, this.#submitted & (SLOTS - 1), entry);
    this.#submitted = (this.#submitted + 1) | 0;
    Atomics.store(this.#control, SUBMITTED, this.#submitted);
    Atomics.store(this.#control, WAITING, 1);
    Atomics.add(this.#control, WAKE, 1);
    Atomics.notify(this.#control, WAKE, 1);
  }

  /** Has this process moved to another control group; the file of its members. `carriedOut` is called for it too. */
  move(membersFile: string): void {
    const { bytes } = this.#arena;
    bytes[GROUP + bytes.write(membersFile, GROUP)] = 0;
    bytes.write('0\0', ONESELF, 'latin1');
    this.#enqueue(MOVE);
  }

  /** Whether the last move went well; null: there was none, or it has been told. */
  moved(): boolean | null {
    const moved = Atomics.exchange(this.#control, MOVED, 0);
    return moved === 0 ? null : moved === DONE;
  }

  /** The slots whose start has been carried out since the last call. */
  collect(): number[] {
    // Before looking, so that what is carried out from here on is told.
    Atomics.store(this.#control, WAITING, 1);
    const indexes: number[] = [];
    for (let index = 0; index < SLOTS; index += 1) {
      if (Atomics.compareExchange(this.#states, index, CARRIED_OUT, 0) === CARRIED_OUT) indexes.push(index);
    }
    return indexes;
  }

  close(): void {
    Atomics.store(this.#control, STOPPING, 1);
    Atomics.add(this.#control, WAKE, 1);
    Atomics.notify(this.#control, WAKE);
  }
}
