/** Does things to the tree, by seed: every kind in turn in a shuffled order, a few seconds apart, stops and full disks lasting while others happen. */
import type { Random } from '../../src/lib/random.ts';
import type { Disk } from './disk.ts';
import { parentOf } from './processes.ts';
import type { Tree } from './tree.ts';
import { FAULT_KINDS, type FaultKind } from './types.ts';

export interface FaultOptions {
  /** Mean time between two faults, ms. */
  readonly gapMs: number;
  /** Longest SIGSTOP, ms. */
  readonly stopMaxMs: number;
  readonly kinds: readonly FaultKind[];
}

const STOP_MS_MIN = 300;
const DISK_MS = { min: 2_000, max: 12_000 } as const;
/** While the disk is full, what is freed is taken again this often. */
const REFILL_MS = 150;
const FORWARD_MS = { min: 1_000, max: 120_000 } as const;
const BACK_MS = { min: 700, max: 15_000 } as const;

/** Which kinds can be done here. */
export function possibleKinds(disk: Disk, faketime: string | null): FaultKind[] {
  return FAULT_KINDS.filter((kind) => {
    if (kind === 'disk-full') return disk.kind === 'ext4';
    if (kind === 'clock-forward' || kind === 'clock-back') return faketime !== null;
    return true;
  });
}

export class Faults {
  readonly #tree: Tree;
  readonly #disk: Disk;
  readonly #random: Random;
  readonly #options: FaultOptions;
  readonly #timers = new Set<NodeJS.Timeout>();
  #bag: FaultKind[] = [];
  #filling: NodeJS.Timeout | null = null;

  constructor(options: FaultOptions, modules: { tree: Tree; disk: Disk; random: Random }) {
    this.#options = options;
    this.#tree = modules.tree;
    this.#disk = modules.disk;
    this.#random = modules.random;
  }

  /** Injects until `endAt` (performance.now). */
  async run(endAt: number): Promise<void> {
    while (performance.now() < endAt) {
      this.#injectNext();
      const gap = this.#options.gapMs * (0.2 + 1.6 * this.#random.float());
      await new Promise((done) => setTimeout(done, Math.min(gap, Math.max(0, endAt - performance.now()))));
    }
  }

  /** Everything goes on again; the clock stays where it is. */
  heal(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#release();
    this.#tree.continueNode();
    this.#tree.continueRunners();
  }

  /** false: there is nothing now that this could be done to. */
  inject(kind: FaultKind): boolean {
    const tree = this.#tree;
    switch (kind) {
      case 'kill-node':
      case 'term-node':
        if (tree.nodePid === null) return false;
        tree.note(kind, `pid ${tree.nodePid}`);
        tree.killNode(kind === 'kill-node' ? 'SIGKILL' : 'SIGTERM');
        return true;
      case 'kill-runner':
        return this.#killRunner();
      case 'kill-all':
      case 'power-cut':
        return this.#killAll(kind);
      case 'stop-node':
        return this.#stopNode();
      case 'stop-runner':
        return this.#stopRunner();
      case 'disk-full':
        return this.#fillDisk();
      case 'clock-forward':
      case 'clock-back':
        return this.#step(kind);
      case 'kill-job':
        return this.#killJob();
    }
  }

