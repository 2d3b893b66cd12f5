/**
 * Which control group this process is in when it starts a run. A child begins in the group of its parent (a C library that starts one in
 * another is too new to rely on), so this process waits in a fresh group for the next run that is to have one for itself, and moves on when
 * the run has begun. No moment is left in which the job could fork outside of its group, and the first move after a rest, for which the
 * kernel takes some 10 ms, comes after a start instead of before it. Nothing else is started meanwhile.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import { type CgroupRemover, type Cgroups, cgroupMembers, cgroupMemory, enterCgroup, limitCgroup } from './cgroup.ts';

/** So long after the last run without a group of its own this process moves to a fresh one. */
export const REST_MS = 200;
/** The run that has just begun finds the processors free for so long, unless somebody waits for this process to move on. */
export const STAY_MS = 5;
/** A start that takes longer (its program lies on a filesystem that hangs) no longer holds up the others, once it has a process. */
export const START_MAX_MS = 1000;
/** After a move that failed no run gets a group for so long. */
const PAUSE_MS = 1000;

export interface SpawnGroupsModules {
  readonly cgroups: Cgroups;
  readonly remover: CgroupRemover;
  readonly clock: Clock;
  /** Moves this process to a group; `moved` tells how it went. */
  readonly move: (path: string) => void;
}

interface Waiting {
  readonly wantsOwn: boolean;
  readonly start: (group: string | null) => void;
}

export class SpawnGroups {
  readonly #m: SpawnGroupsModules;
  #state: 'free' | 'starting' | 'staying' | 'moving' = 'free';
  #at: string;
  /** Whose `#at` is: no run's yet, one run's, or shared by any number. */
  #use: 'fresh' | 'own' | 'shared' = 'shared';
  #target = '';
  /** To be set when this process has left the group. */
  #limit: { path: string; bytes: number } | null = null;
  #pausedUntil = Number.NEGATIVE_INFINITY;
  /** It could not leave a run's group: that is nobody's then, and none is made any more. */
  #isStuck = false;
  /** Starts under way without a group of their own. */
  #sharing = 0;
  #waiting: Waiting[] = [];
  #sharedAt = Number.NEGATIVE_INFINITY;
  #restTimer: Timer | null = null;
  /** While starting or staying. */
  #stateTimer: Timer | null = null;

  constructor(modules: SpawnGroupsModules) {
    this.#m = modules;
    this.#at = modules.cgroups.home;
    this.#restSoon();
  }

  /** Calls `start`, now or as soon as this process is where the run may begin, in the order asked: with its own group, or null. */
  admit(wantsOwn: boolean, start: (group: string | null) => void): void {
    const group = this.#waiting.length > 0 ? undefined : this.#groupFor(wantsOwn);
    if (group === undefined) this.#waiting.push({ wantsOwn, start });
    else start(group);
  }

  /** The start of a run without a group of its own is over. */
  sharedBegun(): void {
    this.#sharing -= 1;
  }

