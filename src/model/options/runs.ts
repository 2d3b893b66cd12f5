// How runs are started, limited and ended.
import { bool, duration, int, list, oneOf } from '../option.ts';

const since = '0.1.0';

export const RUNS_OPTIONS = {
  maxRuns: int({
    name: 'max-runs',
    group: 'Runs',
    since,
    default: 500,
    min: 1,
    max: 100_000,
    example: '100',
    description:
      'Runs at once on this node; the others wait in due order. One job takes at most half of the places while others wait.',
  }),
  maxWaiting: int({
    name: 'max-waiting',
    group: 'Runs',
    since,
    default: 20_000,
    min: 1,
    max: 10_000_000,
    example: '50000',
    description:
      'Runs that wait for a place, or whose result waits for a commit, about 1.5 KB of memory each. While there are so many, schedules wait too; what falls behind by more than its grace obeys its misfire policy.',
  }),
  startDeadlineMs: duration({
    name: 'start-deadline',
    group: 'Runs',
    since,
    default: null,
    min: '1s',
    max: '366d',
    example: '1h',
    description: 'A run that has waited this long for a place is missed (jobs: start_deadline).',
  }),
  killGraceMs: duration({
    name: 'kill-grace',
    group: 'Runs',
    since,
    default: '10s',
    min: '0s',
    max: '1h',
    example: '30s',
    description: 'Between SIGTERM and SIGKILL when a run is stopped or has timed out.',
  }),
  relaunchMax: int({
    name: 'relaunch-max',
    group: 'Runs',
    since,
    default: 3,
    min: 0,
    max: 100,
    example: '1',
    description: 'Runs of an at-least-once job that were lost are started again at most so often.',
  }),
  jobEnv: list({
    name: 'job-env',
    group: 'Runs',
    since,
    example: 'HTTP_PROXY,NO_PROXY',
    check: jobEnvProblem,
    description: "Variables of this node's environment that shell jobs get; else they get a clean one.",
  }),
  spawn: oneOf({
    name: 'spawn',
    group: 'Runs',
    since,
    default: 'auto',
    values: ['auto', 'ffi', 'child_process'],
    example: 'child_process',
    description: 'How processes are started: auto takes posix_spawn through node:ffi where its self-test passes.',
  }),
  cgroups: oneOf({
    name: 'cgroups',
    group: 'Runs',
    since,
    default: 'auto',
    values: ['auto', 'on', 'off'],
    example: 'off',
    description:
      'Keep each run in a cgroup of its own: auto does where cgroup v2 is writable, on refuses to start where it is not.',
  }),
  drain: bool({
    name: 'drain',
    group: 'Shutdown',
    since,
    default: false,
    example: 'true',
    description:
      'On SIGTERM or SIGINT wait for running jobs, then stop them. For containers, where jobs cannot outlive the node. A second signal ends the wait.',
  }),
  drainTimeoutMs: duration({
    name: 'drain-timeout',
    group: 'Shutdown',
    since,
    default: '10m',
    min: '0s',
    max: '7d',
    example: '1h',
    description: 'How long --drain waits before it stops what still runs.',
  }),
} as const;

function jobEnvProblem(name: string): string | undefined {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name)) return 'must be names of environment variables';
  return name.startsWith('BELFRY_') ? 'must not name BELFRY_ variables: jobs get their own' : undefined;
}
