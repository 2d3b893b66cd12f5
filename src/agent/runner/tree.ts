/**
 * Which processes belong to which execution: by control group where the run has one, else by process group, session, descent, or the
 * BELFRY_EXECUTION_ID and BELFRY_DATA_ID they were started with. What leaves these four (new session, re-parented, and an environment wiped
 * before exec) is found only through a control group.
 */
import { allProcesses, dataMark, isDead, ownerOf, type ProcessStat } from '../process-table.ts';
import { cgroupMembers } from './cgroup.ts';

export interface TreeRoot {
  readonly key: number;
  readonly id: string;
  /** The main process, also after its death: its number still names group and session. null: unknown. */
  readonly pid: number | null;
  /** No member is older. */
  readonly startTicks: number;
  /** The run's control group; null: none. */
  readonly cgroup: string | null;
}

/** Looks at /proc; remembers environments, which cost most to read and which a process cannot take back, and who was seen in a tree. */
export class ProcessTrees {
  readonly #environments = new Map<number, { startTicks: number; id: string | null }>();
  /** By pid: members of trees that are being ended. */
  readonly #claimed = new Map<number, { startTicks: number; key: number }>();
  readonly #data: string;

  constructor(dataDir: string) {
    this.#data = dataMark(dataDir);
  }

  /** Living members of each tree now. `claim`: the trees are being ended, and who is a member now stays one when what tied it to them is gone. */
  members(roots: readonly TreeRoot[], claim = false): Map<number, ProcessStat[]> {
    const processes = new Map(allProcesses().map((stat) => [stat.pid, stat]));
    const found = new Map<number, ProcessStat[]>(roots.map((root) => [root.key, []]));
    const owner = this.#ownerOf(roots, processes);
    for (const stat of processes.values()) {
      if (isDead(stat)) continue;
      const root = owner(stat);
      if (root === null) continue;
      found.get(root.key)?.push(stat);
      if (claim) this.#claimed.set(stat.pid, { startTicks: stat.startTicks, key: root.key });
    }
    this.#forgetGone(processes);
    return found;
  }

  #ownerOf(roots: readonly TreeRoot[], processes: ReadonlyMap<number, ProcessStat>) {
    const byPid = new Map<number, TreeRoot>();
    const inGroup = new Map<number, TreeRoot>();
    const byId = new Map<string, TreeRoot>();
    const byKey = new Map(roots.map((root) => [root.key, root]));
    let oldest = Number.POSITIVE_INFINITY;
    for (const root of roots) {
      if (root.pid !== null) byPid.set(root.pid, root);
      const members = root.cgroup === null ? [] : cgroupMembers(root.cgroup);
      // With this process in it, it may have children of any run.
      if (!members.includes(process.pid)) for (const pid of members) inGroup.set(pid, root);
      byId.set(root.id, root);
      oldest = Math.min(oldest, root.startTicks);
    }
    const known = new Map<number, TreeRoot | null>();
    const owner = (stat: ProcessStat): TreeRoot | null => {
      const before = known.get(stat.pid);
      if (before !== undefined) return before;
      known.set(stat.pid, null);
      // This process is every job's parent: whose it is must never be asked.
      if (stat.startTicks < oldest || stat.pid === process.pid) return null;
      const direct = inGroup.get(stat.pid) ?? byPid.get(stat.pid) ?? byPid.get(stat.session) ?? byPid.get(stat.group);
      let root = direct !== undefined && stat.startTicks >= direct.startTicks ? direct : this.#claimant(stat, byKey);
      // Whoever is in a session or group that a member made descends from it, though its parent may be gone.
      for (const relative of [stat.parent, stat.session, stat.group]) {
        const other = root === null && relative > 1 ? processes.get(relative) : undefined;
        if (other !== undefined) root = owner(other);
      }
      root ??= this.#byEnvironment(stat, byId);
      known.set(stat.pid, root);
      return root;
    };
    return owner;
  }

  #claimant({ pid, startTicks }: ProcessStat, byKey: ReadonlyMap<number, TreeRoot>): TreeRoot | null {
    const claimed = this.#claimed.get(pid);
    return claimed?.startTicks === startTicks ? (byKey.get(claimed.key) ?? null) : null;
  }

  #byEnvironment(stat: ProcessStat, byId: ReadonlyMap<string, TreeRoot>): TreeRoot | null {
    let entry = this.#environments.get(stat.pid);
    // A process without an id may still be about to exec; one with an id keeps it for us even if it wipes it later.
    if (entry === undefined || entry.startTicks !== stat.startTicks || entry.id === null) {
      const { execution, data } = ownerOf(stat.pid);
      // Another node's job is of no run of ours; one without a mark was started by an older version.
      entry = { startTicks: stat.startTicks, id: data === null || data === this.#data ? execution : '' };
      this.#environments.set(stat.pid, entry);
    }
    return entry.id === null ? null : (byId.get(entry.id) ?? null);
  }

  #forgetGone(processes: ReadonlyMap<number, ProcessStat>): void {
    for (const [pid, entry] of this.#environments) {
      if (processes.get(pid)?.startTicks !== entry.startTicks) this.#environments.delete(pid);
    }
    for (const [pid, { startTicks }] of this.#claimed)
      if (processes.get(pid)?.startTicks !== startTicks) this.#claimed.delete(pid);
  }
}

/** Signals a process, a group (negative) or nobody: a target that has just gone is no error. */
export function signal(target: number, name: NodeJS.Signals): void {
  try {
    process.kill(target, name);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // EPERM: a set-user-id program of the job that this node may not signal; the sweep keeps seeing it and says so by not ending.
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}
