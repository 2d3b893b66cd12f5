/**
 * Retention: what has had its time leaves the history and the disk, in slices of a few milliseconds under the leader's lock, so that no
 * launch waits for it. Jobs that finished many runs since the last look are looked at first; a slow pass covers all of them, for age.
 */
import type { Clock } from '../lib/clock.ts';
import type { Mutex } from '../lib/mutex.ts';
import type { Scope } from '../lib/scope.ts';
import type { Emit } from '../model/events.ts';
import type { Statement } from '../store/database.ts';
import {
  deleteOccurrences,
  dropDeletedJob,
  dropOldVersions,
  dropOrphans,
  forgetLogs,
  JOB_LOGS,
  JOB_PASS,
  LOG_BYTES,
  LOGS_OF_GROUPS,
  NTH_NEWEST,
  OLD_OCCURRENCES,
  OLDEST_LOGS,
} from '../store/retention.ts';
import { rememberLastId } from '../store/runs.ts';
import type { Identities } from './identity.ts';
import type { LeaderStore } from './leader-store.ts';

export interface RetentionOptions {
  /** A finished occurrence goes once its job has so many newer ones. */
  readonly runs: number;
  /** … or once it is this old and its job has `keep` newer ones. */
  readonly ageMs: number;
  readonly keep: number;
  readonly logBytesPerJob: number;
  readonly logBytesTotal: number;
  readonly logAgeMs: number;
  readonly logRuns: number;
}

export interface SweeperModules {
  readonly store: LeaderStore;
  readonly identities: Identities;
  readonly lock: Mutex;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Deletes the files of an execution; missing ones are no error. */
  readonly removeLog: (key: number) => Promise<void>;
  readonly mayWrite: () => boolean;
}

/** Occurrences per delete: about 2 ms, and as much again for the sync. */
const SLICE = 100;
const PAUSE_MS = 5;
const IDLE_MS = 1_000;
/** Jobs per second of the slow pass: 100,000 jobs are seen in under a quarter of an hour. */
const PASS_JOBS = 128;
/** Between two passes, so that a node with few jobs does not walk over them each second. */
const REST_MS = 30_000;
const VERSIONS_KEPT = 100;

export class Sweeper {
  readonly #options: RetentionOptions;
  readonly #m: SweeperModules;
  /** Job → runs finished since it was last looked at. */
  readonly #finished = new Map<number, number>();
  #passAt = 0;
  #restUntil = 0;
  #logBytes: number | undefined;

  constructor(options: RetentionOptions, modules: SweeperModules) {
    this.#options = options;
    this.#m = modules;
  }

  /** A run of the job finished and left `logBytes` on disk. */
  finished(jobId: number, logBytes: number): void {
    this.#finished.set(jobId, (this.#finished.get(jobId) ?? 0) + 1);
    if (this.#logBytes !== undefined) this.#logBytes += logBytes;
  }

  start(scope: Scope): void {
    scope.spawn(async (signal) => {
      while (!signal.aborted) {
        await scope.sleep(IDLE_MS);
        if (this.#m.mayWrite()) await this.#round(scope);
      }
    });
  }

  async #round(scope: Scope): Promise<void> {
    // A tenth more than is kept: looking at a job costs a walk over its history.
    const worth = Math.max(1, Math.ceil(this.#options.runs / 10));
    const busy = [...this.#finished].filter(([, count]) => count >= worth).map(([jobId]) => jobId);
    for (const jobId of busy) {
      this.#finished.delete(jobId);
      await this.#sweepJob(jobId, scope);
    }
    await this.#pass(scope);
    await this.#limitTotal(scope);
  }

  async #pass(scope: Scope): Promise<void> {
    if (this.#m.clock.monotonic() < this.#restUntil) return;
    const jobs = await this.#m.store.read<{ id: number; version: number; deleted_at: number | null }>(JOB_PASS, [
      this.#passAt,
      PASS_JOBS,
    ]);
    const ended = jobs.length < PASS_JOBS;
    this.#passAt = ended ? 0 : (jobs.at(-1)?.id ?? 0);
    if (ended) {
      this.#restUntil = this.#m.clock.monotonic() + REST_MS;
      await this.#write([dropOrphans(this.#m.clock.now() - this.#options.ageMs)]);
    }
    for (const job of jobs) {
      await this.#sweepJob(job.id, scope);
      if (job.deleted_at !== null) await this.#write(dropDeletedJob(job.id));
      else if (job.version > VERSIONS_KEPT) await this.#write([dropOldVersions(job.id, job.version, VERSIONS_KEPT)]);
    }
  }

  async #sweepJob(jobId: number, scope: Scope): Promise<void> {
    const now = this.#m.clock.now();
    const { runs, keep, ageMs } = this.#options;
    await this.#sweepBefore(jobId, await this.#nthNewest(jobId, runs), null, scope);
    await this.#sweepBefore(jobId, await this.#nthNewest(jobId, keep), now - ageMs, scope);
    await this.#limitJobLogs(jobId, scope);
  }

  async #nthNewest(jobId: number, keep: number): Promise<number | undefined> {
    const [row] = await this.#m.store.read<{ nominal_at: number }>(NTH_NEWEST, [jobId, keep]);
    return row?.nominal_at;
  }

