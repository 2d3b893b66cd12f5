/**
 * `npm run chaos -- --minutes 10 --seed 7`: a real node under load while everything that can end it does. Ends with a table and
 * `N passed, N failed`; exit code 1 when anything was lost, doubled, wrong or late. `--ci` is the short run with the seeds that once failed.
 */
import { parseArgs } from 'node:util';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runChaos, type RunOptions, type RunResult } from './run.ts';
import { FAULT_KINDS, FINDING_KINDS, type FaultKind } from './types.ts';

const FINDINGS_SHOWN = 12;
/** Of the kept seeds so many are replayed in CI, the newest: it has three minutes in all. */
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
  return { ...optionsOf(seed), minutes: 0.5, gapMs: 2_500, stopMaxMs: 6_000, calmMs: 5_000, keep: false };
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
    const result = await runChaos(options, say);
    const counts = summary(result, options, seed);
    passed += counts.passed;
    failed += counts.failed;
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

function summary(
  { verdict, faults, possible, startsPerSecond, nodeStarts, directory }: RunResult,
  options: RunOptions,
  seed: number,
): { passed: number; failed: number } {
  const { counts, findings } = verdict;
  const rows: [string, string | number][] = FAULT_KINDS.map((kind: FaultKind) => [
    kind,
    faults.get(kind) ?? (possible.includes(kind) ? 0 : 'not possible here'),
  ]);
  rows.push(['faults', [...faults.values()].reduce((sum, count) => sum + count, 0)], ['node starts', nodeStarts]);
  rows.push(
    ['occurrences', counts.occurrences],
    ['executions', counts.executions],
    ['starts seen', counts.starts],
    ['starts per second', startsPerSecond.toFixed(1)],
  );
  rows.push(
    ['due instants judged', counts.dueInstants],
    ['dropped (missed, skipped)', counts.dropped],
    ['logs compared', counts.logsCompared],
  );
  rows.push(['lost', counts.lost], ['lost possible', counts.lostPossible]);
  rows.push(['calm launches', counts.calmLaunches], ['calm lateness max, ms', counts.calmLatenessMaxMs.toFixed(0)]);
  for (const kind of FINDING_KINDS)
    rows.push([`${kind} (must be 0)`, findings.filter((finding) => finding.kind === kind).length]);
  for (const [name, value] of rows) console.log(`  ${name.padEnd(28)}${String(value).padStart(10)}`);
  for (const kind of FINDING_KINDS) {
    const ofKind = findings.filter((finding) => finding.kind === kind);
    for (const { job, text } of ofKind.slice(0, FINDINGS_SHOWN)) console.log(`  ${kind}: ${job}: ${text}`);
    if (ofKind.length > FINDINGS_SHOWN) console.log(`  … and ${ofKind.length - FINDINGS_SHOWN} more ${kind}`);
  }
  const bad = new Set(findings.map(({ kind }) => kind)).size;
  if (bad > 0)
    console.log(
      `  again: npm run chaos -- --minutes ${options.minutes} --seed ${seed} --gap ${options.gapMs} --stop-max ${options.stopMaxMs}${options.keep ? ` (kept: ${directory})` : ''}`,
    );
  return { passed: FINDING_KINDS.length - bad, failed: bad };
}

await main();
