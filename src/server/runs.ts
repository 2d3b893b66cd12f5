/** Questions about occurrences and executions, and stopping them. */
import type { Clock } from '../lib/clock.ts';
import type { Mutex } from '../lib/mutex.ts';
import { AppError } from '../model/errors.ts';
import type { JobDefinition, JobView } from '../model/job.ts';
import { codeOf, type Outcome, OUTCOMES, REASONS, type StoppedReason, wordOf } from '../model/occurrence.ts';
import { JOBS_BY_NAME, type JobRow } from '../store/jobs.ts';
import {
  DAILY_STATS,
  EXECUTION_OF_KEY,
  EXECUTIONS_OF_GROUPS,
  EXECUTIONS_OF_JOB,
  type ExecutionRow,
  JOB_IDS_OF_NAME,
  LOGS_OF_JOB,
  type OccurrenceRow,
  RUN_BY_GROUP,
  RUNS_BY_JOB,
  rememberLastId,
  RUNS_BY_OUTCOME,
  RUNS_UNFINISHED,
  wipeHistory,
} from '../store/runs.ts';
import type { Definitions } from './definitions.ts';
import { executionId, type Identities, keyOfExecutionId } from './identity.ts';
import type { LeaderStore } from './leader-store.ts';
import type { LiveRun, LiveRuns } from './live.ts';
import { type ExecutionShown, executionShown, liveShown, type LogSizes, type RunShown, runShown } from './run-views.ts';

export interface RunListQuery {
  readonly job: string | null;
  readonly outcome: Outcome | null;
  readonly from: number | null;
  readonly to: number | null;
  readonly cursor: string | null;
  readonly limit: number;
}

/** Bytes of a log on this node's disk; null when there is none. */
export interface LogSlice {
  readonly from: number;
  readonly totalBytes: number;
  readonly firstKeptByte: number;
  readonly bytes: Uint8Array;
  readonly chunks: readonly {
    stream: 'stdout' | 'stderr';
    observedAtUs: number;
    from: number;
    length: number;
    observedLate: boolean;
  }[];
}

export interface RunsModules {
  readonly store: LeaderStore;
  readonly identities: Identities;
  readonly lock: Mutex;
  readonly live: LiveRuns;
  readonly definitions: Definitions;
  readonly clock: Clock;
  readonly node: string;
  readonly stopRun: (run: LiveRun, reason: StoppedReason) => Promise<void>;
  readonly jobView: (name: string) => Promise<JobView>;
  readonly readLog: (key: number, from: number, limit: number) => Promise<LogSlice | null>;
  readonly logSizes: LogSizes;
  readonly removeLog: (key: number) => Promise<void>;
}

/** Dkron's list shows the newest 100; its single execution has at most this much output. */
export const EXECUTIONS_SHOWN = 100;
export const OUTPUT_BYTES_MAX = 256_000;
const BUSY_TAIL_BYTES = 16_384;
const UNFINISHED = codeOf(OUTCOMES, 'unfinished');
const DAY_MS = 86_400_000;

export class Runs {
  readonly #m: RunsModules;

  constructor(modules: RunsModules) {
    this.#m = modules;
  }

