/** The executions a runner knows, and the one place where they begin and end: mark on disk first, word to the node after. */
import type { Clock } from '../../lib/clock.ts';
import { failpoint } from '../../lib/failpoint.ts';
import { RecentNumbers } from '../../lib/recent.ts';
import type { KnownExecution } from '../../model/agent.ts';
import { BOOT_ID } from '../identity.ts';
import { ACKNOWLEDGED_MAX, type Begun, type SpoolRecord, type StartMark } from '../spool.ts';
import type { CgroupRemover } from './cgroup.ts';
import type { Journal } from './journal.ts';
import type { Peer } from './peer.ts';
import { endOf, knownState, NO_OUTPUT, type Run, type Verdict } from './run.ts';

/** Ends written at once: with the largest tails still a megabyte. */
const ENDS_PER_WRITE = 64;

export class RunTable {
  readonly #clock: Clock;
  readonly #peer: Peer;
  readonly #onIdle: () => void;
  readonly #runs = new Map<number, Run>();
  readonly #live = new Map<number, Run>();
  readonly #byPid = new Map<number, Run>();
  readonly #acknowledged = new RecentNumbers(ACKNOWLEDGED_MAX);
  /** Ended in this turn of the loop: no mark on disk yet, and nobody told. */
  #ended: Run[] = [];
  #flushing = false;
  /** Ends that found no room in the journal; tried again with every later one. */
  #unwritten: Run[] = [];
  readonly #cgroups: CgroupRemover;
  #journal: Journal | null = null;
  /** Highest epoch seen; starts of a lower one are refused. */
  epoch = 0;
  /** Pid of the attached node when it is a subreaper: it can tell the exits of its own children. */
  reaperPid: number | null = null;

  constructor(clock: Clock, peer: Peer, cgroups: CgroupRemover, onIdle: () => void) {
    this.#cgroups = cgroups;
    this.#clock = clock;
    this.#peer = peer;
    this.#onIdle = onIdle;
  }

  attach(journal: Journal): void {
    this.#journal = journal;
  }

