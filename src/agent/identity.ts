/** Who a process is, so that it can be recognised later: written by a runner about itself and about the jobs it started. */
import { bootId, isDead, readProcess } from './process-table.ts';

export interface ProcessIdentity {
  readonly pid: number;
  readonly startTicks: number;
  readonly bootId: string;
}

/** Boot id of this boot, read once. */
export const BOOT_ID = bootId();

export function identityOf(pid: number): ProcessIdentity | null {
  const stat = readProcess(pid);
  return stat === null ? null : { pid, startTicks: stat.startTicks, bootId: BOOT_ID };
}

/** Exactly this process exists and is no zombie. */
export function isAlive(identity: ProcessIdentity): boolean {
  return existence(identity) === 'alive';
}

/** zombie: dead, but its parent has not asked for its exit yet. */
export function existence(identity: ProcessIdentity): 'alive' | 'zombie' | 'gone' {
  if (identity.bootId !== BOOT_ID) return 'gone';
  const stat = readProcess(identity.pid);
  if (stat === null || stat.startTicks !== identity.startTicks) return 'gone';
  return isDead(stat) ? 'zombie' : 'alive';
}

/** This very process exists, dead or alive, and `parent` is who may ask for its exit. */
export function isChildOf(pid: number, startTicks: number, parent: number | null): boolean {
  const stat = readProcess(pid);
  return stat !== null && stat.startTicks === startTicks && stat.parent === parent;
}
