/** Does the record of each attempt agree with what the attempt itself said, and was each attempt allowed? */
import { LostRules } from './check-lost.ts';
import type { Report } from './checker.ts';
import { NOTICE_MS } from './clock-map.ts';
import type { Facts } from './facts.ts';
import { timeOutside, touches } from './stretches.ts';
import type { ChaosJob, Evidence, HistoryExecution, HistoryRun, Stretch } from './types.ts';

export interface ExecutionCounts {
  readonly lost: number;
  readonly lostPossible: number;
  readonly logsCompared: number;
}

/** Relaunches of an at-least-once job (SEMANTICS §1.5). */
const RELAUNCH_MAX = 3;
/** Recorded and witnessed times may differ by this on a machine of two busy cores, outages apart. */
const TIME_MS = 2_500;
/** A request on its way, and its answer, on such a machine: the limit counts from before the one to after the other. */
const WIRE_MS = 500;
/** The record's clock has milliseconds. */
const GRAIN_MS = 20;

export function checkExecutions(facts: Facts, report: Report): ExecutionCounts {
  const rules = new LostRules(facts);
  const counts = { lost: 0, lostPossible: 0, logsCompared: 0 };
  for (const run of facts.observed.history) {
    const job = facts.jobs.get(run.job);
    if (job === undefined) continue;
    checkAttempts(facts, job, run, report);
    for (const execution of run.executions) {
      const possible = rules.possible(run, execution);
      if (possible.size > 0) counts.lostPossible += 1;
      if (execution.outcome === 'lost') {
        counts.lost += 1;
        if (!possible.has(execution.reason))
          report.add(
            'lost',
            job.name,
            `${execution.id} is lost: ${execution.reason}; the faults allow ${[...possible].join(', ') || 'none'}`,
          );
      }
      if (execution.state === 'finished') new Comparison(facts, job, run, execution, report).all();
      if (compareLog(facts, job, execution, report)) counts.logsCompared += 1;
    }
  }
  checkEvidence(facts, report);
  return counts;
}

/** Everything that ran is on record, and nothing ran twice. */
function checkEvidence({ observed, executions, jobs }: Facts, report: Report): void {
  const attempts = new Map<string, string>();
  for (const one of observed.evidence.values()) {
    const [start] = one.starts;
    if (start === undefined || !jobs.has(start.job)) continue;
    const { job } = start;
    if (one.starts.length > 1) report.add('doubled', job, `${one.id} started ${one.starts.length} times`);
    for (const at of one.overlaps) {
      if (jobs.get(job)?.concurrency !== 'allow')
        report.add(
          'overlap',
          job,
          `${one.id} began while another run of the job had not ended (${new Date(at).toISOString()})`,
        );
    }
    const name = `${start.group}#${start.attempt}`;
    const other = attempts.get(name);
    if (other !== undefined)
      report.add('doubled', job, `attempt ${start.attempt} of group ${start.group} is both ${other} and ${one.id}`);
    attempts.set(name, one.id);
    const recorded = executions.get(one.id);
    if (recorded === undefined)
      report.add('unrecorded', job, `${one.id} ran at ${new Date(start.at).toISOString()} and is not on record`);
    else checkIdentity(one, recorded.run, recorded.execution, report);
  }
}

function checkIdentity({ id, starts }: Evidence, run: HistoryRun, execution: HistoryExecution, report: Report): void {
  const [start] = starts;
  if (start === undefined) return;
  const told = [start.group, start.attempt, start.job, Date.parse(start.scheduledAt)];
  const recorded = [run.group, execution.attempt, run.job, run.scheduledAt];
  if (told.some((value, i) => value !== recorded[i]))
    report.add('wrong', run.job, `${id} was told ${told.join(' ')} and is recorded as ${recorded.join(' ')}`);
}

