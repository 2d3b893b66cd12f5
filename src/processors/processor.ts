/**
 * The processor port: what happens to an execution's output after it ended and before its result is committed. Runs at least once
 * per execution; a processor that fails leaves the output unchanged and says so in `problem`.
 */

/** The finished execution as a processor sees it. */
export interface ProcessedExecution {
  readonly id: string;
  readonly key: number;
  readonly job: string;
  readonly node: string;
  readonly success: boolean;
  readonly group: number;
  readonly attempt: number;
  readonly startedAtUs: number | null;
  readonly finishedAtUs: number;
  /** Output tail as it stands after the processors before this one. */
  readonly output: string;
}

export interface ProcessorContext {
  /** The full log on disk, in observed order, from its first kept byte. */
  openLog(): AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
}

export interface ProcessorResult {
  /** What is stored as `output`: the marker when not forwarding (dkron.md §12). */
  readonly output: string;
  /** One line for the log when something went wrong. */
  readonly problem?: string;
}

export interface Processor {
  readonly name: string;
  process(
    execution: ProcessedExecution,
    config: Readonly<Record<string, string>>,
    context: ProcessorContext,
  ): Promise<ProcessorResult>;
}
