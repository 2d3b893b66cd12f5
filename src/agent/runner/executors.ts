/**
 * The one file of the runner that knows executors by name. Those that run inside it are loaded when the first run (or `warm`) asks: an idle
 * runner does not carry an http client.
 */
import type { Executor } from '../../executors/executor.ts';
import type { Clock } from '../../lib/clock.ts';

/** `close` lets go of what an executor keeps between runs. */
type LoadedExecutor = Executor & { close?(): void };

export { planShell, type ProcessPlan } from '../../executors/shell.ts';

const LOADERS: Readonly<Record<string, (clock: Clock) => Promise<LoadedExecutor>>> = {
  http: async (clock) => (await import('../../executors/http/http.ts')).createHttpExecutor({ clock }),
};

export class Executors {
  readonly #clock: Clock;
  readonly #loaded = new Map<string, LoadedExecutor>();
  readonly #loading = new Map<string, Promise<LoadedExecutor>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Present at once when it has been loaded before. */
  get(name: string): Executor | undefined {
    return this.#loaded.get(name);
  }

  /** null: this version has no such executor. */
  load(name: string): Promise<Executor> | null {
    const loader = Object.hasOwn(LOADERS, name) ? LOADERS[name] : undefined;
    if (loader === undefined) return null;
    let loading = this.#loading.get(name);
    if (loading === undefined) {
      loading = loader(this.#clock).then((executor) => {
        this.#loaded.set(name, executor);
        return executor;
      });
      this.#loading.set(name, loading);
    }
    return loading;
  }

  /** Connections kept for later would keep the process. */
  close(): void {
    for (const executor of this.#loaded.values()) executor.close?.();
  }

  async warm(names: readonly string[]): Promise<void> {
    for (const name of names) await (await this.load(name))?.warm?.();
  }
}
