/** Jobs as they are read: one view, or a page of them. */
import type { Clock } from '../lib/clock.ts';
import { type JobDefinition, type JobView, jobView } from '../model/job.ts';
import { filteredJobs, type JobFilter, type JobSort, PAGE_BY_NAME, SEARCH_BY_NAME } from '../store/job-queries.ts';
import { CHILDREN_OF, JOBS_BY_ID, type JobRow } from '../store/jobs.ts';
import type { LeaderStore } from './leader-store.ts';

/** GET /v1/jobs. `end` null: to the end; `end` is exclusive. */
export interface JobListQuery extends JobFilter {
  readonly sort: JobSort;
  readonly descending: boolean;
  readonly start: number;
  readonly end: number | null;
}

/** Views built before the loop is given away: about 10 ms of work. */
const SLICE = 1_000;

export class JobList {
  readonly #store: LeaderStore;
  readonly #clock: Clock;
  readonly #count: () => number;

  constructor(modules: { store: LeaderStore; clock: Clock; count: () => number }) {
    this.#store = modules.store;
    this.#clock = modules.clock;
    this.#count = modules.count;
  }

  async viewOf(row: JobRow): Promise<JobView> {
    const [view] = await this.viewsOf([row]);
    return view as JobView;
  }

  /** Views by job name. */
  async viewsByName(rows: readonly JobRow[]): Promise<Map<string, JobView>> {
    return new Map((await this.viewsOf(rows)).map((view) => [view.name, view]));
  }

  async list(query: JobListQuery): Promise<{ total: number; jobs: JobView[] }> {
    const { total, ids } = await this.#ids(query);
    const jobs: JobView[] = [];
    for (let at = 0; at < ids.length; at += SLICE) {
      const slice = ids.slice(at, at + SLICE);
      const rows = new Map(
        (await this.#store.read<JobRow>(JOBS_BY_ID, [JSON.stringify(slice)])).map((row) => [row.id, row]),
      );
      jobs.push(...(await this.viewsOf(slice.flatMap((id) => rows.get(id) ?? []))));
      await this.#clock.yield();
    }
    return { total, jobs };
  }

  async #ids(query: JobListQuery): Promise<{ total: number; ids: number[] }> {
    const order = query.descending ? 'DESC' : 'ASC';
    const plain =
      query.sort === 'name' &&
      query.status === null &&
      query.disabled === null &&
      Object.keys(query.metadata).length === 0;
    if (plain && (query.q ?? '') === '') return this.#pageByName(query, order);
    const { sql, params } = plain
      ? { sql: SEARCH_BY_NAME[order], params: [query.q, query.q] }
      : filteredJobs(query.sort, order, query);
    const rows = await this.#store.read<{ id: number }>(sql, params);
    return { total: rows.length, ids: rows.slice(query.start, query.end ?? rows.length).map((row) => row.id) };
  }

  /** Beyond the middle the index is walked from its other end. */
  async #pageByName(query: JobListQuery, order: 'ASC' | 'DESC'): Promise<{ total: number; ids: number[] }> {
    const total = this.#count();
    const start = Math.min(query.start, total);
    const length = Math.max(0, Math.min(query.end ?? total, total) - start);
    const fromEnd = start > total / 2;
    const direction = (order === 'ASC') === fromEnd ? 'DESC' : 'ASC';
    const offset = fromEnd ? total - start - length : start;
    const rows = await this.#store.read<{ id: number }>(PAGE_BY_NAME[direction], [length, offset]);
    const ids = rows.map((row) => row.id);
    return { total, ids: fromEnd ? ids.reverse() : ids };
  }

  /** Views of these rows, in their order. */
  async viewsOf(rows: readonly JobRow[]): Promise<JobView[]> {
    const children = await this.#children(rows);
    return rows.map((row) =>
      jobView(JSON.parse(row.definition) as JobDefinition, {
        successCount: row.success_count,
        errorCount: row.error_count,
        lastSuccessAt: row.last_success_at,
        lastErrorAt: row.last_error_at,
        status: row.status,
        nextAt: row.next_at,
        dependentJobs: children.get(row.name) ?? [],
      }),
    );
  }

  async #children(rows: readonly JobRow[]): Promise<Map<string, string[]>> {
    const found = new Map<string, string[]>();
    const names = JSON.stringify(rows.map((row) => row.name));
    for (const { parent, name } of await this.#store.read<{ parent: string; name: string }>(CHILDREN_OF, [names])) {
      const siblings = found.get(parent);
      if (siblings === undefined) found.set(parent, [name]);
      else siblings.push(name);
    }
    return found;
  }
}
