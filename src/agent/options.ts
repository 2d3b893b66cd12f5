/** What can be set about the agent, with its defaults. */
import { userInfo } from 'node:os';
import { baseEnvironment } from '../core/process-environment.ts';
import { PROTOCOL, type RunnerOptions } from './protocol.ts';

export interface AgentOptions {
  readonly dataDir: string;
  readonly node: string;
  /** Log bytes kept per execution; older ones are released. */
  readonly outputBytesMax?: number;
  readonly tailBytes?: number;
  readonly journalReserveBytes?: number;
  /** How long a runner without node and without runs stays. */
  readonly runnerIdleMs?: number;
  readonly spawn?: RunnerOptions['spawn'];
  readonly cgroups?: RunnerOptions['cgroups'];
  /** What every job gets; default: `baseEnvironment` of the node's own, with `jobEnvironmentNames`. */
  readonly baseEnvironment?: Readonly<Record<string, string>>;
  readonly jobEnvironmentNames?: readonly string[];
  readonly protocol?: number;
}

export const AGENT_DEFAULTS = {
  outputBytesMax: 64 * 1024 * 1024,
  tailBytes: 16 * 1024,
  journalReserveBytes: 8 * 1024 * 1024,
  runnerIdleMs: 10_000,
  spawn: 'auto',
  cgroups: 'auto',
} as const;

/** What a runner is told of it. */
export function runnerOptions(options: AgentOptions): RunnerOptions {
  return {
    node: options.node,
    baseEnvironment:
      options.baseEnvironment ?? baseEnvironment({ ...ownUser(), ...process.env }, options.jobEnvironmentNames),
    outputBytesMax: options.outputBytesMax ?? AGENT_DEFAULTS.outputBytesMax,
    tailBytes: options.tailBytes ?? AGENT_DEFAULTS.tailBytes,
    journalReserveBytes: options.journalReserveBytes ?? AGENT_DEFAULTS.journalReserveBytes,
    idleMs: options.runnerIdleMs ?? AGENT_DEFAULTS.runnerIdleMs,
    spawn: options.spawn ?? AGENT_DEFAULTS.spawn,
    cgroups: options.cgroups ?? AGENT_DEFAULTS.cgroups,
    protocol: options.protocol ?? PROTOCOL,
  };
}

/** Who the node runs as, for a node started without USER and LOGNAME (by init, in a container). */
function ownUser(): Record<string, string> {
  try {
    const { username, homedir, shell } = userInfo();
    return { USER: username, LOGNAME: username, HOME: homedir, SHELL: shell ?? '/bin/sh' };
  } catch {
    return {}; // a user id without an entry in the user database
  }
}
