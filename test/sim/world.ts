/**
 * One seed: a store, an agent and a row of leaders on virtual time, under a random load and random faults; then healing, a demand for
 * progress, and the judge.
 */
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../../src/model/errors.ts';
import { FencedError } from '../../src/server/leader-store.ts';
import type { LeaderOptions } from '../../src/server/leader.ts';
import type { Database } from '../../src/store/database.ts';
import { migrate } from '../../src/store/migrations.ts';
import { recordMarker } from '../../src/store/restored-marker.ts';
import { openSqlite, type SqliteDatabase } from '../../src/store/sqlite.ts';
import { Checker } from './checker.ts';
import { Dice } from './dice.ts';
import { LEADER_OPTIONS, RETENTION, simDirectory } from './kit.ts';
import { JOBS, Load, type Request, REQUESTS } from './load.ts';
import { type Faults, SimNode } from './node.ts';
import type { Points } from './points.ts';
import { SimAgent, type SimAgentOptions } from './sim-agent.ts';
import { VirtualTime } from './virtual-time.ts';
import { CLOCK_CHANGES, type Profile, scriptOf } from './workload.ts';

export interface WorldOptions {
  readonly seed: number;
  /** Ends the load once so many occurrences are on record. */
  readonly occurrences: number;
  readonly points: Points;
  readonly profile?: Profile;
  readonly faults?: boolean;
  /** Planted faults, for the tests of the checker. */
  readonly plant?: Plant;
  readonly trace?: boolean;
  /** Dies wherever no crash has been yet. */
  readonly hunt?: boolean;
  /** Leaves the store here, to be looked at. */
  readonly keep?: string;
}

export interface Plant {
  readonly database?: (database: Database) => Database;
  readonly agent?: Partial<SimAgentOptions>;
}

export interface WorldResult {
  readonly seed: number;
  readonly profile: Profile;
  readonly occurrences: number;
  readonly starts: number;
  readonly lives: number;
  readonly virtualMs: number;
  readonly complaints: readonly string[];
  readonly outcomes: ReadonlyMap<string, number>;
  readonly faults: ReadonlyMap<string, number>;
}

/** Faults, by how often they come. */
const FAULTS = {
  crash: 3,
  crash_at_point: 14,
  clean_stop: 1,
  long_down: 2,
  pause: 4,
  zombie: 2,
  step: 4,
  power_cut: 2,
  restored: 0.5,
  full: 2,
  low: 2,
  unknown: 4,
  agent_refuses: 2,
} as const;
/** What is rare comes often while points are hunted. */
const HUNTED = {
  calendar: 4,
  restore_jobs: 4,
  submissions: 4,
  churn: 0.3,
  restored: 3,
  cursor: 4,
  clean_stop: 4,
  full: 6,
  low: 6,
  delete: 8,
  run_then_delete: 6,
  power_cut: 8,
};
type Fault = keyof typeof FAULTS;
type Act = Request | Fault;

const SHORT_RETENTION = {
  ...RETENTION,
  runs: 30,
  keep: 10,
  ageMs: 120_000,
  logRuns: 20,
  logBytesPerJob: 45,
  logBytesTotal: 200,
};

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Acts of one world at most, should its jobs produce little. */
const TURNS_MAX = 3_000;
/** While a node is down the load goes on trying, at least so often. */
const DOWN_SLICE_MS = 10 * MINUTE;
/** After healing everything must be final within this; longer than any run, wait between attempts and late truth. */
const HEAL_MS = 8 * MINUTE;

/** What a world stands on, opened before it begins. */
interface Ground {
  readonly dice: Dice;
  readonly profile: Profile;
  readonly zone: string;
  readonly directory: string;
  readonly time: VirtualTime;
  readonly database: SqliteDatabase;
}

/** Runs one seed from beginning to judgement. */
export async function runWorld(options: WorldOptions): Promise<WorldResult> {
  const dice = new Dice(options.seed);
  const profile = options.profile ?? dice.weighted({ dense: 20, sparse: 1, dst: 2 });
  const [zone, change] = dice.pick(CLOCK_CHANGES);
  const leadMs = (profile === 'dense' ? dice.int(1, 3) : dice.int(20, 90)) * MINUTE + dice.int(0, 999);
  const time = new VirtualTime(Temporal.Instant.from(change).epochMilliseconds - leadMs);
  const directory = simDirectory();
  const database = openSqlite(join(directory, 'state.db'), {
    clock: time.clock(),
    synchronous: 'off',
    checkpointPages: 8_000,
  });
  await time.until(migrate(database));
  const world = new World(options, { dice, profile, zone, directory, time, database });
  try {
    return await world.run();
  } finally {
    await world.close();
  }
}

