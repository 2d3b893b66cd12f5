/** One critical section at a time, first come first served. */
export class Mutex {
  #tail: Promise<void> = Promise.resolve();

  /** Runs `section` when every earlier one has ended; its failure is the caller's, not the next one's. */
  run<T>(section: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(section);
    this.#tail = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }
}
