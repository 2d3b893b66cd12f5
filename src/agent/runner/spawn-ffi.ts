/**
 * Starts processes with posix_spawn: twice to five times as fast as child_process and without its handles. A thread of its own waits in the
 * call (spawn-thread.ts). While this spawner lives, nothing else in the process may start children, because exits are asked for with
 * waitid(P_ALL).
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { Worker } from 'node:worker_threads';
import type { Clock, Timer } from '../../lib/clock.ts';
import { START_TOLERANCE_TICKS } from '../identity.ts';
import { TICKS_PER_SECOND } from '../process-table.ts';
import type { Libc } from './libc.ts';
import { ArgumentWriter } from './spawn-arguments.ts';
import {
  ARENA_BYTES,
  ATTRIBUTES,
  COMPLETED,
  CONTROL,
  SIGINFO,
  SLOT,
  SLOTS,
  slotAt,
  STATUS,
  STOPPING,
  STRINGS,
  SUBMITTED,
  type ThreadData,
  WAITING,
} from './spawn-memory.ts';
import { at, KeptActions, prepareAttributes, writeActions, writeHome } from './spawn-setup.ts';
import type { Spawner, SpawnListener, SpawnRequest, SpawnResult } from './spawner.ts';

const P_ALL = 0;
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
const THREAD = new URL('./spawn-thread.ts', import.meta.url);
/** It makes next to no garbage: a small heap keeps the runner small. */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16, stackSizeMb: 1 };

/** The memory file's name lies behind the large place for arguments. */
const LARGE_END = ARENA_BYTES - 64;

type Done = (result: SpawnResult) => void;

interface Submitted {
  readonly done: Done;
  /** To be closed when it is started. */
  readonly stdin: number;
  /** Its arguments lie in the one large place. */
  readonly isLarge: boolean;
  /** Its file actions are its own, to be destroyed. */
  readonly ownActions: boolean;
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
  readonly #control: Int32Array;
  readonly #thread: Worker;
  readonly #nullFd: number;
  readonly #onSignal = () => this.#reapSoon();
  readonly #underWay: (Submitted | null)[] = Array.from({ length: SLOTS }, () => null);
  /** Starts that wait for the one large place. */
  readonly #large: { request: SpawnRequest; done: Done }[] = [];
  #largeUsed = false;
  #submitted = 0;
  #collected = 0;
  /** Processes of ours that are not reaped. */
  readonly #live = new Set<number>();
  /** A dead process nobody knows: one whose start is still on its way here, unless all that were under way have come. */
  #held: { pid: number; until: number } | null = null;
  #timer: Timer | null = null;
  #reapTimer: Timer | null = null;
  #reapedAt = Number.NEGATIVE_INFINITY;

