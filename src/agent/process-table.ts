/**
 * What /proc says about processes. A process is identified by boot id, pid and start time together: a pid alone may name a stranger by
 * the time one looks again.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { DATA_VARIABLE } from '../core/process-environment.ts';

export interface ProcessStat {
  readonly pid: number;
  /** One letter; Z and X are dead. */
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Clock ticks (1/100 s) since boot. */
  readonly startTicks: number;
  readonly rssPages: number;
}

/** Linux reports times to user space in hundredths of a second on every platform. */
export const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;

/** null: there is no such process. */
export function readProcess(pid: number): ProcessStat | null {
  const text = readOrNull(`/proc/${pid}/stat`);
  return text === null ? null : parseStat(pid, text.toString('latin1'));
}

/** The command's name may hold blanks and parentheses; everything after the last `)` is regular. */
function parseStat(pid: number, text: string): ProcessStat | null {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  if (state === undefined || fields.length < 22) return null;
  return {
    pid,
    state,
    parent: Number(fields[1]),
    group: Number(fields[2]),
    session: Number(fields[3]),
    startTicks: Number(fields[19]),
    rssPages: Number(fields[21]),
  };
}

export function isDead(stat: ProcessStat): boolean {
  return stat.state === 'Z' || stat.state === 'X';
}

export function rssBytes(stat: ProcessStat): number {
  return stat.rssPages * PAGE_BYTES;
}

/** Every process there is now, zombies included. */
export function allProcesses(): ProcessStat[] {
  const found: ProcessStat[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const stat = readProcess(pid);
    if (stat !== null) found.push(stat);
  }
  return found;
}

/** Whose a process is, by the environment it was started with; null: it does not say, or is not ours to read. */
export interface ProcessOwner {
  /** BELFRY_EXECUTION_ID. */
  readonly execution: string | null;
  /** BELFRY_DATA_ID. */
  readonly data: string | null;
}

export function ownerOf(pid: number): ProcessOwner {
  const environ = readOrNull(`/proc/${pid}/environ`);
  if (environ === null) return { execution: null, data: null };
  return { execution: variable(environ, 'BELFRY_EXECUTION_ID='), data: variable(environ, `${DATA_VARIABLE}=`) };
}

/** The id of the runner a process is, or of whose image it still is; null: neither. */
export function runnerOf(pid: number): string | null {
  const words = readOrNull(`/proc/${pid}/cmdline`)?.toString().split('\0') ?? [];
  const at = words.indexOf('--runner');
  return at > 0 && words.some((word) => word.endsWith('/agent/runner/main.ts')) ? (words[at + 1] ?? null) : null;
}

function variable(environ: Buffer, start: string): string | null {
  let at = environ.indexOf(start);
  // It must begin an entry, not be the tail of another one's value.
  while (at > 0 && environ[at - 1] !== 0) at = environ.indexOf(start, at + 1);
  if (at < 0) return null;
  const from = at + start.length;
  const end = environ.indexOf(0, from);
  return environ.toString('utf8', from, end < 0 ? environ.length : end);
}

/**
 * Tells the jobs of two nodes on one machine apart: their execution ids are a time and a node's name, which both can share. Device and inode
 * of the data directory stay the same when it is reached by another path or renamed.
 */
export function dataMark(dataDir: string): string {
  const { dev, ino } = statSync(dataDir, { bigint: true });
  return `${dev}:${ino}`;
}

/** Differs after every boot; pids and start times mean nothing across it. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** Seconds since boot, to hundredths; the clock in which start times are given. Wall-clock steps do not touch it. */
export function uptimeSeconds(): number {
  return Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
}

/** A process has gone (ENOENT, ESRCH) or is another user's (EACCES, EPERM): no answer in either case. Anything else is ours to fail on. */
function readOrNull(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return null;
    throw error;
  }
}