/** Attempts follow each other only for a reason, and the occurrence ends as its last one did. */
function checkAttempts({ clock, observed }: Facts, job: ChaosJob, run: HistoryRun, report: Report): void {
  const words = `group ${run.group}`;
  let failures = 0;
  let losses = 0;
  for (const [i, execution] of run.executions.entries()) {
    if (execution.attempt !== i + 1)
      report.add('doubled', job.name, `${words}: attempt ${execution.attempt} stands where ${i + 1} is due`);
    const before = run.executions[i - 1];
    if (before === undefined) continue;
    if (before.outcome === 'failed') failures += 1;
    else if (before.outcome === 'lost' && job.atLeastOnce) losses += 1;
    else
      report.add(
        'doubled',
        job.name,
        `${words}: attempt ${execution.attempt} follows one that is ${before.outcome ?? 'unfinished'}: ${before.reason}`,
      );
  }
  if (failures > job.retries) report.add('doubled', job.name, `${words}: ${failures} retries of ${job.retries}`);
  if (losses > RELAUNCH_MAX) report.add('doubled', job.name, `${words}: ${losses} relaunches of ${RELAUNCH_MAX}`);
  const last = run.executions.at(-1);
  if (run.phase !== 'final') return;
  // Every job is disabled at the end: what waits is cancelled then, and what runs gets no further attempt.
  const isDisabled = (run.finishedAt ?? 0) >= observed.disabledAt + clock.offsetAt(observed.disabledAt) - NOTICE_MS;
  if (run.outcome === 'cancelled') {
    const allowed =
      run.reason === 'replaced' ? job.concurrency === 'replace' : run.reason === 'job_disabled' && isDisabled;
    if (!allowed) report.add('wrong', job.name, `${words} is cancelled: ${run.reason}, which nobody asked for`);
    return;
  }
  if (run.outcome === 'skipped') {
    const allowed =
      (run.reason === 'overlap' && job.concurrency === 'forbid') ||
      (run.reason === 'queue_full' && job.concurrency === 'queue');
    if (!allowed || last !== undefined)
      report.add(
        'wrong',
        job.name,
        `${words} is skipped: ${run.reason} with ${run.executions.length} executions under ${job.concurrency}`,
      );
    return;
  }
  if (run.outcome === 'missed') return;
  if (last === undefined || last.outcome !== run.outcome || last.reason !== run.reason) {
    report.add(
      'wrong',
      job.name,
      `${words} is ${run.outcome}: ${run.reason}, its last attempt ${last?.outcome}: ${last?.reason}`,
    );
  }
  if (last?.outcome === 'failed' && failures < job.retries && !isDisabled)
    report.add('wrong', job.name, `${words} failed for good after ${failures} retries of ${job.retries}`);
  if (last?.outcome === 'lost' && job.atLeastOnce && losses < RELAUNCH_MAX && !isDisabled)
    report.add('wrong', job.name, `${words} is lost after ${losses} relaunches, under at-least-once`);
}

/** One finished attempt against its evidence. */
class Comparison {
  readonly #facts: Facts;
  readonly #job: ChaosJob;
  readonly #run: HistoryRun;
  readonly #execution: HistoryExecution;
  readonly #report: Report;
  readonly #evidence: Evidence | undefined;

  constructor(facts: Facts, job: ChaosJob, run: HistoryRun, execution: HistoryExecution, report: Report) {
    this.#facts = facts;
    this.#job = job;
    this.#run = run;
    this.#execution = execution;
    this.#report = report;
    this.#evidence = facts.evidenceOf(execution.id);
  }

  all(): void {
    this.#outcome();
    this.#exitCode();
    this.#times();
  }