  async executions(
    job: string,
    order: { sort: 'started_at' | 'finished_at' | 'attempt'; descending: boolean },
  ): Promise<ExecutionShown[]> {
    const row = await this.#job(job);
    const zone = (JSON.parse(row.definition) as JobDefinition).timezone;
    const rows = await this.#m.store.read<ExecutionRow>(EXECUTIONS_OF_JOB, [row.id, EXECUTIONS_SHOWN]);
    const shown = rows.flatMap((execution) => this.#shown(execution, job, zone) ?? []);
    const key = { started_at: 'startedAtUs', finished_at: 'finishedAtUs', attempt: 'attempt' } as const;
    const by = key[order.sort];
    shown.sort((a, b) => (a.order[by] - b.order[by]) * (order.descending ? -1 : 1));
    return shown;
  }

  async execution(job: string, id: string): Promise<ExecutionShown> {
    const row = await this.#job(job);
    const key = keyOfExecutionId(id);
    const [execution] = key === undefined ? [] : await this.#m.store.read<ExecutionRow>(EXECUTION_OF_KEY, [key]);
    if (execution === undefined || execution.job_id !== row.id || executionId(execution.key, execution.node) !== id) {
      throw new AppError('not_found', `job ${job} has no execution ${JSON.stringify(id)}`, {
        remedy: `GET /v1/jobs/${job}/executions lists them`,
      });
    }
    const shown = this.#shown(execution, job, '');
    if (shown === undefined)
      throw new AppError('not_found', `execution ${id} waits to be started`, { remedy: 'ask again later' });
    return this.#withFullOutput(shown, execution, row);
  }

  async deleteExecutions(job: string): Promise<JobView> {
    const { store, lock, removeLog } = this.#m;
    await lock.run(async () => {
      const row = await this.#job(job);
      const running = new Set([...this.#m.live.ofJob(row.id)].map((run) => run.key));
      const logs = await store.read<{ key: number }>(LOGS_OF_JOB, [row.id]);
      await store.writeFor([...wipeHistory(row.id), rememberLastId(this.#m.identities.last)]);
      for (const { key } of logs) if (!running.has(key)) await removeLog(key);
    });
    return this.#m.jobView(job);
  }

  async busy(): Promise<ExecutionShown[]> {
    const shown: ExecutionShown[] = [];
    for (const run of this.#m.live.all()) {
      if (run.phase !== 'active' || run.startedAtUs === null) continue;
      const log = await this.#m.readLog(run.key, -BUSY_TAIL_BYTES, BUSY_TAIL_BYTES);
      const output = log === null ? '' : decode(log.bytes);
      shown.push(liveShown(run, this.#m.node, { output, truncated: (log?.totalBytes ?? 0) > BUSY_TAIL_BYTES }));
    }
    return shown.sort((a, b) => a.order.startedAtUs - b.order.startedAtUs);
  }

  async stats(days: number): Promise<{ date: string; success_count: number; failed_count: number }[]> {
    const today = Math.floor(this.#m.clock.now() / DAY_MS);
    const first = today - days + 1;
    const rows = await this.#m.store.read<{ day: number; success: number; failed: number }>(DAILY_STATS, [first]);
    const byDay = new Map(rows.map((row) => [row.day, row]));
    return Array.from({ length: days }, (_, index) => {
      const row = byDay.get(first + index);
      const date = Temporal.Instant.fromEpochMilliseconds((first + index) * DAY_MS).toString();
      return { date, success_count: row?.success ?? 0, failed_count: row?.failed ?? 0 };
    });
  }

  async runs(query: RunListQuery): Promise<{ runs: RunShown[]; cursor: string | null }> {
    const before = parseCursor(query.cursor);
    const to = query.to === null ? Number.MAX_SAFE_INTEGER : query.to - 1;
    const page = [
      query.from ?? Number.MIN_SAFE_INTEGER,
      Math.min(to, before.nominal),
      before.nominal,
      before.group,
      query.limit + 1,
    ];
    const parts =
      query.job === null
        ? await this.#byOutcome(query.outcome, page)
        : await this.#byJob(query.job, query.outcome, page);
    const rows = parts.flat().sort((a, b) => b.nominal_at - a.nominal_at || b.group_id - a.group_id);
    const shown = rows.slice(0, query.limit);
    const last = rows.length > query.limit ? shown.at(-1) : undefined;
    return {
      runs: await this.#withExecutions(shown),
      cursor: last === undefined ? null : `${last.nominal_at}-${last.group_id}`,
    };
  }

  async run(group: number): Promise<RunShown> {
    const [run] = await this.#withExecutions([await this.#occurrence(group)]);
    return run as RunShown;
  }

  async stop(group: number): Promise<RunShown> {
    const row = await this.#occurrence(group);
    const live = this.#m.live.byGroup(group, row.job_id);
    if (live !== undefined) await this.#m.stopRun(live, 'user');
    return this.run(group);
  }

  async log(
    group: number,
    execution: string | null,
    from: number,
    limit: number,
  ): Promise<{ execution: string; slice: LogSlice }> {
    const occurrence = await this.#occurrence(group);
    const executions = await this.#m.store.read<ExecutionRow>(EXECUTIONS_OF_GROUPS, [JSON.stringify([group])]);
    const wanted =
      execution === null ? executions.at(-1) : executions.find((row) => executionId(row.key, row.node) === execution);
    if (wanted === undefined) throw noLog(occurrence, execution);
    const slice = (await this.#m.readLog(wanted.key, from, limit)) ?? (await this.#tailSlice(wanted, from, limit));
    return { execution: executionId(wanted.key, wanted.node), slice };
  }

  /** Without files the tail is all there is: short output of http runs never had any, and those of old runs have gone. */
  async #tailSlice(
    { key, output_bytes, finished_at_us }: ExecutionRow,
    from: number,
    limit: number,
  ): Promise<LogSlice> {
    const [row] = await this.#m.store.read<ExecutionRow>(EXECUTION_OF_KEY, [key]);
    const tail = Buffer.from(row?.tail ?? '');
    // What processors made of the output may be longer than the output was.
    const totalBytes = Math.max(output_bytes, tail.length);
    const firstKeptByte = totalBytes - tail.length;
    const start = Math.min(Math.max(from, firstKeptByte), totalBytes);
    const bytes = tail.subarray(start - firstKeptByte, start - firstKeptByte + limit);
    const chunk = {
      stream: 'stdout',
      observedAtUs: finished_at_us ?? key,
      from: start,
      length: bytes.length,
      observedLate: true,
    } as const;
    return { from: start, totalBytes, firstKeptByte, bytes, chunks: bytes.length === 0 ? [] : [chunk] };
  }

  async #byOutcome(outcome: Outcome | null, page: readonly number[]): Promise<OccurrenceRow[][]> {
    const outcomes = outcome === null ? OUTCOMES.map((_, code) => code) : [codeOf(OUTCOMES, outcome)];
    return Promise.all(
      outcomes.map((code) =>
        code === UNFINISHED
          ? this.#m.store.read<OccurrenceRow>(RUNS_UNFINISHED, page)
          : this.#m.store.read<OccurrenceRow>(RUNS_BY_OUTCOME, [code, ...page]),
      ),
    );
  }

  async #byJob(name: string, outcome: Outcome | null, page: readonly number[]): Promise<OccurrenceRow[][]> {
    const ids = await this.#m.store.read<{ id: number }>(JOB_IDS_OF_NAME, [name, name]);
    const code = outcome === null ? null : codeOf(OUTCOMES, outcome);
    return Promise.all(ids.map(({ id }) => this.#m.store.read<OccurrenceRow>(RUNS_BY_JOB, [id, code, code, ...page])));
  }

  async #withExecutions(rows: readonly OccurrenceRow[]): Promise<RunShown[]> {
    if (rows.length === 0) return [];
    const groups = JSON.stringify(rows.map((row) => row.group_id));
    const executions = Map.groupBy(
      await this.#m.store.read<ExecutionRow>(EXECUTIONS_OF_GROUPS, [groups]),
      (row) => row.group_id,
    );
    const now = { live: (key: number) => this.#m.live.byKey(key), logSizes: this.#m.logSizes };
    return rows.map((row) => runShown(row, executions.get(row.group_id) ?? [], now));
  }

  /** undefined: an intent that no agent has started. */
  #shown(execution: ExecutionRow, job: string, zone: string): ExecutionShown | undefined {
    const live = execution.finished_at_us === null ? this.#m.live.byKey(execution.key) : undefined;
    if (execution.finished_at_us === null && (live?.startedAtUs ?? null) === null) return undefined;
    return executionShown(execution, live?.startedAtUs ?? null, job, zone);
  }

  /** The end of the whole log, unless processors decided what the output is. */
  async #withFullOutput(shown: ExecutionShown, execution: ExecutionRow, job: JobRow): Promise<ExecutionShown> {
    const processors = Object.keys((JSON.parse(job.definition) as JobDefinition).processors);
    const log = await this.#m.readLog(execution.key, -OUTPUT_BYTES_MAX, OUTPUT_BYTES_MAX);
    const finished = execution.finished_at_us !== null;
    if (log === null || (processors.length > 0 && finished)) {
      return { ...shown, output_truncated: execution.output_bytes > Buffer.byteLength(execution.tail ?? '') };
    }
    const output = execution.message === null ? decode(log.bytes) : `${execution.message}\n${decode(log.bytes)}`;
    return { ...shown, output, output_truncated: log.totalBytes > OUTPUT_BYTES_MAX };
  }

  async #job(name: string): Promise<JobRow> {
    const [row] = await this.#m.store.read<JobRow>(JOBS_BY_NAME, [JSON.stringify([name])]);
    if (row === undefined)
      throw new AppError('not_found', `no job named ${JSON.stringify(name)}`, { remedy: 'GET /v1/jobs lists them' });
    return row;
  }

  async #occurrence(group: number): Promise<OccurrenceRow> {
    const [row] = await this.#m.store.read<OccurrenceRow>(RUN_BY_GROUP, [group]);
    if (row === undefined)
      throw new AppError('not_found', `no run with group ${group}`, { remedy: 'GET /v1/runs lists them' });
    return row;
  }
}

function decode(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

function noLog({ group_id, outcome, reason }: OccurrenceRow, execution: string | null): AppError {
  if (execution !== null) {
    return new AppError('not_found', `run ${group_id} has no execution ${JSON.stringify(execution)}`, {
      field: 'execution',
      remedy: `GET /v1/runs/${group_id} lists them`,
    });
  }
  const why =
    outcome === UNFINISHED ? 'it has not started' : `${wordOf(OUTCOMES, outcome)}: ${wordOf(REASONS, reason)}`;
  return new AppError('not_found', `run ${group_id} has no log, because it has no execution (${why})`, {
    remedy: `GET /v1/runs/${group_id} tells more`,
  });
}

function parseCursor(cursor: string | null): { nominal: number; group: number } {
  if (cursor === null) return { nominal: Number.MAX_SAFE_INTEGER, group: Number.MAX_SAFE_INTEGER };
  const match = /^(\d{1,16})-(\d{1,16})$/.exec(cursor);
  const [nominal, group] = [Number(match?.[1]), Number(match?.[2])];
  if (Number.isSafeInteger(nominal) && Number.isSafeInteger(group)) return { nominal, group };
  throw new AppError('invalid', 'is not one this server gave', {
    field: 'cursor',
    remedy: 'pass the cursor of the page before, unchanged',
  });
}
