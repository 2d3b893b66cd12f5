/**
 * A control group (v2) per run, where one can be made: whatever the job does, its processes stay in it, and one write kills them all.
 * Making, filling and removing one costs about 0.5 ms, as much as the start itself, so `auto` leaves them out of bursts (launcher.ts).
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dataMark, readProcess } from '../process-table.ts';

/** Older groups tried for removal with each new one. */
const REMOVALS_RETRIED = 2;
/** With the name of a run's group it fits the place for paths in the memory shared with the threads (spawn-memory.ts). */
const HOME_BYTES_MAX = 1800;

/** The pid of the runner that made a group, in its name. */
const MAKER = /^belfry-(?:\d+-\d+-|probe-)(\d+)(?:-\d+)?$/;

export interface Cgroups {
  /** The group of this process at first, and parent of all others. */
  readonly home: string;
  /** Path of a new group; null: none could be made. */
  create(): string | null;
}

/** Removes groups; one that something still lives in is tried again with later ones, so that none stays for good. */
export class CgroupRemover {
  readonly #populated = new Set<string>();

  remove(path: string): void {
    if (!removeCgroup(path)) this.#populated.add(path);
    this.retry();
  }

  /** Those that waited longest. */
  retry(): void {
    let tries = REMOVALS_RETRIED;
    for (const older of this.#populated) {
      if (tries-- === 0) break;
      this.#populated.delete(older);
      if (!removeCgroup(older)) this.#populated.add(older);
    }
  }
}

/**
 * null: there is no writable cgroup v2 with `cgroup.kill` here whose groups this process can enter and leave. Names hold the data
 * directory's mark, since another node may live in the same group, and the pid of the runner, whose predecessors' runs may still live in
 * theirs.
 */
export function openCgroups(dataDir: string): Cgroups | null {
  const parent = ownCgroup();
  if (parent === null || Buffer.byteLength(parent) > HOME_BYTES_MAX) return null;
  const prefix = `belfry-${dataMark(dataDir).replace(':', '-')}-`;
  const probe = join(parent, `belfry-probe-${process.pid}`);
  try {
    sweep(parent, prefix);
    removeCgroup(probe);
    mkdirSync(probe);
    const usable = existsSync(join(probe, 'cgroup.kill')) && canMove(parent, probe);
    rmdirSync(probe);
    if (!usable) return null;
  } catch {
    return null; // read-only or not ours
  }
  let made = 0;
  return { home: parent, create: () => create(() => join(parent, `${prefix}${process.pid}-${++made}`)) };
}

/** There and back: in a namespace this group may be out of reach, and in a threaded one no other can be entered. */
function canMove(home: string, probe: string): boolean {
  const isIn = (path: string) => directMembers(path).includes(process.pid);
  if (!isIn(home)) return false;
  enterCgroup(probe, process.pid);
  const hasEntered = isIn(probe);
  enterCgroup(home, process.pid);
  return hasEntered && isIn(home);
}

/** The file of a group whose members enter it by being written there. */
export function membersFile(path: string): string {
  return join(path, 'cgroup.procs');
}

/** Moves a process just started into its group. What it forked before that stays outside, and is found by the other nets. */
export function enterCgroup(path: string, pid: number): void {
  tryWrite(membersFile(path), String(pid));
}

/** Only once the run is in it: until then this process is, and would be the one to be killed for want of memory. */
export function limitCgroup(path: string, memLimitBytes: number): void {
  if (existsSync(join(path, 'memory.max'))) tryWrite(join(path, 'memory.max'), String(memLimitBytes));
}

export function killCgroup(path: string): void {
  // Just after a start this process is in there too, and the kill would be its own end; whoever is killing comes back.
  if (!cgroupMembers(path).includes(process.pid)) tryWrite(join(path, 'cgroup.kill'), '1');
}

/** Pids alive in the group and in those a job made inside it (a container, another node); empty when it is gone. */
export function cgroupMembers(path: string): number[] {
  try {
    return directMembers(path).concat(subgroups(path).flatMap((inner) => cgroupMembers(inner)));
  } catch {
    return []; // removed
  }
}

function directMembers(path: string): number[] {
  return readFileSync(membersFile(path), 'utf8').split('\n').filter(Boolean).map(Number);
}

function subgroups(path: string): string[] {
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? [join(path, entry.name)] : [],
  );
}

/** Bytes on its account; 0 without a memory controller. */
export function cgroupMemory(path: string): number {
  try {
    return Number(readFileSync(join(path, 'memory.current'), 'utf8'));
  } catch {
    return 0;
  }
}

/** The kernel killed something in it for want of memory. */
export function cgroupOutOfMemory(path: string): boolean {
  try {
    return /^oom_kill [1-9]/m.test(readFileSync(join(path, 'memory.events'), 'utf8'));
  } catch {
    return false; // no memory controller
  }
}

/** false: background children of the job still live in it. */
export function removeCgroup(path: string): boolean {
  try {
    for (const inner of subgroups(path)) removeCgroup(inner);
    rmdirSync(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/**
 * Groups of earlier runners here whose background children have ended since, and of runners that died and whose data directory nobody has
 * opened again; those that are still populated cannot be removed.
 */
function sweep(parent: string, prefix: string): void {
  for (const name of readdirSync(parent)) {
    const maker = MAKER.exec(name);
    const isOrphaned = maker !== null && readProcess(Number(maker[1])) === null;
    if (name.startsWith(prefix) || isOrphaned) removeCgroup(join(parent, name));
  }
}

/** A name may be taken: by a group with living processes, made by a runner that had this one's pid. */
function create(nextPath: () => string): string | null {
  for (;;) {
    const path = nextPath();
    try {
      mkdirSync(path);
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return null;
    }
  }
}

function ownCgroup(): string | null {
  const own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
  if (own === undefined) return null;
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [left = '', right = ''] = line.split(' - ');
    const [, , , root = '/', mount = ''] = left.split(' ');
    if (right.startsWith('cgroup2 '))
      return join(mount, own.startsWith(root) ? own.slice(root === '/' ? 0 : root.length) : own);
  }
  return null;
}

/** The group or process may be gone at any moment; every caller looks afterwards whether it worked. */
function tryWrite(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch {
    // see above
  }
}
