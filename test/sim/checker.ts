/**
 * The judge: holds the record in the store against the job definitions (history.ts) and what really happened (truth.ts). It reads the
 * store through a connection of its own and looks at rows once more before retention deletes them.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { JobDefinition } from '../../src/model/job.ts';
import { OUTCOMES, PHASES, REASONS, TRIGGERS, wordOf } from '../../src/model/occurrence.ts';
import type { Statement } from '../../src/store/database.ts';
import { dueInstants, type Grey, isGrey, isInstantOfAny, type JobHistory, type Version } from './history.ts';
import { Truth } from './truth.ts';

interface OccurrenceRow {
  group_id: number;
  job_id: number;
  job_version: number;
  trigger: number;
  nominal_at: number;
  due_at: number;
  parent_group: number | null;
  phase: number;
  outcome: number;
  reason: number;
  finished_at: number | null;
  last_at: number | null;
  count: number;
}

interface ExecutionRow {
  key: number;
  group_id: number;
  job_id: number;
  attempt: number;
  relaunch: number;
  finished_at_us: number | null;
  outcome: number;
  reason: number;
}

interface Span {
  readonly first: number;
  readonly last: number;
  readonly count: number;
  readonly group: number;
}

/** What is kept of each job apart from its rows. */
interface Tally {
  spans: Span[];
  succeeded: number;
  failed: number;
  /** Everything up to here is covered and folded away. */
  foldedTo: number;
}

interface Parent {
  readonly group: number;
  readonly jobId: number;
  readonly name: string;
  readonly finishedAt: number;
  /** The truth came late: when, finishedAt does not tell. */
  readonly wasLost: boolean;
}

const REASONS_OF: Readonly<Record<string, readonly string[]>> = {
  succeeded: [''],
  failed: ['exit', 'signal', 'timeout', 'memory', 'start', 'expectation', 'resources'],
  skipped: ['overlap', 'queue_full'],
  missed: ['policy', 'superseded', 'window', 'max', 'start_deadline', 'no_target', 'restored'],
  lost: ['start_unknown', 'supervisor_gone', 'request_in_flight', 'restored', 'node_gone'],
  cancelled: ['user', 'replaced', 'job_deleted', 'job_disabled', 'shutdown'],
};
const RELAUNCHES_MAX = 3;
const COUNT_EXACT_MAX = 100_000;

export class Checker {
  readonly truth: Truth;
  readonly complaints: string[] = [];
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #zone: string;
  readonly #tallies = new Map<number, Tally>();
  /** Jobs whose rows are gone from the store. */
  readonly #gone = new Map<number, JobHistory>();
  /** As retention last tried to delete them: a deletion that fails leaves a row a late truth may still correct. */
  readonly #doomed = new Map<number, { row: OccurrenceRow; executions: ExecutionRow[] }>();
  /** Judged already because they are deleted. */
  readonly #archived = new Set<number>();
  #parents: Parent[] = [];
  readonly #children = new Set<string>();
  #grey: Grey = [];
  readonly #rewound = new Map<number, [number, number][]>();
  /** Occurrences with a row, ranges counted as one. */
  occurrences = 0;
  readonly outcomes = new Map<string, number>();

