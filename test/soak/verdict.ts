/** What a soak's samples must show: memory flat, open files equal, the database at its plateau, everything due started. Pure. */
import { IDLE_MAX } from '../../src/agent/runner/spare-files.ts';

/** One look at the tree of a node. */
export interface Sample {
  /** Seconds since the load began. */
  readonly atS: number;
  /** Resident bytes of the node and its runners. */
  readonly nodeBytes: number;
  readonly runnerBytes: number;
  readonly nodeFiles: number;
  /** Without its spare output files. */
  readonly runnerFiles: number;
  readonly spareFiles: number;
  /** The database with its -wal. */
  readonly databaseBytes: number;
  /** Ended executions by now. */
  readonly ended: number;
}

export interface Check {
  readonly name: string;
  readonly passed: boolean;
  readonly detail: string;
}

/** What the runner keeps of them, for two streams: as many as its busiest moment so far needed, so they may grow up to here. */
const SPARE_FILES_MAX = 2 * IDLE_MAX;
/** How far the second half's mean may be above the first half's. */
const MEMORY_GROWTH_MAX = 0.05;
/** Both halves reach the same size; a checkpoint more or less moves the -wal a little. */
const DATABASE_GROWTH_MAX = 0.02;
/** The load's own share that must have ended: the rest is under way at the last look. */
const ENDED_SHARE_MIN = 0.98;

/** Judges the samples after the warm-up. */
export function judgeSoak(samples: readonly Sample[], options: { warmUpS: number; rate: number }): Check[] {
  const kept = samples.filter(({ atS }) => atS >= options.warmUpS);
  const first = kept.slice(0, Math.floor(kept.length / 2));
  const second = kept.slice(Math.floor(kept.length / 2));
  if (first.length < 2) return [{ name: 'samples', passed: false, detail: `only ${kept.length} after the warm-up` }];
  return [
    memory('memory of the node', first, second, (sample) => sample.nodeBytes),
    memory('memory of the runner', first, second, (sample) => sample.runnerBytes),
    files('open files of the node', first, second, (sample) => sample.nodeFiles),
    files('open files of the runner', first, second, (sample) => sample.runnerFiles),
    spares(kept),
    plateau(first, second),
    pace(kept, options.rate),
  ];
}

function memory(
  name: string,
  first: readonly Sample[],
  second: readonly Sample[],
  of: (sample: Sample) => number,
): Check {
  const [before, after] = [mean(first.map(of)), mean(second.map(of))];
  const growth = after / before - 1;
  const detail = `${mib(before)} → ${mib(after)} (${(growth * 100).toFixed(1)} %)`;
  return { name, passed: growth <= MEMORY_GROWTH_MAX, detail };
}

/** Runs come and go, so the fewest of each half are compared: what leaks is never given back. */
function files(
  name: string,
  first: readonly Sample[],
  second: readonly Sample[],
  of: (sample: Sample) => number,
): Check {
  const [before, after] = [Math.min(...first.map(of)), Math.min(...second.map(of))];
  return { name, passed: after <= before, detail: `${before} → ${after}` };
}

/** Between runs: one in use is open too. */
function spares(kept: readonly Sample[]): Check {
  const [fewest, most] = [Math.min, Math.max].map((pick) => pick(...kept.map(({ spareFiles }) => spareFiles)));
  const passed = (fewest as number) <= SPARE_FILES_MAX;
  return { name: 'spare output files', passed, detail: `${fewest} to ${most}, at most ${SPARE_FILES_MAX} unused` };
}

function plateau(first: readonly Sample[], second: readonly Sample[]): Check {
  const largest = (half: readonly Sample[]) => Math.max(...half.map(({ databaseBytes }) => databaseBytes));
  const [before, after] = [largest(first), largest(second)];
  const passed = after <= before * (1 + DATABASE_GROWTH_MAX);
  return { name: 'database at its plateau', passed, detail: `${mib(before)} → ${mib(after)}` };
}

function pace(kept: readonly Sample[], rate: number): Check {
  const [from, to] = [kept[0], kept.at(-1)];
  if (from === undefined || to === undefined) return { name: 'pace', passed: false, detail: 'no samples' };
  const perSecond = (to.ended - from.ended) / (to.atS - from.atS);
  return {
    name: 'pace',
    passed: perSecond >= rate * ENDED_SHARE_MIN,
    detail: `${perSecond.toFixed(1)} runs/s of ${rate}`,
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
