/** A node's configuration as the leader's options. */
import type { TargetNode } from '../core/target.ts';
import type { Config } from '../model/config.ts';
import type { LeaderOptions } from './leader.ts';

export function leaderOptions(
  config: Config,
  node: TargetNode,
  { epoch, zone }: { epoch: number; zone: string },
): LeaderOptions {
  return {
    node: node.name,
    tags: node.tags,
    epoch,
    maxRuns: config.maxRuns,
    maxWaiting: config.maxWaiting,
    catchUpRate: config.catchUpRate,
    definitions: {
      zone,
      misfire: {
        graceMs: config.misfireGraceMs,
        policy: config.misfirePolicy,
        windowMs: config.misfireWindowMs,
        max: config.misfireMax,
      },
      startDeadlineMs: config.startDeadlineMs,
      relaunchMax: config.relaunchMax,
    },
    retention: {
      runs: config.retentionRuns,
      ageMs: config.retentionAgeMs,
      keep: config.retentionKeep,
      logBytesPerJob: config.logBytesPerJob,
      logBytesTotal: config.logBytesTotal,
      logAgeMs: config.logAgeMs,
      logRuns: config.logRuns,
    },
  };
}
