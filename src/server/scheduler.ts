/**
 * Wakes for the next due instant, and at least each second, and turns what is due into committed intents. It touches only what is due:
 * one heap of jobs by their next instant, one of delayed runs (wall time), one of retries (monotonic, so that a clock step does not
 * stretch a wait). Overload rule: ticks are worked off in chunks in due order, the loop is given away between chunks, and while
 * `maxWaiting` runs wait for a place, or their results for a commit, nothing more is planned: the instants stay with their jobs' cursors,
 * where they take no memory, and what falls behind by more than the job's grace obeys its misfire policy.
 */
import type { Clock, Timer } from '../lib/clock.ts';
import { decideDelayed } from '../core/misfire.ts';
import { Heap } from '../lib/heap.ts';
import type { Mutex } from '../lib/mutex.ts';
import type { Emit } from '../model/events.ts';
import type { Statement } from '../store/database.ts';
import { DUE_INDEX } from '../store/jobs.ts';
import type { Definitions } from './definitions.ts';
import type { Dispatcher } from './dispatcher.ts';
import { DuePlanner, type Entry } from './due-plan.ts';
import type { Identities } from './identity.ts';
import type { Intent } from './launch-batch.ts';
import type { Launcher } from './launcher.ts';
import { diskFull, type LeaderStore } from './leader-store.ts';
import type { LiveRun } from './live.ts';

interface Wake {
  readonly at: number;
  readonly run: LiveRun;
  readonly kind: 'wake' | 'retry' | 'relaunch';
}

export interface SchedulerModules {
  readonly store: LeaderStore;
  readonly lock: Mutex;
  readonly definitions: Definitions;
  readonly launcher: Launcher;
  readonly dispatcher: Dispatcher;
  readonly identities: Identities;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Ends that are not committed yet. */
  readonly resultsWaiting: () => number;
  /** Launching stops while the disk has no room (SEMANTICS, full disk). */
  readonly mayLaunch: () => boolean;
  readonly fail: (error: unknown) => void;
}

/** Jobs planned and committed at once: few at first, so that the first starts of a storm begin early, then twice as many each time. */
const CHUNK = { first: 256, max: 1024 } as const;
const ROOM_RETRY_MS = 100;
/** Waking exactly costs up to a millisecond of CPU: at most so often, and not for hundreds of jobs at instants of their own. */
const EXACT_EVERY_MS = 200;
const SLEEP_MAX_MS = 1_000;
const STEP_MS = 500;
const FULL_RETRY_MS = 500;
/** A cursor further ahead of now than this is a health issue (SEMANTICS §2). */
export const CURSOR_AHEAD_MS = 60_000;

export class Scheduler {
  readonly #m: SchedulerModules;
  readonly #planner: DuePlanner;
  /** Runs that wait for a place at the agent; beyond, instants wait undecided. */
  readonly #maxWaiting: number;
  readonly #entries = new Map<number, Entry>();
  readonly #jobs = new Heap<Entry>((entry) => entry.nextAt);
  readonly #delayed = new Heap<Wake>((wake) => wake.at);
  readonly #retries = new Heap<Wake>((wake) => wake.at);
  #timer: Timer | undefined;
  #ticking = false;
  #again = false;
  #open = false;
  #offsetMs = 0;
  #exactAt = Number.NEGATIVE_INFINITY;
  #holdUntil = 0;

