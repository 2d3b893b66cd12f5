/** Who a process is, so that it can be recognised later: written by a runner about itself and about the jobs it started. */
import { bootId, isDead, type ProcessStat, readProcess } from './process-table.ts';

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot; the process began then or at most START_TOLERANCE_TICKS later. */
  readonly startTicks: number;
  readonly bootId: string;
}

/** Half a second: no machine forks through all its pids in that time, so a pid with such a start is the same process. */
export const START_TOLERANCE_TICKS = 50;

/** Boot id of this boot, read once. */
export const BOOT_ID = bootId();

export function identityOf(pid: number): ProcessIdentity | null {
  const stat = readProcess(pid);
  return stat === null ? null : { pid, startTicks: stat.startTicks, bootId: BOOT_ID };
}

/** This very process exists and is no zombie. */
export function isAlive(identity: ProcessIdentity): boolean {
  return existence(identity) === 'alive';
}

/** zombie: dead, but its parent has not asked for its exit yet. */
export function existence(identity: ProcessIdentity): 'alive' | 'zombie' | 'gone' {
  if (identity.bootId !== BOOT_ID) return 'gone';
  const stat = readProcess(identity.pid);
  if (stat === null || !beganAt(stat, identity.startTicks)) return 'gone';
  return isDead(stat) ? 'zombie' : 'alive';
}

/** This very process exists, dead or alive, and `parent` is who may ask for its exit. */
export function isChildOf(pid: number, startTicks: number, parent: number | null): boolean {
  const stat = readProcess(pid);
  return stat !== null && beganAt(stat, startTicks) && stat.parent === parent;
}

function beganAt(stat: ProcessStat, startTicks: number): boolean {
  return stat.startTicks >= startTicks && stat.startTicks <= startTicks + START_TOLERANCE_TICKS;
}
