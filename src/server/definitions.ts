/** Compiled jobs by id, loaded when first needed and kept while they are in use: a million rare jobs cost no memory here. */
import { type CompileContext, type CompiledJob, compileJob } from '../core/compiled-job.ts';
import type { JobDefinition } from '../model/job.ts';
import type { Calendar } from '../model/schedule.ts';
import { DEFINITION_OF_VERSION, JOBS_BY_ID, type JobRow } from '../store/jobs.ts';
import type { LeaderStore } from './leader-store.ts';

/** Compiled jobs kept in memory; the least recently used go first. About 2 KB each. */
export const COMPILED_JOBS_MAX = 20_000;

export type DefinitionsOptions = Omit<CompileContext, 'calendar'>;

export class Definitions {
  readonly #options: DefinitionsOptions;
  readonly #store: LeaderStore;
  readonly #jobs = new Map<number, CompiledJob>();
  readonly #calendars = new Map<string, Calendar>();
  /** Parent name → ids of its children, kept whole: it is asked at every success. */
  readonly #children = new Map<string, Set<number>>();
  /** Child → its parent's name, for jobs that have one. */
  readonly #parents = new Map<number, string>();

  readonly #seen: (executor: string) => void;
  readonly #executors = new Set<string>();

  /** `seen` is told of each executor's name when the first job that uses it is compiled. */
  constructor(options: DefinitionsOptions, modules: { store: LeaderStore; seen: (executor: string) => void }) {
    this.#seen = modules.seen;
    this.#options = options;
    this.#store = modules.store;
  }

  get context(): CompileContext {
    return { ...this.#options, calendar: (name) => this.#calendars.get(name) };
  }

  /** Current versions of these jobs; ids of deleted jobs are absent. */
  async load(ids: readonly number[]): Promise<ReadonlyMap<number, CompiledJob>> {
    const found = new Map<number, CompiledJob>();
    const missing: number[] = [];
    for (const id of ids) {
      const job = this.#jobs.get(id);
      if (job === undefined) missing.push(id);
      else found.set(id, job);
    }
    if (missing.length === 0) return found;
    for (const row of await this.#store.read<JobRow>(JOBS_BY_ID, [JSON.stringify(missing)])) {
      found.set(row.id, this.remember(row));
    }
    return found;
  }

  /** Compiles a row and keeps it as the job's current version. */
  remember(row: Pick<JobRow, 'id' | 'version' | 'anchor_at' | 'definition'>): CompiledJob {
    const definition = JSON.parse(row.definition) as JobDefinition;
    const { job } = compileJob({ id: row.id, version: row.version, anchorAt: row.anchor_at, definition }, this.context);
    this.put(job);
    return job;
  }

  put(job: CompiledJob): void {
    const { executor } = job.definition;
    if (!this.#executors.has(executor)) {
      this.#executors.add(executor);
      this.#seen(executor);
    }
    this.#jobs.delete(job.id);
    this.#jobs.set(job.id, job);
    if (this.#jobs.size > COMPILED_JOBS_MAX) this.#dropOldest();
  }

  /** Many at once: a Map keeps the holes its deleted keys leave, and finding the first key walks over all of them each time. */
  #dropOldest(): void {
    let left = COMPILED_JOBS_MAX / 10;
    for (const id of this.#jobs.keys()) {
      if (left-- <= 0) return;
      this.#jobs.delete(id);
    }
  }

  forget(id: number): void {
    this.#jobs.delete(id);
  }

  /** The definition an occurrence began with; undefined when it is gone, which retention never does to an unfinished one. */
  async ofVersion(id: number, version: number): Promise<CompiledJob | undefined> {
    const current = this.#jobs.get(id);
    if (current?.version === version) return current;
    const [row] = await this.#store.read<{ definition: string }>(DEFINITION_OF_VERSION, [id, version]);
    if (row === undefined) return undefined;
    const definition = JSON.parse(row.definition) as JobDefinition;
    return compileJob({ id, version, anchorAt: 0, definition }, this.context).job;
  }

  /** Shared calendars changed: every compiled schedule may mean something else now. */
  setCalendars(calendars: Iterable<[string, Calendar]>): void {
    this.#calendars.clear();
    for (const [name, calendar] of calendars) this.#calendars.set(name, calendar);
    this.#jobs.clear();
  }

  calendar(name: string): Calendar | undefined {
    return this.#calendars.get(name);
  }

  childrenOf(parent: string): ReadonlySet<number> {
    return this.#children.get(parent) ?? NONE;
  }

  /** `parent` is empty for a job that runs by time, or is gone. */
  setParent(child: number, parent: string): void {
    const before = this.#parents.get(child) ?? '';
    if (before === parent) return;
    const old = this.#children.get(before);
    old?.delete(child);
    if (old?.size === 0) this.#children.delete(before);
    this.#parents.delete(child);
    if (parent !== '') this.#addChild(child, parent);
  }

  #addChild(child: number, parent: string): void {
    this.#parents.set(child, parent);
    const siblings = this.#children.get(parent);
    if (siblings === undefined) this.#children.set(parent, new Set([child]));
    else siblings.add(child);
  }
}

const NONE: ReadonlySet<number> = new Set();
