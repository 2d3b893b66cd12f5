/** A user at work meanwhile: starts jobs by hand, creates and changes them, and remembers what was acknowledged. */
import type { Random } from '../../src/lib/random.ts';
import type { Api } from './api.ts';
import type { Acknowledged } from './types.ts';

export class Client {
  readonly #api: Api;
  readonly #random: Random;
  readonly #hands: readonly string[];
  readonly #runs = new Map<number, string>();
  readonly #jobs = new Map<string, number>();
  /** Highest counter ever sent: more than the acknowledged one may be stored, never more than this. */
  readonly #sent = new Map<string, number>();
  #stopped = false;
  refused = 0;

  constructor(hands: readonly string[], modules: { api: Api; random: Random }) {
    this.#hands = hands;
    this.#api = modules.api;
    this.#random = modules.random;
  }

  get acknowledged(): Acknowledged {
    return { runs: this.#runs, jobs: this.#jobs };
  }

  stop(): void {
    this.#stopped = true;
  }

  async work(everyMs: number): Promise<void> {
    while (!this.#stopped) {
      await (this.#random.float() < 0.6 ? this.#runOne() : this.#writeOne());
      await new Promise((done) => setTimeout(done, everyMs * 2 * this.#random.float()));
    }
  }

  async #runOne(): Promise<void> {
    const job = this.#hands[Math.floor(this.#random.float() * this.#hands.length)];
    if (job === undefined) return;
    const reply = await this.#api.try('POST', `/v1/jobs/${job}/run`);
    if (reply === null) return;
    if (reply.status !== 200) this.refused += 1;
    else this.#runs.set((JSON.parse(reply.body.toString('utf8')) as { group: number }).group, job);
  }

  async #writeOne(): Promise<void> {
    const name = `written-${Math.floor(this.#random.float() * 200)}`;
    const counter = (this.#sent.get(name) ?? 0) + 1;
    this.#sent.set(name, counter);
    const body = {
      name,
      schedule: '@manually',
      executor: 'shell',
      executor_config: { command: 'true' },
      metadata: { counter: String(counter) },
    };
    const reply = await this.#api.try('POST', '/v1/jobs', body);
    if (reply === null) return;
    if (reply.status === 201) this.#jobs.set(name, counter);
    else this.refused += 1;
  }
}
