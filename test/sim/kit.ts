/** A leader on real SQLite, virtual time and a simulated agent, for tests of single cases. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '../../src/lib/random.ts';
import type { ExecutionEnded, StartRequest } from '../../src/model/agent.ts';
import type { BelfryEvent } from '../../src/model/events.ts';
import { parseJobInput } from '../../src/model/job.ts';
import { OUTCOMES, PHASES, REASONS, TRIGGERS, wordOf } from '../../src/model/occurrence.ts';
import type { Leader, LeaderOptions } from '../../src/server/leader.ts';
import type { Database, Row } from '../../src/store/database.ts';
import { migrate } from '../../src/store/migrations.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import { type Faults, NO_FAULTS, SimNode } from './node.ts';
import { type Script, SimAgent } from './sim-agent.ts';
import { VirtualTime } from './virtual-time.ts';

export const RETENTION = {
  runs: 1_000_000,
  ageMs: 1e12,
  keep: 1_000_000,
  logBytesPerJob: 1e9,
  logBytesTotal: 1e12,
  logAgeMs: 1e12,
  logRuns: 1_000_000,
} as const;

export const LEADER_OPTIONS: Omit<LeaderOptions, 'epoch'> = {
  node: 'node1',
  tags: { pool: 'batch' },
  maxRuns: 500,
  maxWaiting: 20_000,
  catchUpRate: 50,
  definitions: {
    zone: 'UTC',
    misfire: { graceMs: 60_000, policy: 'last', windowMs: 604_800_000, max: 100 },
    startDeadlineMs: null,
    relaunchMax: 3,
  },
  retention: RETENTION,
};

/** Where a simulated disk lives: memory when the machine has such a place, for the syncs are simulated too. */
export function simDirectory(): string {
  return mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'belfry-sim-'));
}

export interface HouseOptions {
  /** Epoch ms or RFC 3339. */
  readonly startAt?: string;
  readonly leader?: Partial<Omit<LeaderOptions, 'epoch'>>;
  readonly script?: (request: StartRequest) => Partial<Script>;
  readonly faults?: Partial<Faults>;
  /** Share of lost runs whose truth turns up later. */
  readonly truths?: number;
  /** An empty store; default: SQLite on the simulated disk. */
  readonly database?: (time: VirtualTime) => Promise<Database>;
}

/** A readable occurrence with its executions. */
export interface Seen {
  readonly group: number;
  readonly trigger: string;
  readonly at: string;
  readonly state: string;
  readonly count: number;
  readonly lastAt: string | null;
  readonly executions: readonly { key: number; attempt: number; outcome: string }[];
}

export class House {
  readonly time: VirtualTime;
  readonly database: Database;
  readonly agent: SimAgent;
  readonly starts: StartRequest[] = [];
  readonly ends: ExecutionEnded[] = [];
  readonly events: BelfryEvent[] = [];
  readonly failures: unknown[] = [];
  readonly #directory: string;
  readonly #options: HouseOptions;
  #old: SimNode | undefined;
  node: SimNode;
  leader!: Leader;

  private constructor(options: HouseOptions, ground: { time: VirtualTime; directory: string; database: Database }) {
    this.#options = options;
    this.time = ground.time;
    this.#directory = ground.directory;
    this.database = ground.database;
    const script = (request: StartRequest): Script => ({
      durationMs: 1_000,
      outcome: 'succeeded',
      stopMs: 100,
      ...options.script?.(request),
    });
    this.agent = new SimAgent(
      { node: 'node1', script, delayMsMax: 2, repeats: 0, truths: options.truths ?? 0 },
      {
        time: this.time,
        random: seededRandom(1),
        witness: {
          sent: () => undefined,
          started: (request) => this.starts.push(request),
          ended: (_request, ended) => this.ends.push(ended),
        },
      },
    );
    this.node = this.#newNode();
  }

