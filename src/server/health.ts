/** What a person should know about this node, one line each: issues make it unhealthy, warnings do not. */
import type { AppError } from '../model/errors.ts';
import { instantText } from '../model/time.ts';
import type { StoreSilence } from './leader-store.ts';

export interface HealthSources {
  readonly disk: 'ok' | 'low' | 'full';
  readonly cursorsAhead: { readonly count: number; readonly resumesAt: number | null };
  /** The node's zone is not the one schedules were stored with. */
  readonly zoneDiffers: { readonly stored: string; readonly host: string } | null;
  readonly agentUp: boolean;
  readonly damage: AppError | null;
  /** The store does not answer since then; null: it does. */
  readonly storeSilence: StoreSilence | null;
  /** Its end was asked for. `drainEndsAt`: null unless it waits for what runs. */
  readonly stopping: { readonly running: number; readonly drainEndsAt: number | null } | null;
}

export interface Health {
  /** draining: the node stops; a balancer sends nothing more, and nobody need be woken. */
  readonly status: 'healthy' | 'unhealthy' | 'draining';
  readonly issues: string[];
  readonly warnings: string[];
}

export function healthOf(sources: HealthSources): Health {
  const { stopping, zoneDiffers, damage } = sources;
  const issues = [...(stopping === null ? [] : [stoppingIssue(stopping)]), ...issuesOf(sources)];
  const status = stopping !== null && damage === null ? 'draining' : issues.length > 0 ? 'unhealthy' : 'healthy';
  return { status, issues, warnings: zoneDiffers === null ? [] : [zoneWarning(zoneDiffers)] };
}

function issuesOf({ damage, storeSilence, disk, cursorsAhead, agentUp, stopping }: HealthSources): string[] {
  const issues: string[] = [];
  if (damage !== null) issues.push(damageIssue(damage));
  if (storeSilence !== null && damage === null) issues.push(silenceIssue(storeSilence));
  if (disk === 'low')
    issues.push('the disk is short of room: nothing is launched and no job is stored until there is space again');
  if (disk === 'full')
    issues.push('the disk is full: nothing is launched and writes are refused until there is space again');
  if (cursorsAhead.count > 0 && cursorsAhead.resumesAt !== null) {
    issues.push(
      `the clock is behind the schedule of ${cursorsAhead.count} jobs: they resume after ${instantText(cursorsAhead.resumesAt)}, ` +
        'or at once with POST /v1/jobs/JOB/cursor {"to":"now"}',
    );
  }
  // A node that stops lets its runners go.
  if (!agentUp && stopping === null) issues.push('the runner that starts jobs is being restarted: runs wait');
  return issues;
}

function stoppingIssue({ running, drainEndsAt }: NonNullable<HealthSources['stopping']>): string {
  const runs = running === 1 ? '1 run' : `${running} runs`;
  const stops = 'the node is stopping and starts nothing new';
  if (drainEndsAt === null) return running === 0 ? stops : `${stops}; ${runs} will go on without it`;
  return `${stops}: it waits for ${runs} to end, until ${instantText(Math.ceil(drainEndsAt / 1000) * 1000)} at most`;
}

/** Nothing more is read or written, so the node can only be ended and its data restored. */
function damageIssue({ message, remedy }: AppError): string {
  return `${message} Nothing is read or written any more.${remedy === undefined ? '' : ` Stop the node. ${remedy}`}`;
}

function silenceIssue({ sinceMs, cause }: StoreSilence): string {
  return (
    `the store has not answered since ${instantText(sinceMs)} (${cause}): nothing is launched or stored until it does, ` +
    'and nothing acknowledged is lost; look at its disk or, with --store-url, at rqlite'
  );
}

function zoneWarning({ stored, host }: NonNullable<HealthSources['zoneDiffers']>): string {
  return `schedules without a time zone use ${stored}, but this host is in ${host}: --timezone settles it`;
}
