/** Lists of jobs: ids first, then only the page's rows. Statement texts are constant per sort and order. */
import type { SqlValue } from './database.ts';

export type JobSort =
  | 'name'
  | 'displayname'
  | 'schedule'
  | 'success_count'
  | 'error_count'
  | 'last_success'
  | 'last_error'
  | 'next';

/** Filters of GET /v1/jobs (dkron.md §1.4); null or empty means any. */
export interface JobFilter {
  readonly q: string | null;
  readonly status: string | null;
  readonly disabled: boolean | null;
  readonly metadata: Readonly<Record<string, string>>;
}

const COLUMN: Record<JobSort, string> = {
  name: 'j.name',
  displayname: 'j.displayname COLLATE NOCASE',
  schedule: 'j.schedule COLLATE NOCASE',
  success_count: 's.success_count',
  error_count: 's.error_count',
  last_success: 's.last_success_at',
  last_error: 's.last_error_at',
  next: 's.next_at',
};

const BOTH = ['ASC', 'DESC'] as const;

/** Names and display names after a name, in order: the index that holds both is walked once, at a leader's start. */
export const JOB_NAMES_AFTER =
  'SELECT j.id, j.name, j.displayname FROM jobs j INDEXED BY jobs_search WHERE j.deleted_at IS NULL AND j.name > ? ORDER BY j.name LIMIT ?';

const FILTERED = new Map(
  (Object.keys(COLUMN) as JobSort[]).flatMap((sort) =>
    BOTH.map((order) => [`${sort} ${order}`, filteredSql(sort, order)] as const),
  ),
);

function filteredSql(sort: JobSort, order: 'ASC' | 'DESC'): string {
  return (
    'SELECT j.id FROM jobs j JOIN job_state s ON s.job_id = j.id WHERE j.deleted_at IS NULL ' +
    "AND (? = '' OR instr(j.name, ?) > 0 OR instr(j.displayname, ?) > 0) AND (? IS NULL OR s.status = ?) AND (? IS NULL OR j.disabled = ?) " +
    "AND NOT EXISTS (SELECT 1 FROM json_each(?) m WHERE NOT EXISTS (SELECT 1 FROM json_each(j.definition, '$.metadata') d WHERE d.key = m.key AND d.value = m.value)) " +
    `ORDER BY ${COLUMN[sort]} ${order}, j.name ${order}`
  );
}

/** Ids of every matching job in order, for any sort and filter. */
export function filteredJobs(
  sort: JobSort,
  order: 'ASC' | 'DESC',
  filter: JobFilter,
): { sql: string; params: SqlValue[] } {
  const q = filter.q ?? '';
  const disabled = filter.disabled === null ? null : filter.disabled ? 1 : 0;
  // `untriggered` is Dkron's word for the empty status.
  const status = filter.status === 'untriggered' ? '' : filter.status;
  const params = [q, q, q, status, status, disabled, disabled, JSON.stringify(filter.metadata)];
  return { sql: FILTERED.get(`${sort} ${order}`) as string, params };
}
