/** This node as the API shows it: name, tags, health, pause, metrics. */
import { matchesTags } from '../core/target.ts';
import type { Config } from '../model/config.ts';
import { healthOf } from './health.ts';
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

export interface NodeStatusOptions {
  readonly config: Config;
  readonly name: string;
  readonly version: string;
  readonly tags: Record<string, string>;
}

export class NodeStatus {
  readonly name: string;
  readonly version: string;
  readonly tags: Record<string, string>;
  readonly #m: NodeStatusModules;
  readonly #config: Config;
  #address = { host: '', port: 0 };

  constructor(options: NodeStatusOptions, modules: NodeStatusModules) {
    const { config, name, version, tags } = options;
    this.name = name;
    this.version = version;
    this.#m = modules;
    this.#config = config;
    this.tags = tags;
  }

  /** Whether a job with these tags may run here. */
  matches(tags: Readonly<Record<string, string>>): boolean {
    return matchesTags(tags, this);
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

  health(): { leader: boolean; issues: string[]; warnings: string[] } {
    const { zone, leader, disk, agent } = this.#m;
    const differs = this.#config.timezone === null && zone.used !== zone.host;
    const found = healthOf({
      disk: disk(),
      cursorsAhead: leader.scheduler.aheadOfClock(),
      zoneDiffers: differs ? { stored: zone.used, host: zone.host } : null,
      agentUp: agent.state().runners.some((runner) => runner.ready && !runner.draining),
    });
    return { leader: true, ...found };
  }

  leave(): void {
    this.#m.leave();
  }

  metrics(): Promise<{ contentType: string; body: string }> {
    return this.#m.metrics.text();
  }
}
