/** Which processes belong to a chaos run, found by the directory in their command lines; nothing else is ever signalled. */
import { readdirSync, readFileSync } from 'node:fs';

export interface FoundProcess {
  readonly pid: number;
  readonly commandLine: string;
}

/** Living processes (no zombies) whose command line has all of these words. */
export function findProcesses(...words: readonly string[]): FoundProcess[] {
  const found: FoundProcess[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const commandLine = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
    if (commandLine !== '' && words.every((word) => commandLine.includes(word))) found.push({ pid, commandLine });
  }
  return found;
}

/** BELFRY_EXECUTION_ID of a process; '' when it has none or is gone. */
export function executionIdOf(pid: number): string {
  return /(?:^|\0)BELFRY_EXECUTION_ID=([^\0]*)/.exec(read(`/proc/${pid}/environ`))?.[1] ?? '';
}

/** 0: it has ended. */
export function parentOf(pid: number): number {
  return Number(/^PPid:\t(\d+)$/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0);
}

/** false: it has ended meanwhile. */
export function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    return false;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // ended while we looked
  }
}
