/**
 * A binary min-heap of items ordered by a number they carry. Removal is lazy: an owner marks an item stale and skips it when it
 * surfaces, so every operation is O(log n) and a million waiting items cost one array slot each.
 */
export class Heap<T> {
  readonly #items: T[] = [];
  readonly #orderOf: (item: T) => number;

  constructor(orderOf: (item: T) => number) {
    this.#orderOf = orderOf;
  }

  get size(): number {
    return this.#items.length;
  }

  peek(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    const items = this.#items;
    let index = items.length;
    items.push(item);
    const order = this.#orderOf(item);
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = items[above] as T;
      if (this.#orderOf(parent) <= order) break;
      items[index] = parent;
      index = above;
    }
    items[index] = item;
  }

  pop(): T | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (items.length > 0 && last !== undefined) this.#sink(last);
    return top;
  }

  /** Fills an empty heap at once: O(n) instead of n pushes. */
  load(all: Iterable<T>): void {
    for (const item of all) this.#items.push(item);
    this.#items.sort((a, b) => this.#orderOf(a) - this.#orderOf(b));
  }

  /** The first `limit` items that `wanted` admits, in order; costs about `limit` × log `limit`, however many there are. */
  smallest(limit: number, wanted: (item: T) => boolean): T[] {
    const found: T[] = [];
    const front = new Heap<number>((index) => this.#orderOf(this.#items[index] as T));
    if (this.#items.length > 0) front.push(0);
    for (let index = front.pop(); index !== undefined && found.length < limit; index = front.pop()) {
      const item = this.#items[index] as T;
      if (wanted(item)) found.push(item);
      for (const child of [2 * index + 1, 2 * index + 2]) if (child < this.#items.length) front.push(child);
    }
    return found;
  }

  #sink(item: T): void {
    const items = this.#items;
    const order = this.#orderOf(item);
    const half = items.length >> 1;
    let index = 0;
    while (index < half) {
      let child = 2 * index + 1;
      const right = child + 1;
      if (right < items.length && this.#orderOf(items[right] as T) < this.#orderOf(items[child] as T)) child = right;
      const below = items[child] as T;
      if (this.#orderOf(below) >= order) break;
      items[index] = below;
      index = child;
    }
    items[index] = item;
  }
}