  #wrong(text: string): void {
    const { id, outcome, reason, exitCode, signal } = this.#execution;
    this.#report.add(
      'wrong',
      this.#job.name,
      `${id} (group ${this.#run.group}) is ${outcome}: ${reason} (code ${exitCode}, signal ${signal}); ${text}`,
    );
  }

  #outcome(): void {
    const { outcome, reason, startedAt } = this.#execution;
    const started = this.#evidence?.starts[0];
    if (outcome === 'lost') return; // check-lost.ts
    if (started === undefined && startedAt !== null && (outcome === 'succeeded' || reason === 'exit'))
      return this.#wrong('it never ran');
    if (started !== undefined && startedAt === null) return this.#wrong(`it began at ${iso(started.at)}`);
    if (outcome === 'succeeded') return this.#succeeded();
    if (outcome === 'failed') return this.#failed(reason);
  }

  #succeeded(): void {
    const { executor } = this.#job;
    const end = this.#evidence?.end;
    if (end === undefined || end === null) return this.#wrong('it never ended by itself');
    if (end.code !== (executor === 'shell' ? 0 : 200)) this.#wrong(`it ended with ${end.code}`);
  }

  #failed(reason: string): void {
    const { executor, timeoutMs, name } = this.#job;
    const { log } = this.#facts.observed;
    const started = this.#evidence?.starts[0];
    const end = this.#evidence?.end ?? null;
    switch (reason) {
      case 'exit':
      case 'expectation':
        if (this.#killedUnderItsShell()) return;
        if (executor === 'shell' && (end === null || end.code === 0))
          this.#wrong(end === null ? 'it never ended by itself' : 'it ended with 0');
        if (executor === 'http' && (end === null || end.code === 200))
          this.#wrong(end === null ? 'the answer was never sent whole' : 'the answer was 200');
        return;
      case 'signal':
        if (!this.#killed()) this.#wrong('nobody killed it');
        return;
      case 'timeout':
        if (timeoutMs === null) return this.#wrong(`${name} has no timeout`);
        // What the server had sent whole had not yet come in where the runner was stopped.
        if (
          executor === 'http' &&
          end !== null &&
          touches(log.runnerStopped, (started?.at ?? end.at) - TIME_MS, end.at + TIME_MS)
        )
          return;
        if (end !== null && this.#evidence?.termAt === null && started !== undefined)
          this.#timeout(timeoutMs, started.at, end.at);
        return;
      case 'start':
      case 'resources':
        if (started !== undefined && end?.code === 0) this.#wrong('it ran to its end');
        if (!this.#nearFullDisk()) this.#wrong('the disk had room');
        return;
      default:
        this.#wrong('nothing here can cause that');
    }
  }

  /** The limit counts from the recorded start, which is a little before the job's own word. */
  #timeout(timeoutMs: number, startedAt: number, endedAt: number): void {
    const { startedAt: recorded, finishedAt, reason } = this.#execution;
    const offsets = this.#facts.clock.offsets(startedAt - NOTICE_MS, startedAt + NOTICE_MS);
    const leads = offsets.map((offset) => startedAt - ((recorded ?? startedAt) - offset));
    const possible = leads.filter((lead) => lead >= 0);
    const tookMs = endedAt - startedAt + (possible.length === 0 ? 0 : Math.min(...possible));
    if (tookMs >= timeoutMs - (this.#job.executor === 'http' ? WIRE_MS : GRAIN_MS)) return;
    const recordedMs = (finishedAt ?? Number.NaN) - (recorded ?? Number.NaN);
    this.#wrong(
      `${reason}, but it ended by itself ${tookMs.toFixed(0)} ms after its start, its timeout is ${timeoutMs} ms; its first word came ` +
        `${leads.map((lead) => lead.toFixed(0)).join(' or ')} ms after the recorded start, the recorded end ${recordedMs} ms after it`,
    );
  }

  #nearFullDisk(): boolean {
    const { clock, diskFull } = this.#facts;
    const finished = this.#execution.finishedAt ?? 0;
    return clock
      .offsets(0, Number.POSITIVE_INFINITY)
      .some((offset) => touches(diskFull, finished - offset - TIME_MS, finished - offset + TIME_MS));
  }

  #exitCode(): void {
    const end = this.#evidence?.end ?? null;
    const { exitCode, outcome } = this.#execution;
    if (this.#job.executor === 'http' || exitCode === null || outcome === 'lost') return;
    if (end !== null && end.code !== exitCode) this.#wrong(`it ended with ${end.code}`);
    if (end === null && !this.#killedUnderItsShell()) this.#wrong('it never ended by itself');
  }

  #killed(): boolean {
    return this.#facts.observed.log.jobKills.some(({ id }) => id === this.#execution.id);
  }

  /** The shell lives on and ends with the code that says so (128 + SIGKILL). */
  #killedUnderItsShell(): boolean {
    return this.#job.throughShell && this.#execution.exitCode === 137 && this.#killed();
  }

  #times(): void {
    const { startedAt, finishedAt, outcome } = this.#execution;
    const started = this.#evidence?.starts[0];
    const end = this.#evidence?.end;
    if (outcome === 'lost') return;
    if (started !== undefined && startedAt !== null && !this.#startAgrees(startedAt, started.at)) {
      this.#wrong(
        `recorded start ${iso(startedAt)}, real ${iso(started.at)}, offsets ${this.#offsetWords(started.at)}`,
      );
    }
    // An answer that came too late ended here later than there.
    if (
      end === undefined ||
      end === null ||
      finishedAt === null ||
      (this.#job.executor === 'http' && this.#execution.reason === 'timeout')
    )
      return;
    if (!this.#endAgrees(finishedAt, end.at))
      this.#wrong(`recorded end ${iso(finishedAt)}, real ${iso(end.at)}, offsets ${this.#offsetWords(end.at)}`);
  }

  /** Recorded just before the process is made: a little earlier than its own word, never later. */
  #startAgrees(recorded: number, real: number): boolean {
    const { clock, outages } = this.#facts;
    // Of a burst of requests up to two hundred were recorded and not sent when the runner was paused: they reached the server after the
    // pause, and the clock may have been stepped in it.
    const isPaused = ({ from, to }: Stretch) => this.#job.executor === 'http' && from <= real && to >= real - NOTICE_MS;
    const from = outages.find(isPaused)?.from ?? real;
    return clock.offsets(from - NOTICE_MS, this.#evidence?.end?.at ?? real + NOTICE_MS).some((offset) => {
      const at = recorded - offset;
      return at <= real + GRAIN_MS && timeOutside(outages, at, real) <= TIME_MS;
    });
  }

  /** Seen after the process's own word, as soon as somebody could look. */
  #endAgrees(recorded: number, real: number): boolean {
    const { clock, outages } = this.#facts;
    const { startedAt } = this.#execution;
    // After a step back the record keeps the end from lying before the start.
    if (
      recorded === startedAt &&
      clock.steppedBack((this.#evidence?.starts[0]?.at ?? real) - NOTICE_MS, real + NOTICE_MS)
    )
      return true;
    const until = outages.find((outage) => outage.from <= real + NOTICE_MS && outage.to >= real)?.to ?? real;
    // A request broken off here: its server goes on until that has reached it, 91 ms later at most of 960 beside a run of the tests.
    const isBrokenOff = this.#job.executor === 'http' && this.#execution.outcome === 'cancelled';
    const earlyMs = isBrokenOff ? WIRE_MS : GRAIN_MS;
    return clock.offsets(real - NOTICE_MS, until + NOTICE_MS).some((offset) => {
      const at = recorded - offset;
      return at >= real - earlyMs && timeOutside(outages, real, at) <= TIME_MS;
    });
  }

  #offsetWords(real: number): string {
    return this.#facts.clock.offsets(real - NOTICE_MS, real + NOTICE_MS).join(' ');
  }
}

