/**
 * The database's part of the reserve for a full disk: room that is already ours, so that results can be committed when nothing else can.
 *
 * It is made by SQL alone. Filler rows hold blocks inside the database file; when the disk runs low they are deleted, and SQLite uses
 * their pages before it grows the file. Writing them also makes the -wal file long, and that is never cut below its part. Preallocating
 * past the end of the file does not work: every checkpoint truncates the file to its pages, which gives such blocks back.
 * On filesystems that copy on write (btrfs, zfs) rewriting needs new blocks, so there only the free-space threshold protects.
 */
import { statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Statement } from './database.ts';
import { SQLITE_DEFAULTS } from './sqlite-connections.ts';
import type { SqliteDatabase } from './sqlite.ts';

/** ok: launch. low: launch nothing new, results and acknowledgements still have room. full: nothing can be written. */
export type DiskState = 'ok' | 'low' | 'full';

export interface ReserveOptions {
  /** Filler rows plus -wal. The whole node's reserve minus what spool and runner keep. */
  readonly bytes?: number;
  /** Below this much free space on the filesystem the state is `low`. */
  readonly freeBytesMin?: number;
}

export const RESERVE_DEFAULTS = { bytes: 24 * 2 ** 20, freeBytesMin: 32 * 2 ** 20 } as const;

/** One filler row, and one commit of filling; larger ones would stall the loop. */
const ROW_BYTES = 2 ** 20;
/** After `low`, so much more than freeBytesMin must be free before it is filled again: no flapping at the edge. */
const RETURN_FACTOR = 1.25;
/** With less than this on the filesystem and the reserve nearly used up, a write cannot be expected to succeed. */
const NOTHING_BYTES = 256 * 1024;
const NEARLY_USED_UP = 1 / 8;

/** After a write found no room, filling is not tried for so many looks: with a quota each try would write the whole reserve in vain. */
const LOOKS_AFTER_FULL = 5;

const SQL = {
  // The reserve is a thing of this engine, not of the shared schema.
  table: 'CREATE TABLE IF NOT EXISTS disk_reserve (id INTEGER PRIMARY KEY, filler BLOB NOT NULL)',
  add: 'INSERT INTO disk_reserve (id, filler) VALUES (?, zeroblob(?)) ON CONFLICT (id) DO UPDATE SET filler = excluded.filler',
  rows: 'SELECT count(*) AS value FROM disk_reserve',
  surplus: 'DELETE FROM disk_reserve WHERE id > ?',
  release: 'DELETE FROM disk_reserve',
  freePages: 'SELECT freelist_count * page_size AS value FROM pragma_freelist_count, pragma_page_size',
};

export class DiskReserve {
  readonly #database: SqliteDatabase;
  readonly #freeBytesMin: number;
  readonly #walBytes: number;
  readonly #rows: number;
  #state: DiskState = 'low';
  #prepared = false;
  #fullAnswersSeen = 0;
  /** Looks to wait before filling is tried again. */
  #pause = 0;
  #working: Promise<DiskState> | undefined;

  constructor(database: SqliteDatabase, options: ReserveOptions = {}) {
    const { bytes, freeBytesMin } = { ...RESERVE_DEFAULTS, ...options };
    this.#database = database;
    this.#freeBytesMin = freeBytesMin;
    this.#walBytes = Math.min(SQLITE_DEFAULTS.walBytesKept, Math.floor(bytes / 3));
    this.#rows = Math.max(1, Math.round((bytes - this.#walBytes) / ROW_BYTES));
  }

  /** As of the last check(); `low` before the first. */
  diskState(): DiskState {
    return this.#state;
  }

  /**
   * Looks at the disk, releases the reserve when it runs low, and fills it again when there is room; `ok` only with the reserve whole.
   * Call it once at start, before anything is due (it writes the whole reserve then), and each second. Rejects only with
   * AppError('damaged').
   */
  check(): Promise<DiskState> {
    this.#working ??= this.#look().finally(() => (this.#working = undefined));
    return this.#working;
  }

  async #look(): Promise<DiskState> {
    const room = this.#freeBytes() >= this.#freeBytesMin * (this.#state === 'ok' ? 1 : RETURN_FACTOR);
    // Where the filesystem claims room a write did not find (a quota), this is how it is noticed.
    const refused = this.#database.fullAnswers > this.#fullAnswersSeen;
    this.#fullAnswersSeen = this.#database.fullAnswers;
    if (refused) this.#pause = LOOKS_AFTER_FULL;
    else if (this.#pause > 0) this.#pause -= 1;
    if (!room || refused) await this.#release();
    else if (this.#state !== 'ok' && this.#pause === 0) await this.#refill();
    return this.#state;
  }

  async #refill(): Promise<void> {
    if (await this.#database.withSmallCache(() => this.#fill())) this.#state = 'ok';
  }

  /** Gives the pages of the filler to whoever writes next. */
  async #release(): Promise<void> {
    const released = !this.#prepared || (await this.#committed([{ sql: SQL.release, params: [] }]));
    const left = (await this.#value(SQL.freePages)) / (this.#rows * ROW_BYTES);
    const nothing = this.#freeBytes() < NOTHING_BYTES && left < NEARLY_USED_UP;
    this.#state = nothing || !released ? 'full' : 'low';
  }

  /** True when the reserve is whole. Stops where a write finds no room; what it has is then released by the next look. */
  async #fill(): Promise<boolean> {
    if (!(await this.#committed([{ sql: SQL.table, params: [] }]))) return false;
    this.#prepared = true;
    if (!(await this.#committed([{ sql: SQL.surplus, params: [this.#rows] }]))) return false;
    let present = await this.#value(SQL.rows);
    if (this.#walSize() < this.#walBytes) {
      // One transaction as long as the -wal is to be.
      const rows = Math.min(this.#rows, Math.ceil(this.#walBytes / ROW_BYTES));
      if (!(await this.#committed(Array.from({ length: rows }, (_, index) => addRow(index + 1))))) return false;
      present = Math.max(present, rows);
    }
    for (let id = present + 1; id <= this.#rows; id++) {
      if (!(await this.#committed([addRow(id)]))) return false;
    }
    // Rows that are only in the -wal hold no block of the file: a node that starts on a full disk could then write nothing at all.
    this.#database.checkpoint();
    return true;
  }

  async #committed(statements: readonly Statement[]): Promise<boolean> {
    return (await this.#database.write(statements)).kind === 'committed';
  }

  async #value(sql: string): Promise<number> {
    return ((await this.#database.read('local', sql))[0]?.['value'] as number | undefined) ?? 0;
  }

  #walSize(): number {
    return statSync(`${this.#database.path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  }

  #freeBytes(): number {
    const { bavail, bsize } = statfsSync(dirname(this.#database.path));
    return bavail * bsize;
  }
}

function addRow(id: number): Statement {
  return { sql: SQL.add, params: [id, ROW_BYTES] };
}
