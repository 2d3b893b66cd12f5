/**
 * The thread that waits in posix_spawn. A start keeps its caller waiting until the child has its program, half a millisecond of another
 * core's work, in which the runner's own thread takes messages, exits and results. Everything is prepared by that thread in shared memory;
 * here is only the call.
 */
import type { DynamicLibraryResult } from 'node:ffi';
import { createRequire } from 'node:module';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import {
  CONTROL,
  COMPLETED,
  HOME_GROUP,
  ONESELF,
  SLOT,
  SLOTS,
  slotAt,
  STOPPING,
  SUBMITTED,
  WAITING,
  type ThreadData,
} from './spawn-memory.ts';

const CLOCK_REALTIME = 0;
const CLOCK_BOOTTIME = 7;
const O_WRONLY = 1;

const SIGNATURES = {
  posix_spawn: { return: 'i32', arguments: ['pointer', 'pointer', 'pointer', 'pointer', 'pointer', 'pointer'] },
  clock_gettime: { return: 'i32', arguments: ['i32', 'pointer'] },
  open: { return: 'i32', arguments: ['pointer', 'i32'] },
  write: { return: 'i64', arguments: ['i32', 'pointer', 'u64'] },
  close: { return: 'i32', arguments: ['i32'] },
} as const;

type Calls = DynamicLibraryResult<typeof SIGNATURES>['functions'];

function run({ memory, base, attributes }: ThreadData): void {
  const ffi = createRequire(import.meta.url)('node:ffi') as typeof import('node:ffi');
  const call = ffi.dlopen(null, SIGNATURES).functions;
  const { posix_spawn: spawn, clock_gettime: clock } = call;
  const view = new DataView(memory);
  const control = new Int32Array(memory, CONTROL, 8);
  const attributesAt = base + BigInt(attributes);
  const oneself = base + BigInt(ONESELF);
  // Open for good: without a free descriptor it could not come back, and the next runs would be born in a foreign group.
  const home = call.open(base + BigInt(HOME_GROUP), O_WRONLY);
  parentPort?.postMessage(null);
  for (let done = 0; ;) {
    Atomics.wait(control, SUBMITTED, done);
    if (Atomics.load(control, STOPPING) === 1) return;
    while (done !== Atomics.load(control, SUBMITTED)) {
      const slot = slotAt(done & (SLOTS - 1));
      const at = base + BigInt(slot);
      const pointer = (offset: number) => view.getBigUint64(slot + offset, true);
      const group = pointer(SLOT.cgroup);
      const entered = group !== 0n && home >= 0 && enter(call, group, oneself);
      clock(CLOCK_REALTIME, at + BigInt(SLOT.startedAt));
      clock(CLOCK_BOOTTIME, at + BigInt(SLOT.earliest));
      const [program, actions, argv] = [pointer(SLOT.program), pointer(SLOT.actionsAt), pointer(SLOT.argv)];
      const errno = spawn(at + BigInt(SLOT.pid), program, actions, attributesAt, argv, pointer(SLOT.envp));
      clock(CLOCK_BOOTTIME, at + BigInt(SLOT.latest));
      if (entered) call.write(home, oneself, 1n);
      view.setInt32(slot + SLOT.inCgroup, entered ? 1 : 0, true);
      view.setInt32(slot + SLOT.errno, errno, true);
      done = (done + 1) | 0;
      Atomics.store(control, COMPLETED, done);
      // Half of them at once: woken for each one the runner's thread would find its caches cold each time.
      const enough = done === Atomics.load(control, SUBMITTED) || (done & (SLOTS / 2 - 1)) === 0;
      if (enough && Atomics.exchange(control, WAITING, 0) === 1) parentPort?.postMessage(null);
    }
  }
}

/**
 * Moves this whole process into a control group. A child begins in the group of its parent, so going there and back around the start is
 * what leaves no moment in which the job could fork outside of its own (a C library that starts a child in a group is too new to rely on).
 */
function enter(call: Calls, membersFile: bigint, oneself: bigint): boolean {
  const file = call.open(membersFile, O_WRONLY);
  if (file < 0) return false;
  const written = call.write(file, oneself, 1n);
  call.close(file);
  return written === 1n;
}

if (!isMainThread) run(workerData as ThreadData);
