/** The processes of one data directory, as /proc shows them: those that name it or hold files in it, but for the jobs. */
import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';

const TICKS_PER_SECOND = 100;

/** Pids of the tree of `dataDir`; jobs (by their program's name) and npm do not count. */
export function processesOf(dataDir: string, jobPrograms: readonly string[]): number[] {
  const directory = realpathSync(dataDir);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && belongs(pid, directory, jobPrograms));
}

function belongs(pid: number, directory: string, jobPrograms: readonly string[]): boolean {
  if (jobPrograms.includes(basename(link(`/proc/${pid}/exe`)))) return false;
  const command = text(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
  if (/^npm |npm-cli/.test(command)) return false;
  return command.includes(directory) || openFiles(pid).some((file) => file.startsWith(directory));
}

/** Proportional set size of all of them. */
export function pssMb(pids: readonly number[]): number {
  return (
    pids.reduce((sum, pid) => sum + Number(/^Pss:\s+(\d+)/m.exec(text(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0), 0) /
    1024
  );
}

/** CPU seconds used so far, user and system. */
export function cpuSeconds(pids: readonly number[]): number {
  const ticks = pids.map((pid) => {
    const fields = text(`/proc/${pid}/stat`).split(') ')[1]?.split(' ') ?? [];
    return Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  });
  return ticks.reduce((sum, one) => sum + one, 0) / TICKS_PER_SECOND;
}

function openFiles(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => link(`/proc/${pid}/fd/${fd}`));
  } catch {
    return []; // ended while we looked, or another user's
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ''; // as above
  }
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // as above
  }
}
