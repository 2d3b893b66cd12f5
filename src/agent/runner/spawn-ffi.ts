/**
 * Starts processes with posix_spawn: twice to five times as fast as child_process and without its handles. Threads of their own wait in the
 * call (spawn-threads.ts). While this spawner lives, nothing else in the process may start children, because exits are asked for with
 * waitid(P_ALL).
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import type { Clock, Timer } from '../../lib/clock.ts';
import { START_TOLERANCE_TICKS } from '../identity.ts';
import { TICKS_PER_SECOND } from '../process-table.ts';
import { type CgroupRemover, type Cgroups, membersFile } from './cgroup.ts';
import { isDumpable, type Libc } from './libc.ts';
import { ArgumentWriter } from './spawn-arguments.ts';
import { SpawnGroups } from './spawn-groups.ts';
import { ARENA_BYTES, SIGINFO, SLOT, SLOTS, slotAt, STATUS, STRINGS } from './spawn-memory.ts';
import { at, KeptActions, prepareAttributes, writeActions } from './spawn-setup.ts';
import { SpawnThreads } from './spawn-threads.ts';
import type { Exit, Spawner, SpawnListener, SpawnRequest, SpawnResult } from './spawner.ts';

const P_ALL = 0;
const P_PID = 1;
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x0100_0000;
const CLD_EXITED = 1;
const MFD_CLOEXEC = 1;
const NS_PER_TICK = 1e9 / TICKS_PER_SECOND;

/**
 * While starts are under way exits wait up to this long and are taken together: what is due comes before what is over, and a result by
 * itself costs several times its share of a batch.
 */
const REAP_GATHER_MS = 40;
/** SIGCHLD may be merged or lost while the loop is blocked; asking again this often bounds the delay. */
const REAP_INTERVAL_MS = 250;
/** How often the threads are looked at while starts are under way. */
const HANGING_MS = 1000;
/** Exits told by themselves before the others are looked for one process at a time, to be told together. */
const SINGLE_EXITS = 4;
/** With more processes than this asking each of them costs more than it saves. */
const ASKED_MAX = 2048;

/** The memory file's names lie behind the large place for arguments. */
const LARGE_END = ARENA_BYTES - 64;

type Done = (result: SpawnResult) => void;

interface Submitted {
  readonly done: Done;
  /** The control group it has for itself. */
  readonly group: string | null;
  readonly memLimitBytes: number | null;
  /** To be closed when it is started. */
  readonly stdin: number;
  /** Its arguments lie in the one large place. */
  readonly isLarge: boolean;
  /** Its file actions are its own, to be destroyed. */
  readonly ownActions: boolean;
  /** Counts all starts. */
  readonly number: number;
}

/** Where control groups of runs are made and removed. */
export interface RunGroups {
  readonly cgroups: Cgroups;
  readonly remover: CgroupRemover;
}

export class FfiSpawner implements Spawner {
  readonly kind = 'ffi';
  readonly ready: Promise<void>;
  readonly depth = SLOTS;
  readonly #libc: Libc;
  readonly #clock: Clock;
  readonly #listener: SpawnListener;
  readonly #arguments: ArgumentWriter;
  readonly #actions: KeptActions;
  readonly #threads: SpawnThreads;
  readonly #nullFd: number;
  /** The threads have tables of descriptors of their own, in which only the one above is the same file. */
  readonly #ownDescriptors: boolean;
  readonly #onSignal = () => this.#reapSoon();
  /** By slot. */
  readonly #underWay: (Submitted | null)[] = Array.from({ length: SLOTS }, () => null);
  readonly #freeSlots = Array.from({ length: SLOTS }, (_, index) => index);
  /** Starts that wait for the one large place. */
  readonly #large: { request: SpawnRequest; done: Done }[] = [];
  /** null: no run has a control group. */
  readonly #groups: SpawnGroups | null;
  #largeUsed = false;
  #submitted = 0;
  /** Processes of ours that are not reaped. */
  readonly #live = new Set<number>();
  /** A dead process nobody knows: one whose start is still on its way here, unless all that were under way have come. */
  #held: { pid: number; until: number } | null = null;
  #timer: Timer | null = null;
  #reapTimer: Timer | null = null;
  #lookTimer: Timer | null = null;
  #reapedAt = Number.NEGATIVE_INFINITY;

