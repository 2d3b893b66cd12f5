/** What a benchmark is: one measurement of a checkout, repeated and reported by main.ts. */

/** Figures of one repetition. The unit is the end of the name: _per_s, _ms, _us, _mb, _pct; without one it is a count. */
export type Figures = Readonly<Record<string, number>>;

/** How a row of a table is to be called, and its figures. */
export interface Row {
  readonly name: string;
  readonly figures: Figures;
}

export interface BenchContext {
  /** The checkout that is measured; the measuring code is always this one's. */
  readonly root: string;
  /** A directory of this repetition, removed after it. */
  readonly scratch: string;
  /** Options of the command line that are not main.ts's own: `--n 1000`. */
  option(name: string, otherwise: number): number;
  text(name: string): string | undefined;
  /** Runs when the repetition ends, last first, whatever became of it. */
  defer(undo: () => void | Promise<void>): void;
}

export interface Benchmark {
  readonly name: string;
  /** What it measures, one line. */
  readonly about: string;
  run(context: BenchContext): Promise<Row[]>;
}
