/**
 * The executor port: executors that run inside the runner process (http now; grpc, kafka … later). Shell is not one of them: the
 * runner starts processes itself (agent/runner), because a child belongs to the process that can reap it.
 */
import type { StopSignal } from '../lib/stop.ts';
import type { StartRequest } from '../model/agent.ts';
import type { Reason } from '../model/occurrence.ts';

/** Where an executor's output goes; returns false when the caller should wait for `drained` (back-pressure). */
export interface OutputSink {
  write(chunk: Uint8Array): void;
  /** Resolves when what was written is on its way to disk; await it between large chunks. */
  drained(): Promise<void>;
}

export interface ExecutorContext {
  readonly output: OutputSink;
  /** Asked on timeout, stop or shutdown: end soon; the runner records why. */
  readonly stop: StopSignal;
  readonly node: string;
}

/** How an attempt ended by the executor's own rule. */
export interface ExecutorResult {
  readonly success: boolean;
  readonly reason: Extract<Reason, '' | 'start' | 'timeout' | 'expectation' | 'resources' | 'exit'>;
  /** Dkron's error text, first in the output; null on success. */
  readonly message: string | null;
  readonly exitCode: number | null;
  readonly retryAfterMs?: number;
}

export interface Executor {
  readonly name: string;
  /** Never rejects for what the job or its target did wrong; rejecting is a bug of the executor. */
  execute(run: StartRequest, context: ExecutorContext): Promise<ExecutorResult>;
  /** Optional: get the first run's cost out of the way (open nothing, resolve imports). */
  warm?(): Promise<void>;
}