  /** `groups`: null: no run has a control group. `broken`: a thread has died, which no start can go wrong enough for. */
  constructor(
    libc: Libc,
    clock: Clock,
    groups: RunGroups | null,
    listener: SpawnListener,
    broken: (error: Error) => void,
  ) {
    this.#libc = libc;
    this.#clock = clock;
    this.#listener = listener;
    this.#arguments = new ArgumentWriter(libc.arena);
    this.#nullFd = openSync('/dev/null', 'r');
    this.#actions = new KeptActions(libc, this.#nullFd);
    prepareAttributes(libc);
    this.#ownDescriptors = isDumpable(libc);
    this.#threads = new SpawnThreads(libc.arena, this.#ownDescriptors, () => this.#collect(), broken);
    this.ready = this.#threads.ready;
    this.#groups =
      groups &&
      new SpawnGroups({
        ...groups,
        clock,
        move: (path) => this.#threads.move(membersFile(path)),
      });
    process.on('SIGCHLD', this.#onSignal);
  }

  spawn(request: SpawnRequest, done: Done): void {
    if (this.#groups === null) this.#start(request, done, null);
    else this.#groups.admit(request.ownGroup, (group) => this.#start(request, done, group));
  }

  #start(request: SpawnRequest, done: Done, group: string | null): void {
    const failed = this.#submit(request, done, group);
    if (failed === null) return;
    if (failed === 'later') {
      this.#large.push({ request, done });
    } else {
      done(failed);
      this.#listener.settled();
    }
    this.#leave(group);
  }

  reap(): void {
    this.#reapTimer?.cancel();
    this.#reapTimer = null;
    this.#reapedAt = this.#clock.monotonic();
    for (let single = 1; ; single += 1) {
      const first = this.#look(P_ALL, 0);
      if (first === null) return;
      const isAwaited = this.#isAwaited(first.pid);
      const together = (isAwaited || single > SINGLE_EXITS) && this.#live.size <= ASKED_MAX;
      const exits = together ? this.#lookAtLive() : [];
      if (!isAwaited && (!together || !this.#live.has(first.pid))) exits.push(first);
      this.#tell(exits);
      if (isAwaited) return;
      if (together) single = 0;
    }
  }

  /** Exits of processes whose start is known. The kernel shows the first dead one only, until that is taken. */
  #lookAtLive(): Exit[] {
    const exits: Exit[] = [];
    for (const pid of this.#live) {
      const exit = this.#look(P_PID, pid);
      if (exit !== null) exits.push(exit);
    }
    return exits;
  }

  /** An exit, left where it is. */
  #look(of: number, id: number): Exit | null {
    const { call, arena } = this.#libc;
    arena.view.setInt32(SIGINFO + 16, 0, true);
    if (call.waitid(of, id, at(this.#libc, SIGINFO), WEXITED | WNOHANG | WNOWAIT) !== 0) return null;
    const pid = arena.view.getInt32(SIGINFO + 16, true);
    if (pid === 0) return null;
    const code = arena.view.getInt32(SIGINFO + 8, true);
    const value = arena.view.getInt32(SIGINFO + 24, true);
    return { pid, status: code === CLD_EXITED ? value << 8 : value };
  }

  #tell(exits: readonly Exit[]): void {
    this.#listener.exited(exits);
    for (const { pid } of exits) {
      this.#libc.call.waitpid(pid, at(this.#libc, STATUS), WNOHANG);
      this.#live.delete(pid);
    }
  }

  #reapSoon(): void {
    const waitMs = this.#freeSlots.length === SLOTS ? 0 : this.#reapedAt + REAP_GATHER_MS - this.#clock.monotonic();
    if (waitMs <= 0) this.reap();
    else this.#reapTimer ??= this.#clock.setTimer(waitMs, () => this.reap());
  }

  close(): void {
    process.off('SIGCHLD', this.#onSignal);
    this.#timer?.cancel();
    this.#timer = null;
    this.#reapTimer?.cancel();
    this.#reapTimer = null;
    this.#lookTimer?.cancel();
    this.#groups?.close();
    this.#threads.close();
    closeSync(this.#nullFd);
  }

  /** Its exit must not be told before its start. */
  #isAwaited(pid: number): boolean {
    if (this.#live.has(pid) || this.#freeSlots.length === SLOTS) return false;
    // A background child that outlived its job came here with the job's session; what is started here leads one of its own. Were each of
    // them waited for too, a storm of starts would hold up the exits behind them until it is over.
    if (this.#libc.call.getsid(pid) !== pid) return false;
    if (this.#held?.pid !== pid) this.#held = { pid, until: this.#submitted };
    const { until } = this.#held;
    if (this.#underWay.some((start) => start !== null && start.number < until)) return true;
    this.#held = null;
    return false;
  }

  /** null: it is on its way; 'later': the large place is taken. */
  #submit(request: SpawnRequest, done: Done, group: string | null): SpawnResult | 'later' | null {
    const index = this.#freeSlots.at(-1);
    if (index === undefined) throw new Error(`more than ${SLOTS} starts under way`);
    const slot = slotAt(index);
    let prepared = this.#arguments.write(request, slot + SLOT.strings, slot + SLOT.end);
    const isLarge = prepared === 'E2BIG';
    if (isLarge && this.#largeUsed) return 'later';
    if (isLarge) prepared = this.#arguments.write(request, STRINGS, LARGE_END);
    if (typeof prepared === 'string') return { kind: 'failed', code: prepared };
    const stdin = request.stdin === null ? this.#nullFd : this.#memoryFile(request.stdin);
    if (typeof stdin === 'string') return { kind: 'failed', code: stdin };
    const { view, base } = this.#libc.arena;
    view.setBigUint64(slot + SLOT.program, base + BigInt(prepared.program), true);
    view.setBigUint64(slot + SLOT.argv, base + BigInt(prepared.argv), true);
    view.setBigUint64(slot + SLOT.envp, base + BigInt(prepared.envp), true);
    const kept = this.#actions.find(request);
    const actions = kept ?? slot + SLOT.actions;
    if (kept === null) writeActions(this.#libc, actions, prepared, this.#stdinOf(stdin));
    view.setBigUint64(slot + SLOT.actionsAt, base + BigInt(actions), true);
    this.#freeSlots.pop();
    const { memLimitBytes } = request;
    const ownActions = kept === null;
    this.#underWay[index] = { done, group, memLimitBytes, stdin, isLarge, ownActions, number: this.#submitted };
    this.#submitted += 1;
    this.#lookTimer ??= this.#clock.setTimer(HANGING_MS, () => this.#lookAtThreads());
    this.#largeUsed ||= isLarge;
    this.#threads.submit(index);
    return null;
  }

  /** A program on a filesystem that hangs keeps a thread, which may have been about to tell of others. */
  #lookAtThreads(): void {
    this.#collect();
    this.#threads.relieve();
    const isBusy = this.#freeSlots.length < SLOTS;
    this.#lookTimer = isBusy ? this.#clock.setTimer(HANGING_MS, () => this.#lookAtThreads()) : null;
  }

  /** Takes what the threads have carried out. */
  #collect(): void {
    const indexes = this.#threads.collect();
    for (const index of indexes) this.#carriedOut(index);
    const moved = this.#threads.moved();
    if (moved !== null) this.#groups?.moved(moved);
    if (indexes.length === 0) return;
    this.#timer ??= this.#clock.setTimer(REAP_INTERVAL_MS, () => this.#onTimer());
    this.#listener.settled();
    if (!this.#largeUsed) for (const { request, done } of this.#large.splice(0)) this.spawn(request, done);
    this.#reapSoon();
  }

  #carriedOut(index: number): void {
    const start = this.#underWay[index] as Submitted;
    const { done, group, stdin, isLarge, ownActions } = start;
    const result = this.#resultOf(slotAt(index), start);
    if (isLarge) this.#largeUsed = false;
    if (stdin !== this.#nullFd) closeSync(stdin);
    if (ownActions) this.#libc.call.posix_spawn_file_actions_destroy(at(this.#libc, slotAt(index) + SLOT.actions));
    this.#underWay[index] = null;
    this.#freeSlots.push(index);
    done(result);
    if (group === null || result.kind === 'failed') this.#leave(group);
  }

  /** A start in a group of its own has failed, or one without is over. */
  #leave(group: string | null): void {
    if (group === null) this.#groups?.sharedBegun();
    else this.#groups?.unclaim(group);
  }

  #resultOf(slot: number, { group, memLimitBytes }: Submitted): SpawnResult {
    const { view } = this.#libc.arena;
    const errno = view.getInt32(slot + SLOT.errno, true);
    if (errno !== 0) return { kind: 'failed', code: getSystemErrorName(-errno) };
    const pid = view.getInt32(slot + SLOT.pid, true);
    this.#live.add(pid);
    const earliest = Math.floor(nanoseconds(view, slot + SLOT.earliest) / NS_PER_TICK);
    const latest = Math.floor(nanoseconds(view, slot + SLOT.latest) / NS_PER_TICK);
    const startedAtUs = Math.floor(nanoseconds(view, slot + SLOT.startedAt) / 1000);
    // After a pause in the middle of it only /proc tells.
    const isKnown = latest - earliest <= START_TOLERANCE_TICKS;
    const cgroup = group !== null && this.#groups?.begun(group, pid, memLimitBytes) === true ? group : null;
    return { kind: 'spawned', pid, startedAtUs, startTicks: isKnown ? earliest : null, cgroup };
  }

  #onTimer(): void {
    this.reap();
    this.#timer = this.#live.size === 0 ? null : this.#clock.setTimer(REAP_INTERVAL_MS, () => this.#onTimer());
  }

  /** The payload as an anonymous file: any size, no pipe to deadlock on, and it works on a full disk. */
  #memoryFile(content: Uint8Array): number | string {
    const { call, arena } = this.#libc;
    arena.bytes.write('stdin\0', LARGE_END, 'latin1');
    const fd = call.memfd_create(at(this.#libc, LARGE_END), MFD_CLOEXEC);
    if (fd < 0) return 'EMFILE';
    for (let done = 0; done < content.length;) done += writeSync(fd, content, done, content.length - done, done);
    return fd;
  }

  /** What `writeActions` takes: others than the first are opened by their path where the threads do not have them. */
  #stdinOf(fd: number): number | bigint {
    if (fd === this.#nullFd || !this.#ownDescriptors) return fd;
    this.#libc.arena.bytes.write(`/proc/${process.pid}/fd/${fd}\0`, LARGE_END, 'latin1');
    return at(this.#libc, LARGE_END);
  }
}

/** A struct timespec of 64-bit Linux. Milliseconds since 1970 in ns lose a quarter of a µs in a double, which nobody misses. */
function nanoseconds(view: DataView, offset: number): number {
  return readInt64(view, offset) * 1e9 + readInt64(view, offset + 8);
}

function readInt64(view: DataView, offset: number): number {
  return view.getInt32(offset + 4, true) * 2 ** 32 + view.getUint32(offset, true);
}