/** The full log and the recorded number of bytes against what the job managed to write. */
function compareLog(
  { observed, diskFull }: Facts,
  job: ChaosJob,
  execution: HistoryExecution,
  report: Report,
): boolean {
  const evidence = observed.evidence.get(execution.id);
  const log = observed.logs.get(execution.id);
  const end = evidence?.end ?? null;
  if (evidence === undefined || end === null || execution.state !== 'finished' || execution.outcome === 'lost')
    return false;
  // An http answer can be whole here and cut off there.
  if (job.executor === 'http' && execution.outcome !== 'succeeded' && execution.reason !== 'expectation') return false;
  const full = touches(diskFull, evidence.starts[0]?.at ?? end.at, end.at);
  // Without room output is dropped: by the runner (http), or because there was no file for it.
  if (full && (job.executor === 'http' || execution.outputBytes === 0)) return false;
  if (execution.outputBytes !== end.bytes)
    report.add('wrong', job.name, `${execution.id} wrote ${end.bytes} bytes, recorded are ${execution.outputBytes}`);
  // Then the log's directory may have had no room for its name; the record says that it is not kept.
  if (log === undefined || (full && execution.logBytes < end.bytes)) return false;
  if (log.bytes !== end.bytes || log.hash !== end.hash) {
    report.add(
      'wrong',
      job.name,
      `${execution.id} wrote ${end.bytes} bytes (${end.hash}), its log has ${log.bytes} (${log.hash})`,
    );
  }
  return true;
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
