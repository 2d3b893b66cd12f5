/**
 * The leader's way to the store: every batch begins with the fence and is repeated until its end is known. A fenced-off leader must stop
 * at once, so that is an error that ends the node; a full disk is an answer the callers act on.
 */
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../model/errors.ts';
import type { Emit } from '../model/events.ts';
import {
  type Consistency,
  type Database,
  fence,
  type Row,
  type SqlValue,
  type Statement,
  type StatementResult,
} from '../store/database.ts';

/** Another holder has a newer epoch: this node must not launch or record anything any more. */
export class FencedError extends AppError {
  constructor() {
    super('unavailable', 'this node is no longer the leader of its data', {
      remedy: 'it ends itself; ask the node that took the data over',
    });
    this.name = 'FencedError';
  }
}

/** committed: results without the fence's; `repeated` when an earlier try may have been applied already (RETURNING rows then tell nothing). */
export type LeaderWrite =
  | {
      readonly kind: 'committed';
      readonly results: readonly StatementResult[];
      readonly repeated: boolean;
      readonly commitMs: number;
    }
  | { readonly kind: 'full' };

/** The store does not answer; `cause` in words. */
export interface StoreSilence {
  /** Wall time at which that was sure. */
  readonly sinceMs: number;
  readonly cause: string;
}

const BACKOFF_MS = [5, 50, 250, 1_000, 2_000] as const;
/** After so many tries in vain, a third of a second, people are told. */
const TOLD_AFTER = 3;
/** Reads are repeated this often, for 1.3 s in all; writes until their end is known. */
const READ_REPEATS = 4;

export class LeaderStore {
  readonly epoch: number;
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #emit: Emit;
  readonly #fail: (error: unknown) => void;
  #damage: AppError | null = null;
  /** By what was tried: reads may be answered while no write is. */
  readonly #silences = new Map<'read' | 'write', StoreSilence>();

  /** `fail` ends the node: whoever meets the fence, a person's request too, ends it for all. */
  constructor(
    options: { epoch: number },
    modules: { database: Database; clock: Clock; emit: Emit; fail: (error: unknown) => void },
  ) {
    this.epoch = options.epoch;
    this.#database = modules.database;
    this.#clock = modules.clock;
    this.#emit = modules.emit;
    this.#fail = modules.fail;
  }

  /** What a read or a write met; from there on nothing is read or written, so that the damage stays as it was found. */
  get damage(): AppError | null {
    return this.#damage;
  }

  /** For who writes much at leisure: what it leaves to be copied would hold up the write that happens to fill the journal. */
  checkpoint(): void {
    this.#database.checkpoint?.();
  }

  /** null: what was asked of the store last was answered. */
  get silence(): StoreSilence | null {
    return this.#silences.get('write') ?? this.#silences.get('read') ?? null;
  }

  /**
   * Reads what is committed; nothing acknowledged before the call is missing. A store that does not answer is asked again a few times:
   * a leader that cannot read after its own commit would have to end.
   */
  async read<T = Row>(
    sql: string,
    params: readonly SqlValue[] = [],
    consistency: Consistency = 'leader',
  ): Promise<T[]> {
    for (let attempt = 0; ; attempt++) {
      try {
        const rows = (await this.#sound(() => this.#database.read(consistency, sql, params))) as T[];
        this.#silences.delete('read');
        return rows;
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'unavailable' || attempt >= READ_REPEATS) throw error;
        await this.#backOff('read', attempt, error);
      }
    }
  }

  /** One fenced batch. Throws FencedError, AppError('damaged'), or a broken guard as an invariant. */
  async write(statements: readonly Statement[], signal?: AbortSignal): Promise<LeaderWrite> {
    const started = this.#clock.monotonic();
    const batch = [fence(this.epoch), ...statements];
    for (let attempt = 0; ; attempt++) {
      const outcome = await this.#sound(() => this.#database.write(batch));
      if (outcome.kind !== 'unknown') this.#silences.delete('write');
      switch (outcome.kind) {
        case 'committed':
          return {
            kind: 'committed',
            results: outcome.results.slice(1),
            repeated: attempt > 0,
            commitMs: this.#clock.monotonic() - started,
          };
        case 'full':
          if (attempt === 0) return { kind: 'full' };
          // An earlier try may have been applied: that nothing was is not known.
          await this.#backOff('write', attempt, new Error('the disk is full'), signal);
          break;
        case 'refused':
          if (outcome.guard === 'fence') throw this.#fenced();
          throw new Error(`a leader batch broke the rule ${outcome.guard}`);
        case 'unknown':
          await this.#backOff('write', attempt, outcome.cause, signal);
      }
    }
  }

  /** As write, for a person's request: a full disk is their answer. */
  async writeFor(statements: readonly Statement[]): Promise<Extract<LeaderWrite, { kind: 'committed' }>> {
    const written = await this.write(statements);
    if (written.kind === 'full') throw diskFull();
    return written;
  }

  async #sound<T>(ask: () => Promise<T>): Promise<T> {
    if (this.#damage !== null) throw this.#damage;
    try {
      return await ask();
    } catch (error) {
      if (error instanceof AppError && error.code === 'damaged') this.#damage ??= error;
      throw error;
    }
  }

  #fenced(): FencedError {
    const error = new FencedError();
    this.#fail(error);
    return error;
  }

  async #backOff(what: 'read' | 'write', attempt: number, cause: unknown, signal?: AbortSignal): Promise<void> {
    const delayMs = BACKOFF_MS[Math.min(attempt, BACKOFF_MS.length - 1)] as number;
    const outcome = cause instanceof Error ? cause.message : 'unknown';
    if (attempt >= TOLD_AFTER && !this.#silences.has(what))
      this.#silences.set(what, { sinceMs: this.#clock.now(), cause: outcome });
    this.#emit({ kind: 'store_trouble', what, outcome, delayMs });
    await this.#clock.sleep(delayMs, signal);
  }
}

export function diskFull(): AppError {
  return new AppError('disk_full', 'the disk of the data directory is full; nothing was changed', {
    remedy: 'free disk space; the node resumes by itself',
  });
}
