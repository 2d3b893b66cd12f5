/** Is every due instant on record, once, and is nothing else? */
import { NOTICE_MS } from './clock-map.ts';
import type { Report } from './checker.ts';
import type { Facts } from './facts.ts';
import { dueInstants } from './instants.ts';
import { firstOutside } from './stretches.ts';
import type { ChaosJob, CreatedJob, HistoryRun, Stretch } from './types.ts';

export interface ScheduleCounts {
  readonly dueInstants: number;
  readonly dropped: number;
  readonly calmLaunches: number;
  readonly calmLatenessMaxMs: number;
}

/** A launch is on time up to here once everything is well again. */
const LATE_MS = 1_000;
/** Longer than any step back takes to be made up for. */
const STEP_BACK_MS = 60_000;
/** Between the look at the clock and the commit that says so. */
const PLAN_MS = 3_000;

export function checkSchedules(facts: Facts, report: Report): ScheduleCounts {
  const counts = { dueInstants: 0, dropped: 0, calmLaunches: 0, calmLatenessMaxMs: 0 };
  for (const created of facts.observed.jobs) {
    const runs = facts.runsByJob.get(created.job.name) ?? [];
    counts.dueInstants += checkJob(facts, created, runs, report);
    for (const run of runs) {
      if (run.outcome === 'missed' || run.outcome === 'skipped') counts.dropped += run.count;
      if (run.outcome === 'missed') checkMissed(facts, created.job, run, report);
      if (run.outcome === 'skipped') checkSkipped(facts, run, runs, report);
    }
    checkCalm(facts, created.job, runs, counts, report);
  }
  checkDependents(facts, report);
  return counts;
}

function checkJob(
  { observed }: Facts,
  { job, askedAtNode, answeredAtNode }: CreatedJob,
  runs: readonly HistoryRun[],
  report: Report,
): number {
  const scheduled = runs.filter((run) => run.trigger === 'schedule');
  const last = scheduled.reduce(
    (latest, run) => Math.max(latest, run.lastScheduledAt ?? run.scheduledAt),
    observed.judgedToNode,
  );
  const due = dueInstants(job.schedule, askedAtNode - 1_000, last);
  const covered = new Map<number, number>(due.map((at) => [at, 0]));
  for (const run of scheduled) cover(job, run, due, covered, report);
  let judged = 0;
  for (const [at, times] of covered) {
    const words = `due ${new Date(at).toISOString()}`;
    if (times > 1) report.add('doubled', job.name, `${words} is on record ${times} times`);
    if (at <= answeredAtNode || at > observed.judgedToNode) continue;
    judged += 1;
    if (times === 0) report.add('unrecorded', job.name, `${words} has no row and lies in no range row`);
  }
  return judged;
}

function cover(
  job: ChaosJob,
  run: HistoryRun,
  due: readonly number[],
  covered: Map<number, number>,
  report: Report,
): void {
  const words = `group ${run.group}, ${new Date(run.scheduledAt).toISOString()}`;
  if (!covered.has(run.scheduledAt)) return report.add('wrong', job.name, `${words}: the job was not due then`);
  const last = run.lastScheduledAt ?? run.scheduledAt;
  let count = 0;
  for (let i = firstAtOrAfter(due, run.scheduledAt); i < due.length && (due[i] as number) <= last; i++) {
    covered.set(due[i] as number, (covered.get(due[i] as number) ?? 0) + 1);
    count += 1;
  }
  if (count !== run.count)
    report.add(
      'wrong',
      job.name,
      `${words}: a row of ${run.count} up to ${new Date(last).toISOString()}, where ${count} were due`,
    );
}

