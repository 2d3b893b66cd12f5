/**
 * What the leader and an agent say to each other about executions. The same shapes go between the node process and its
 * runner (agent/protocol.ts) and, with a cluster, over the wire. Instants of executions are epoch microseconds
 * (`…Us`), because Dkron's execution times carry sub-millisecond digits; schedules use milliseconds.
 */
import type { Outcome, Reason, StoppedReason, Trigger } from './occurrence.ts';

/** One attempt to start. `key` (epoch µs, unique in the cluster) is its identity; `id` is Dkron's `<ns>-<node>`. */
export interface StartRequest {
  readonly key: number;
  readonly id: string;
  readonly group: number;
  readonly attempt: number;
  readonly job: string;
  readonly jobId: number;
  readonly trigger: Trigger;
  /** Nominal instant, epoch ms: BELFRY_SCHEDULED_AT. */
  readonly scheduledAt: number;
  readonly executor: string;
  readonly config: Readonly<Record<string, string>>;
  /** Wall limit of the execution from its start; null: none. */
  readonly timeoutMs: number | null;
  /** Between SIGTERM and SIGKILL. */
  readonly killGraceMs: number;
}

/** Asks for an end: SIGTERM to the tree, grace, SIGKILL, verified gone. `reason` becomes the execution's. */
export interface StopRequest {
  readonly key: number;
  readonly reason: StoppedReason;
  /** Overrides the run's killGraceMs; 0 kills at once. */
  readonly graceMs?: number;
}

/** An execution has begun. `pid` only for processes. */
export interface ExecutionStarted {
  readonly key: number;
  readonly startedAtUs: number;
  readonly pid: number | null;
}

/** An execution has ended; delivered until acknowledged. */
export interface ExecutionEnded {
  readonly key: number;
  /** null: it never started. */
  readonly startedAtUs: number | null;
  readonly finishedAtUs: number;
  readonly outcome: Extract<Outcome, 'succeeded' | 'failed' | 'lost' | 'cancelled'>;
  readonly reason: Reason;
  readonly exitCode: number | null;
  /** e.g. "SIGKILL". */
  readonly signal: string | null;
  /** The error text a person reads first ("exit status 3", "timed out after 10s"); null on success. */
  readonly message: string | null;
  /** Last bytes of the output (default 16 KiB), decoded as UTF-8 with U+FFFD for what is not. */
  readonly tail: string;
  /** Exact number of bytes the job wrote, and how many of them are still on disk. */
  readonly outputBytes: number;
  readonly logBytes: number;
  /** http: the server asked not to be called again for so long (Retry-After). */
  readonly retryAfterMs?: number;
}

/** An execution the agent will not run. unknown_executor and invalid are final; stale_epoch means a newer leader exists. */
export interface ExecutionRefused {
  readonly key: number;
  readonly why: 'stale_epoch' | 'draining' | 'disk_full';
}

/** What an agent knows of an execution, as it says on (re)connection. */
export type KnownExecution =
  | { readonly key: number; readonly state: 'accepted' }
  | { readonly key: number; readonly state: 'started'; readonly started: ExecutionStarted }
  | { readonly key: number; readonly state: 'ended'; readonly ended: ExecutionEnded };

/** What the leader's services want to hear from an agent. Calls are synchronous and must not throw. */
export interface AgentEvents {
  started(runs: readonly ExecutionStarted[]): void;
  ended(runs: readonly ExecutionEnded[]): void;
  refused(runs: readonly ExecutionRefused[]): void;
}

/** The leader's end of one agent, whether in this process or behind a stream (rpc/sessions). */
export interface AgentSession {
  readonly node: string;
  /** Bytes or runs already handed over but not yet accepted are many: wait for `drained` before sending more. */
  start(epoch: number, runs: readonly StartRequest[]): void;
  stop(runs: readonly StopRequest[]): void;
  /** The results of these keys are committed: the agent may forget them. */
  acknowledge(keys: readonly number[]): void;
  /** Everything the agent knows, from its live runners and from the marks on disk. Called once before the first start. */
  known(): Promise<readonly KnownExecution[]>;
  subscribe(events: AgentEvents): void;
  /** Jobs with these executors exist: what their first run would have to load may be loaded now. */
  warm?(executors: readonly string[]): void;
}