  /**
   * `home`: the control group of this process, to which it returns from those of its runs; null: no run has one. `broken`: the thread has
   * died, which no start can go wrong enough for.
   */
  constructor(libc: Libc, clock: Clock, home: string | null, listener: SpawnListener, broken: (error: Error) => void) {
    this.#libc = libc;
    this.#clock = clock;
    this.#listener = listener;
    this.#arguments = new ArgumentWriter(libc.arena);
    this.#control = new Int32Array(libc.arena.memory, CONTROL, 8);
    this.#nullFd = openSync('/dev/null', 'r');
    this.#actions = new KeptActions(libc, this.#nullFd);
    prepareAttributes(libc);
    writeHome(libc, home);
    const { memory, base } = libc.arena;
    this.#thread = new Worker(THREAD, {
      workerData: { memory, base, attributes: ATTRIBUTES } satisfies ThreadData,
      resourceLimits: THREAD_LIMITS,
    });
    this.ready = new Promise((resolve) => {
      this.#thread.once('message', () => {
        this.#thread.unref();
        resolve();
      });
    });
    this.#thread.on('message', () => this.#collect());
    this.#thread.on('error', broken);
    process.on('SIGCHLD', this.#onSignal);
  }

  spawn(request: SpawnRequest, done: Done): void {
    const failed = this.#submit(request, done);
    if (failed === null) return;
    done(failed);
    this.#listener.settled();
  }

  reap(): void {
    this.#reapTimer?.cancel();
    this.#reapTimer = null;
    this.#reapedAt = this.#clock.monotonic();
    const { call, arena } = this.#libc;
    for (;;) {
      arena.view.setInt32(SIGINFO + 16, 0, true);
      if (call.waitid(P_ALL, 0, at(this.#libc, SIGINFO), WEXITED | WNOHANG | WNOWAIT) !== 0) break;
      const pid = arena.view.getInt32(SIGINFO + 16, true);
      if (pid === 0 || this.#isAwaited(pid)) break;
      const code = arena.view.getInt32(SIGINFO + 8, true);
      const value = arena.view.getInt32(SIGINFO + 24, true);
      this.#listener.exited(pid, code === CLD_EXITED ? value << 8 : value);
      call.waitpid(pid, at(this.#libc, STATUS), WNOHANG);
      this.#live.delete(pid);
    }
  }

  #reapSoon(): void {
    const waitMs = this.#submitted === this.#collected ? 0 : this.#reapedAt + REAP_GATHER_MS - this.#clock.monotonic();
    if (waitMs <= 0) this.reap();
    else this.#reapTimer ??= this.#clock.setTimer(waitMs, () => this.reap());
  }

  close(): void {
    process.off('SIGCHLD', this.#onSignal);
    this.#timer?.cancel();
    this.#timer = null;
    this.#reapTimer?.cancel();
    this.#reapTimer = null;
    Atomics.store(this.#control, STOPPING, 1);
    this.#handOver(0);
    closeSync(this.#nullFd);
  }

  /** Its exit must not be told before its start. */
  #isAwaited(pid: number): boolean {
    if (this.#live.has(pid) || this.#submitted === this.#collected) return false;
    // A background child that outlived its job came here with the job's session; what is started here leads one of its own. Were each of
    // them waited for too, a storm of starts would hold up the exits behind them until it is over.
    if (this.#libc.call.getsid(pid) !== pid) return false;
    if (this.#held?.pid !== pid) this.#held = { pid, until: this.#submitted };
    if (((this.#collected - this.#held.until) | 0) < 0) return true;
    this.#held = null;
    return false;
  }

  /** null: it is on its way. */
  #submit(request: SpawnRequest, done: Done): SpawnResult | null {
    const index = this.#submitted & (SLOTS - 1);
    if (this.#underWay[index] !== null) throw new Error(`more than ${SLOTS} starts under way`);
    const slot = slotAt(index);
    let prepared = this.#arguments.write(request, slot + SLOT.strings, slot + SLOT.end);
    const isLarge = prepared === 'E2BIG';
    if (isLarge && this.#largeUsed) {
      this.#large.push({ request, done });
      return null;
    }
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
    if (kept === null) writeActions(this.#libc, actions, prepared, stdin);
    view.setBigUint64(slot + SLOT.actionsAt, base + BigInt(actions), true);
    view.setBigUint64(slot + SLOT.cgroup, prepared.cgroup === 0 ? 0n : base + BigInt(prepared.cgroup), true);
    this.#underWay[index] = { done, stdin, isLarge, ownActions: kept === null };
    this.#largeUsed ||= isLarge;
    this.#handOver(1);
    return null;
  }

  #handOver(count: number): void {
    this.#submitted = (this.#submitted + count) | 0;
    Atomics.store(this.#control, SUBMITTED, this.#submitted);
    Atomics.store(this.#control, WAITING, 1);
    Atomics.notify(this.#control, SUBMITTED);
  }

  /** Takes what the thread has carried out. */
  #collect(): void {
    // Before looking, so that what is carried out from here on is told.
    Atomics.store(this.#control, WAITING, 1);
    const completed = Atomics.load(this.#control, COMPLETED);
    if (completed === this.#collected) return;
    while (this.#collected !== completed) {
      const index = this.#collected & (SLOTS - 1);
      const { done, stdin, isLarge, ownActions } = this.#underWay[index] as Submitted;
      this.#underWay[index] = null;
      this.#collected = (this.#collected + 1) | 0;
      if (isLarge) this.#largeUsed = false;
      if (stdin !== this.#nullFd) closeSync(stdin);
      if (ownActions) this.#libc.call.posix_spawn_file_actions_destroy(at(this.#libc, slotAt(index) + SLOT.actions));
      done(this.#resultOf(slotAt(index)));
    }
    this.#timer ??= this.#clock.setTimer(REAP_INTERVAL_MS, () => this.#onTimer());
    this.#listener.settled();
    if (!this.#largeUsed) for (const { request, done } of this.#large.splice(0)) this.spawn(request, done);
    this.#reapSoon();
  }

  #resultOf(slot: number): SpawnResult {
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
    const inCgroup = view.getInt32(slot + SLOT.inCgroup, true) === 1;
    return { kind: 'spawned', pid, startedAtUs, startTicks: isKnown ? earliest : null, inCgroup };
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
}

/** A struct timespec of 64-bit Linux. Milliseconds since 1970 in ns lose a quarter of a µs in a double, which nobody misses. */
function nanoseconds(view: DataView, offset: number): number {
  return readInt64(view, offset) * 1e9 + readInt64(view, offset + 8);
}

function readInt64(view: DataView, offset: number): number {
  return view.getInt32(offset + 4, true) * 2 ** 32 + view.getUint32(offset, true);
}
