/** Jobs as they are read: one view, or a page of them. */
import type { Clock } from '../lib/clock.ts';
import { type JobDefinition, type JobView, jobView } from '../model/job.ts';
import { filteredJobs, type JobFilter, type JobSort } from '../store/job-queries.ts';
import { CHILDREN_OF, JOBS_BY_ID, type JobRow } from '../store/jobs.ts';
import type { Definitions } from './definitions.ts';
import type { JobNames } from './job-names.ts';
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
  readonly #names: JobNames;
  readonly #definitions: Definitions;

  constructor(modules: { store: LeaderStore; clock: Clock; names: JobNames; definitions: Definitions }) {
    this.#store = modules.store;
    this.#clock = modules.clock;
    this.#names = modules.names;
    this.#definitions = modules.definitions;
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

  /** By name from memory; any other order or filter looks at every job. */
  async #ids(query: JobListQuery): Promise<{ total: number; ids: number[] }> {
    const byName =
      query.sort === 'name' &&
      query.status === null &&
      query.disabled === null &&
      Object.keys(query.metadata).length === 0;
    if (byName && (query.q ?? '') === '') return { total: this.#names.size, ids: this.#names.page(query) };
    if (byName) return this.#names.search(query.q ?? '', query);
    const { sql, params } = filteredJobs(query.sort, query.descending ? 'DESC' : 'ASC', query);
    const rows = await this.#store.read<{ id: number }>(sql, params);
    return { total: rows.length, ids: rows.slice(query.start, query.end ?? rows.length).map((row) => row.id) };
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

  /** Most jobs have none, and then the store is not asked. */
  async #children(rows: readonly JobRow[]): Promise<Map<string, string[]>> {
    const found = new Map<string, string[]>();
    const parents = rows.map((row) => row.name).filter((name) => this.#definitions.childrenOf(name).size > 0);
    if (parents.length === 0) return found;
    const read = this.#store.read<{ parent: string; name: string }>(CHILDREN_OF, [JSON.stringify(parents)]);
    for (const { parent, name } of await read) {
      const siblings = found.get(parent);
      if (siblings === undefined) found.set(parent, [name]);
      else siblings.push(name);
    }
    return found;
  }
}
