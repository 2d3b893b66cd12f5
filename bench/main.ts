/**
 * `npm run bench [-- NAME …] [-- --repeat 3 --root DIR --json]`: runs benchmarks and prints, for each, a small table and one JSON line.
 * Without names it lists them. `--root` measures another checkout with this one's measuring code.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { api } from './api.ts';
import { engine } from './engine.ts';
import { flat } from './flat.ts';
import { floor } from './floor.ts';
import { history } from './history.ts';
import { http } from './http.ts';
import { idle } from './idle.ts';
import type { Benchmark, BenchContext, Row } from './lib/benchmark.ts';
import { machineOf } from './lib/machine.ts';
import { jsonLine, summarise, table } from './lib/report.ts';
import { log } from './log.ts';
import { overload } from './overload.ts';
import { runner } from './runner.ts';
import { scale } from './scale.ts';
import { schedule } from './schedule.ts';
import { shell } from './shell.ts';
import { store } from './store.ts';
import { storm } from './storm.ts';

const BENCHMARKS: readonly Benchmark[] = [
  engine,
  shell,
  http,
  storm,
  overload,
  scale,
  history,
  log,
  api,
  idle,
  flat,
  floor,
  runner,
  store,
  schedule,
];

const REPEAT = 3;

const { names, options } = parse(process.argv.slice(2));
const chosen = names.length === 0 ? [] : names.map(benchmarkOf);
if (chosen.length === 0) {
  for (const { name, about } of BENCHMARKS) console.log(`${name.padEnd(10)} ${about}`);
  console.log(
    '\nnpm run bench -- NAME … [--repeat 3] [--root DIR] [--OPTION N]; the options of each stand at the top of bench/NAME.ts',
  );
}
for (const benchmark of chosen) await report(benchmark);

async function report(benchmark: Benchmark): Promise<void> {
  const root = resolve(options.get('root') ?? dirname(import.meta.dirname));
  const repeat = Number(options.get('repeat') ?? REPEAT);
  const rounds: Row[][] = [];
  for (let round = 0; round < repeat; round++) rounds.push(await once(benchmark, root));
  const machine = machineOf(root);
  const rows = summarise(rounds);
  if (!options.has('json')) console.log(table(benchmark, machine, rows, repeat));
  console.log(jsonLine(benchmark.name, machine, rows, repeat));
}

async function once(benchmark: Benchmark, root: string): Promise<Row[]> {
  const scratch = mkdtempSync(join(options.get('tmp') ?? tmpdir(), `belfry-bench-`));
  const undo: (() => void | Promise<void>)[] = [() => rmSync(scratch, { recursive: true, force: true, maxRetries: 5 })];
  const context: BenchContext = {
    root,
    scratch,
    option: (name, otherwise) => Number(options.get(name) ?? otherwise),
    text: (name) => options.get(name),
    defer: (step) => undo.push(step),
  };
  try {
    return await benchmark.run(context);
  } finally {
    for (const step of undo.reverse()) await step();
  }
}

function benchmarkOf(name: string): Benchmark {
  const found = BENCHMARKS.find((benchmark) => benchmark.name === name);
  if (found === undefined)
    throw new Error(`no benchmark named ${name}; there are ${BENCHMARKS.map((one) => one.name).join(', ')}`);
  return found;
}

/** Words are names; `--option value`, and `--json` alone. */
function parse(argv: readonly string[]): { names: string[]; options: Map<string, string> } {
  const found: string[] = [];
  const given = new Map<string, string>();
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] as string;
    if (!word.startsWith('--')) found.push(word);
    else if (word === '--json') given.set('json', '');
    else given.set(word.slice(2), argv[++at] ?? '');
  }
  return { names: found, options: given };
}
