/** What a person should know about this node, one line each: issues make it unhealthy, warnings do not. */
import { instantText } from '../model/time.ts';

export interface HealthSources {
  readonly disk: 'ok' | 'low' | 'full';
  readonly cursorsAhead: { readonly count: number; readonly resumesAt: number | null };
  /** The node's zone is not the one schedules were stored with. */
  readonly zoneDiffers: { readonly stored: string; readonly host: string } | null;
  readonly agentUp: boolean;
}

export function healthOf(sources: HealthSources): { issues: string[]; warnings: string[] } {
  const issues: string[] = [];
  const { disk, cursorsAhead, zoneDiffers, agentUp } = sources;
  if (disk === 'low') issues.push('the disk is short of room: nothing new is launched until there is space again');
  if (disk === 'full')
    issues.push('the disk is full: nothing is launched and writes are refused until there is space again');
  if (cursorsAhead.count > 0 && cursorsAhead.resumesAt !== null) {
    issues.push(
      `the clock is behind the schedule of ${cursorsAhead.count} jobs: they resume after ${instantText(cursorsAhead.resumesAt)}, ` +
        'or at once with POST /v1/jobs/JOB/cursor {"to":"now"}',
    );
  }
  if (!agentUp) issues.push('the runner that starts jobs is being restarted: runs wait');
  return { issues, warnings: zoneDiffers === null ? [] : [zoneWarning(zoneDiffers)] };
}

function zoneWarning({ stored, host }: NonNullable<HealthSources['zoneDiffers']>): string {
  return `schedules without a time zone use ${stored}, but this host is in ${host}: --timezone settles it`;
}
