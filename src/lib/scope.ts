/**
 * Structured lifetime: work belongs to a scope; closing it aborts the work, waits for it with a deadline and runs what was deferred in
 * reverse order. A child's failure closes the parent, so nothing fails unseen.
 */
import type { Clock } from './clock.ts';

export class Scope {
  readonly #clock: Clock;
  readonly #abort = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #deferred: (() => void | Promise<void>)[] = [];
  #closing: Promise<void> | undefined;
  #failed: ((error: unknown) => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Fires when the scope closes: everything that waits takes it. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Runs `work` until it ends or the scope closes. Its failure, unless the scope is closing, closes the scope. */
  spawn(work: (signal: AbortSignal) => Promise<void>): void {
    const task = work(this.signal)
      .catch((error: unknown) => {
        if (!this.signal.aborted) this.#fail(error);
      })
      .finally(() => this.#running.delete(task));
    this.#running.add(task);
  }

  /** Runs `undo` when the scope closes, last deferred first. */
  defer(undo: () => void | Promise<void>): void {
    this.#deferred.push(undo);
  }

  /** Told of the failure that closes the scope. */
  onFailure(listener: (error: unknown) => void): void {
    this.#failed.push(listener);
  }

  /** Waits; ends early when the scope closes. */
  sleep(ms: number): Promise<void> {
    return this.#clock.sleep(ms, this.signal);
  }

  /** Aborts, waits at most `deadlineMs` for what runs, then runs what was deferred. Repeated calls share one closing. */
  close(deadlineMs = 5000): Promise<void> {
    this.#closing ??= this.#close(deadlineMs);
    return this.#closing;
  }

  async #close(deadlineMs: number): Promise<void> {
    this.#abort.abort(new Error('scope closed'));
    const waited = new AbortController();
    // Its only failure is being called off below.
    const deadline = this.#clock.sleep(deadlineMs, waited.signal).catch(() => undefined);
    await Promise.race([Promise.all(this.#running), deadline]);
    waited.abort();
    for (const undo of this.#deferred.reverse()) await undo();
  }

  #fail(error: unknown): void {
    for (const listener of this.#failed) listener(error);
    void this.close();
  }
}