  /** The start has failed; the group is as fresh as before. */
  unclaim(path: string): void {
    if (!this.#isStartingIn(path)) return this.#m.remover.remove(path);
    this.#enter('free');
    this.#use = 'fresh';
    this.#admitWaiting();
  }

  /** The run has begun. False: not in the group, because this process had left by then. */
  begun(path: string, pid: number, memLimitBytes: number | null): boolean {
    const isInTime = this.#isStartingIn(path);
    if (!isInTime && !cgroupMembers(path).includes(pid)) {
      this.#m.remover.remove(path);
      return false;
    }
    if (memLimitBytes !== null) {
      // What this process used while it waited there stays on the group's account.
      const bytes = memLimitBytes + cgroupMemory(path);
      if (this.#at === path) this.#limit = { path, bytes };
      else limitCgroup(path, bytes);
    }
    if (isInTime) this.#stay();
    return true;
  }

  moved(done: boolean): void {
    const { remover, cgroups, clock } = this.#m;
    const [from, use] = [this.#at, this.#use];
    this.#enter('free');
    if (done) {
      this.#at = this.#target;
      this.#use = this.#at === cgroups.home ? 'shared' : 'fresh';
      if (this.#limit !== null) limitCgroup(this.#limit.path, this.#limit.bytes);
      this.#limit = null;
      if (use === 'shared' && from !== cgroups.home) remover.remove(from);
      else remover.retry();
    } else {
      this.#pausedUntil = clock.monotonic() + PAUSE_MS;
      if (this.#target !== cgroups.home) remover.remove(this.#target);
      if (use === 'own' && this.#target !== cgroups.home) return this.#move(cgroups.home);
      if (use === 'own') this.#isStuck = true;
    }
    if (this.#use !== 'fresh') this.#restSoon();
    this.#admitWaiting();
  }

  /** Back to where it began, so that no empty group stays behind. */
  close(): void {
    this.#restTimer?.cancel();
    this.#stateTimer?.cancel();
    const { cgroups, remover } = this.#m;
    if (this.#at === cgroups.home) return;
    enterCgroup(cgroups.home, process.pid);
    remover.remove(this.#at);
  }

  #admitWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { wantsOwn, start } of waiting) this.admit(wantsOwn, start);
  }

  /** null: none of its own; undefined: it has to wait. */
  #groupFor(wantsOwn: boolean): string | null | undefined {
    if (this.#state === 'staying') this.#leave();
    if (this.#state !== 'free') return undefined;
    // Where others are just being started without one it would have to wait for them, and one of them may hang.
    if (wantsOwn && this.#sharing === 0) {
      if (this.#use === 'fresh') return this.#claim();
      if (this.#moveOn()) return undefined;
    }
    this.#use = 'shared';
    this.#sharing += 1;
    this.#sharedAt = this.#m.clock.monotonic();
    this.#restSoon();
    return null;
  }

  #claim(): string {
    this.#use = 'own';
    this.#enter('starting');
    this.#awaitChild();
    return this.#at;
  }

  /** A child is where this process is when the kernel makes it: until then nothing else may begin, however long it takes. */
  #awaitChild(): void {
    this.#stateTimer = this.#m.clock.setTimer(START_MAX_MS, () => {
      if (cgroupMembers(this.#at).some((pid) => pid !== process.pid)) this.#leave();
      else this.#awaitChild();
    });
  }

  #isStartingIn(path: string): boolean {
    return this.#state === 'starting' && this.#at === path;
  }

  #enter(state: 'free' | 'starting' | 'staying' | 'moving'): void {
    this.#stateTimer?.cancel();
    this.#stateTimer = null;
    this.#state = state;
  }

  #stay(): void {
    if (this.#waiting.length > 0) return this.#leave();
    this.#enter('staying');
    this.#stateTimer = this.#m.clock.setTimer(STAY_MS, () => this.#leave());
  }

  /** The group this process is in is a run's now. */
  #leave(): void {
    if (!this.#moveOn()) this.#move(this.#m.cgroups.home);
  }

  /** To a fresh group. False: none can be had. */
  #moveOn(): boolean {
    if (this.#isStuck || this.#m.clock.monotonic() < this.#pausedUntil) return false;
    const path = this.#m.cgroups.create();
    if (path !== null) this.#move(path);
    return path !== null;
  }

  #move(path: string): void {
    this.#enter('moving');
    this.#target = path;
    this.#m.move(path);
  }

  #restSoon(): void {
    if (this.#isStuck) return;
    this.#restTimer ??= this.#m.clock.setTimer(REST_MS, () => this.#rest());
  }

  /** Ahead of need, where nobody waits for it. */
  #rest(): void {
    this.#restTimer = null;
    if (this.#use === 'fresh' || this.#state !== 'free') return;
    const isQuiet = this.#sharing === 0 && this.#m.clock.monotonic() >= this.#sharedAt + REST_MS;
    if (!isQuiet || !this.#moveOn()) this.#restSoon();
  }
}