  constructor(options: { readonly maxWaiting: number }, modules: SchedulerModules) {
    this.#maxWaiting = options.maxWaiting;
    this.#m = modules;
    this.#planner = new DuePlanner(modules);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The earliest next instant, epoch ms. */
  get nextAt(): number | null {
    return this.#jobs.peek()?.nextAt ?? null;
  }

  /** Reads every job's next instant; definitions are loaded when they are due. */
  async load(): Promise<void> {
    const all: Entry[] = [];
    let last = 0;
    for (;;) {
      const rows = await this.#m.store.read<{ job_id: number; next_at: number; cursor_at: number }>(DUE_INDEX, [last]);
      for (const row of rows) all.push({ jobId: row.job_id, nextAt: row.next_at, cursorAt: row.cursor_at });
      if (rows.length === 0) break;
      last = (rows.at(-1) as { job_id: number }).job_id;
      await this.#m.clock.yield();
    }
    for (const entry of all) this.#entries.set(entry.jobId, entry);
    this.#jobs.load(all);
  }

  start(): void {
    this.#open = true;
    this.#offsetMs = this.#m.clock.now() - this.#m.clock.monotonic();
    this.#wakeUp();
  }

  /** false: nothing is launched any more, or not yet. */
  get isOpen(): boolean {
    return this.#open;
  }

  /** Stops launching at once. */
  stop(): void {
    this.#open = false;
    this.#timer?.cancel();
  }

  /** Stops launching; what is being committed is finished first. */
  async close(): Promise<void> {
    this.stop();
    await this.#m.lock.run(() => Promise.resolve());
  }

  /** A job has a new plan: null takes it out. Callers hold the leader's lock. */
  put(jobId: number, nextAt: number | null, cursorAt: number): void {
    if (nextAt === null) {
      this.#entries.delete(jobId);
      return;
    }
    const entry: Entry = { jobId, nextAt, cursorAt };
    this.#entries.set(jobId, entry);
    this.#jobs.push(entry);
    if (this.#jobs.peek() === entry) this.#arm();
  }

  /**
   * Decides what is due of these jobs by now, before something changes them: an edit, a delete or a moved cursor must not swallow instants
   * that lay before it. `now` must also be the time of that change. Answers whether anything was due. Callers hold the leader's lock.
   * Throws AppError `disk_full`; nothing changed then.
   */
  async settle(jobIds: readonly number[], now: number): Promise<boolean> {
    for (let settled = false; ; settled = true) {
      const due = jobIds.flatMap((id) => this.#entries.get(id) ?? []).filter((entry) => entry.nextAt <= now);
      if (due.length === 0) return settled;
      const planned = this.#planner.plan(due, await this.#m.definitions.load(due.map((entry) => entry.jobId)), now);
      const batch = this.#m.launcher.prepare(planned.intents);
      batch.statements.push(...planned.statements);
      if (batch.statements.length > 0 && (await this.#m.launcher.commit(batch)) === 'full') throw diskFull();
      for (const entry of planned.next) this.put(entry.jobId, entry.nextAt, entry.cursorAt);
    }
  }

  /**
   * What is due of these jobs by now and was not looked at yet, as rows `cancelled`: for the batch that deletes the jobs, before its other
   * statements. Callers hold the leader's lock.
   */
  async cancelDue(jobIds: readonly number[], now: number): Promise<Statement[]> {
    const due = jobIds.flatMap((id) => this.#entries.get(id) ?? []).filter((entry) => entry.nextAt <= now);
    if (due.length === 0) return [];
    return this.#planner.cancelled(due, await this.#m.definitions.load(due.map((entry) => entry.jobId)), now);
  }

  /** The next instant of a job, epoch ms. */
  nextOf(jobId: number): number | null {
    return this.#entries.get(jobId)?.nextAt ?? null;
  }

  /** The soonest entries, in order. */
  upcoming(limit: number): { jobId: number; nextAt: number }[] {
    return this.#jobs.smallest(limit, (entry) => this.#entries.get(entry.jobId) === entry);
  }

  /** Jobs whose cursor is more than a minute ahead of now, after the clock was stepped back. */
  aheadOfClock(): { count: number; resumesAt: number | null } {
    const now = this.#m.clock.now();
    const first = this.#jobs.peek();
    if (first === undefined || first.nextAt - now < CURSOR_AHEAD_MS) return { count: 0, resumesAt: null };
    let count = 0;
    let resumesAt: number | null = null;
    for (const entry of this.#entries.values()) {
      if (entry.cursorAt - now <= CURSOR_AHEAD_MS) continue;
      count++;
      resumesAt = Math.min(resumesAt ?? entry.cursorAt, entry.cursorAt);
    }
    return { count, resumesAt };
  }

  /** A delayed run becomes due at its dueAt. */
  delay(run: LiveRun): void {
    this.#delayed.push({ at: run.dueAt, run, kind: 'wake' });
    this.#arm();
  }

  /** The next attempt of a run, after `delayMs`. */
  retry(run: LiveRun, delayMs: number, relaunch: boolean): void {
    this.#retries.push({ at: this.#m.clock.monotonic() + delayMs, run, kind: relaunch ? 'relaunch' : 'retry' });
    this.#arm();
  }

  #arm(): void {
    if (!this.#open || this.#ticking) return;
    this.#timer?.cancel();
    const { clock } = this.#m;
    const now = clock.now();
    const waits = [
      SLEEP_MAX_MS,
      (this.#jobs.peek()?.nextAt ?? Infinity) - now,
      (this.#delayed.peek()?.at ?? Infinity) - now,
      (this.#retries.peek()?.at ?? Infinity) - clock.monotonic(),
    ];
    const monotonic = clock.monotonic();
    const waitMs = Math.max(0, this.#holdUntil - monotonic, Math.min(...waits));
    const isExact = waitMs < SLEEP_MAX_MS && monotonic + waitMs - this.#exactAt >= EXACT_EVERY_MS;
    const wakeUp = () => {
      if (isExact) this.#exactAt = clock.monotonic();
      this.#wakeUp();
    };
    this.#timer = isExact ? clock.setExactTimer(waitMs, wakeUp) : clock.setTimer(waitMs, wakeUp);
  }

  #wakeUp(): void {
    if (!this.#open) return;
    if (this.#ticking) {
      this.#again = true;
      return;
    }
    this.#ticking = true;
    void this.#work()
      .catch(this.#m.fail)
      .finally(() => {
        this.#ticking = false;
        if (this.#again) {
          this.#again = false;
          this.#wakeUp();
        } else this.#arm();
      });
  }

  async #work(): Promise<void> {
    this.#watchClock();
    this.#m.dispatcher.pump();
    for (let size: number = CHUNK.first; this.#open && this.#m.mayLaunch() && this.#somethingDue(); size *= 2) {
      const done = await this.#m.lock.run(() => this.#tick(Math.min(size, CHUNK.max)));
      if (!done) {
        this.#holdUntil = this.#m.clock.monotonic() + FULL_RETRY_MS;
        return;
      }
      await this.#m.clock.yield();
    }
    // What is due stays due while the disk is low or too much waits: without a pause the next timer would fire at once, for ever.
    if (this.#somethingDue()) this.#holdUntil = this.#m.clock.monotonic() + FULL_RETRY_MS;
    else if (this.#room <= 0) this.#holdUntil = this.#m.clock.monotonic() + ROOM_RETRY_MS;
  }

  /** Wall against monotonic time: a difference over 500 ms since the last look is a step (or a suspended machine). */
  #watchClock(): void {
    const offsetMs = this.#m.clock.now() - this.#m.clock.monotonic();
    const byMs = offsetMs - this.#offsetMs;
    this.#offsetMs = offsetMs;
    if (Math.abs(byMs) > STEP_MS) this.#m.emit({ kind: 'clock_stepped', byMs: Math.round(byMs) });
  }

  /** For so many more runs. */
  get #room(): number {
    return this.#maxWaiting - this.#m.dispatcher.counts.waiting - this.#m.resultsWaiting();
  }

  #somethingDue(): boolean {
    const now = this.#m.clock.now();
    return (
      (this.#room > 0 && (this.#jobs.peek()?.nextAt ?? Infinity) <= now) ||
      (this.#delayed.peek()?.at ?? Infinity) <= now ||
      (this.#retries.peek()?.at ?? Infinity) <= this.#m.clock.monotonic()
    );
  }

  /** One chunk of what is due, in one commit; false: the disk is full and nothing changed. */
  async #tick(size: number): Promise<boolean> {
    const now = this.#m.clock.now();
    const wakes = this.#dueWakes(now, size);
    const due = this.#dueJobs(now, size);
    const jobs = await this.#m.definitions.load(due.map((entry) => entry.jobId));
    const planned = this.#planner.plan(due, jobs, now, size);
    for (const entry of planned.rest) this.#jobs.push(entry);
    const intents = [...wakes.map((wake) => this.#intentOf(wake, now)), ...planned.intents];
    const batch = this.#m.launcher.prepare(intents);
    batch.statements.push(...planned.statements);
    if (batch.statements.length === 0) return true;
    if ((await this.#m.launcher.commit(batch)) === 'full') {
      this.#putBack(due.slice(0, due.length - planned.rest.length), wakes);
      return false;
    }
    for (const entry of planned.next) this.put(entry.jobId, entry.nextAt, entry.cursorAt);
    return true;
  }

  #dueJobs(now: number, size: number): Entry[] {
    const due: Entry[] = [];
    const most = Math.min(size, this.#room);
    while (due.length < most) {
      const entry = this.#jobs.peek();
      if (entry === undefined || entry.nextAt > now) break;
      this.#jobs.pop();
      if (this.#entries.get(entry.jobId) === entry) due.push(entry);
    }
    return due;
  }

  #dueWakes(now: number, size: number): Wake[] {
    const due: Wake[] = [];
    const isRetry = (wake: Wake) => wake.run.phase === 'retrying' && wake.run.stopping === null;
    take(this.#delayed, { now, size }, due, (wake) => wake.run.phase === 'delayed');
    take(this.#retries, { now: this.#m.clock.monotonic(), size }, due, isRetry);
    return due;
  }

  /** A delayed occurrence found late (a restart, a suspended machine) asks its job's misfire policy as any other late one. */
  #intentOf({ run, kind }: Wake, now: number): Intent {
    if (kind !== 'wake') return { kind: 'retry', run, relaunch: kind === 'relaunch' };
    const laterDue = (this.#entries.get(run.job.id)?.nextAt ?? Infinity) <= now;
    const reason = decideDelayed(run.job.misfire, { dueAt: run.dueAt, now, laterDue });
    if (reason !== null) return { kind: 'miss', run, reason };
    run.catchUp = now - run.dueAt > run.job.misfire.graceMs;
    return { kind: 'wake', run };
  }

  #putBack(due: readonly Entry[], wakes: readonly Wake[]): void {
    for (const entry of due) this.#jobs.push(entry);
    for (const wake of wakes) (wake.kind === 'wake' ? this.#delayed : this.#retries).push(wake);
  }
}

function take(
  heap: Heap<Wake>,
  until: { now: number; size: number },
  into: Wake[],
  wanted: (wake: Wake) => boolean,
): void {
  for (let wake = heap.peek(); wake !== undefined && wake.at <= until.now; wake = heap.peek()) {
    if (into.length >= until.size) return;
    heap.pop();
    if (wanted(wake)) into.push(wake);
  }
}
