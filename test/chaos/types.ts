/** What the parts of the chaos suite tell each other. Instants without a unit in the name are real epoch ms; `node` ones are by the node's clock. */

/** A schedule in a form simple enough to be enumerated without the product's code. */
export type SimpleSchedule =
  | { readonly kind: 'every'; readonly startsAt: number; readonly intervalMs: number }
  | { readonly kind: 'seconds'; readonly step: number }
  | { readonly kind: 'none' };

export type Concurrency = 'allow' | 'forbid' | 'queue' | 'replace';

/** A job as the checker knows it: what was posted, in numbers. */
export interface ChaosJob {
  readonly name: string;
  readonly family: string;
  readonly executor: 'shell' | 'http';
  readonly schedule: SimpleSchedule;
  readonly concurrency: Concurrency;
  readonly parent: string | null;
  readonly retries: number;
  readonly atLeastOnce: boolean;
  readonly timeoutMs: number | null;
  readonly killGraceMs: number;
  /** The job is a child of a shell. */
  readonly throughShell: boolean;
  readonly jitterMs: number;
  readonly misfire: { readonly graceMs: number; readonly policy: 'skip' | 'last' | 'all'; readonly max: number };
  /** The body of the POST. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** When the job was created: between these two moments by the node's clock its cursor was set. */
export interface CreatedJob {
  readonly job: ChaosJob;
  readonly askedAtNode: number;
  readonly answeredAtNode: number;
}

/** One attempt by its own word (shell) or by the word of the server it called (http). */
export interface Evidence {
  readonly id: string;
  readonly starts: {
    readonly at: number;
    readonly attempt: number;
    readonly group: number;
    readonly scheduledAt: string;
    readonly job: string;
    readonly pid: number;
    readonly parentPid: number;
  }[];
  /** The lock was held when it began, or another request of the job was being served. */
  readonly overlaps: number[];
  readonly termAt: number | null;
  end: { readonly at: number; readonly code: number; readonly bytes: number; readonly hash: string } | null;
  /** http: the connection went before the answer was whole. */
  cutAt: number | null;
}

export interface HistoryExecution {
  readonly id: string;
  readonly attempt: number;
  readonly state: 'waiting' | 'running' | 'finished';
  /** Epoch ms with microseconds, by the node's clock. */
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly outcome: string | null;
  readonly reason: string;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly outputBytes: number;
  /** How many of them are kept in the log, by the record. */
  readonly logBytes: number;
}

export interface HistoryRun {
  readonly group: number;
  readonly job: string;
  readonly trigger: string;
  readonly scheduledAt: number;
  readonly dueAt: number;
  readonly parentGroup: number | null;
  readonly phase: string;
  readonly outcome: string | null;
  readonly reason: string;
  readonly finishedAt: number | null;
  readonly lastScheduledAt: number | null;
  readonly count: number;
  readonly executions: readonly HistoryExecution[];
}

export const FAULT_KINDS = [
  'kill-node', 'kill-runner', 'kill-all', 'power-cut', 'stop-node', 'stop-runner', 'disk-full', 'clock-forward', 'clock-back', 'kill-job', 'term-node',
] as const; // prettier-ignore
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  readonly kind: FaultKind;
  readonly at: number;
  readonly detail: string;
}

/** A stretch of real time. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** The node's clock is real time + offsetMs from `from` on. */
export interface ClockSegment {
  readonly from: number;
  readonly offsetMs: number;
}

/** What the harness did to the tree and saw of it. */
export interface FaultLog {
  readonly faults: readonly Fault[];
  /** When node processes ended, killed or not. */
  readonly nodeDeaths: readonly number[];
  /** pid of the runner, and when it was killed. */
  readonly runnerDeaths: readonly { readonly pid: number; readonly at: number }[];
  readonly jobKills: readonly { readonly id: string; readonly at: number }[];
  /** No node answered. */
  readonly nodeDown: readonly Stretch[];
  /** No living runner that takes runs was seen. */
  readonly runnerDown: readonly Stretch[];
  readonly nodeStopped: readonly Stretch[];
  readonly runnerStopped: readonly Stretch[];
  readonly diskFull: readonly Stretch[];
  readonly clock: readonly ClockSegment[];
}

/** What was acknowledged to the harness as a client, and must be on record. */
export interface Acknowledged {
  /** Manual runs: group → job. */
  readonly runs: ReadonlyMap<number, string>;
  /** Jobs created, with the last acknowledged counter in their metadata. */
  readonly jobs: ReadonlyMap<string, number>;
}

export interface LogCheck {
  readonly id: string;
  readonly bytes: number;
  readonly hash: string;
}

/** A job and its newest executions as Dkron's clients see them. */
export interface ShownJob {
  readonly successCount: number;
  readonly errorCount: number;
  readonly executions: readonly {
    readonly id: string;
    readonly group: number;
    readonly attempt: number;
    readonly success: boolean;
  }[];
}

/** Everything the checker knows. */
export interface Observed {
  readonly jobs: readonly CreatedJob[];
  readonly evidence: ReadonlyMap<string, Evidence>;
  readonly history: readonly HistoryRun[];
  readonly log: FaultLog;
  /** As GET /v1/jobs/:job and its executions tell; read when everything was final. */
  readonly shown: ReadonlyMap<string, ShownJob>;
  readonly acknowledged: Acknowledged;
  /** Counter found in the metadata of the acknowledged jobs at the end; absent: no such job. */
  readonly storedJobs: ReadonlyMap<string, number>;
  /** Full logs as the API gave them, by execution. */
  readonly logs: ReadonlyMap<string, LogCheck>;
  /** Occurrences due up to here (by the node's clock) are judged. */
  readonly judgedToNode: number;
  /** The jobs were disabled at this moment (real). */
  readonly disabledAt: number;
  /** The stretch after the last fault in which every launch must be on time; null: none was observed. */
  readonly calm: Stretch | null;
  /** Occurrences without an outcome 60 s after the last fault that were due before it. */
  readonly unfinishedAfterFaults: readonly HistoryRun[];
}

export const FINDING_KINDS = [
  'unrecorded',
  'doubled',
  'wrong',
  'overlap',
  'lost',
  'missed',
  'unacknowledged',
  'unfinished',
  'late',
] as const;
export type FindingKind = (typeof FINDING_KINDS)[number];

export interface Finding {
  readonly kind: FindingKind;
  readonly job: string;
  readonly text: string;
}

export interface Verdict {
  readonly findings: readonly Finding[];
  readonly counts: {
    readonly occurrences: number;
    readonly executions: number;
    readonly starts: number;
    readonly lost: number;
    /** Executions for which the crash table and the fault log allow `lost`. */
    readonly lostPossible: number;
    readonly logsCompared: number;
    readonly dueInstants: number;
    readonly dropped: number;
    readonly calmLaunches: number;
    readonly calmLatenessMaxMs: number;
  };
}