  /** The next kind that can be done; those that cannot now stay in the bag for later. */
  #injectNext(): void {
    const skipped: FaultKind[] = [];
    for (let tries = 0; tries < this.#options.kinds.length; tries++) {
      const kind = this.#next();
      if (this.inject(kind)) break;
      skipped.push(kind);
    }
    this.#bag.unshift(...skipped);
  }

  #next(): FaultKind {
    if (this.#bag.length === 0) {
      this.#bag = [...this.#options.kinds];
      for (let i = this.#bag.length - 1; i > 0; i--) {
        const j = Math.floor(this.#random.float() * (i + 1));
        [this.#bag[i], this.#bag[j]] = [this.#bag[j] as FaultKind, this.#bag[i] as FaultKind];
      }
    }
    return this.#bag.pop() as FaultKind;
  }

  #between(min: number, max: number): number {
    // Short ones are likelier: the long ones would fill the run.
    return min + this.#random.float() ** 3 * (max - min);
  }

  #later(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, ms);
    this.#timers.add(timer);
  }

  #killRunner(): boolean {
    const runners = this.#tree.runners();
    const one = runners[Math.floor(this.#random.float() * runners.length)];
    if (one === undefined) return false;
    this.#tree.note('kill-runner', `pid ${one.pid} of ${runners.length}`);
    this.#tree.killRunner(one.pid);
    return true;
  }

  #killAll(kind: 'kill-all' | 'power-cut'): boolean {
    const runners = this.#tree.runners();
    if (this.#tree.nodePid === null || runners.length === 0) return false;
    const jobs = kind === 'power-cut' ? this.#tree.jobs() : [];
    this.#tree.note(kind, `node ${this.#tree.nodePid}, ${runners.length} runners, ${jobs.length} jobs`);
    // The jobs last: nobody may be left to see them end.
    this.#tree.killNode();
    for (const { pid } of runners) this.#tree.killRunner(pid);
    for (const { pid } of jobs) this.#tree.killJob(pid);
    if (kind === 'power-cut') for (const { pid } of this.#tree.jobs()) this.#tree.killJob(pid);
    return true;
  }

  #stopNode(): boolean {
    const ms = this.#between(STOP_MS_MIN, this.#options.stopMaxMs);
    if (!this.#tree.stopNode()) return false;
    this.#tree.note('stop-node', `${Math.round(ms)} ms`);
    this.#later(ms, () => this.#tree.continueNode());
    return true;
  }

  #stopRunner(): boolean {
    const ms = this.#between(STOP_MS_MIN, this.#options.stopMaxMs);
    const runners = this.#tree.runners();
    if (runners.length === 0) return false;
    this.#tree.note('stop-runner', `${Math.round(ms)} ms, ${runners.length} runners`);
    for (const { pid } of runners) this.#tree.stopRunner(pid);
    this.#later(ms, () => this.#tree.continueRunners());
    return true;
  }

  #fillDisk(): boolean {
    const ms = this.#between(DISK_MS.min, DISK_MS.max);
    if (this.#filling !== null) return false;
    this.#tree.note('disk-full', `${Math.round(ms)} ms`);
    this.#tree.diskFull(true);
    this.#disk.fill();
    this.#filling = setInterval(() => this.#disk.fill(), REFILL_MS);
    this.#later(ms, () => this.#release());
    return true;
  }

  #release(): void {
    if (this.#filling === null) return;
    clearInterval(this.#filling);
    this.#filling = null;
    this.#disk.release();
    this.#tree.diskFull(false);
  }

  #step(kind: 'clock-forward' | 'clock-back'): boolean {
    const ms =
      kind === 'clock-forward'
        ? this.#between(FORWARD_MS.min, FORWARD_MS.max)
        : -this.#between(BACK_MS.min, BACK_MS.max);
    this.#tree.note(kind, `${Math.round(ms)} ms`);
    this.#tree.setClock(Math.round(this.#tree.offsetMs + ms));
    return true;
  }

  #killJob(): boolean {
    const found = this.#tree.jobs();
    const parents = new Set(found.map(({ pid }) => parentOf(pid)));
    // Not the shell around one: the run would be over with it, as it should, while what it started goes on and writes.
    const jobs = found.filter(({ pid }) => !parents.has(pid));
    const one = jobs[Math.floor(this.#random.float() * jobs.length)];
    if (one === undefined) return false;
    this.#tree.note('kill-job', `pid ${one.pid}`);
    this.#tree.killJob(one.pid);
    return true;
  }
}
