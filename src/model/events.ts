/**
 * What services tell the rest of the node: one subscriber logs, one counts, later ones feed the UI. An event never holds commands,
 * environments, headers, bodies or output.
 */
import type { Outcome, Reason, Trigger } from './occurrence.ts';

export type BelfryEvent =
  | { kind: 'occurrence_committed'; count: number; commitMs: number }
  | { kind: 'occurrence_dropped'; job: string; group: number; outcome: Outcome; reason: Reason; count: number }
  | {
      kind: 'execution_started';
      job: string;
      group: number;
      attempt: number;
      executor: string;
      latenessMs: number;
      trigger: Trigger;
    }
  | {
      kind: 'execution_ended';
      job: string;
      group: number;
      attempt: number;
      executor: string;
      outcome: Outcome;
      reason: Reason;
      durationMs: number | null;
      final: boolean;
    }
  | { kind: 'results_committed'; count: number; commitMs: number }
  | {
      kind: 'job_changed';
      job: string;
      change: 'created' | 'updated' | 'deleted' | 'enabled' | 'disabled' | 'cursor_reset';
    }
  | { kind: 'clock_stepped'; byMs: number }
  | { kind: 'store_trouble'; what: string; outcome: string; delayMs: number }
  | { kind: 'disk'; state: 'ok' | 'low' | 'full' }
  | { kind: 'processor_problem'; job: string; problem: string }
  /** pids: of what runs and this data does not know (it began after a backup was made that has been restored since). */
  | { kind: 'recovered'; unfinished: number; running: number; restarted: number; unknownPids: readonly number[] }
  | { kind: 'orphan_result'; execution: number; outcome: Outcome; exitCode: number | null }
  | { kind: 'swept'; occurrences: number; logs: number };

export type Emit = (event: BelfryEvent) => void;
