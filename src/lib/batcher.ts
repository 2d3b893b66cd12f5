/**
 * Batches by arrival: what comes while a flush is under way goes into the next one, so an idle system has no added delay and a busy one
 * shares its commits. At most `batchMax` items a flush; the rest waits its turn. `gather` is waited for before each flush: a turn of the
 * loop lets everything in that arrives in the same turn on other connections.
 */
export class Batcher<Item, Result> {
  readonly #flush: (items: readonly Item[]) => Promise<readonly Result[]>;
  readonly #batchMax: number;
  readonly #gather: () => Promise<void>;
  #waiting: { item: Item; resolve: (result: Result) => void; reject: (error: unknown) => void }[] = [];
  #busy = false;

  /** `flush` answers one result per item, in order; when it throws, every item of that batch is rejected with the error. */
  constructor(
    flush: (items: readonly Item[]) => Promise<readonly Result[]>,
    batchMax: number,
    gather: () => Promise<void>,
  ) {
    this.#flush = flush;
    this.#batchMax = batchMax;
    this.#gather = gather;
  }

  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (!this.#busy) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#busy = true;
    while (this.#waiting.length > 0) {
      await this.#gather();
      const batch = this.#waiting.splice(0, this.#batchMax);
      try {
        const results = await this.#flush(batch.map((entry) => entry.item));
        batch.forEach((entry, index) => entry.resolve(results[index] as Result));
      } catch (error) {
        for (const entry of batch) entry.reject(error);
      }
    }
    this.#busy = false;
  }
}
