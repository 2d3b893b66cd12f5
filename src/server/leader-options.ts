/** A node's configuration as the leader's options. */
import type { Config } from '../model/config.ts';
import type { LeaderOptions } from './leader.ts';

export function leaderOptions(config: Config, node: string, epoch: number, zone: string): LeaderOptions {
  return {
    node,
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
