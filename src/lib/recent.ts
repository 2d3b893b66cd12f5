/**
 * The numbers added last, up to `capacity` of them: the oldest goes with each one that is added beyond. A Set alone cannot do this well:
 * finding its oldest member walks over all that were deleted before it.
 */
export class RecentNumbers {
  readonly #members = new Set<number>();
  /** A ring once it is full. */
  readonly #order: number[] = [];
  readonly #capacity: number;
  /** Where in the ring the oldest stands. */
  #oldest = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#members.size;
  }

  has(number: number): boolean {
    return this.#members.has(number);
  }

  /** One that is there already keeps its place. */
  add(number: number): void {
    if (this.#members.has(number)) return;
    this.#members.add(number);
    if (this.#order.length < this.#capacity) {
      this.#order.push(number);
      return;
    }
    this.#members.delete(this.#order[this.#oldest] as number);
    this.#order[this.#oldest] = number;
    this.#oldest = (this.#oldest + 1) % this.#capacity;
  }

  /** Oldest first. */
  *[Symbol.iterator](): Iterator<number> {
    for (let at = 0; at < this.#order.length; at++)
      yield this.#order[(this.#oldest + at) % this.#order.length] as number;
  }
}