class World {
  readonly #options: WorldOptions;
  readonly #ground: Ground;
  readonly #dice: Dice;
  readonly #time: VirtualTime;
  readonly #agent: SimAgent;
  readonly #checker: Checker;
  readonly #leaderOptions: Omit<LeaderOptions, 'epoch'>;
  readonly #faults: Faults;
  readonly #faultCounts = new Map<string, number>();
  readonly #load: Load;
  #zombies: SimNode[] = [];
  readonly #grey: [number, number][] = [];
  #node: SimNode | undefined;
  #lives = 0;
  #downUntil = 0;
  #crashIn = Number.POSITIVE_INFINITY;
  #fullShare = 0;
  #low = false;
  #unknownShare = 0;
  #readFailShare = 0;
  #healed = false;
  /** Dies more often, and soon after requests and starts. */
  readonly #crashy: boolean;

  constructor(options: WorldOptions, ground: Ground) {
    this.#options = options;
    this.#ground = ground;
    const dice = (this.#dice = ground.dice);
    this.#time = ground.time;
    const zone = dice.pick(['UTC', ground.zone]);
    this.#leaderOptions = {
      ...LEADER_OPTIONS,
      maxRuns: dice.pick([500, 500, 60]),
      maxWaiting: dice.pick([20_000, 20_000, 40]),
      catchUpRate: dice.pick([50, 5]),
      definitions: { ...LEADER_OPTIONS.definitions, zone },
      retention: dice.chance(0.3) ? SHORT_RETENTION : RETENTION,
    };
    this.#checker = new Checker(ground.database.path, zone);
    this.#crashy = options.faults !== false && dice.chance(0.3);
    this.#load = new Load({
      dice,
      time: this.#time,
      checker: this.#checker,
      profile: ground.profile,
      zone: ground.zone,
      node: () => this.#node,
      ephemeralShare: options.hunt === true ? 0.3 : 0.03,
    });
    const agent: SimAgentOptions = {
      node: 'node1',
      script: scriptOf(options.seed),
      delayMsMax: 20,
      repeats: 0.05,
      truths: 0.4,
    };
    this.#agent = new SimAgent(
      { ...agent, ...options.plant?.agent },
      { time: this.#time, random: dice.random, witness: this.#checker.truth },
    );
    this.#faults = {
      crash: (point) => this.#maybeCrash(point),
      write: () => this.#writeFault(),
      read: () => !this.#healed && this.#readFailShare > 0 && this.#dice.chance(this.#readFailShare),
      mayLaunch: () => !this.#low,
    };
  }

  async run(): Promise<WorldResult> {
    await this.#startNode();
    for (let index = 0; index < JOBS; index++) this.#load.request('create');
    const occurrences = 'SELECT count(*) AS n FROM occurrences';
    for (let turn = 0; turn < TURNS_MAX && this.#checker.complaints.length === 0; turn++) {
      await this.#turn();
      if (
        turn % 8 === 0 &&
        this.#checker.occurrences + (this.#checker.row(occurrences)?.['n'] as number) >= this.#options.occurrences
      )
        break;
    }
    if (this.#checker.complaints.length === 0) await this.#heal();
    return {
      seed: this.#options.seed,
      profile: this.#ground.profile,
      occurrences: this.#checker.occurrences,
      starts: this.#checker.truth.starts,
      lives: this.#lives,
      virtualMs: this.#time.monotonic(),
      complaints: this.#checker.complaints,
      outcomes: this.#checker.outcomes,
      faults: this.#faultCounts,
    };
  }

  async close(): Promise<void> {
    this.#node?.crash();
    for (const zombie of this.#zombies) zombie.crash();
    await this.#time.settle();
    this.#checker.close();
    await this.#time.until(this.#ground.database.close());
    if (this.#options.keep === undefined) rmSync(this.#ground.directory, { recursive: true, force: true });
    else renameSync(this.#ground.directory, this.#options.keep);
  }

  /** One act, then a while of time; a node that died comes back when its time has come. */
  async #turn(): Promise<void> {
    const acts: Partial<Record<Act, number>> =
      this.#options.faults === false
        ? REQUESTS
        : { ...REQUESTS, ...FAULTS, ...(this.#options.hunt === true ? HUNTED : {}) };
    this.#act(this.#dice.weighted(acts as Record<Act, number>));
    const dense = this.#ground.profile === 'dense';
    await this.#time.run(
      this.#dice.pick(dense ? [10, 200, 1_000, 4_000, 8_000] : [200, 4_000, 60_000, 300_000]),
      () => this.#node?.dead === true,
    );
    if (this.#node?.dead === false) return;
    await this.#time.run(Math.max(100, Math.min(this.#downUntil - this.#time.monotonic(), DOWN_SLICE_MS)));
    if (this.#time.monotonic() >= this.#downUntil) await this.#startNode();
  }

  async #startNode(): Promise<void> {
    this.#lives++;
    this.#load.forget();
    if (this.#crashy && !this.#healed && this.#dice.chance(0.4)) this.#crashIn = this.#dice.int(1, 60);
    const node = new SimNode(this.#leaderOptions, {
      database: this.#options.plant?.database?.(this.#ground.database) ?? this.#ground.database,
      agent: this.#agent,
      time: this.#time,
      random: this.#dice.random,
      faults: this.#faults,
      failed: (error, which) => this.#failed(error, which),
      beforeWrite: (statements) => this.#checker.beforeWrite(statements),
    });
    this.#node = node;
    let done = false;
    node.start().then(
      () => (done = true),
      (error: unknown) => {
        done = true;
        node.crash();
        this.#failed(error, node);
      },
    );
    await this.#time.run(5 * MINUTE, () => done || node.dead || node.stopped);
    if (!done && !node.dead && !node.stopped) this.#checker.complain('a leader did not take over within five minutes');
  }

  /** A leader that gives up is fine where the simulation gave it a reason. */
  #failed(error: unknown, node: SimNode): void {
    if (this.#options.trace) console.log('failed', String(error));
    const unavailable = error instanceof AppError && (error.code === 'unavailable' || error.code === 'disk_full');
    if (unavailable && !this.#healed) return;
    if (error instanceof FencedError && node !== this.#node) return;
    this.#checker.complain(`a leader gave up: ${error instanceof Error ? error.stack : String(error)}`);
  }

  #maybeCrash(point: string): boolean {
    if (this.#healed) return false;
    const hunted = this.#options.hunt === true && this.#dice.chance(0.2) && this.#options.points.isNew();
    if (!hunted && --this.#crashIn > 0) return false;
    this.#crashIn = Number.POSITIVE_INFINITY;
    this.#options.points.hit(point, this.#node?.closing === true);
    this.#downUntil = this.#time.monotonic() + this.#dice.pick([0, 100, 3_000, 20_000]);
    return true;
  }

  #writeFault(): ReturnType<Faults['write']> {
    if (this.#healed) return 'none';
    if (this.#dice.chance(this.#fullShare)) return 'full';
    if (this.#unknownShare === 0 || !this.#dice.chance(this.#unknownShare)) return 'none';
    return this.#dice.pick(['unknown_applied', 'unknown_dropped']);
  }

  #act(act: Act): void {
    this.#faultCounts.set(act, (this.#faultCounts.get(act) ?? 0) + 1);
    if (this.#options.trace) console.log(Temporal.Instant.fromEpochMilliseconds(this.#time.wall()).toString(), act);
    if (act in REQUESTS) this.#load.request(act as Request);
    else this.#fault(act as Fault);
    if (this.#crashy && this.#dice.chance(0.4)) this.#crashIn = this.#dice.int(1, 16);
  }

  #fault(act: Fault): void {
    const dice = this.#dice;
    const dense = this.#ground.profile === 'dense';
    switch (act) {
      case 'crash':
        this.#node?.crash();
        this.#downUntil = this.#time.monotonic() + dice.pick([0, 1_000, 15_000]);
        return;
      case 'crash_at_point':
        this.#crashIn = dice.pick([1, dice.int(1, 10), dice.int(1, 60), dice.int(1, 400)]);
        return;
      case 'clean_stop':
        return this.#cleanStop();
      case 'long_down':
        this.#node?.crash();
        this.#downUntil = this.#time.monotonic() + (dense ? dice.int(1, 8) * MINUTE : dice.int(1, 70) * HOUR);
        return;
      case 'pause':
        return this.#pause(dice.pick([500, 5_000, dice.int(1, 180) * 1_000]));
      case 'zombie':
        return this.#makeZombie();
      case 'step':
        return this.#step(dice.pick([1, -1]) * dice.pick([700, 5_000, 90_000, dense ? 300_000 : HOUR]));
      case 'power_cut':
        this.#node?.crash();
        this.#agent.powerCut();
        return;
      case 'restored':
        return this.#restore();
      case 'full':
        return this.#during(
          dice.pick([300, 3_000, 40_000]),
          (on) => (this.#fullShare = on ? dice.pick([1, 1, 0.5]) : 0),
        );
      case 'low':
        return this.#during(dice.pick([300, 3_000, 90_000]), (on) => this.#setLow(on));
      case 'unknown':
        return this.#during(dice.pick([3_000, 30_000]), (on) => {
          this.#unknownShare = on ? dice.pick([0.1, 0.6]) : 0;
          this.#readFailShare = on && dice.chance(0.3) ? 0.02 : 0;
        });
      case 'agent_refuses':
        return this.#during(
          dice.pick([1_000, 20_000]),
          (on) => (this.#agent.refuses = on ? dice.pick(['disk_full', 'draining']) : null),
        );
    }
  }

  #setLow(on: boolean): void {
    this.#low = on;
    if (on || this.#healed) return;
    // Room again: requests that come before the scheduler has caught up meet instants that are due.
    for (const kind of ['edit', 'calendar', 'delete', 'cursor', 'edit', 'delete'] as const) this.#load.request(kind);
  }

  #during(ms: number, set: (on: boolean) => void): void {
    set(true);
    this.#time.at(ms, () => set(false));
  }

  #pause(ms: number): void {
    const node = this.#node;
    if (node === undefined || node.dead || node.stopped) return;
    node.stop();
    this.#time.at(ms, () => node.resume());
  }

  /** Taken for dead and replaced while it only stands still; it comes back later. */
  #makeZombie(): void {
    const node = this.#node;
    if (node === undefined || node.dead || node.stopped) return;
    node.stop();
    this.#zombies.push(node);
    this.#node = undefined;
    this.#downUntil = this.#time.monotonic() + this.#dice.pick([0, 3_000]);
    this.#time.at(this.#dice.pick([10, 2_000, 60_000]) + 3_000, () => node.resume());
  }

  #step(byMs: number): void {
    const before = this.#time.wallMax;
    this.#time.step(byMs);
    if (byMs < 0) this.#grey.push([this.#time.wall() - 1_000, before + 1_000]);
  }

  /** As after `belfry backup restore`: the next start finds the marker and skips the gap. The data itself is the same. */
  #restore(): void {
    this.#node?.crash();
    this.#downUntil = this.#time.monotonic() + 1_000;
    const marker = { restoredAt: this.#time.wall(), backupCreatedAt: null, catchUp: this.#dice.chance(0.3) };
    void this.#ground.database.write([recordMarker(marker)]);
  }

  #cleanStop(): void {
    const node = this.#node;
    if (node === undefined || node.dead || node.stopped) return;
    this.#downUntil = this.#time.monotonic() + 2_000;
    node.close().then(
      () => node.crash(),
      (error: unknown) => this.#checker.complain(`a clean stop failed: ${String(error)}`),
    );
  }

  /** No more faults and no more edits: everything must come to its end, then the judge looks at all of it. */
  async #heal(): Promise<void> {
    this.#healed = true;
    this.#fullShare = 0;
    this.#low = false;
    this.#agent.refuses = null;
    for (const zombie of this.#zombies) zombie.resume();
    await this.#time.run(4_000);
    this.#node?.resume();
    if (this.#node?.dead !== false) await this.#startNode();
    // A step back leaves cursors ahead of the clock: time has to pass them before launches resume.
    await this.#time.run(Math.max(0, this.#time.wallMax - this.#time.wall()) + 5_000);
    const wall = this.#time.wall();
    await this.#time.run(HEAL_MS);
    this.#demandProgress(wall);
    await this.#disableAll();
    const idle = () =>
      (this.#checker.row('SELECT count(*) AS n FROM occurrences WHERE phase > 0')?.['n'] as number) === 0 &&
      this.#agent.size === 0;
    for (let minute = 0; minute < 60 && !idle(); minute++) await this.#time.run(MINUTE);
    const counts = this.#node?.leader?.counts();
    if (counts === undefined || counts.unfinished + counts.waiting + counts.running + counts.results > 0) {
      this.#checker.complain(
        `after healing the leader still holds ${JSON.stringify(counts)}, the agent ${this.#agent.size}`,
      );
    }
    this.#checker.finish(this.#disabledAt, this.#grey);
  }

  #disabledAt = 0;

  #demandProgress(dueBy: number): void {
    const stuck = this.#checker.row(
      'SELECT count(*) AS n, min(group_id) AS first FROM occurrences WHERE phase > 0 AND due_at <= ?',
      dueBy,
    );
    if ((stuck?.['n'] as number) > 0)
      this.#checker.complain(
        `${String(stuck?.['n'])} occurrences due before the healing are unfinished after it, first ${String(stuck?.['first'])}`,
      );
  }

  async #disableAll(): Promise<void> {
    const jobs = this.#node?.leader?.jobs;
    if (jobs === undefined) return this.#checker.complain('there is no leader after healing');
    for (let index = 0; index < JOBS; index++) {
      const row = this.#checker.row('SELECT disabled FROM jobs WHERE name = ? AND deleted_at IS NULL', `job${index}`);
      if (row?.['disabled'] === 0) await this.#time.until(jobs.toggle(`job${index}`));
    }
    this.#disabledAt = this.#time.wall();
  }
}
