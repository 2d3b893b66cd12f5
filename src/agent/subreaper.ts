/**
 * Makes this process the one that inherits orphans below it, and asks for their exits by pid. Never `waitpid(-1)`: that would take the exits of
 * Node's own children, whose `exit` events then never come. Only three calls go through node:ffi here, with one fixed buffer.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Clock, Timer } from '../lib/clock.ts';
import { isDead, readProcess } from './process-table.ts';

export interface Subreaper {
  /** The wait status of a dead child, which stays; 'alive': not yet; null: it is no child of this process (any more). */
  look(pid: number): number | 'alive' | null;
  /** Takes a dead child away. */
  release(pid: number): void;
}

const PR_SET_CHILD_SUBREAPER = 36;
const P_PID = 1;
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x0100_0000;
const CLD_EXITED = 1;
/** Words of 32 bits in siginfo_t of 64-bit Linux. */
const SIGINFO = { code: 2, pid: 4, status: 6 } as const;

/** Call once, at the node's start. null: node:ffi is missing or does not work, and exits of a dead runner's jobs stay unknown. */
export function becomeSubreaper(): Subreaper | null {
  if (process.platform !== 'linux') return null;
  try {
    const ffi = createRequire(import.meta.url)('node:ffi') as typeof import('node:ffi') & {
      getRawPointer(buffer: ArrayBuffer): bigint;
    };
    const { functions } = ffi.dlopen(null, {
      getpid: { return: 'i32', arguments: [] },
      prctl: { return: 'i32', arguments: ['i32', 'u64', 'u64', 'u64', 'u64'] },
      waitid: { return: 'i32', arguments: ['i32', 'u32', 'pointer', 'i32'] },
      waitpid: { return: 'i32', arguments: ['i32', 'pointer', 'i32'] },
    });
    const memory = new ArrayBuffer(4096);
    const info = new Int32Array(memory);
    const address = ffi.getRawPointer(memory);
    if (functions.getpid() !== process.pid || functions.prctl(PR_SET_CHILD_SUBREAPER, 1n, 0n, 0n, 0n) !== 0)
      return null;
    return {
      look(pid) {
        info[SIGINFO.pid] = 0;
        if (pid <= 0 || functions.waitid(P_PID, pid, address, WEXITED | WNOHANG | WNOWAIT) !== 0) return null;
        if (info[SIGINFO.pid] !== pid) return 'alive';
        const status = info[SIGINFO.status] as number;
        return info[SIGINFO.code] === CLD_EXITED ? status << 8 : status;
      },
      release(pid) {
        if (pid > 0) functions.waitpid(pid, address, WNOHANG);
      },
    };
  } catch {
    return null; // see above
  }
}

/** A zombie nobody asked for is taken away after it was seen twice, this far apart: Node takes its own children within milliseconds. */
const STRAY_INTERVAL_MS = 5000;

/** Who asks for an exit: it dies some day, and what it was told goes with it. */
export interface ExitAsker {
  told(pid: number, status: number | null): void;
}

/**
 * Reaps on behalf of runners, and clears away orphans nobody asks about (also as PID 1). A dead child stays a zombie until the runner that was
 * told has its exit on disk: should that runner die first, the next one finds the zombie and asks again.
 */
export class Reaping {
  readonly #reaper: Subreaper;
  readonly #clock: Clock;
  readonly #mayClear: () => boolean;
  readonly #watched = new Map<number, ExitAsker>();
  /** Dead, and whom it was told. */
  readonly #told = new Map<number, ExitAsker>();
  readonly #onSignal = () => this.#look();
  #strays = new Map<number, number>();
  #timer: Timer;
  #pollTimer: Timer | null = null;

  /** `mayClear` is false while a dead runner's journal is untaken: a stray may then be a run whose exit is about to be asked for. */
  constructor(reaper: Subreaper, clock: Clock, mayClear: () => boolean) {
    this.#mayClear = mayClear;
    this.#reaper = reaper;
    this.#clock = clock;
    this.#timer = clock.setTimer(STRAY_INTERVAL_MS, () => void this.#clearStrays());
    process.on('SIGCHLD', this.#onSignal);
  }

  /** Tells once: the wait status when the child has died, or null when the pid is no child of this process. */
  watch(pid: number, asker: ExitAsker): void {
    this.#told.delete(pid);
    this.#watched.set(pid, asker);
    this.#look();
  }

  /** What was told of it is on disk. */
  taken(pid: number): void {
    if (this.#told.delete(pid)) this.#reaper.release(pid);
  }

  /** The asker is dead. Its zombies stay for who takes over from it; those nobody asks for then are strays. */
  forget(asker: ExitAsker): void {
    for (const map of [this.#watched, this.#told]) for (const [pid, whose] of map) if (whose === asker) map.delete(pid);
  }

  close(): void {
    process.off('SIGCHLD', this.#onSignal);
    this.#timer.cancel();
    this.#pollTimer?.cancel();
  }

  #look(): void {
    for (const [pid, asker] of this.#watched) {
      const status = this.#reaper.look(pid);
      if (status === 'alive') continue;
      this.#watched.delete(pid);
      if (status !== null) this.#told.set(pid, asker);
      asker.told(pid, status);
    }
    this.#pollTimer?.cancel();
    // Signals merge; asking again bounds the delay.
    this.#pollTimer = this.#watched.size === 0 ? null : this.#clock.setTimer(250, this.#onSignal);
  }

  async #clearStrays(): Promise<void> {
    // After a pause of the whole process Node's own exits must be handled before anything here looks.
    await this.#clock.yield();
    const seen = new Map<number, number>();
    if (this.#mayClear()) {
      for (const stat of zombieChildren()) {
        if (this.#watched.has(stat.pid) || this.#told.has(stat.pid)) continue;
        if (this.#strays.get(stat.pid) === stat.startTicks) this.#reaper.release(stat.pid);
        else seen.set(stat.pid, stat.startTicks);
      }
    }
    this.#strays = seen;
    this.#timer.cancel();
    this.#timer = this.#clock.setTimer(STRAY_INTERVAL_MS, () => void this.#clearStrays());
  }
}

function zombieChildren() {
  const pids: number[] = [];
  for (const task of readdirSync('/proc/self/task')) pids.push(...childrenOf(task));
  return pids.flatMap((pid) => {
    const stat = readProcess(pid);
    return stat !== null && isDead(stat) ? [stat] : [];
  });
}

function childrenOf(task: string): number[] {
  try {
    return readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return []; // a thread that has just ended
  }
}
