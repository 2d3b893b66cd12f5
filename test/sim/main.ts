/**
 * The simulation from the command line: worlds one after the other until enough occurrences were judged.
 *
 *   node test/sim/main.ts --seed 1 --occurrences 1000000
 *   node test/sim/main.ts --seed 1 --hours 24
 */
import { parseArgs } from 'node:util';
import { runHours } from './hours.ts';
import { Points } from './points.ts';
import type { Profile } from './workload.ts';
import { runWorld, type WorldResult } from './world.ts';

const { values } = parseArgs({
  allowNegative: true,
  options: {
    seed: { type: 'string', default: '1' },
    occurrences: { type: 'string', default: '1000000' },
    world: { type: 'string', default: '8000' },
    hours: { type: 'string' },
    profile: { type: 'string' },
    keep: { type: 'string' },
    trace: { type: 'boolean', default: false },
    points: { type: 'boolean', default: false },
    hunt: { type: 'boolean', default: true },
    worlds: { type: 'string' },
  },
});

const HUNT_WORLDS_MAX = 60;
const points = new Points();
const started = performance.now();
let judged = 0;
let starts = 0;
let lives = 0;
let passed = 0;
const failed: WorldResult[] = [];
const outcomes = new Map<string, number>();
const acts = new Map<string, number>();

process.on('unhandledRejection', (error) => {
  console.log('unhandled rejection', error);
  process.exitCode = 1;
});

function note(result: WorldResult, how: string): void {
  judged += result.occurrences;
  starts += result.starts;
  lives += result.lives;
  for (const [name, count] of result.outcomes) outcomes.set(name, (outcomes.get(name) ?? 0) + count);
  for (const [name, count] of result.faults) acts.set(name, (acts.get(name) ?? 0) + count);
  if (result.complaints.length === 0) {
    passed++;
    return;
  }
  failed.push(result);
  console.log(
    `seed ${result.seed} (${result.profile}) FAILED; repeat: node test/sim/main.ts --seed ${result.seed} --worlds 1 ${how} --trace`,
  );
  for (const complaint of result.complaints.slice(0, 5)) console.log(`  ${complaint}`);
}

if (values.hours !== undefined) {
  const complaints = await runHours(Number(values.seed), Number(values.hours));
  for (const complaint of complaints) console.log(complaint);
  console.log(`${complaints.length === 0 ? 1 : 0} passed, ${complaints.length === 0 ? 0 : 1} failed`);
  process.exit(complaints.length === 0 ? 0 : 1);
}

const first = Number(values.seed);
const last = values.worlds === undefined ? Infinity : first + Number(values.worlds);
for (let seed = first; seed < last && judged < Number(values.occurrences) && failed.length < 5; seed++) {
  const occurrences = Number(values.world);
  const result = await runWorld({
    seed,
    occurrences,
    points,
    trace: values.trace,
    ...(values.keep === undefined ? {} : { keep: values.keep }),
    ...(values.profile === undefined ? {} : { profile: values.profile as Profile }),
  });
  note(result, `--world ${occurrences}${values.profile === undefined ? '' : ` --profile ${values.profile}`}`);
  if ((seed - first) % 10 === 9) {
    const seconds = (performance.now() - started) / 1000;
    console.log(
      `seed ${seed}: ${judged} occurrences, ${starts} starts, ${lives} lives, ${seconds.toFixed(0)} s, ${Math.round(judged / seconds)}/s`,
    );
  }
}

/** Worlds that die where no crash has been yet, until there is no such place. */
async function hunt(): Promise<void> {
  for (let seed = 900_000; seed < 900_000 + HUNT_WORLDS_MAX; seed++) {
    if (points.coverage().every(({ hits }) => hits > 0)) return;
    note(await runWorld({ seed, occurrences: 1_500, points, profile: 'dense', hunt: true }), '--hunt');
  }
}

if (failed.length === 0 && values.hunt) await hunt();

console.log('outcomes', Object.fromEntries([...outcomes].sort((a, b) => b[1] - a[1])));
console.log('acts', Object.fromEntries(acts));
console.log('crashes by port', Object.fromEntries(points.ports));
const coverage = points.coverage();
const missed = coverage.filter(({ hits }) => hits === 0);
console.log(`await points of the leader hit by a crash: ${coverage.length - missed.length} of ${coverage.length}`);
for (const { point, hits } of values.points ? coverage : missed)
  console.log(`  ${hits === 0 ? 'never' : hits} ${point.file}:${point.from} ${point.text}`);
console.log(`${judged} occurrences in ${((performance.now() - started) / 1000).toFixed(0)} s`);
console.log(`${passed} passed, ${failed.length} failed`);
// A place where no crash ever was is a place nobody has looked at.
if (failed.length > 0 || (values.hunt && missed.length > 0)) process.exitCode = 1;
