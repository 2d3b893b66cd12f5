/**
 * `npm run bench:compare -- A B NAME … [--repeat 3] [options]`: the same benchmarks on two checkouts, in turn and interleaved, so that what
 * disturbs the machine disturbs both. Prints the median of each figure and their ratio. Both need their node_modules.
 */
import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { type SummaryRow } from './lib/report.ts';
import { quantile, rounded } from './lib/samples.ts';

interface Line {
  readonly commit: string;
  readonly rows: readonly SummaryRow[];
}

const MAIN = join(import.meta.dirname, 'main.ts');
const REPEAT = 3;

const words = process.argv.slice(2);
const firstOption = words.findIndex((word) => word.startsWith('--'));
const plain = firstOption < 0 ? words : words.slice(0, firstOption);
const options = firstOption < 0 ? [] : words.slice(firstOption);
const [a, b, ...names] = plain;
if (a === undefined || b === undefined || names.length === 0)
  throw new Error('npm run bench:compare -- A B NAME … [--repeat 3]: two checkouts and what to run');
const repeatAt = options.indexOf('--repeat');
const repeat = repeatAt < 0 ? REPEAT : Number(options.splice(repeatAt, 2)[1]);

for (const name of names) compare(name, resolve(a), resolve(b));

function compare(name: string, rootA: string, rootB: string): void {
  const [linesA, linesB]: [Line[], Line[]] = [[], []];
  for (let round = 0; round < repeat; round++) {
    // Who goes first changes, so that a drift favours nobody.
    const order = [() => linesA.push(once(name, rootA)), () => linesB.push(once(name, rootB))];
    for (const step of round % 2 === 0 ? order : order.toReversed()) step();
  }
  console.log(
    `\n${name}: A ${rootA} (${linesA[0]?.commit}), B ${rootB} (${linesB[0]?.commit}), ${repeat} repetitions each, medians`,
  );
  const rows = (linesA[0]?.rows ?? []).flatMap((row) =>
    Object.keys(row.figures).map((key) => {
      const [medianA, medianB] = [medianOf(linesA, row.name, key), medianOf(linesB, row.name, key)];
      return { row: row.name, figure: key, a: medianA, b: medianB, 'b/a': rounded(medianB / medianA) };
    }),
  );
  console.table(rows);
  console.log(JSON.stringify({ compare: name, a: rootA, b: rootB, repeat, rows }));
}

/** A process of its own: what one run warmed up or left behind does not reach the next. */
function once(name: string, root: string): Line {
  const out = execFileSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', MAIN, name, ...options, '--root', root, '--repeat', '1', '--json'],
    {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  return JSON.parse(out.trim().split('\n').at(-1) ?? '') as Line;
}

function medianOf(lines: readonly Line[], row: string, figure: string): number {
  const found = lines.flatMap((line) => line.rows.find(({ name }) => name === row)?.figures[figure]?.median ?? []);
  return quantile(found, 0.5);
}
