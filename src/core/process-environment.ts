/**
 * The environment of a shell job (SEMANTICS §5): exactly the node's base values, the job's own `env`, and what Belfry tells it. Nothing
 * of the node's own environment leaks in unless `--job-env` names it.
 */
import type { StartRequest } from '../model/agent.ts';

/** In the base: whose data directory the job belongs to. */
export const DATA_VARIABLE = 'BELFRY_DATA_ID';

/** Names of the node's environment every job gets. */
export const BASE_NAMES = ['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG'] as const;

/** What a job gets for a base name the node itself lacks (started by init, or in a container). */
const BASE_DEFAULTS: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/',
  SHELL: '/bin/sh',
  LANG: 'C.UTF-8',
};

/** The node's part of every job's environment: the base names, then those `--job-env` adds. Names that are not set stay out. */
export function baseEnvironment(
  own: Readonly<Record<string, string | undefined>>,
  extraNames: readonly string[] = [],
): Record<string, string> {
  const base: Record<string, string> = {};
  for (const name of [...BASE_NAMES, ...extraNames]) {
    const value = own[name] ?? BASE_DEFAULTS[name];
    if (value !== undefined) base[name] = value;
  }
  return base;
}

/** The user a job runs as, when it is not the node's. */
export interface JobUser {
  readonly name: string;
  readonly home: string;
  readonly shell: string;
}

/**
 * The whole environment of one attempt. Later sources win: base, user, Dkron's ENV_JOB_NAME, the job's `env`, and last BELFRY_…,
 * because the kill sweep and the recovery recognise a process by its BELFRY_EXECUTION_ID and BELFRY_DATA_ID.
 */
export function processEnvironment(
  run: StartRequest,
  node: string,
  base: Readonly<Record<string, string>>,
  user: JobUser | null = null,
): Record<string, string> {
  return {
    ...base,
    ...(user === null ? {} : { HOME: user.home, USER: user.name, LOGNAME: user.name, SHELL: user.shell }),
    ENV_JOB_NAME: run.job,
    ...parseJobEnv(run.config['env'] ?? ''),
    BELFRY_JOB: run.job,
    BELFRY_SCHEDULED_AT: rfc3339(run.scheduledAt),
    BELFRY_GROUP: String(run.group),
    BELFRY_EXECUTION_ID: run.id,
    BELFRY_ATTEMPT: String(run.attempt),
    BELFRY_TRIGGER: run.trigger,
    BELFRY_NODE: node,
    // One node is one shard; a sharded job will set both through the request.
    BELFRY_SHARD: '0',
    BELFRY_SHARDS: '1',
    ...(base[DATA_VARIABLE] === undefined ? {} : { [DATA_VARIABLE]: base[DATA_VARIABLE] }),
  };
}

/**
 * Dkron's comma-separated `K=V`. A comma begins a new pair only before `NAME=`; any other comma belongs to the value, so values with
 * commas work (in Dkron they were impossible).
 */
export function parseJobEnv(text: string): Record<string, string> {
  const pairs: Record<string, string> = {};
  let name: string | null = null;
  for (const piece of text.split(',')) {
    const match = /^\s*([A-Za-z_][A-Za-z0-9_]*)=/.exec(piece);
    if (match !== null) {
      name = match[1] as string;
      pairs[name] = piece.slice(match[0].length);
    } else if (name !== null) {
      pairs[name] += `,${piece}`;
    }
  }
  return pairs;
}

let lastAt = Number.NaN;
let lastText = '';

/** `2026-11-22T17:00:00Z`; `.mmm` only when not zero. Runs of one tick share the instant, so the last answer is kept. */
function rfc3339(at: number): string {
  if (at !== lastAt) {
    lastText = formatInstant(at);
    lastAt = at;
  }
  return lastText;
}

function formatInstant(at: number): string {
  const instant = Temporal.Instant.fromEpochMilliseconds(at);
  return at % 1000 === 0 ? instant.toString() : instant.toString({ fractionalSecondDigits: 3 });
}
