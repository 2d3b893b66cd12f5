/** Connection pools per TLS setting and origin. */
import type { Clock } from '../../lib/clock.ts';
import { createConnector, type Connector } from './connector.ts';
import { OriginPool } from './origin-pool.ts';
import type { TlsOptions } from './tls-files.ts';

/** TLS settings whose connections are kept; the one unused for longest goes first (Dkron's number). */
const AGENTS_MAX = 100;

interface Agent {
  readonly connector: Connector;
  readonly pools: Map<string, OriginPool>;
}

export class Agents {
  readonly #clock: Clock;
  /** Least recently used first. */
  readonly #agents = new Map<string, Agent>();
  #last: { readonly key: string; readonly agent: Agent } | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The pool for `origin` under the TLS settings of `key`. */
  pool(key: string, origin: string, tlsOptions: () => TlsOptions): OriginPool {
    const agent = this.#agent(key, tlsOptions);
    const known = agent.pools.get(origin);
    if (known !== undefined) return known;
    const pool: OriginPool = new OriginPool({
      clock: this.#clock,
      origin,
      connector: agent.connector,
      onEmpty: () => {
        if (agent.pools.get(origin) === pool) agent.pools.delete(origin);
      },
    });
    agent.pools.set(origin, pool);
    return pool;
  }

  /** Connections that carry or wait, and breaks them off. */
  destroy(): void {
    for (const { pools } of this.#agents.values()) for (const pool of pools.values()) pool.destroy();
    this.#agents.clear();
    this.#last = null;
  }

  #agent(key: string, tlsOptions: () => TlsOptions): Agent {
    if (this.#last?.key === key) return this.#last.agent;
    const agent = this.#agents.get(key) ?? {
      connector: createConnector(tlsOptions),
      pools: new Map<string, OriginPool>(),
    };
    this.#agents.delete(key);
    this.#agents.set(key, agent);
    this.#last = { key, agent };
    const [oldest] = this.#agents;
    if (this.#agents.size > AGENTS_MAX && oldest !== undefined) {
      this.#agents.delete(oldest[0]);
      for (const pool of oldest[1].pools.values()) pool.close();
    }
    return agent;
  }
}