  constructor(path: string, zone: string) {
    this.#database = new DatabaseSync(path, { readOnly: true });
    this.#zone = zone;
    this.truth = new Truth(this.#database, (what) => this.complain(what));
  }

  complain(what: string): void {
    if (this.complaints.length < 100) this.complaints.push(what);
  }

  close(): void {
    this.#database.close();
  }

  /** The job's cursor was set back by hand: what had been decided in (from, to] may be decided once more. */
  rewound(jobId: number, from: number, to: number): void {
    this.#rewound.set(jobId, [...(this.#rewound.get(jobId) ?? []), [from, to]]);
  }

  /** One row through the checker's own connection. */
  row(sql: string, ...params: (string | number)[]): Record<string, unknown> | undefined {
    return this.#prepare(sql).get(...params);
  }

  /** Told of each batch before it is written: what retention is about to delete is judged now. */
  beforeWrite(statements: readonly Statement[]): void {
    for (const { sql, params } of statements) {
      if (sql.startsWith('DELETE FROM occurrences WHERE group_id IN'))
        this.#archive(JSON.parse(params[0] as string) as number[]);
      if (sql.startsWith('DELETE FROM jobs WHERE id')) this.#archiveJob(params[0] as number);
      if (sql.startsWith('DELETE FROM job_versions WHERE job_id')) this.#keepVersions(params[0] as number);
    }
  }

  #archive(groups: readonly number[]): void {
    this.#judgeDeleted();
    for (const group of groups) {
      const row = this.#occurrence(group);
      if (row === undefined || this.#archived.has(group)) continue;
      if (row.phase !== 0) this.complain(`retention deletes the unfinished occurrence ${group}`);
      this.#doomed.set(group, { row, executions: this.#executionsOf(group) });
    }
  }

  /** Judges, as they last were, the rows retention really deleted. */
  #judgeDeleted(): void {
    for (const [group, { row, executions }] of this.#doomed) {
      if (this.#occurrence(group) !== undefined) continue;
      this.#judge(row, executions);
      this.#doomed.delete(group);
      this.#archived.add(group);
      for (const { key } of executions) this.truth.forget(key);
    }
  }

  /** Only the newest versions stay in the store; when the job was due is told by all of them. */
  #keepVersions(id: number): void {
    for (const version of this.#history(id).versions) this.#versions.set(`${id} ${version.version}`, version);
    this.#churned.add(id);
  }

  #archiveJob(id: number): void {
    const history = this.#history(id);
    const left = this.#prepare('SELECT count(*) AS n FROM occurrences WHERE job_id = ?').get(id) as { n: number };
    if (history.deletedAt !== null && left.n === 0 && !this.#gone.has(id)) this.#gone.set(id, history);
  }

  /** Judges everything still in the store. `to`: wall time up to which every due instant must be on record. */
  finish(to: number, grey: Grey): void {
    this.#grey = grey;
    this.#judgeDeleted();
    const rows = this.#prepare('SELECT * FROM occurrences').all() as unknown as OccurrenceRow[];
    const executions = Map.groupBy(
      this.#prepare('SELECT * FROM executions ORDER BY key').all() as unknown as ExecutionRow[],
      (row) => row.group_id,
    );
    for (const row of rows) {
      if (this.#archived.has(row.group_id)) continue;
      if (row.phase !== 0)
        this.complain(`occurrence ${row.group_id} of job ${row.job_id} is still ${wordOf(PHASES, row.phase)}`);
      this.#judge(row, executions.get(row.group_id) ?? []);
    }
    const known = new Set(rows.map((row) => row.group_id));
    for (const [group, list] of executions)
      if (!known.has(group)) this.complain(`execution ${list[0]?.key} has no occurrence`);
    for (const id of this.#jobIds()) this.#judgeCoverage(id, to);
    this.#judgeDependents();
    this.#judgeCounters();
    this.#judgeTruth();
  }

  /** Folds what is judged and far in the past, so that a long run needs no more memory than a short one. */
  fold(grey: Grey): void {
    this.#grey = grey;
    this.#judgeDeleted();
    for (const [id, tally] of this.#tallies) {
      const upTo = this.#archivedTo(id, tally);
      const done = tally.spans.filter((span) => span.last <= upTo);
      if (done.length === 0) continue;
      tally.spans = tally.spans.filter((span) => span.last > upTo);
      this.#judgeSpans(id, done, tally.foldedTo, upTo);
      tally.foldedTo = upTo;
    }
    for (const group of this.#archived) if (this.#occurrence(group) === undefined) this.#archived.delete(group);
    this.#parents = [];
    this.#children.clear();
  }

  /** Everything of the job up to here has left the store. */
  #archivedTo(id: number, tally: Tally): number {
    const row = this.#prepare('SELECT min(nominal_at) AS at FROM occurrences WHERE job_id = ? AND dedup = 0').get(
      id,
    ) as { at: number | null };
    return row.at === null ? Math.max(0, ...tally.spans.map((span) => span.last)) : row.at - 1;
  }

  #judge(row: OccurrenceRow, executions: readonly ExecutionRow[]): void {
    this.occurrences++;
    const outcome = wordOf(OUTCOMES, row.outcome);
    const reason = wordOf(REASONS, row.reason);
    const at = `occurrence ${row.group_id} of job ${row.job_id}`;
    const label = `${outcome} ${reason}`.trim();
    this.outcomes.set(label, (this.outcomes.get(label) ?? 0) + 1);
    if (row.phase === 0 && !(REASONS_OF[outcome] ?? []).includes(reason))
      this.complain(`${at} ended ${outcome} with the reason ${reason}`);
    const tally = this.#tallyOf(row.job_id);
    if (wordOf(TRIGGERS, row.trigger) === 'schedule') {
      tally.spans.push({
        first: row.nominal_at,
        last: row.last_at ?? row.nominal_at,
        count: row.count,
        group: row.group_id,
      });
    }
    if (row.parent_group !== null) this.#children.add(`${row.parent_group} ${row.job_id}`);
    if ((outcome === 'skipped' || outcome === 'missed') && executions.length > 0)
      this.complain(`${at} was ${outcome} and has executions`);
    const version = this.#versionOf(row.job_id, row.job_version);
    if (version === undefined) return this.complain(`${at} refers to version ${row.job_version}, which is gone`);
    this.#judgeExecutions(row, executions, version.definition, tally, at);
    if (outcome === 'succeeded') {
      this.#parents.push({
        group: row.group_id,
        jobId: row.job_id,
        name: version.definition.name,
        finishedAt: row.finished_at ?? 0,
        wasLost: executions.some(({ key }) => this.truth.lived.get(key)?.ends.some((end) => end.outcome === 'lost')),
      });
    }
  }

  #judgeExecutions(
    row: OccurrenceRow,
    executions: readonly ExecutionRow[],
    definition: JobDefinition,
    tally: Tally,
    at: string,
  ): void {
    const outcome = wordOf(OUTCOMES, row.outcome);
    let relaunches = 0;
    for (const [index, execution] of executions.entries()) {
      if (execution.attempt !== index + 1)
        this.complain(`${at}: attempt ${execution.attempt} where ${index + 1} is due`);
      if (execution.finished_at_us === null && row.phase === 0)
        this.complain(`${at} is final with the unfinished execution ${execution.key}`);
      relaunches += execution.relaunch;
      if (wordOf(OUTCOMES, execution.outcome) === 'succeeded') tally.succeeded++;
      else if (execution.finished_at_us !== null) tally.failed++;
      this.#judgeExecution(execution, at);
    }
    const relaunchesMax = definition.guarantee === 'at-least-once' ? RELAUNCHES_MAX : 0;
    if (relaunches > relaunchesMax) this.complain(`${at}: ${relaunches} relaunches`);
    if (executions.length > 1 + definition.retries + relaunches)
      this.complain(`${at}: ${executions.length} attempts with ${definition.retries} retries`);
    const last = executions.at(-1);
    if (outcome === 'succeeded' && !executions.some((one) => wordOf(OUTCOMES, one.outcome) === 'succeeded'))
      this.complain(`${at} succeeded without a success`);
    if (outcome === 'failed' && last === undefined) this.complain(`${at} failed without an execution`);
    if (outcome === 'failed' && !executions.some((one) => wordOf(OUTCOMES, one.outcome) === 'failed'))
      this.complain(`${at} failed without a failure`);
  }

  /** The record of an execution against its life. */
  #judgeExecution(execution: ExecutionRow, at: string): void {
    if (execution.finished_at_us === null) return;
    const recorded = `${wordOf(OUTCOMES, execution.outcome)} ${wordOf(REASONS, execution.reason)}`;
    // Decided by the leader: the backup knows of an intent whose agent does not.
    if (recorded === 'lost restored') return;
    const lived = this.truth.lived.get(execution.key);
    if (lived === undefined)
      return this.complain(`${at}: execution ${execution.key} ended ${recorded}, but no agent ever had it`);
    if (!lived.ends.some((end) => `${end.outcome} ${end.reason}` === recorded)) {
      this.complain(
        `wrong: execution ${execution.key} is recorded ${recorded}, it really ended ${lived.ends.map((end) => `${end.outcome} ${end.reason}`).join(', ')}`,
      );
    }
    const truth = lived.ends.at(-1);
    if (truth !== undefined && lived.ends.length === 1 && `${truth.outcome} ${truth.reason}` !== recorded)
      this.complain(`wrong: ${execution.key}`);
  }

  #judgeCoverage(id: number, to: number): void {
    const tally = this.#tallyOf(id);
    this.#judgeSpans(id, tally.spans, tally.foldedTo, to);
  }

  /** Every due instant lies in exactly one row, and every row counts exactly its instants. */
  #judgeSpans(id: number, spans: readonly Span[], from: number, to: number): void {
    const history = this.#gone.get(id) ?? this.#history(id);
    const rewound = this.#rewound.get(id) ?? [];
    const isRewound = (first: number, last: number) => rewound.some(([start, stop]) => last > start && first <= stop);
    const sorted = [...spans].sort((a, b) => a.first - b.first || a.last - b.last);
    const end = Math.max(to, ...sorted.slice(-1).map((span) => span.last));
    const due = dueInstants(history, this.#zone, from, end);
    const name = history.versions[0]?.definition.name;
    let index = 0;
    let before = from;
    const skipTo = (limit: number) => {
      for (; index < due.length && (due[index] as number) < limit; index++) {
        const missing = due[index] as number;
        if (missing <= to && !isGrey(history, this.#grey, missing) && !isRewound(missing, missing))
          this.complain(`unrecorded: job ${name} (${id}) was due at ${time(missing)} (${missing}) and has no row`);
      }
    };
    for (const span of sorted) {
      if (isRewound(span.first, span.last)) {
        skipTo(span.first);
        before = Math.max(before, span.last);
        while (index < due.length && (due[index] as number) <= before) index++;
        continue;
      }
      if (span.first <= before && from !== before && !isGrey(history, this.#grey, span.first))
        this.complain(
          `doubled: job ${name} (${id}) has two rows for ${time(span.first)} (row ${span.group}, and ${JSON.stringify(sorted.filter((other) => other !== span && other.first <= span.first && other.last >= span.first))})`,
        );
      before = Math.max(before, span.last);
      skipTo(span.first);
      let count = 0;
      for (; index < due.length && (due[index] as number) <= span.last; index++) count++;
      if (count === span.count || (span.count === COUNT_EXACT_MAX && count > span.count)) continue;
      if (
        span.count === 1 &&
        count === 0 &&
        isGrey(history, this.#grey, span.first) &&
        isInstantOfAny(history, this.#zone, span.first)
      )
        continue;
      if (isGrey(history, this.#grey, span.first) || isGrey(history, this.#grey, span.last)) continue;
      this.complain(
        `job ${name} (${id}) has a row ${span.group} for ${time(span.first)} to ${time(span.last)} that counts ${span.count}, but ${count} instants were due`,
      );
    }
    skipTo(Number.MAX_SAFE_INTEGER);
  }

  /** Each dependent that existed, enabled and unchanged, when its parent succeeded has exactly one run (the store keeps it from two). */
  #judgeDependents(): void {
    const jobs = this.#jobIds().map((id) => this.#gone.get(id) ?? this.#history(id));
    const byParent = Map.groupBy(
      jobs
        .flatMap((history) => history.versions.map((version, index) => ({ history, version, index })))
        .filter(({ version }) => version.definition.parent_job !== ''),
      ({ version }) => version.definition.parent_job,
    );
    for (const parent of this.#parents) {
      for (const { history, version, index } of byParent.get(parent.name) ?? []) {
        const until = history.versions[index + 1]?.at ?? history.deletedAt ?? Number.MAX_SAFE_INTEGER;
        const at = parent.finishedAt;
        const near = (edge: number) =>
          Math.abs(edge - at) < 1_000 || this.#grey.some(([from, to]) => at >= from - 1_000 && at <= to + 1_000);
        if (at <= version.at || at >= until || near(version.at) || near(until) || version.definition.disabled) continue;
        const { starts_at: startsAt, expires_at: expiresAt } = version.definition;
        if (startsAt !== null || expiresAt !== null || this.#parentChanged(parent, at)) continue;
        if (!this.#children.has(`${parent.group} ${history.id}`)) {
          this.complain(
            `job ${version.definition.name} (${history.id}) did not run after ${parent.name} succeeded in ${parent.group} at ${time(at)}`,
          );
        }
      }
    }
  }

  /** A late truth fires dependents when it comes, which finished_at does not tell; a parent deleted by then fires none. */
  #parentChanged(parent: Parent, at: number): boolean {
    const history = this.#gone.get(parent.jobId) ?? this.#history(parent.jobId);
    if (history.deletedAt !== null && history.deletedAt <= at + 1_000) return true;
    return parent.wasLost;
  }

  #judgeCounters(): void {
    const rows = this.#prepare('SELECT job_id, success_count, error_count FROM job_state').all() as unknown as {
      job_id: number;
      success_count: number;
      error_count: number;
    }[];
    for (const row of rows) {
      const tally = this.#tallyOf(row.job_id);
      if (row.success_count !== tally.succeeded || row.error_count !== tally.failed) {
        this.complain(
          `job ${row.job_id} counts ${row.success_count} successes and ${row.error_count} errors, its executions ${tally.succeeded} and ${tally.failed}`,
        );
      }
    }
    const total = { succeeded: 0, failed: 0 };
    for (const tally of this.#tallies.values()) {
      total.succeeded += tally.succeeded;
      total.failed += tally.failed;
    }
    const daily = this.#prepare(
      'SELECT coalesce(sum(success), 0) AS success, coalesce(sum(failed), 0) AS failed FROM daily_stats',
    ).get() as { success: number; failed: number };
    if (daily.success !== total.succeeded || daily.failed !== total.failed) {
      this.complain(
        `the daily totals are ${daily.success} and ${daily.failed}, the executions ${total.succeeded} and ${total.failed}`,
      );
    }
  }

  /** What the agent lived through must be on record. */
  #judgeTruth(): void {
    const known = this.#prepare('SELECT finished_at_us FROM executions WHERE key = ?');
    for (const [key, lived] of this.truth.lived) {
      const row = known.get(key) as { finished_at_us: number | null } | undefined;
      if (row === undefined && lived.started)
        this.complain(
          `execution ${key} of job ${lived.request.job} really ran and has no record (group ${lived.request.group}, ${this.#archived.has(lived.request.group) ? 'archived' : 'not archived'})`,
        );
    }
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, (statement = this.#database.prepare(sql)));
    return statement;
  }

  #tallyOf(id: number): Tally {
    let tally = this.#tallies.get(id);
    if (tally === undefined) this.#tallies.set(id, (tally = { spans: [], succeeded: 0, failed: 0, foldedTo: 0 }));
    return tally;
  }

  #jobIds(): number[] {
    const rows = this.#prepare('SELECT id FROM jobs').all() as { id: number }[];
    return [...new Set([...rows.map((row) => row.id), ...this.#gone.keys()])];
  }

  #history(id: number): JobHistory {
    const job = this.#prepare('SELECT deleted_at FROM jobs WHERE id = ?').get(id) as
      | { deleted_at: number | null }
      | undefined;
    const rows = this.#prepare(
      'SELECT version, definition, created_at FROM job_versions WHERE job_id = ? ORDER BY version',
    ).all(id) as {
      version: number;
      definition: string;
      created_at: number;
    }[];
    const versions = rows.map((row): Version => ({
      version: row.version,
      definition: JSON.parse(row.definition) as JobDefinition,
      at: row.created_at,
    }));
    const oldest = versions[0]?.version ?? Number.MAX_SAFE_INTEGER;
    if (this.#churned.has(id)) {
      const kept = [...this.#versions].filter(([key, one]) => key.startsWith(`${id} `) && one.version < oldest);
      versions.unshift(...kept.map(([, one]) => one).sort((a, b) => a.version - b.version));
    }
    return { id, versions, deletedAt: job?.deleted_at ?? null };
  }

  readonly #versions = new Map<string, Version>();
  /** Jobs with more versions than the store keeps. */
  readonly #churned = new Set<number>();

  #versionOf(id: number, version: number): Version | undefined {
    const key = `${id} ${version}`;
    let found = this.#versions.get(key);
    if (found === undefined) {
      found = this.#history(id).versions.find((one) => one.version === version);
      if (found !== undefined) this.#versions.set(key, found);
    }
    return found;
  }

  #occurrence(group: number): OccurrenceRow | undefined {
    return this.#prepare('SELECT * FROM occurrences WHERE group_id = ?').get(group) as unknown as
      | OccurrenceRow
      | undefined;
  }

  #executionsOf(group: number): ExecutionRow[] {
    return this.#prepare('SELECT * FROM executions WHERE group_id = ? ORDER BY key').all(
      group,
    ) as unknown as ExecutionRow[];
  }
}

function time(ms: number): string {
  return Temporal.Instant.fromEpochMilliseconds(ms).toString();
}
