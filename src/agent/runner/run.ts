/** One execution inside the runner, and how its end is put into words. */
import { constants } from 'node:os';
import type { Stop } from '../../lib/stop.ts';
import type { ExecutionEnded, KnownExecution, StartRequest } from '../../model/agent.ts';
import { formatDuration } from '../../model/duration.ts';
import type { EndingReason } from '../spool.ts';
import type { LogSummary } from './run-log.ts';
import type { RunOutput } from './run-output.ts';

/** queued → starting → running → ended; a stop may lead from queued to ended directly. */
export type RunState = 'queued' | 'starting' | 'running' | 'ended';

export interface Run {
  readonly request: StartRequest;
  state: RunState;
  startedAtUs: number | null;
  output: RunOutput | null;
  /** The main process; null: none yet, in-process, or adopted without knowing it. */
  pid: number | null;
  /** Of the main process, or of the moment of starting; nothing of this run's tree is older. */
  startTicks: number;
  successCodes: readonly number[];
  /** Monotonic ms. */
  deadline: number | null;
  timeoutMs: number | null;
  memLimitBytes: number | null;
  /** Taken over from a dead runner: its exit is no signal of ours. asked: the node will tell the status; blind: nobody can. */
  adopted: 'no' | 'asked' | 'blind';
  exitStatus: number | null;
  /** Main process dead (or the in-process promise settled). */
  exited: boolean;
  ending: Ending | null;
  /** In-process runs only. */
  stop: Stop | null;
  cgroup: string | null;
  ended: ExecutionEnded | null;
  /** Numbers of the spare files its output began in, 0 for none: of stdout, of stderr. */
  spare: readonly [number, number];
  /** When its output is looked at next (monotonic ms), and how long after that: silent jobs are looked at less often. */
  lookAt: number;
  lookStepMs: number;
}

export interface Ending {
  readonly reason: EndingReason;
  readonly message: string;
  /** Monotonic ms of the SIGKILL. */
  killAt: number;
}

export function newRun(request: StartRequest): Run {
  return {
    request,
    state: 'queued',
    startedAtUs: null,
    output: null,
    pid: null,
    startTicks: 0,
    successCodes: [0],
    deadline: null,
    timeoutMs: null,
    memLimitBytes: null,
    adopted: 'no',
    exitStatus: null,
    exited: false,
    ending: null,
    stop: null,
    cgroup: null,
    ended: null,
    spare: [0, 0],
    lookAt: 0,
    lookStepMs: 0,
  };
}

export function knownState(run: Run): KnownExecution {
  const { key } = run.request;
  if (run.ended !== null) return { key, state: 'ended', ended: run.ended };
  if (run.startedAtUs === null) return { key, state: 'accepted' };
  return { key, state: 'started', started: { key, startedAtUs: run.startedAtUs, pid: run.pid } };
}

/** The outcome part of an end. */
export type Verdict = Pick<ExecutionEnded, 'outcome' | 'reason' | 'message' | 'exitCode' | 'signal'> & {
  readonly retryAfterMs?: number;
};

export const NO_OUTPUT: LogSummary = { outputBytes: 0, logBytes: 0, tail: '' };

export function endOf(run: Run, verdict: Verdict, output: LogSummary, finishedAtUs: number): ExecutionEnded {
  const { startedAtUs } = run;
  return {
    key: run.request.key,
    startedAtUs,
    // A clock that was stepped back must not give an end before its start.
    finishedAtUs: Math.max(finishedAtUs, startedAtUs ?? 0),
    ...verdict,
    ...output,
  };
}

/** How a main process's wait status counts, unless its end was ordered. */
export function verdictOfExit(status: number, successCodes: readonly number[]): Verdict {
  const signalNumber = status & 0x7f;
  if (signalNumber !== 0) {
    const signal = signalName(signalNumber);
    const core = (status & 0x80) === 0 ? '' : ' (core dumped)';
    return {
      outcome: 'failed',
      reason: 'signal',
      exitCode: null,
      signal,
      message: `signal: ${SIGNAL_WORDS[signal] ?? signal}${core}`,
    };
  }
  const exitCode = (status >> 8) & 0xff;
  if (successCodes.includes(exitCode))
    return { outcome: 'succeeded', reason: '', exitCode, signal: null, message: null };
  return { outcome: 'failed', reason: 'exit', exitCode, signal: null, message: `exit status ${exitCode}` };
}

/** An ordered end: the order's reason, with what the process did of its own accord kept beside it. */
export function verdictOfEnding(ending: Pick<Ending, 'reason' | 'message'>, status: number | null): Verdict {
  const outcome = ending.reason === 'timeout' || ending.reason === 'memory' ? 'failed' : 'cancelled';
  const number = status === null ? 0 : status & 0x7f;
  return {
    outcome,
    reason: ending.reason,
    message: ending.message,
    exitCode: status === null || number !== 0 ? null : (status >> 8) & 0xff,
    signal: number === 0 ? null : signalName(number),
  };
}

export function failure(reason: 'start' | 'resources', message: string): Verdict {
  return { outcome: 'failed', reason, message, exitCode: null, signal: null };
}

const LOST_WORDS = {
  start_unknown: 'the runner died between accepting and starting it: whether it ran is unknown',
  supervisor_gone: 'it ended while nothing was left to see its exit',
  request_in_flight: 'the runner died while the request was in flight',
} as const;

export function lost(reason: keyof typeof LOST_WORDS): Verdict {
  return { outcome: 'lost', reason, message: LOST_WORDS[reason], exitCode: null, signal: null };
}

export function timeoutMessage(timeoutMs: number): string {
  return `timed out after ${formatDuration(timeoutMs)}`;
}

const SIGNAL_NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

function signalName(number: number): string {
  return SIGNAL_NAMES.get(number) ?? `SIG${number}`;
}

/** Go's words, which Dkron's users know from their outputs. */
const SIGNAL_WORDS: Readonly<Record<string, string>> = {
  SIGHUP: 'hangup',
  SIGINT: 'interrupt',
  SIGQUIT: 'quit',
  SIGILL: 'illegal instruction',
  SIGTRAP: 'trace/breakpoint trap',
  SIGABRT: 'aborted',
  SIGBUS: 'bus error',
  SIGFPE: 'floating point exception',
  SIGKILL: 'killed',
  SIGUSR1: 'user defined signal 1',
  SIGSEGV: 'segmentation fault',
  SIGUSR2: 'user defined signal 2',
  SIGPIPE: 'broken pipe',
  SIGALRM: 'alarm clock',
  SIGTERM: 'terminated',
};
