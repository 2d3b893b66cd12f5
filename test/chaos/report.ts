/** A run's result as a table, with what was found and how to do it again. */
import type { RunOptions, RunResult } from './run.ts';
import { FAULT_KINDS, FINDING_KINDS, type Finding } from './types.ts';

export interface Counts {
  readonly passed: number;
  readonly failed: number;
}

const FINDINGS_SHOWN = 12;
/** A run in which less happened has shown nothing, whatever was found. */
const STARTS_PER_SECOND_MIN = 10;

/** Each kind of finding is one check; that enough happened is one more. */
export function report(result: RunResult, options: RunOptions): Counts {
  const { findings } = result.verdict;
  for (const [name, value] of rowsOf(result)) console.log(`  ${name.padEnd(28)}${String(value).padStart(10)}`);
  for (const kind of FINDING_KINDS) showFindings(findings.filter((finding) => finding.kind === kind));
  const empty = emptiness(result);
  if (empty !== null) console.log(`  too little happened: ${empty}`);
  const failed = new Set(findings.map(({ kind }) => kind)).size + (empty === null ? 0 : 1);
  if (failed > 0) console.log(`  again: ${command(options)}${options.keep ? ` (kept: ${result.directory})` : ''}`);
  return { passed: FINDING_KINDS.length + 1 - failed, failed };
}

export function command({ seed, minutes, gapMs, stopMaxMs }: RunOptions): string {
  return `npm run chaos -- --minutes ${minutes} --seed ${seed} --gap ${gapMs} --stop-max ${stopMaxMs}`;
}

function rowsOf(result: RunResult): (readonly [string, string | number])[] {
  const { verdict, faults, possible } = result;
  const { counts, findings } = verdict;
  return [
    ...FAULT_KINDS.map((kind) => [kind, faults.get(kind) ?? (possible.includes(kind) ? 0 : 'not here')] as const),
    ['faults', [...faults.values()].reduce((sum, count) => sum + count, 0)],
    ['node starts', result.nodeStarts],
    ['occurrences', counts.occurrences],
    ['executions', counts.executions],
    ['starts seen', counts.starts],
    ['starts per second', result.startsPerSecond.toFixed(1)],
    ['due instants judged', counts.dueInstants],
    ['dropped (missed, skipped)', counts.dropped],
    ['logs compared', counts.logsCompared],
    ['acknowledged runs, jobs', `${result.acknowledged.runs}, ${result.acknowledged.jobs}`],
    ['lost', counts.lost],
    ['lost possible', counts.lostPossible],
    ['all final after, s', (result.settledMs / 1000).toFixed(1)],
    ['calm launches', counts.calmLaunches],
    ['calm lateness max, ms', counts.calmLatenessMaxMs.toFixed(0)],
    ...FINDING_KINDS.map(
      (kind) => [`${kind} (must be 0)`, findings.filter((one) => one.kind === kind).length] as const,
    ),
  ];
}

function showFindings(findings: readonly Finding[]): void {
  for (const { kind, job, text } of findings.slice(0, FINDINGS_SHOWN)) console.log(`  ${kind}: ${job}: ${text}`);
  if (findings.length > FINDINGS_SHOWN)
    console.log(`  … and ${findings.length - FINDINGS_SHOWN} more ${findings[0]?.kind}`);
}

function emptiness({ verdict, faults, startsPerSecond, acknowledged }: RunResult): string | null {
  const { counts } = verdict;
  if (faults.size === 0) return 'no faults';
  if (startsPerSecond < STARTS_PER_SECOND_MIN) return `${startsPerSecond.toFixed(1)} starts per second`;
  if (counts.calmLaunches === 0) return 'no launches after the faults';
  if (counts.logsCompared === 0) return 'no logs compared';
  return acknowledged.runs === 0 || acknowledged.jobs === 0 ? 'nothing was acknowledged' : null;
}