  async #sweepBefore(
    jobId: number,
    upTo: number | undefined,
    finishedBefore: number | null,
    scope: Scope,
  ): Promise<void> {
    if (upTo === undefined) return;
    for (;;) {
      const rows = await this.#m.store.read<{ group_id: number }>(OLD_OCCURRENCES, [
        jobId,
        upTo,
        finishedBefore,
        finishedBefore,
        SLICE,
      ]);
      if (rows.length === 0 || scope.signal.aborted) return;
      const from = this.#m.clock.monotonic();
      const groups = rows.map((row) => row.group_id);
      const logs = await this.#m.store.read<{ key: number; log_bytes: number }>(LOGS_OF_GROUPS, [
        JSON.stringify(groups),
      ]);
      // Files first: a crash in between leaves rows without files, which reads as a log that is gone; the other order would leak files.
      await this.#removeFiles(logs);
      if (!(await this.#write([...deleteOccurrences(groups), rememberLastId(this.#m.identities.last)]))) return;
      this.#m.emit({ kind: 'swept', occurrences: groups.length, logs: logs.length });
      await this.#rest(from, scope);
    }
  }

  async #limitJobLogs(jobId: number, scope: Scope): Promise<void> {
    const { logBytesPerJob, logRuns, logAgeMs } = this.#options;
    const logs = await this.#m.store.read<{ key: number; log_bytes: number }>(JOB_LOGS, [jobId]);
    const oldest = (this.#m.clock.now() - logAgeMs) * 1000;
    let bytes = 0;
    const excess = logs.filter((log, index) => {
      bytes += log.log_bytes;
      return bytes > logBytesPerJob || index >= logRuns || log.key < oldest;
    });
    await this.#dropLogs(excess, scope);
  }

  async #limitTotal(scope: Scope): Promise<void> {
    this.#logBytes ??= (await this.#m.store.read<{ bytes: number }>(LOG_BYTES))[0]?.bytes ?? 0;
    while (this.#logBytes > this.#options.logBytesTotal && !scope.signal.aborted) {
      const logs = await this.#m.store.read<{ key: number; log_bytes: number }>(OLDEST_LOGS, [SLICE]);
      if (logs.length === 0) return;
      let over = this.#logBytes - this.#options.logBytesTotal;
      const excess = logs.filter((log) => {
        const drop = over > 0;
        over -= log.log_bytes;
        return drop;
      });
      await this.#dropLogs(excess, scope);
    }
  }

  async #dropLogs(logs: readonly { key: number; log_bytes: number }[], scope: Scope): Promise<void> {
    for (let at = 0; at < logs.length && !scope.signal.aborted; at += SLICE) {
      const from = this.#m.clock.monotonic();
      const slice = logs.slice(at, at + SLICE);
      await this.#removeFiles(slice);
      if (!(await this.#write([forgetLogs(slice.map((log) => log.key))]))) return;
      this.#m.emit({ kind: 'swept', occurrences: 0, logs: slice.length });
      await this.#rest(from, scope);
    }
  }

  /**
   * Between two slices. What a slice has changed goes home by itself, in a turn of its own: left to the commit that fills the -wal, one launch
   * in ten slices would wait 60 ms. Then the launches have the disk and the loop for half as long as the slice had them.
   */
  async #rest(from: number, scope: Scope): Promise<void> {
    await this.#m.clock.yield();
    this.#m.store.checkpoint();
    await scope.sleep(Math.max(PAUSE_MS, (this.#m.clock.monotonic() - from) / 2));
  }

  async #removeFiles(logs: readonly { key: number; log_bytes: number }[]): Promise<void> {
    for (const log of logs) {
      await this.#m.removeLog(log.key);
      if (this.#logBytes !== undefined) this.#logBytes -= log.log_bytes;
    }
  }

  /** false: the disk is full even for a delete; the next round tries again. */
  async #write(statements: readonly Statement[]): Promise<boolean> {
    const written = await this.#m.lock.run(() => this.#m.store.write(statements));
    return written.kind === 'committed';
  }
}
