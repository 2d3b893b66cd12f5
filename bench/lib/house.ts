/** A leader in this process on a store of its own: the part of a node that benchmarks can call without HTTP, or use to fill a data directory. */
import type { Clock } from '../../src/lib/clock.ts';
import type { AgentSession } from '../../src/model/agent.ts';
import type { Emit } from '../../src/model/events.ts';
import type { SqliteDatabase } from '../../src/store/sqlite.ts';
import type { Leader, Sources } from './sources.ts';

export interface House {
  readonly leader: Leader;
  readonly database: SqliteDatabase;
  close(): Promise<void>;
}

export interface HouseParts {
  /** The database file. */
  readonly path: string;
  readonly clock: Clock;
  readonly agent: AgentSession;
  readonly emit: Emit;
}

export async function openHouse(sources: Sources, { path, clock, agent, emit }: HouseParts): Promise<House> {
  const database = sources.openSqlite(path, { clock });
  await sources.migrate(database);
  const epoch = await sources.claimLeadership(database, agent.node);
  const scope = new sources.Scope(clock);
  const leader = await sources.startLeader(leaderOptions(agent.node, epoch), {
    database,
    agent,
    clock,
    random: sources.systemRandom,
    emit,
    scope,
    process: (_run, ended) => Promise.resolve(ended.tail),
    readLog: () => Promise.resolve(null),
    logSizes: () => ({ written: 0, kept: 0 }),
    removeLog: () => Promise.resolve(),
    mayLaunch: () => true,
    fail: (error) => {
      throw error as Error;
    },
  });
  return {
    leader,
    database,
    close: async () => {
      await leader.close();
      await scope.close();
      await database.close();
    },
  };
}

/** An agent that never runs anything. */
export function idleAgent(): AgentSession {
  const nothing = () => undefined;
  return {
    node: 'bench',
    start: nothing,
    stop: nothing,
    acknowledge: nothing,
    known: () => Promise.resolve([]),
    subscribe: nothing,
  };
}

const AT_ONCE = 1_000;

/** Jobs by the leader's own road, so that they are what a user's are. */
export async function createJobs(
  sources: Sources,
  leader: Leader,
  jobs: readonly Record<string, unknown>[],
): Promise<void> {
  for (let at = 0; at < jobs.length; at += AT_ONCE) {
    const puts = jobs.slice(at, at + AT_ONCE).map((job) => {
      const parsed = sources.parseJobInput({ executor: 'shell', executor_config: { command: 'true' }, ...job });
      if (!parsed.ok) throw new Error(parsed.message);
      return leader.jobs.put(parsed.job, { runOnCreate: false });
    });
    await Promise.all(puts);
  }
}

const DAY_MS = 86_400_000;

function leaderOptions(node: string, epoch: number) {
  const misfire = { graceMs: 3_600_000, policy: 'last', windowMs: 7 * DAY_MS, max: 100 } as const;
  const logs = { logBytesPerJob: 1e9, logBytesTotal: 1e12, logAgeMs: 1e12, logRuns: 1_000 };
  return {
    node,
    epoch,
    tags: {},
    maxRuns: 500,
    maxWaiting: 20_000,
    catchUpRate: 50,
    definitions: { zone: 'UTC', misfire, startDeadlineMs: null, relaunchMax: 3 },
    retention: { runs: 1_000, ageMs: 30 * DAY_MS, keep: 100, ...logs },
  };
}