  static async open(options: HouseOptions = {}): Promise<House> {
    const time = new VirtualTime(
      Temporal.Instant.from(options.startAt ?? '2026-03-01T00:00:00.500Z').epochMilliseconds,
    );
    const directory = simDirectory();
    const database = await (options.database?.(time) ??
      openSqlite(join(directory, 'state.db'), { clock: time.clock(), synchronous: 'off' }));
    const house = new House(options, { time, directory, database });
    await house.time.until(migrate(house.database));
    await house.restart();
    return house;
  }

  /** A new life on the same store; the old one, if any, is killed. */
  async restart(): Promise<void> {
    this.#old?.crash();
    this.#old = this.node = this.#newNode();
    this.leader = await this.time.until(this.node.start());
  }

  /** The next restart leaves the present life alone: a leader that others take for dead. */
  forget(): void {
    this.#old = undefined;
  }

  async put(job: Record<string, unknown>): Promise<void> {
    const parsed = parseJobInput({ executor: 'shell', executor_config: { command: 'true' }, ...job });
    if (!parsed.ok) throw new Error(JSON.stringify(parsed));
    await this.do(this.leader.jobs.put(parsed.job, { runOnCreate: false }));
  }

  /** Lets time run until the promise ends. */
  do<T>(promise: Promise<T>): Promise<T> {
    return this.time.until(promise);
  }

  async run(seconds: number): Promise<void> {
    await this.time.run(seconds * 1000);
  }

  /** The job's occurrences, oldest first. */
  async seen(job: string): Promise<Seen[]> {
    const rows = await this.do(
      this.database.read(
        'linearizable',
        'SELECT o.* FROM occurrences o JOIN jobs j ON j.id = o.job_id WHERE j.name = ? ORDER BY o.nominal_at, o.group_id',
        [job],
      ),
    );
    const executions = await this.do(this.database.read('linearizable', 'SELECT * FROM executions ORDER BY key'));
    return rows.map((row) => seen(row, executions));
  }

  /** "schedule 00:00:10 succeeded" and the like, one per occurrence. */
  async lines(job: string): Promise<string[]> {
    return (await this.seen(job)).map((one) => {
      const range = one.count > 1 ? `-${(one.lastAt ?? '').slice(11, 19)} x${one.count}` : '';
      return `${one.trigger} ${one.at.slice(11, 19)}${range} ${one.state}`;
    });
  }

  async row(sql: string, ...params: (string | number | null)[]): Promise<Row> {
    return (await this.do(this.database.read('linearizable', sql, params)))[0] ?? {};
  }

  async close(): Promise<void> {
    this.node.crash();
    await this.time.settle();
    await this.time.until(this.database.close());
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #newNode(): SimNode {
    return new SimNode(
      { ...LEADER_OPTIONS, ...this.#options.leader },
      {
        database: this.database,
        agent: this.agent,
        time: this.time,
        random: seededRandom(2),
        faults: { ...NO_FAULTS, ...this.#options.faults },
        emit: (event) => this.events.push(event),
        failed: (error) => this.failures.push(error),
      },
    );
  }
}

function seen(row: Row, executions: readonly Row[]): Seen {
  const outcome = wordOf(OUTCOMES, row['outcome'] as number);
  const reason = wordOf(REASONS, row['reason'] as number);
  const phase = wordOf(PHASES, row['phase'] as number);
  return {
    group: row['group_id'] as number,
    trigger: wordOf(TRIGGERS, row['trigger'] as number),
    at: text(row['nominal_at'] as number),
    state: phase !== 'final' ? phase : reason === '' ? outcome : `${outcome}: ${reason}`,
    count: row['count'] as number,
    lastAt: row['last_at'] === null ? null : text(row['last_at'] as number),
    executions: executions
      .filter((execution) => execution['group_id'] === row['group_id'])
      .map((execution) => ({
        key: execution['key'] as number,
        attempt: execution['attempt'] as number,
        outcome: wordOf(OUTCOMES, execution['outcome'] as number),
      })),
  };
}

function text(ms: number): string {
  return Temporal.Instant.fromEpochMilliseconds(ms).toString();
}
