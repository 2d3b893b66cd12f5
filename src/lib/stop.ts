/** What an executor sees of a Stop. */
export interface StopSignal {
  /** `listener` is called once, at once when it has been asked already; it takes the place of the one before, null of none. */
  listen(listener: (() => void) | null): void;
}

/** A request to end, made once and heard by one listener. Thousands of runs a second have one each: an AbortController costs several µs. */
export class Stop implements StopSignal {
  #asked = false;
  #listener: (() => void) | null = null;

  ask(): void {
    this.#asked = true;
    this.#tell();
  }

  listen(listener: (() => void) | null): void {
    this.#listener = listener;
    if (this.#asked) this.#tell();
  }

  #tell(): void {
    const listener = this.#listener;
    this.#listener = null;
    listener?.();
  }
}
