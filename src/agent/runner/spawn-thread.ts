/**
 * A thread that waits in posix_spawn. A start keeps its caller waiting until the child has its program, half a millisecond of another
 * core's work, in which the runner's own thread takes messages, exits and results. Everything is prepared by that thread in shared memory;
 * here is only the call.
 */
import type { DynamicLibraryResult } from 'node:ffi';
import { readdirSync, readlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import {
  CARRIED_OUT,
  COMPLETED,
  CONTROL,
  DONE,
  FAILED,
  GROUP,
  MOVE,
  MOVED,
  ONESELF,
  RING,
  SIGNAL_SET,
  SLOT,
  SLOTS,
  slotAt,
  STATES,
  STOPPING,
  SUBMITTED,
  TAKEN,
  type ThreadData,
  WAITING,
  WAKE,
} from './spawn-memory.ts';

const CLOCK_REALTIME = 0;
const CLOCK_BOOTTIME = 7;
const O_WRONLY = 1;
const CLONE_FILES = 0x400;
const SIG_BLOCK = 0;
const DESCRIPTORS = '/proc/thread-self/fd';

const SIGNATURES = {
  posix_spawn: { return: 'i32', arguments: ['pointer', 'pointer', 'pointer', 'pointer', 'pointer', 'pointer'] },
  clock_gettime: { return: 'i32', arguments: ['i32', 'pointer'] },
  open: { return: 'i32', arguments: ['pointer', 'i32'] },
  write: { return: 'i64', arguments: ['i32', 'pointer', 'u64'] },
  close: { return: 'i32', arguments: ['i32'] },
  unshare: { return: 'i32', arguments: ['i32'] },
  pthread_sigmask: { return: 'i32', arguments: ['i32', 'pointer', 'pointer'] },
} as const;

type Calls = DynamicLibraryResult<typeof SIGNATURES>['functions'];

function run({ memory, base, attributes, ownDescriptors }: ThreadData): void {
  const ffi = createRequire(import.meta.url)('node:ffi') as typeof import('node:ffi');
  const call = ffi.dlopen(null, SIGNATURES).functions;
  const { posix_spawn: spawn, clock_gettime: clock } = call;
  const view = new DataView(memory);
  const control = new Int32Array(memory, CONTROL, 8);
  const ring = new Int32Array(memory, RING, SLOTS);
  const states = new Int32Array(memory, STATES, SLOTS);
  const attributesAt = base + BigInt(attributes);
  if (ownDescriptors) leaveDescriptors(call, base + BigInt(SIGNAL_SET));
  parentPort?.postMessage(null);
  for (;;) {
    const wake = Atomics.load(control, WAKE);
    if (Atomics.load(control, STOPPING) === 1) return;
    const index = take(control, ring);
    if (index === null) {
      Atomics.wait(control, WAKE, wake);
      continue;
    }
    if (index === MOVE) {
      Atomics.store(control, MOVED, move(call, base) ? DONE : FAILED);
      parentPort?.postMessage(null);
      continue;
    }
    const slot = slotAt(index);
    const at = base + BigInt(slot);
    const pointer = (offset: number) => view.getBigUint64(slot + offset, true);
    clock(CLOCK_REALTIME, at + BigInt(SLOT.startedAt));
    clock(CLOCK_BOOTTIME, at + BigInt(SLOT.earliest));
    const [program, actions, argv] = [pointer(SLOT.program), pointer(SLOT.actionsAt), pointer(SLOT.argv)];
    const errno = spawn(at + BigInt(SLOT.pid), program, actions, attributesAt, argv, pointer(SLOT.envp));
    clock(CLOCK_BOOTTIME, at + BigInt(SLOT.latest));
    view.setInt32(slot + SLOT.errno, errno, true);
    Atomics.store(states, index, CARRIED_OUT);
    const completed = Atomics.add(control, COMPLETED, 1) + 1;
    // Half of them at once: woken for each one the runner's thread would find its caches cold each time.
    const enough =
      Atomics.load(control, TAKEN) === Atomics.load(control, SUBMITTED) || (completed & (SLOTS / 2 - 1)) === 0;
    if (enough && Atomics.exchange(control, WAITING, 0) === 1) parentPort?.postMessage(null);
  }
}

/** The slot of the next start that no thread has taken, or MOVE; null: there is none. */
function take(control: Int32Array, ring: Int32Array): number | null {
  for (;;) {
    const taken = Atomics.load(control, TAKEN);
    if (taken === Atomics.load(control, SUBMITTED)) return null;
    // Read before it is taken: as long as it is not, its place in the ring is not written again.
    const index = Atomics.load(ring, taken & (SLOTS - 1));
    if (Atomics.compareExchange(control, TAKEN, taken, (taken + 1) | 0) === taken) return index;
  }
}

/** Moves the whole process to the control group that the runner's thread has named. */
function move(call: Calls, base: bigint): boolean {
  const file = call.open(base + BigInt(GROUP), O_WRONLY);
  if (file < 0) return false;
  const written = call.write(file, base + BigInt(ONESELF), 1n);
  call.close(file);
  return written === 1n;
}

/**
 * Gives this thread a table of descriptors of its own. A child copies and closes each descriptor of whoever starts it, and the runner has
 * hundreds: spare files, connections. Copies of files and connections are closed, so that what the runner closes is closed; the rest belongs
 * to the two event loops. Signals stay with the runner's thread, whose handlers write to descriptors of its table.
 */
function leaveDescriptors(call: Calls, allSignals: bigint): void {
  call.pthread_sigmask(SIG_BLOCK, allSignals, 0n);
  if (call.unshare(CLONE_FILES) !== 0) return;
  for (const name of readdirSync(DESCRIPTORS)) {
    const target = readlinkOrNothing(`${DESCRIPTORS}/${name}`);
    const isLoops = !target.startsWith('/') && !target.startsWith('socket:');
    if (Number(name) > 2 && !isLoops && !target.startsWith('/dev/')) call.close(Number(name));
  }
}

/** Nothing for the descriptor that read the directory. */
function readlinkOrNothing(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

if (!isMainThread) run(workerData as ThreadData);
