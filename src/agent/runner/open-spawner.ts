/** Which way of starting processes works here. */
import type { Clock } from '../../lib/clock.ts';
import type { RunnerOptions } from '../protocol.ts';
import { type Cgroups, openCgroups } from './cgroup.ts';
import { becomeSubreaper, type Libc, openLibc } from './libc.ts';
import { ChildProcessSpawner } from './spawn-child.ts';
import { FfiSpawner, type RunGroups } from './spawn-ffi.ts';
import { selfTest } from './spawn-setup.ts';
import type { Spawner, SpawnListener } from './spawner.ts';

/** null: child_process is to be used. */
export function usableLibc(spawn: RunnerOptions['spawn']): Libc | null {
  if (spawn === 'child_process') return null;
  const libc = openLibc();
  if (libc !== null && selfTest(libc)) return libc;
  if (spawn === 'ffi') throw new Error('spawn: ffi was asked for, but node:ffi does not work here');
  return null;
}

/** null: no run has a control group. */
export function usableCgroups(wanted: RunnerOptions['cgroups'], dataDir: string, open = openCgroups): Cgroups | null {
  const cgroups = wanted === 'off' ? null : open(dataDir);
  if (cgroups === null && wanted === 'on')
    throw new Error('cgroups: on was asked for, but no cgroup v2 is here whose groups this process may make and enter');
  return cgroups;
}

/** `groups`: null: no run has a control group. */
export function openSpawner(
  libc: Libc | null,
  clock: Clock,
  groups: RunGroups | null,
  listener: SpawnListener,
): Spawner {
  if (libc === null) return new ChildProcessSpawner(clock, groups?.cgroups ?? null, listener);
  // Orphans of jobs come here instead of to init: they stay descendants, and leave no zombies to the node.
  becomeSubreaper(libc);
  return new FfiSpawner(libc, clock, groups, listener, (error) => {
    throw new Error('the spawning thread has died', { cause: error });
  });
}