  get journal(): Journal {
    if (this.#journal === null) throw new Error('the run table has no journal yet');
    return this.#journal;
  }

  /** Accepted, started or ended, and not acknowledged. */
  get size(): number {
    return this.#runs.size;
  }

  /** Started and not ended. */
  get live(): ReadonlyMap<number, Run> {
    return this.#live;
  }

  /** Without an end on record, queued ones included. */
  get unfinished(): number {
    return this.#unfinished;
  }
  #unfinished = 0;

  get(key: number): Run | undefined {
    return this.#runs.get(key);
  }

  isAcknowledged(key: number): boolean {
    return this.#acknowledged.has(key);
  }

  byPid(pid: number): Run | undefined {
    return this.#byPid.get(pid);
  }

  add(run: Run): void {
    this.#runs.set(run.request.key, run);
    if (run.ended === null) this.#unfinished += 1;
  }

  /** The run has a process (or is in flight): from here on it is watched. The mark is written by the caller, for a batch at once. */
  begin(run: Run): void {
    run.state = 'running';
    this.#live.set(run.request.key, run);
    if (run.pid !== null) this.#byPid.set(run.pid, run);
    this.#peer.started({ key: run.request.key, startedAtUs: run.startedAtUs ?? 0, pid: run.pid });
  }

  /** Its exit has been taken: the number may belong to somebody else from now on. */
  releasePid(run: Run): void {
    if (run.pid !== null && this.#byPid.get(run.pid) === run) this.#byPid.delete(run.pid);
  }

  /** Its mark is written, and the node told, at the end of this turn of the loop: one write for all that ended in it. */
  finish(run: Run, verdict: Verdict): void {
    if (run.state === 'ended') return;
    const nowUs = this.#clock.nowUs();
    run.ended = endOf(run, verdict, run.output?.finish(nowUs) ?? NO_OUTPUT, nowUs);
    run.state = 'ended';
    run.output = null;
    run.stop = null;
    this.#live.delete(run.request.key);
    this.releasePid(run);
    this.#ended.push(run);
    if (this.#flushing) return;
    this.#flushing = true;
    void this.#clock.yield().then(() => this.#flushEnds());
  }

  /** Writes the marks of what has ended in this turn of the loop; false: one of them, or an earlier one, found no room. */
  settle(): boolean {
    this.#flushEnds();
    return this.#unwritten.length === 0;
  }

  acknowledge(keys: readonly number[]): void {
    this.#flushEnds();
    const known = keys.filter((key) => this.#runs.get(key)?.state === 'ended');
    if (known.length === 0) return;
    for (const key of known) {
      this.#runs.delete(key);
      this.remember(key);
    }
    // Without room it is delivered once more after a restart, which does no harm.
    this.journal.append([{ r: 'ack', keys: known }]);
    this.journal.compactIfLarge();
    if (this.#runs.size === 0) this.#onIdle();
  }

  remember(key: number): void {
    this.#acknowledged.add(key);
  }

  /** What is known of one key: one state or none. */
  stateOf(key: number): KnownExecution[] {
    this.#flushEnds();
    const run = this.#runs.get(key);
    return run === undefined ? [] : [knownState(run)];
  }

  known(): KnownExecution[] {
    this.#flushEnds();
    return [...this.#runs.values()].map(knownState);
  }

  /** All that still matters, for rewriting the journal. */
  *records(): Generator<SpoolRecord> {
    yield { r: 'epoch', epoch: this.epoch };
    yield { r: 'ack', keys: [...this.#acknowledged] };
    for (const run of this.#runs.values()) yield* recordsOf(run);
  }

  #flushEnds(): void {
    this.#flushing = false;
    const ended = this.#ended;
    if (ended.length === 0) return;
    this.#ended = [];
    failpoint('runner.end.before');
    this.#unwritten = this.#writeEnds([...this.#unwritten, ...ended]);
    for (const run of ended) {
      failpoint('runner.end.written');
      if (run.ended !== null) this.#peer.ended(run.ended);
      if (run.cgroup !== null) this.#cgroups.remove(run.cgroup);
    }
    this.#unfinished -= ended.length;
    if (this.#unfinished === 0) this.#onIdle();
  }

  /** Those that found no room. */
  #writeEnds(runs: readonly Run[]): Run[] {
    let written = 0;
    while (written < runs.length) {
      const some = runs.slice(written, written + ENDS_PER_WRITE);
      const room = this.#appendEnds(some);
      written += room;
      if (room < some.length) break;
    }
    if (this.#peer.attached) this.journal.syncSoon();
    else void this.journal.sync();
    return runs.slice(written);
  }

  /** How many found room. */
  #appendEnds(runs: readonly Run[]): number {
    const ends = runs.flatMap(({ ended }) => ended ?? []);
    if (this.journal.append([{ r: 'end', runs: ends }])) return runs.length;
    for (const [index, ended] of ends.entries()) {
      // The tail can be read from the log again; the outcome can not.
      const written =
        this.journal.append([{ r: 'end', runs: [ended] }]) ||
        this.journal.append([{ r: 'end', runs: [{ ...ended, tail: '' }] }]);
      if (!written) return index;
    }
    return runs.length;
  }
}

export function recordsOf(run: Run): SpoolRecord[] {
  const { request, ended } = run;
  // An ended run's configuration is of no use any more.
  const records: SpoolRecord[] = [{ r: 'accept', runs: [ended === null ? request : { ...request, config: {} }] }];
  if (ended !== null) return [...records, { r: 'end', runs: [ended] }];
  if (run.spare[0] + run.spare[1] > 0) records.push({ r: 'spare', files: [[request.key, ...run.spare]] });
  records.push(...startMarks([run]));
  if (run.ending !== null)
    records.push({ r: 'stop', key: request.key, reason: run.ending.reason, message: run.ending.message });
  if (run.exitStatus !== null) records.push({ r: 'exit', key: request.key, status: run.exitStatus });
  return records;
}

/** One mark for those that have begun; none when none has. */
export function startMarks(runs: readonly Run[]): StartMark[] {
  const begun: Begun[] = [];
  for (const { request, pid, startTicks, startedAtUs, cgroup } of runs) {
    if (startedAtUs !== null) begun.push({ key: request.key, pid, startTicks, startedAtUs, cgroup });
  }
  return begun.length === 0 ? [] : [{ r: 'start', bootId: BOOT_ID, runs: begun }];
}
