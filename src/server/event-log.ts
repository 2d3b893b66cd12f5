/** One line per transition at info at most; what a person must act on is a warning. Never commands, environments or output. */
import type { BelfryEvent } from '../model/events.ts';

/** The part of a log this needs. */
export interface EventLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

const PIDS_SHOWN = 20;

export function logEvent(log: EventLog, event: BelfryEvent): void {
  const { kind, ...fields } = event;
  switch (event.kind) {
    case 'execution_started':
      return log.debug(fields, 'execution started');
    case 'execution_ended':
      return event.outcome === 'succeeded'
        ? log.debug(fields, 'execution ended')
        : log.info(fields, `execution ${event.outcome}`);
    case 'occurrence_dropped':
      return log.info(fields, `occurrence ${event.outcome}: ${event.reason}`);
    case 'job_changed':
      return log.info({ job: event.job }, `job ${event.change.replace('_', ' ')}`);
    case 'clock_stepped':
      return log.warn(fields, `the clock was stepped by ${event.byMs} ms`);
    case 'store_trouble':
      return log.warn(fields, 'the store did not answer; trying again');
    case 'disk':
      return event.state === 'ok'
        ? log.info(fields, 'the disk has room again; launching resumes')
        : log.warn(fields, 'the disk is short of room; launching stops');
    case 'processor_problem':
      return log.warn(fields, 'a processor failed');
    case 'orphan_result':
      return log.warn(
        fields,
        'an execution that is in no history has ended; it began after the restored backup was made',
      );
    case 'recovered':
      if (event.unknownPids.length > 0)
        log.warn(
          { pids: event.unknownPids.slice(0, PIDS_SHOWN) },
          `${event.unknownPids.length} executions run that are in no history: they began after the restored backup was made; kill -- -PID ends one`,
        );
      return event.unfinished === 0
        ? log.debug(fields, 'nothing unfinished to take over')
        : log.info(fields, `took over ${event.unfinished} unfinished runs`);
    case 'occurrence_committed':
    case 'results_committed':
    case 'swept':
      return log.debug(fields, kind.replace('_', ' '));
  }
}
