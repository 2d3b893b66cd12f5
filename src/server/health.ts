/** What a person should know about this node, one line each; healthy when there is nothing. */
import { instantText } from '../model/time.ts';

export interface HealthSources {
  readonly disk: 'ok' | 'low' | 'full';
  readonly cursorsAhead: { readonly count: number; readonly resumesAt: number | null };
  /** The node's zone is not the one schedules were stored with. */
  readonly zoneDiffers: { readonly stored: string; readonly host: string } | null;
  /** Jobs with a schedule that this version cannot read. */
  readonly agentUp: boolean;
}

export function healthIssues(sources: HealthSources): string[] {
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
  if (zoneDiffers !== null) {
    issues.push(`schedules without a time zone use ${zoneDiffers.stored}, but this host is in ${zoneDiffers.host}`);
  }
  if (!agentUp) issues.push('the runner that starts jobs is being restarted: runs wait');
  return issues;
}
