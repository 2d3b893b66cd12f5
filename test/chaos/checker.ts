/**
 * Judges a chaos run. It knows what was defined, what the jobs themselves and the http server said, what the harness did to the tree, and
 * what the API tells of the history; from the product it uses nothing.
 */
import { checkExecutions } from './check-executions.ts';
import { checkSchedules } from './check-schedules.ts';
import { ClockMap } from './clock-map.ts';
import { Facts } from './facts.ts';
import type { Finding, FindingKind, Observed, Verdict } from './types.ts';

export function check(observed: Observed): Verdict {
  const report = new Report();
  const facts = new Facts(observed, new ClockMap(observed.log.clock));
  const schedules = checkSchedules(facts, report);
  const executions = checkExecutions(facts, report);
  checkAcknowledged(facts, report);
  checkShown(facts, report);
  for (const run of observed.unfinishedAfterFaults) {
    report.add(
      'unfinished',
      run.job,
      `group ${run.group} (${run.trigger}, due ${new Date(run.dueAt).toISOString()}) is ${run.phase} a minute after the last fault`,
    );
  }
  for (const run of observed.history)
    if (run.phase !== 'final') report.add('unfinished', run.job, `group ${run.group} is ${run.phase} at the end`);
  return {
    findings: report.findings,
    counts: {
      occurrences: observed.history.reduce((sum, run) => sum + run.count, 0),
      executions: observed.history.reduce((sum, run) => sum + run.executions.length, 0),
      starts: [...observed.evidence.values()].reduce((sum, one) => sum + one.starts.length, 0),
      ...schedules,
      ...executions,
    },
  };
}

/** Collects findings; many of one kind and job are one fault of the product and need no more lines than a few. */
export class Report {
  readonly findings: Finding[] = [];

  add(kind: FindingKind, job: string, text: string): void {
    this.findings.push({ kind, job, text });
  }
}

/** Counted once each, and shown as they are: a result that was delivered twice must not show. */
function checkShown({ observed, runsByJob, executions }: Facts, report: Report): void {
  for (const [name, job] of observed.shown) {
    const finished = (runsByJob.get(name) ?? [])
      .flatMap((run) => run.executions)
      .filter((one) => one.state === 'finished');
    const succeeded = finished.filter((one) => one.outcome === 'succeeded').length;
    const counted = [job.successCount, job.errorCount];
    const real = [succeeded, finished.length - succeeded];
    if (counted[0] !== real[0] || counted[1] !== real[1]) {
      report.add(
        'wrong',
        name,
        `counts ${counted.join(' successes and ')} errors, on record are ${real.join(' and ')}`,
      );
    }
    for (const { id, group, attempt, success } of job.executions) {
      const one = executions.get(id);
      const same = one?.run.group === group && one.execution.attempt === attempt;
      if (!same || (one.execution.outcome === 'succeeded') !== success) {
        report.add(
          'wrong',
          name,
          `${id} is listed with group ${group}, attempt ${attempt}, success ${success}; on record ${one?.execution.outcome}`,
        );
      }
    }
  }
}

function checkAcknowledged({ observed, runsByGroup }: Facts, report: Report): void {
  for (const [group, job] of observed.acknowledged.runs) {
    const run = runsByGroup.get(group);
    if (run === undefined || run.job !== job)
      report.add('unacknowledged', job, `the run ${group} was acknowledged and is not on record`);
  }
  for (const [name, counter] of observed.acknowledged.jobs) {
    const stored = observed.storedJobs.get(name);
    if (stored === undefined) report.add('unacknowledged', name, 'the job was acknowledged and does not exist');
    else if (stored < counter)
      report.add('unacknowledged', name, `write ${counter} was acknowledged, write ${stored} is stored`);
  }
}