function firstAtOrAfter(sorted: readonly number[], at: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Dropped for lateness: only what the faults can have made so late. */
function checkMissed({ clock, outages }: Facts, job: ChaosJob, run: HistoryRun, report: Report): void {
  const words = `group ${run.group}: ${run.count} up to ${new Date(run.lastScheduledAt ?? run.scheduledAt).toISOString()} missed: ${run.reason}`;
  if (!['superseded', 'policy', 'window', 'max'].includes(run.reason))
    return report.add('missed', job.name, `${words}, which nothing here can cause`);
  const newest = run.lastScheduledAt ?? run.scheduledAt;
  // With jitter nobody looks before it is over, and until then the clock may have been stepped back and on again.
  const reached = clock.firstReached(newest + job.jitterMs);
  const planned = plannedBy(outages, reached);
  if (clock.latest(reached, planned) - newest > job.misfire.graceMs) return;
  report.add('missed', job.name, `${words}, but no fault made it later than its grace of ${job.misfire.graceMs} ms`);
}

/** When somebody must have looked: so long after the outages that no new one came in between. */
function plannedBy(outages: readonly Stretch[], reached: number): number {
  let able = firstOutside(outages, reached);
  for (const { from, to } of outages) if (from > able && from <= able + PLAN_MS) able = to;
  return able + PLAN_MS;
}

/** Skipped for another run of the job: there must have been one. By the node's own times, so not across a step back. */
function checkSkipped({ clock }: Facts, run: HistoryRun, runs: readonly HistoryRun[], report: Report): void {
  const decidedAt = run.finishedAt ?? 0;
  const inTheWay = (other: HistoryRun) =>
    other.group < run.group &&
    other.executions.length > 0 &&
    (other.finishedAt ?? Number.POSITIVE_INFINITY) >= decidedAt;
  if (runs.some(inTheWay)) return;
  const reached = clock.firstReached(decidedAt);
  if (clock.steppedBack(reached - STEP_BACK_MS, reached + STEP_BACK_MS)) return;
  report.add('wrong', run.job, `group ${run.group} is skipped: ${run.reason}, and no other run of the job was open`);
}

function checkCalm(
  { observed, clock }: Facts,
  job: ChaosJob,
  runs: readonly HistoryRun[],
  counts: { calmLaunches: number; calmLatenessMaxMs: number },
  report: Report,
): void {
  const { calm } = observed;
  if (calm === null || job.concurrency !== 'allow' || job.schedule.kind === 'none') return;
  const offset = clock.offsetAt(calm.from);
  for (const run of runs) {
    const dueAt = run.dueAt - offset;
    if (run.trigger !== 'schedule' || dueAt < calm.from || dueAt > calm.to) continue;
    // Launched when the node's clock was there for the first time, before it was stepped back or the tree had noticed that.
    if (Math.min(clock.firstReached(run.dueAt), clock.reachedUnnoticed(run.dueAt, NOTICE_MS)) < calm.from) continue;
    const words = `group ${run.group}, due ${new Date(run.dueAt).toISOString()}`;
    const first = run.executions[0];
    const start = first === undefined ? undefined : observed.evidence.get(first.id)?.starts[0];
    if (start === undefined) {
      report.add('late', job.name, `${words}: never launched, though all was calm (${run.outcome}: ${run.reason})`);
      continue;
    }
    const latenessMs = start.at - dueAt;
    counts.calmLaunches += 1;
    counts.calmLatenessMaxMs = Math.max(counts.calmLatenessMaxMs, latenessMs);
    if (latenessMs > LATE_MS || latenessMs < -LATE_MS)
      report.add('late', job.name, `${words}: launched ${latenessMs.toFixed(0)} ms late, though all was calm`);
  }
}

/** Once after each success of the parent, and after nothing else. */
function checkDependents({ observed, runsByJob, runsByGroup, clock }: Facts, report: Report): void {
  for (const { job } of observed.jobs) {
    if (job.parent === null) continue;
    const byParent = Map.groupBy(runsByJob.get(job.name) ?? [], (run) => run.parentGroup ?? -1);
    for (const [group, runs] of byParent) {
      const parent = runsByGroup.get(group);
      if (parent === undefined || parent.job !== job.parent || parent.outcome !== 'succeeded') {
        report.add(
          'wrong',
          job.name,
          `group ${runs[0]?.group}: ran after ${parent === undefined ? 'nothing' : `a parent that ${parent.outcome}`}`,
        );
      }
      if (runs.length > 1)
        report.add('doubled', job.name, `ran ${runs.length} times after group ${group} of its parent`);
    }
    for (const parent of runsByJob.get(job.parent) ?? []) {
      if (parent.outcome !== 'succeeded' || byParent.has(parent.group) || parent.finishedAt === null) continue;
      // Disabling comes between the two only at the very end.
      if (parent.finishedAt > observed.disabledAt + clock.offsetAt(observed.disabledAt) - 2_000) continue;
      report.add('unrecorded', job.name, `group ${parent.group} of its parent succeeded and no run followed`);
    }
  }
}
