// Where a command talks: data to stdout, everything else to stderr; errors as one line of cause and one of what to do next.

export interface Terminal {
  /** stdout: what was asked for. */
  data(text: string): void;
  /** stderr: what goes on. */
  talk(text: string): void;
}

export const processTerminal: Terminal = {
  data: (text) => void process.stdout.write(`${text}\n`),
  talk: (text) => void process.stderr.write(`${text}\n`),
};

/**
 * For the life of the process: a reader that goes away (`| head`, a log collector that has died, a closed terminal) or a log file on a full
 * disk is no reason to end. What cannot be written is dropped.
 */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
}

/** Exit codes, stable: done, failed at what was asked, asked wrongly. */
export const EXIT = { ok: 0, failure: 1, usage: 2 } as const;

/** Every problem with its remedy. */
export function sayProblems(terminal: Terminal, problems: readonly { message: string; remedy: string }[]): void {
  for (const { message, remedy } of problems) terminal.talk(`belfry: ${message}\n  ${remedy}`);
}

/** What a person is told of an error: the message of an AppError with its remedy; anything else is a bug and shows its stack. */
export function sayError(terminal: Terminal, error: unknown): void {
  if (!(error instanceof Error)) return terminal.talk(`belfry: ${String(error)}`);
  const remedy = 'remedy' in error && typeof error.remedy === 'string' ? error.remedy : undefined;
  if ('syscall' in error && error.syscall === 'uv_cwd')
    return terminal.talk('belfry: the working directory is gone\n  Change to one that exists.');
  if (error.name !== 'AppError') return terminal.talk(`belfry: ${error.stack ?? error.message}`);
  terminal.talk(`belfry: ${error.message}${remedy === undefined ? '' : `\n  ${remedy}`}`);
}
