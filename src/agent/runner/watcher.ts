/**
 * Watches live runs: output, deadlines, memory, ordered ends, and the processes of runs taken over. One timer for all of them, none when
 * nothing lives; ordered ends have a faster one.
 */
import type { Clock, Timer } from '../../lib/clock.ts';
import type { StopRequest } from '../../model/agent.ts';
import { formatBytes } from '../../model/bytes.ts';
import { existence, BOOT_ID } from '../identity.ts';
import { type ProcessStat, rssBytes } from '../process-table.ts';
import type { EndingReason } from '../spool.ts';
import { cgroupOutOfMemory, killCgroup } from './cgroup.ts';
import type { DiskWatch } from './disk-watch.ts';
import { lost, type Run, timeoutMessage, verdictOfEnding, verdictOfExit } from './run.ts';
import type { RunTable } from './run-table.ts';
import { ProcessTrees, signal, type TreeRoot } from './tree.ts';

/** How often live runs are looked at; a deadline is met within this. */
export const LOOK_INTERVAL_MS = 100;
/** A silent job's files are looked at less and less often, down to this. */
export const LOOK_INTERVAL_MAX_MS = 800;
export const MEMORY_INTERVAL_MS = 1000;
export const ADOPTED_INTERVAL_MS = 200;
/** Between two sweeps through the processes of runs that are to end. */
export const ENDING_INTERVAL_MS = 25;
/** Rounds of stopping processes before they are killed, so that a fork storm is still when the killing begins. */
const FREEZE_ROUNDS_MAX = 20;

export class Watcher {
  readonly #clock: Clock;
  readonly #table: RunTable;
  readonly #disk: DiskWatch;
  readonly #trees: ProcessTrees;
  readonly #limited = new Set<Run>();
  readonly #measured = new Set<Run>();
  readonly #adopted = new Set<Run>();
  readonly #ending = new Set<Run>();
  #timer: Timer | null = null;
  #endingTimer: Timer | null = null;
  #endingStepMs = ENDING_INTERVAL_MS;
  #measureAt = 0;
  #adoptedAt = 0;

  constructor(clock: Clock, table: RunTable, disk: DiskWatch, dataDir: string) {
    this.#trees = new ProcessTrees(dataDir);
    this.#disk = disk;
    this.#clock = clock;
    this.#table = table;
  }

  watch(run: Run): void {
    if (run.deadline !== null) this.#limited.add(run);
    if (run.memLimitBytes !== null && run.pid !== null) this.#measured.add(run);
    if (run.adopted !== 'no') this.#adopted.add(run);
    run.lookStepMs = LOOK_INTERVAL_MS;
    run.lookAt = this.#clock.monotonic() + LOOK_INTERVAL_MS;
    this.#timer ??= this.#clock.setTimer(LOOK_INTERVAL_MS, () => this.#onTimer());
  }

  close(): void {
    this.#timer?.cancel();
    this.#endingTimer?.cancel();
  }

  // Ends

  /** Stops by order of the leader; a run that waits or is already ending keeps its first reason. */
  stopAll(orders: readonly { run: Run; request: StopRequest }[]): void {
    this.#claim(orders.map(({ run }) => run));
    for (const { run, request } of orders) this.#stop(run, request);
  }

  /** Before the first signal: what it kills leaves children behind that nothing else ties to the run. */
  #claim(runs: readonly Run[]): void {
    const roots = runs.filter((run) => run.pid !== null && run.ending === null).map(rootOf);
    if (roots.length > 0) unlessExhausted(() => this.#trees.members(roots, true));
  }

  #stop(run: Run, request: StopRequest): void {
    const graceMs = request.graceMs ?? run.request.killGraceMs;
    if (run.ending !== null) {
      run.ending.killAt = Math.min(run.ending.killAt, this.#clock.monotonic() + graceMs);
    } else {
      this.#order(run, request.reason, STOP_WORDS[request.reason], graceMs);
    }
  }

  /** The main process is over with this wait status. */
  exited(run: Run, status: number): void {
    run.exitStatus = status;
    run.exited = true;
    if (run.ending !== null) {
      // Its tree may still live; the mark keeps the truth about the main process meanwhile.
      this.#table.journal.append([{ r: 'exit', key: run.request.key, status }]);
      this.#table.releasePid(run);
      this.#sweepSoon(0);
    } else if (run.cgroup !== null && (status & 0x7f) === 9 && cgroupOutOfMemory(run.cgroup)) {
      this.#table.finish(run, verdictOfEnding({ reason: 'memory', message: memoryMessage(run) }, status));
    } else {
      this.#table.finish(run, verdictOfExit(status, run.successCodes));
    }
  }

