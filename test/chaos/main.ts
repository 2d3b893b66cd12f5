/**
 * `npm run chaos -- --minutes 10 --seed 7`: a real node under load while everything that can end it does. Ends with a table and
 * `N passed, N failed`; exit code 1 when anything was lost, doubled, wrong or late. `--ci` is the short run with the seeds that once failed.
 */
import { parseArgs } from 'node:util';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { command, type Counts, report } from './report.ts';
import { runChaos, type RunOptions } from './run.ts';
import { FAULT_KINDS } from './types.ts';

/** Of the kept seeds so many are replayed in CI, the newest, and then a fresh one: it has three minutes in all. */
const CI_SEEDS_MAX = 1;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string' },
    gap: { type: 'string', default: '3500' },
    'stop-max': { type: 'string', default: '30000' },
    calm: { type: 'string', default: '15' },
    only: { type: 'string' },
    keep: { type: 'boolean', default: false },
    ci: { type: 'boolean', default: false },
  },
});

const say = (line: string) => console.log(`chaos: ${line}`);

function optionsOf(seed: number): RunOptions {
  const only = values.only === undefined ? null : FAULT_KINDS.filter((kind) => values.only?.split(',').includes(kind));
  return {
    seed,
    minutes: Number(values.minutes),
    gapMs: Number(values.gap),
    stopMaxMs: Number(values['stop-max']),
    calmMs: Number(values.calm) * 1000,
    only,
    keep: values.keep,
  };
}

function ciOptions(seed: number): RunOptions {
  return { ...optionsOf(seed), minutes: 0.4, gapMs: 2_500, stopMaxMs: 6_000, calmMs: 5_000, keep: false };
}

async function main(): Promise<void> {
  const given = values.seed === undefined ? Math.floor(Date.now() / 1000) % 1_000_000 : Number(values.seed);
  const kept = (
    JSON.parse(readFileSync(join(import.meta.dirname, 'seeds.json'), 'utf8')) as { seeds: { seed: number }[] }
  ).seeds;
  const seeds = values.ci ? [...kept.slice(-CI_SEEDS_MAX).map(({ seed }) => seed), given] : [given];
  let passed = 0;
  let failed = 0;
  for (const seed of seeds) {
    const options = values.ci ? ciOptions(seed) : optionsOf(seed);
    say(`seed ${seed}, ${options.minutes} min`);
    const counts = await judged(options);
    passed += counts.passed;
    failed += counts.failed;
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

/** A run that breaks down instead of ending is a failure with a seed, too. */
async function judged(options: RunOptions): Promise<Counts> {
  try {
    return report(await runChaos(options, say), options);
  } catch (error) {
    console.log(error);
    console.log(`  again: ${command(options)}`);
    return { passed: 0, failed: 1 };
  }
}

await main();
