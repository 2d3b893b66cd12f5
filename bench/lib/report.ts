/** Repetitions into minimum, median and maximum, as a table for people and as one line of JSON. */
import type { Benchmark, Row } from './benchmark.ts';
import type { Machine } from './machine.ts';
import { type Spread, spreadOf } from './samples.ts';

export interface SummaryRow {
  readonly name: string;
  readonly figures: Readonly<Record<string, Spread>>;
}

export function summarise(rounds: readonly (readonly Row[])[]): SummaryRow[] {
  const names = [...new Set(rounds.flat().map((row) => row.name))];
  return names.map((name) => {
    const rows = rounds.flat().filter((row) => row.name === name);
    const keys = [...new Set(rows.flatMap((row) => Object.keys(row.figures)))];
    const spread = (key: string) => spreadOf(rows.flatMap((row) => row.figures[key] ?? []));
    return { name, figures: Object.fromEntries(keys.map((key) => [key, spread(key)])) };
  });
}

export function table(
  benchmark: Pick<Benchmark, 'name' | 'about'>,
  machine: Machine,
  rows: readonly SummaryRow[],
  repeat: number,
): string {
  const lines = rows.flatMap((row) =>
    Object.entries(row.figures).map(([key, { min, median, max }]) => [
      row.name,
      key,
      String(min),
      String(median),
      String(max),
    ]),
  );
  const cells = [['', '', 'min', 'median', 'max'], ...lines];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  const shown = cells.map((line) =>
    line.map((cell, at) => (at < 2 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  '),
  );
  const { cpu, cores, memoryGb, node, commit, load } = machine;
  const where = `${cores} × ${cpu}, ${memoryGb} GB, node ${node}, commit ${commit}, load ${load}`;
  return [`\n${benchmark.name}: ${benchmark.about}; ${repeat} repetitions\n${where}`, ...shown].join('\n');
}

export function jsonLine(name: string, machine: Machine, rows: readonly SummaryRow[], repeat: number): string {
  return JSON.stringify({ bench: name, ...machine, repeat, rows });
}
