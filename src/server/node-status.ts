/** This node as the API shows it: name, tags, health, pause, metrics. */
import { matchesTags } from '../core/target.ts';
import type { Config } from '../model/config.ts';
import { type Health, healthOf } from './health.ts';
import type { Leader } from './leader.ts';
import type { Metrics } from './metrics.ts';
import type { Stopping } from './shutdown.ts';

export interface NodeStatusModules {
  readonly leader: Leader;
  readonly metrics: Metrics;
  readonly disk: () => 'ok' | 'low' | 'full';
  readonly agent: { running(): number; state(): { runners: readonly { ready: boolean; draining: boolean }[] } };
  readonly zone: { readonly used: string; readonly host: string };
  readonly stopping: Pick<Stopping, 'ask' | 'isAsked' | 'drainEndsAt'>;
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

  /** It leads while it may launch: not once its end was asked for, it was fenced off, or its store is damaged. */
  health(): Health & { leader: boolean } {
    const { zone, leader, disk, agent, stopping } = this.#m;
    const { damage } = leader;
    const differs = this.#config.timezone === null && zone.used !== zone.host;
    const found = healthOf({
      damage,
      storeSilence: leader.storeSilence,
      stopping: stopping.isAsked ? { running: agent.running(), drainEndsAt: stopping.drainEndsAt } : null,
      disk: disk(),
      cursorsAhead: leader.scheduler.aheadOfClock(),
      zoneDiffers: differs ? { stored: zone.used, host: zone.host } : null,
      agentUp: agent.state().runners.some((runner) => runner.ready && !runner.draining),
    });
    return { leader: damage === null && !stopping.isAsked, ...found };
  }

  /** Why nothing can be stored now; null: it can. */
  storeSilence(): string | null {
    const silence = this.#m.leader.storeSilence;
    return silence === null ? null : `the store does not answer (${silence.cause})`;
  }

  leave(): void {
    this.#m.stopping.ask();
  }

  metrics(): Promise<{ contentType: string; body: string }> {
    return this.#m.metrics.text();
  }
}
