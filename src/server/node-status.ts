/** This node as the API shows it: name, tags, health, pause, metrics. */
import type { Config } from '../model/config.ts';
import { healthIssues } from './health.ts';
import type { Leader } from './leader.ts';
import type { Metrics } from './metrics.ts';

export interface NodeStatusModules {
  readonly leader: Leader;
  readonly metrics: Metrics;
  readonly disk: () => 'ok' | 'low' | 'full';
  readonly agent: { state(): { runners: readonly { ready: boolean; draining: boolean }[] } };
  readonly zone: { readonly used: string; readonly host: string };
  readonly leave: () => void;
}

const DKRON_RPC_PORT = 6868;

export class NodeStatus {
  readonly name: string;
  readonly version: string;
  readonly tags: Record<string, string>;
  readonly #m: NodeStatusModules;
  readonly #config: Config;
  #address = { host: '', port: 0 };

  constructor(options: { config: Config; name: string; version: string }, modules: NodeStatusModules) {
    const { config, name, version } = options;
    this.name = name;
    this.version = version;
    this.#m = modules;
    this.#config = config;
    // Dkron's reserved tags (dkron.md §8.1), as a lone server has them.
    this.tags = {
      ...config.tags,
      role: 'dkron',
      dc: config.datacenter,
      region: config.region,
      version,
      server: 'true',
      expect: '1',
      port: String(DKRON_RPC_PORT),
      rpc_addr: `127.0.0.1:${DKRON_RPC_PORT}`,
    };
  }

  listensAt(address: { host: string; port: number }): void {
    this.#address = address;
  }

  httpAddress(): { host: string; port: number } {
    return this.#address;
  }

  paused(): Promise<boolean> {
    return Promise.resolve(this.#m.leader.paused());
  }

  async setPaused(paused: boolean): Promise<boolean> {
    await this.#m.leader.setPaused(paused);
    return paused;
  }

  health(): { leader: boolean; issues: string[] } {
    const { zone, leader, disk, agent } = this.#m;
    const differs = this.#config.timezone === null && zone.used !== zone.host;
    const issues = healthIssues({
      disk: disk(),
      cursorsAhead: leader.scheduler.aheadOfClock(),
      zoneDiffers: differs ? { stored: zone.used, host: zone.host } : null,
      agentUp: agent.state().runners.some((runner) => runner.ready && !runner.draining),
    });
    return { leader: true, issues };
  }

  leave(): void {
    this.#m.leave();
  }

  metrics(): Promise<{ contentType: string; body: string }> {
    return this.#m.metrics.text();
  }
}
