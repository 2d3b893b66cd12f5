/**
 * A day and more of mixed load on virtual time: nothing may grow. Memory is looked at every ten minutes after a collection, the database's
 * size with it; the first hour is warm-up.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { migrate } from '../../src/store/migrations.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import { Checker } from './checker.ts';
import { Dice } from './dice.ts';
import { LEADER_OPTIONS, RETENTION, simDirectory } from './kit.ts';
import { Load } from './load.ts';
import { NO_FAULTS, SimNode } from './node.ts';
import { SimAgent } from './sim-agent.ts';
import { VirtualTime } from './virtual-time.ts';
import { scriptOf } from './workload.ts';

const MINUTE = 60_000;
const JOBS_CREATED = 60;
const SAMPLE_MS = 10 * MINUTE;
const WARM_UP_SAMPLES = 6;
const GROWTH_MAX = 1.05;
/** Reached within the warm-up. */
const PLATEAU = { ...RETENTION, runs: 200, keep: 50, ageMs: 30 * MINUTE, logRuns: 100 };

interface Sample {
  readonly heapBytes: number;
  readonly databaseBytes: number;
}

/** Runs `hours` of virtual time; what was wrong. */
export async function runHours(seed: number, hours: number): Promise<string[]> {
  const dice = new Dice(seed);
  const time = new VirtualTime(Temporal.Instant.from('2026-03-28T12:00:00.500Z').epochMilliseconds);
  const directory = simDirectory();
  const database = openSqlite(join(directory, 'state.db'), { clock: time.clock(), synchronous: 'off' });
  await time.until(migrate(database));
  const checker = new Checker(database.path, 'Europe/London');
  const agent = new SimAgent(
    { node: 'node1', script: scriptOf(seed), delayMsMax: 20, repeats: 0.02, truths: 0 },
    { time, random: dice.random, witness: checker.truth },
  );
  let node: SimNode | undefined;
  const load = new Load({
    dice,
    time,
    checker,
    profile: 'dense',
    zone: 'Europe/London',
    node: () => node,
    ephemeralShare: 0,
  });
  const restart = async () => {
    node?.crash();
    load.forget();
    node = new SimNode(
      { ...LEADER_OPTIONS, definitions: { ...LEADER_OPTIONS.definitions, zone: 'Europe/London' }, retention: PLATEAU },
      {
        database,
        agent,
        time,
        random: dice.random,
        faults: NO_FAULTS,
        failed: (error) => checker.complain(`a leader gave up: ${String(error)}`),
        beforeWrite: (statements) => checker.beforeWrite(statements),
      },
    );
    await time.until(node.start());
  };
  await restart();
  for (let index = 0; index < JOBS_CREATED; index++) {
    load.request('create');
    await time.run(100);
  }
  const samples: Sample[] = [];
  const total = Math.round((hours * 60 * MINUTE) / SAMPLE_MS);
  for (let sample = 0; sample < total && checker.complaints.length === 0; sample++) {
    for (let minute = 0; minute < SAMPLE_MS / MINUTE; minute++) {
      for (const kind of ['run', 'forced', 'stop'] as const) load.request(kind);
      await time.run(MINUTE);
    }
    if (sample % 6 === 5) await restart();
    if (sample % 30 === 29) agent.powerCut();
    checker.fold([]);
    samples.push(measure(checker));
    report(samples, checker);
  }
  const complaints = [...checker.complaints, ...growth(samples)];
  node?.crash();
  await time.settle();
  checker.close();
  await time.until(database.close());
  rmSync(directory, { recursive: true, force: true });
  return complaints;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function measure(checker: Checker): Sample {
  collect();
  const pages = checker.row('PRAGMA page_count')?.['page_count'] as number;
  const pageBytes = checker.row('PRAGMA page_size')?.['page_size'] as number;
  return { heapBytes: process.memoryUsage().heapUsed, databaseBytes: pages * pageBytes };
}

function report(samples: readonly Sample[], checker: Checker): void {
  const last = samples.at(-1);
  if (last === undefined || samples.length % 6 !== 0) return;
  const megabytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MB`;
  console.log(
    `${samples.length / 6} h: ${checker.occurrences} occurrences judged, heap ${megabytes(last.heapBytes)}, database ${megabytes(last.databaseBytes)}`,
  );
}

/** The second half against the first, both without the warm-up. */
function growth(samples: readonly Sample[]): string[] {
  const warm = samples.slice(WARM_UP_SAMPLES);
  const half = Math.floor(warm.length / 2);
  if (half === 0) return [];
  const complaints: string[] = [];
  for (const what of ['heapBytes', 'databaseBytes'] as const) {
    const mean = (part: readonly Sample[]) => part.reduce((sum, sample) => sum + sample[what], 0) / part.length;
    const ratio = mean(warm.slice(half)) / mean(warm.slice(0, half));
    console.log(`${what}: second half ${(100 * (ratio - 1)).toFixed(1)} % against the first`);
    if (ratio > GROWTH_MAX) complaints.push(`${what} grew by ${(100 * (ratio - 1)).toFixed(1)} %`);
  }
  return complaints;
}
