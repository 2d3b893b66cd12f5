/**
 * The names of all jobs in order, in memory (about 80 bytes a job), so that a page of the list and a search in it cost what they show and
 * not what there is. Blocks of sorted names: a change touches one block, a page counts blocks, and a search looks at each block's names
 * as one text before it looks at any name.
 */
import { JOB_NAMES_AFTER } from '../store/job-queries.ts';
import type { LeaderStore } from './leader-store.ts';

/** A full block is cut in two. */
export const BLOCK_MAX = 1024;
const LOAD_SLICE = 10_000;
/** Between a name and its display name, and between two of them, where blocks are searched as one text. */
const BETWEEN = '\u0000';

interface Block {
  readonly names: string[];
  readonly ids: number[];
  /** Empty: none. */
  readonly displaynames: string[];
  /** Everything in it that can be searched; null: to be made again. */
  text: string | null;
}

/** Which part of an ordered list is wanted: `end` is exclusive, null is to the end. */
export interface NameRange {
  readonly start: number;
  readonly end: number | null;
  readonly descending: boolean;
}

export class JobNames {
  #blocks: Block[] = [];
  #size = 0;

  /** How many jobs there are. */
  get size(): number {
    return this.#size;
  }

  async load(store: LeaderStore): Promise<void> {
    this.#blocks = [];
    this.#size = 0;
    for (let last = ''; ;) {
      const rows = await store.read<{ id: number; name: string; displayname: string }>(JOB_NAMES_AFTER, [
        last,
        LOAD_SLICE,
      ]);
      for (const { id, name, displayname } of rows) this.set(name, id, displayname);
      if (rows.length < LOAD_SLICE) return;
      last = (rows.at(-1) as { name: string }).name;
    }
  }

  /** Adds the job, or takes its new display name. */
  set(name: string, id: number, displayname: string): void {
    const at = this.#blockOf(name);
    const block = this.#blocks[at];
    if (block === undefined) {
      this.#blocks.push({ names: [name], ids: [id], displaynames: [displayname], text: null });
      this.#size++;
      return;
    }
    const index = firstNotBefore(block.names, name);
    const known = block.names[index] === name ? 1 : 0;
    block.names.splice(index, known, name);
    block.ids.splice(index, known, id);
    block.displaynames.splice(index, known, displayname);
    block.text = null;
    this.#size += 1 - known;
    if (block.names.length > BLOCK_MAX) this.#cut(at, block);
  }

  /** Nothing happens when the name belongs to another job by now. */
  delete(name: string, id: number): void {
    const at = this.#blockOf(name);
    const block = this.#blocks[at];
    const index = block === undefined ? 0 : firstNotBefore(block.names, name);
    if (block === undefined || block.names[index] !== name || block.ids[index] !== id) return;
    block.names.splice(index, 1);
    block.ids.splice(index, 1);
    block.displaynames.splice(index, 1);
    block.text = null;
    this.#size--;
    if (block.names.length === 0) this.#blocks.splice(at, 1);
  }

  /** Ids of the jobs in this range of all names. */
  page({ start, end, descending }: NameRange): number[] {
    const ids: number[] = [];
    const stop = Math.min(end ?? this.#size, this.#size);
    let before = 0;
    for (const block of this.#inOrder(descending)) {
      const { length } = block.ids;
      if (before >= stop) break;
      for (let i = Math.max(0, start - before); i < length && before + i < stop; i++)
        ids.push(block.ids[descending ? length - 1 - i : i] as number);
      before += length;
    }
    return ids;
  }

  /** How many jobs have `q` in their name or display name (by case), and the ids of those in this range of them. */
  search(q: string, { start, end, descending }: NameRange): { total: number; ids: number[] } {
    const ids: number[] = [];
    let total = 0;
    for (const block of this.#inOrder(descending)) {
      block.text ??= textOf(block);
      if (!block.text.includes(q)) continue;
      const { length } = block.ids;
      for (let i = 0; i < length; i++) {
        const index = descending ? length - 1 - i : i;
        if (!(block.names[index] as string).includes(q) && !(block.displaynames[index] as string).includes(q)) continue;
        if (total >= start && (end === null || total < end)) ids.push(block.ids[index] as number);
        total++;
      }
    }
    return { total, ids };
  }

  *#inOrder(descending: boolean): Generator<Block> {
    const { length } = this.#blocks;
    for (let i = 0; i < length; i++) yield this.#blocks[descending ? length - 1 - i : i] as Block;
  }

  /** Where the name is, or belongs: the last block that begins at or before it. */
  #blockOf(name: string): number {
    let low = 0;
    let high = this.#blocks.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (compareNames((this.#blocks[middle] as Block).names[0] as string, name) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Names that come in order leave full blocks behind, and half full ones elsewhere. */
  #cut(at: number, block: Block): void {
    const from = at === this.#blocks.length - 1 ? BLOCK_MAX : BLOCK_MAX / 2;
    const rest = (list: unknown[]) => list.splice(from);
    const names = rest(block.names) as string[];
    const ids = rest(block.ids) as number[];
    const displaynames = rest(block.displaynames) as string[];
    this.#blocks.splice(at + 1, 0, { names, ids, displaynames, text: null });
  }
}

function textOf({ names, displaynames }: Block): string {
  const parts = names.map((name, index) => (displaynames[index] === '' ? name : name + BETWEEN + displaynames[index]));
  return parts.join(BETWEEN);
}

function firstNotBefore(names: readonly string[], name: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareNames(names[middle] as string, name) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The order of the store, which is that of UTF-8 bytes: code points, where a string's own order goes by UTF-16 units. */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Surrogates stand for code points beyond all others. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}