  /** Takes an order that an earlier runner had begun to carry out. */
  resumeEnding(run: Run, reason: EndingReason, message: string): void {
    this.#order(run, reason, message, run.request.killGraceMs);
  }

  #order(run: Run, reason: EndingReason, message: string, graceMs: number): void {
    run.ending = { reason, message, killAt: this.#clock.monotonic() + graceMs };
    this.#table.journal.append([{ r: 'stop', key: run.request.key, reason, message }]);
    if (run.state === 'queued') {
      this.#table.finish(run, verdictOfEnding(run.ending, null));
      return;
    }
    // A start under way (child_process, executor loading) is caught by the sweep once it has a process.
    if (run.pid !== null && graceMs > 0) signal(-run.pid, 'SIGTERM');
    run.stop?.ask();
    this.#ending.add(run);
    this.#endingStepMs = ENDING_INTERVAL_MS;
    this.#sweepSoon(graceMs > 0 ? ENDING_INTERVAL_MS : 0);
  }

  #sweepSoon(delayMs: number): void {
    this.#endingTimer?.cancel();
    this.#endingTimer = this.#clock.setTimer(delayMs, () => this.#sweep());
  }

  #sweep(): void {
    this.#endingTimer = null;
    const now = this.#clock.monotonic();
    let due: Run[] = [];
    unlessExhausted(() => {
      due = [...this.#ending].filter(
        (run) => run.state === 'running' && (mainIsOver(run) || now >= (run.ending?.killAt ?? 0)),
      );
      if (due.length > 0) this.#sweepRuns(due, now);
    });
    for (const run of this.#ending) if (run.state === 'ended') this.#ending.delete(run);
    if (this.#ending.size === 0) return;
    // What cannot be killed (a process in an uninterruptible wait) is looked at ever less often, but never forgotten.
    this.#endingStepMs = due.length === 0 ? ENDING_INTERVAL_MS : Math.min(this.#endingStepMs * 1.2, 1000);
    this.#sweepSoon(this.#endingStepMs);
  }

  #sweepRuns(due: readonly Run[], now: number): void {
    const killing = due.filter((run) => now >= (run.ending?.killAt ?? 0));
    if (killing.length > 0) this.#kill(killing);
    const members = this.#trees.members(due.map(rootOf), true);
    for (const run of due) {
      const alive = members.get(run.request.key)?.length ?? 0;
      // An executor that does not heed its signal is given up after its grace; it has no processes that could outlive it.
      const over = mainIsOver(run) || (run.stop !== null && now >= (run.ending?.killAt ?? 0));
      if (over && alive === 0 && run.ending !== null)
        this.#table.finish(run, verdictOfEnding(run.ending, run.exitStatus));
    }
  }

  /** First everything is stopped, until no new process appears; then everything is killed. SIGKILL reaches stopped processes too. */
  #kill(runs: readonly Run[]): void {
    for (const run of runs) if (run.cgroup !== null) killCgroup(run.cgroup);
    const processes = runs.filter((run) => run.stop === null);
    if (processes.length === 0) return;
    const stopped = new Map<number, ProcessStat>();
    for (let round = 0; round < FREEZE_ROUNDS_MAX; round += 1) {
      const looked = this.#trees.members(processes.map(rootOf), true);
      const members = [...looked.values()].flat();
      const fresh = members.filter((stat) => stopped.get(stat.pid)?.startTicks !== stat.startTicks);
      if (fresh.length === 0) break;
      for (const stat of fresh) {
        stopped.set(stat.pid, stat);
        signal(stat.pid, 'SIGSTOP');
      }
    }
    for (const pid of stopped.keys()) signal(pid, 'SIGKILL');
  }

  // Looks

  #onTimer(): void {
    this.#timer = null;
    const now = this.#clock.monotonic();
    this.#lookAtOutput(now);
    this.#enforceDeadlines(now);
    if (this.#measured.size > 0 && now >= this.#measureAt) unlessExhausted(() => this.#measure(now));
    if (this.#adopted.size > 0 && now >= this.#adoptedAt) unlessExhausted(() => this.#lookAtAdopted(now));
    if (this.#table.live.size > 0) this.#timer = this.#clock.setTimer(LOOK_INTERVAL_MS, () => this.#onTimer());
  }

  #lookAtOutput(now: number): void {
    const nowUs = this.#clock.nowUs();
    this.#disk.look();
    if (this.#disk.full) for (const run of this.#table.live.values()) run.output?.release();
    for (const run of this.#table.live.values()) {
      if (now < run.lookAt) continue;
      const news = run.output?.poll(nowUs) ?? false;
      run.lookStepMs = news ? LOOK_INTERVAL_MS : Math.min(run.lookStepMs * 1.3, LOOK_INTERVAL_MAX_MS);
      run.lookAt = now + run.lookStepMs - LOOK_INTERVAL_MS / 2;
    }
  }

  #enforceDeadlines(now: number): void {
    for (const run of this.#limited) if (run.state === 'ended') this.#limited.delete(run);
    // What ended by itself is no timeout: its exit may not have come through yet (a busy or paused runner), or can no longer be known.
    const over = [...this.#limited].filter((run) => run.deadline !== null && now >= run.deadline && !isUnreaped(run));
    unlessExhausted(() => this.#endGone(over.filter((run) => run.ending === null && isBlindlyOver(run))));
    for (const run of over) this.#limited.delete(run);
    const due = over.filter((run) => run.state !== 'ended' && run.ending === null);
    this.#claim(due);
    for (const run of due) this.#order(run, 'timeout', timeoutMessage(run.timeoutMs ?? 0), run.request.killGraceMs);
  }

  #measure(now: number): void {
    this.#measureAt = now + MEMORY_INTERVAL_MS;
    for (const run of this.#measured) if (run.state === 'ended' || run.ending !== null) this.#measured.delete(run);
    const members = this.#trees.members([...this.#measured].map(rootOf));
    for (const run of this.#measured) {
      const used = (members.get(run.request.key) ?? []).reduce((sum, stat) => sum + rssBytes(stat), 0);
      // No grace: what it does in its last second could take the machine down.
      if (used > (run.memLimitBytes ?? Number.POSITIVE_INFINITY)) this.#order(run, 'memory', memoryMessage(run), 0);
    }
  }

  /** Runs of a dead runner: their exits come from the node, or from nobody. Lost only when none of their processes lives. */
  #lookAtAdopted(now: number): void {
    this.#adoptedAt = now + ADOPTED_INTERVAL_MS;
    const gone: Run[] = [];
    for (const run of this.#adopted) {
      if (run.state === 'ended') this.#adopted.delete(run);
      else if (run.ending === null && !run.exited && isBlindlyOver(run)) gone.push(run);
    }
    this.#endGone(gone);
  }

  /** Of runs whose exits nobody knows, those of which no process lives. */
  #endGone(gone: readonly Run[]): void {
    if (gone.length === 0) return;
    const members = this.#trees.members(gone.map(rootOf));
    for (const run of gone) {
      const alive = members.get(run.request.key)?.length ?? 0;
      if (alive === 0) this.#table.finish(run, lost('supervisor_gone'));
    }
  }
}

/** Without a free descriptor /proc cannot be read: nothing is concluded from that, and the next look tries again. */
function unlessExhausted(look: () => void): void {
  try {
    look();
  } catch (error) {
    if (!['EMFILE', 'ENFILE', 'ENOMEM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** Of a run whose exit we will see, when we have seen it; of an adopted one, when /proc shows it dead. */
function mainIsOver(run: Run): boolean {
  return run.exited || isBlindlyOver(run);
}

function isBlindlyOver(run: Run): boolean {
  return run.adopted === 'blind' && run.stop === null && !mainLives(run);
}

/** Dead, and its exit is on its way to us. */
function isUnreaped(run: Run): boolean {
  const { pid, startTicks } = run;
  if (pid === null || run.adopted === 'blind') return false;
  let unreaped = false;
  unlessExhausted(() => {
    const state = existence({ pid, startTicks, bootId: BOOT_ID });
    // The node may have reaped it already, with its word still on the way.
    unreaped = state === 'zombie' || (state === 'gone' && run.adopted === 'asked');
  });
  return unreaped;
}

function mainLives(run: Run): boolean {
  return run.pid !== null && existence({ pid: run.pid, startTicks: run.startTicks, bootId: BOOT_ID }) === 'alive';
}

export function rootOf(run: Run): TreeRoot {
  const { request, pid, startTicks, cgroup } = run;
  return { key: request.key, id: request.id, pid, startTicks, cgroup };
}

function memoryMessage(run: Run): string {
  const limit = formatBytes(run.memLimitBytes ?? 0);
  return `killed: its processes used more than ${/\D/.test(limit) ? limit : `${limit} bytes`} of memory`;
}

const STOP_WORDS: Readonly<Record<StopRequest['reason'], string>> = {
  user: 'stopped by request',
  replaced: 'replaced by a newer run',
  job_deleted: 'stopped because the job was deleted',
  job_disabled: 'stopped because the job was disabled',
  shutdown: 'stopped because the node shut down',
};
