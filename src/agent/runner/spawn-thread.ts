/**
 * The thread that waits in posix_spawn. A start keeps its caller waiting until the child has its program, half a millisecond of another
 * core's work, in which the runner's own thread takes messages, exits and results. Everything is prepared by that thread in shared memory;
 * here is only the call.
 */
import { createRequire } from 'node:module';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import {
  CONTROL,
  COMPLETED,
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

const SIGNATURES = {
  posix_spawn: { return: 'i32', arguments: ['pointer', 'pointer', 'pointer', 'pointer', 'pointer', 'pointer'] },
  clock_gettime: { return: 'i32', arguments: ['i32', 'pointer'] },
} as const;

function run({ memory, base, attributes }: ThreadData): void {
  const ffi = createRequire(import.meta.url)('node:ffi') as typeof import('node:ffi');
  const { posix_spawn: spawn, clock_gettime: clock } = ffi.dlopen(null, SIGNATURES).functions;
  const view = new DataView(memory);
  const control = new Int32Array(memory, CONTROL, 8);
  const attributesAt = base + BigInt(attributes);
  for (let done = 0; ;) {
    Atomics.wait(control, SUBMITTED, done);
    if (Atomics.load(control, STOPPING) === 1) return;
    while (done !== Atomics.load(control, SUBMITTED)) {
      const slot = slotAt(done & (SLOTS - 1));
      const at = base + BigInt(slot);
      const pointer = (offset: number) => view.getBigUint64(slot + offset, true);
      clock(CLOCK_REALTIME, at + BigInt(SLOT.startedAt));
      clock(CLOCK_BOOTTIME, at + BigInt(SLOT.earliest));
      const [program, actions, argv] = [pointer(SLOT.program), pointer(SLOT.actionsAt), pointer(SLOT.argv)];
      const errno = spawn(at + BigInt(SLOT.pid), program, actions, attributesAt, argv, pointer(SLOT.envp));
      clock(CLOCK_BOOTTIME, at + BigInt(SLOT.latest));
      view.setInt32(slot + SLOT.errno, errno, true);
      done = (done + 1) | 0;
      Atomics.store(control, COMPLETED, done);
      // Half of them at once: woken for each one the runner's thread would find its caches cold each time.
      const enough = done === Atomics.load(control, SUBMITTED) || (done & (SLOTS / 2 - 1)) === 0;
      if (enough && Atomics.exchange(control, WAITING, 0) === 1) parentPort?.postMessage(null);
    }
  }
}

if (!isMainThread) run(workerData as ThreadData);
