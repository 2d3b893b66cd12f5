/** Draws inputs for all targets by their weights; the same seed gives the same inputs. */
import { Dice } from './dice.ts';
import { Fault, STEPS_MAX, type Target } from './target.ts';
import { configTargets } from './targets/configs.ts';
import { diskTargets } from './targets/disk.ts';
import { jobTargets } from './targets/jobs.ts';
import { networkTargets } from './targets/network.ts';
import { scheduleTargets } from './targets/schedules.ts';

export const TARGETS: readonly Target[] = [
  ...scheduleTargets,
  ...jobTargets,
  ...configTargets,
  ...diskTargets,
  ...networkTargets,
];

export interface FuzzFault {
  readonly target: string;
  /** The input is drawn from this seed alone. */
  readonly inputSeed: number;
  readonly message: string;
}

export interface FuzzOptions {
  readonly seed: number;
  readonly count: number;
  /** Only this target. */
  readonly only?: string | undefined;
  /** Told before each input, so that a watcher can name the one that hangs. */
  readonly onInput?: (target: Target, inputSeed: number) => void;
  /** Asked now and then: time to stop? */
  readonly over?: () => boolean;
  /** Counts an input's steps. Without it time alone judges. */
  readonly countSteps?: (target: string, inputSeed: number) => Promise<number>;
}

export interface FuzzReport {
  readonly counts: ReadonlyMap<string, number>;
  readonly faults: readonly FuzzFault[];
  /** By target, the inputs that took longest, the slowest first. */
  readonly slowest: ReadonlyMap<string, readonly SlowInput[]>;
}

export interface SlowInput {
  readonly inputSeed: number;
  readonly tookMs: number;
  /** null: not counted. */
  steps: number | null;
}

/** More faults of one target are the same one again. */
const FAULTS_PER_TARGET_MAX = 5;
/** A slow input is tried so often before it counts: another process may have had the processor. */
const SLOW_TRIES = 3;
/** The first inputs of a target are slow because its code is new, not for what they are. */
const WARMING = 50;
/** Of each target so many inputs, the slowest, have their steps counted. */
const COUNTED = 3;

export async function fuzz(options: FuzzOptions, targets: readonly Target[] = TARGETS): Promise<FuzzReport> {
  const chosen = targets.filter(({ name }) => options.only === undefined || name === options.only);
  const wheel = chosen.flatMap((target) => Array.from({ length: target.weight }, () => target));
  if (wheel.length === 0)
    throw new Error(`no target "${options.only}"; there are: ${targets.map(({ name }) => name).join(', ')}`);
  const counts = new Map<string, number>(chosen.map(({ name }) => [name, 0]));
  const slowest = new Map<string, SlowInput[]>();
  const faults: FuzzFault[] = [];
  /** Targets that have shown enough faults. */
  const given = new Set<string>();
  for (let i = 0; i < options.count; i += 1) {
    if (i % 256 === 0 && options.over?.() === true) break;
    const target = wheel[i % wheel.length] as Target;
    if (given.has(target.name)) continue;
    const inputSeed = seedOf(options.seed, i);
    options.onInput?.(target, inputSeed);
    const { message, tookMs } = await tryInput(target, inputSeed, options.countSteps);
    const count = (counts.get(target.name) ?? 0) + 1;
    counts.set(target.name, count);
    if (count > WARMING)
      slowest.set(target.name, slowestOf(slowest.get(target.name) ?? [], { inputSeed, tookMs, steps: null }));
    if (message === null) continue;
    faults.push({ target: target.name, inputSeed, message });
    if (faults.filter(({ target: name }) => name === target.name).length >= FAULTS_PER_TARGET_MAX)
      given.add(target.name);
  }
  if (options.countSteps !== undefined) faults.push(...(await countSlowest(chosen, slowest, options.countSteps)));
  return { counts, faults, slowest };
}

function slowestOf(known: SlowInput[], input: SlowInput): SlowInput[] {
  const last = known.at(-1);
  if (known.length === COUNTED && last !== undefined && input.tookMs <= last.tookMs) return known;
  return [...known, input].sort((a, b) => b.tookMs - a.tookMs).slice(0, COUNTED);
}

/** The slowest inputs of each target within the budget of steps. */
async function countSlowest(
  targets: readonly Target[],
  slowest: ReadonlyMap<string, readonly SlowInput[]>,
  countSteps: NonNullable<FuzzOptions['countSteps']>,
): Promise<FuzzFault[]> {
  const faults: FuzzFault[] = [];
  for (const { name } of targets) {
    for (const input of slowest.get(name) ?? []) {
      try {
        input.steps = await countSteps(name, input.inputSeed);
      } catch {
        continue; // It is among the faults already.
      }
      if (input.steps > STEPS_MAX)
        faults.push({ target: name, inputSeed: input.inputSeed, message: tooMany(input.steps) });
    }
  }
  return faults;
}

/** One input, by its own seed. `message` says what does not hold. */
export async function tryInput(
  target: Target,
  inputSeed: number,
  countSteps?: FuzzOptions['countSteps'],
): Promise<{ message: string | null; tookMs: number }> {
  let bestMs = Number.POSITIVE_INFINITY;
  for (let attempt = 1; attempt <= SLOW_TRIES; attempt += 1) {
    const began = performance.now();
    try {
      const running = target.run(new Dice(inputSeed));
      if (running !== undefined) await running;
    } catch (error) {
      const text =
        error instanceof Fault
          ? error.message
          : error instanceof Error
            ? (error.stack ?? error.message)
            : String(error);
      return { message: text, tookMs: performance.now() - began };
    }
    bestMs = Math.min(bestMs, performance.now() - began);
    if (bestMs <= target.limitMs) return { message: null, tookMs: bestMs };
  }
  if (countSteps === undefined)
    return { message: `one input took ${bestMs.toFixed(0)} ms, more than ${target.limitMs}`, tookMs: bestMs };
  const steps = await countSteps(target.name, inputSeed);
  return { message: steps > STEPS_MAX ? tooMany(steps) : null, tookMs: bestMs };
}

function tooMany(steps: number): string {
  return `one input cost ${steps} steps, more than ${STEPS_MAX}`;
}

export async function closeTargets(): Promise<void> {
  for (const target of TARGETS) await target.close?.();
}

function seedOf(seed: number, index: number): number {
  let mixed = Math.imul(seed ^ (index + 0x9e37_79b9), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
