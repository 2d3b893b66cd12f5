/** Where things lie in the memory that the runner's thread, the spawning thread and the C library share; offsets in bytes. */

/** argv and environment of one start together may take this much; Linux allows 2 MiB by default. Untouched pages cost nothing. */
export const ARENA_BYTES = 4 * 1024 * 1024;

// The two glibc structures take 80 and 336 bytes on 64-bit Linux; each has more than that.
export const FILE_ACTIONS = 0;
export const ATTRIBUTES = 512;
export const PID = 1024;
export const STATUS = 1032;
export const SIGINFO = 1040;
export const SIGNAL_SET = 1280;
/** Words of 32 bits, by the indexes below. */
export const CONTROL = 2048;
/** Path of the members file of the control group to move to. */
export const GROUP = 2112;
/** What a process writes into a members file to enter the group itself. */
export const ONESELF = 4080;
/** Strings that hardly ever change (the node's part of the environment) keep their place from start to start. */
export const KEPT = 4096;
export const STRINGS = 128 * 1024;

/** Starts handed over, taken by a thread, and carried out; they count up and wrap at 2^32. */
export const SUBMITTED = 0;
export const TAKEN = 1;
export const COMPLETED = 2;
/** Counts what threads are to wake up for. */
export const WAKE = 6;
/** 1: the runner's thread wants a message when starts are carried out. */
export const WAITING = 3;
export const STOPPING = 4;
/** How the last move to another control group went: */
export const MOVED = 5;
export const DONE = 1;
export const FAILED = 2;

/** Starts under way at once: what the threads work off while the runner's own is busy for some milliseconds. A power of two. */
export const SLOTS = 32;
/** Slots in the order in which they were handed over, or that a thread is to move the process to another control group. */
export const RING = 1536;
export const MOVE = -1;
/** One word for each slot: */
export const STATES = RING + SLOTS * 4;
export const UNDER_WAY = 1;
export const CARRIED_OUT = 2;
const SLOT_BYTES = 32 * 1024;
/** File actions that stay for further starts, each with room for its two paths. */
export const ACTIONS = ARENA_BYTES + SLOTS * SLOT_BYTES;
export const ACTIONS_KEPT = 256;
export const PATH_BYTES = 464;
export const ACTIONS_BYTES = 96 + 2 * PATH_BYTES;
export const MEMORY_BYTES = ACTIONS + ACTIONS_KEPT * ACTIONS_BYTES;

/** One start; what it needs from outside these fields (strings) lies behind them or at KEPT. */
export const SLOT = {
  actions: 0,
  pid: 96,
  errno: 100,
  program: 104,
  argv: 112,
  envp: 120,
  startedAt: 128,
  earliest: 144,
  latest: 160,
  /** Address of the file actions: this slot's own or kept ones. */
  actionsAt: 176,
  strings: 184,
  end: SLOT_BYTES,
} as const;

export function slotAt(index: number): number {
  return ARENA_BYTES + index * SLOT_BYTES;
}

export interface ThreadData {
  readonly memory: SharedArrayBuffer;
  readonly base: bigint;
  /** Offset of the prepared posix_spawnattr_t. */
  readonly attributes: number;
  /** The thread is to have a table of descriptors of its own. */
  readonly ownDescriptors: boolean;
}
