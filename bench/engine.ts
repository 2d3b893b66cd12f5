/**
 * The engine alone: the real leader on real SQLite with real syncs, and an agent in this process whose runs end at once. Time is a
 * variable that moves on a second as soon as few runs are in flight, so the figure is what the engine can do and not what it is offered.
 *
 * --jobs 1000   jobs, all due every second
 * --runs 150000 runs measured (a fifth as many before, not measured)
 * --kept 0      finished runs in the store beforehand
 */
import { join } from 'node:path';
import type { AgentEvents, AgentSession, ExecutionEnded } from '../src/model/agent.ts';
import { type Benchmark, type BenchContext, type Figures, type Row } from './lib/benchmark.ts';
import { fillStore } from './lib/fill.ts';
import { createJobs, openHouse } from './lib/house.ts';
import { rounded } from './lib/samples.ts';
import { loadSources, type Sources } from './lib/sources.ts';
import { SteppedClock } from './lib/stepped-clock.ts';

export const engine: Benchmark = {
  name: 'engine',
  about: 'runs that end at once, durable intent and result',
  async run(context): Promise<Row[]> {
    const jobs = context.option('jobs', 1_000);
    const figures = await measureEngine(context, {
      jobs,
      runs: context.option('runs', 150_000),
      kept: context.option('kept', 0),
    });
    return [{ name: `${jobs} jobs`, figures }];
  },
};

/** Every run of one second and those of the second after it may be in flight. */
const SECONDS_IN_FLIGHT = 2;

export interface EngineLoad {
  readonly jobs: number;
  readonly runs: number;
  /** Finished runs in the store beforehand, spread over all jobs. */
  readonly kept: number;
  /** Further jobs, that exist and are not due. */
  readonly sleepers?: number;
  /** The further jobs take turns, `jobs` of them each second, and there are no others. */
  readonly wave?: boolean;
}

export async function measureEngine(context: BenchContext, load: EngineLoad): Promise<Figures> {
  const sources = await loadSources(context.root);
  const node = await startEngine(context, sources, load);
  await node.until(Math.ceil(load.runs / 5));
  const cpu = process.cpuUsage();
  const from = performance.now();
  const before = node.finished;
  await node.until(before + load.runs);
  const runs = node.finished - before;
  const seconds = (performance.now() - from) / 1000;
  const used = process.cpuUsage(cpu);
  await node.close();
  return {
    runs_per_s: rounded(runs / seconds),
    cpu_per_run_us: rounded((used.user + used.system) / runs),
    runs_per_commit: rounded(runs / Math.max(1, node.commits / 2)),
    rss_mb: rounded(process.memoryUsage().rss / 2 ** 20),
  };
}

async function startEngine(context: BenchContext, sources: Sources, load: EngineLoad) {
  const clock = new SteppedClock(Date.UTC(2026, 0, 1));
  const path = join(context.scratch, `engine-${load.sleepers ?? 0}-${load.kept}-${load.wave ?? false}.db`);
  const everySecond = Array.from({ length: load.jobs }, (_, i) => ({ name: `due-${i}`, schedule: '* * * * * *' }));
  const others = load.sleepers ?? 0;
  const when = load.wave === true ? { perSecond: load.jobs } : 'rare';
  if (others > 0 || load.kept > 0) {
    // In the wave the jobs take turns, so that none of them is due every second.
    await fillStore(sources, {
      path,
      clock,
      jobs: Math.max(1, others),
      when,
      kept: load.kept,
      first: load.wave === true ? [] : everySecond,
    });
  }
  let launched = 0;
  let finished = 0;
  let commits = 0;
  let goal = { runs: Infinity, reached: () => undefined as void };
  const house = await openHouse(sources, {
    path,
    clock,
    agent: instantAgent(clock),
    emit: (event) => {
      if (event.kind === 'execution_ended') finished++;
      if (event.kind === 'occurrence_committed') launched += event.count;
      if (event.kind === 'occurrence_committed' || event.kind === 'results_committed') commits++;
      if (finished >= goal.runs) goal.reached();
    },
  });
  if (others === 0 && load.kept === 0) await createJobs(sources, house.leader, everySecond);
  const inFlightMax = load.jobs * SECONDS_IN_FLIGHT;
  clock.drive(() => launched - finished < inFlightMax);
  return {
    get finished() {
      return finished;
    },
    get commits() {
      return commits;
    },
    until: (runs: number) => new Promise<void>((reached) => (goal = { runs, reached })),
    close: async () => {
      clock.halt();
      await house.close();
    },
  };
}

/** Answers every start with its end on the next turn of the loop. */
function instantAgent(clock: { nowUs(): number }): AgentSession {
  let events: AgentEvents | undefined;
  let waiting: ExecutionEnded[] = [];
  const deliver = () => {
    const ended = waiting;
    waiting = [];
    events?.ended(ended);
  };
  return {
    node: 'bench',
    start(_epoch, runs) {
      const nowUs = clock.nowUs();
      if (waiting.length === 0) setImmediate(deliver);
      for (const { key } of runs) waiting.push(endedAt(key, nowUs));
      events?.started(runs.map(({ key }) => ({ key, startedAtUs: nowUs, pid: null })));
    },
    stop: () => undefined,
    acknowledge: () => undefined,
    known: () => Promise.resolve([]),
    subscribe: (listener) => {
      events = listener;
    },
  };
}

function endedAt(key: number, nowUs: number): ExecutionEnded {
  const times = { startedAtUs: nowUs, finishedAtUs: nowUs };
  const how = { outcome: 'succeeded', reason: '', exitCode: 0, signal: null, message: null } as const;
  return { key, ...times, ...how, tail: '', outputBytes: 0, logBytes: 0 };
}
