/** A hundred thousand jobs in seconds: one is created by the leader's own road, the others are copies of its rows, written by SQL. */
import type { Clock } from '../../src/lib/clock.ts';
import { createJobs, idleAgent, openHouse } from './house.ts';
import { keepHistory } from './history.ts';
import type { Sources } from './sources.ts';

export interface Fill {
  /** The database file; made when it is not there. */
  readonly path: string;
  readonly clock: Clock;
  readonly jobs: number;
  /** rare: due once a year each, not soon. wave: `perSecond` other ones each second, from the next minute on, once a day each. */
  readonly when: 'rare' | { readonly perSecond: number };
  /** Finished runs, spread over the jobs that are there before these. */
  readonly kept?: number;
  /** Jobs that are made one by one before the copies. */
  readonly first?: readonly Record<string, unknown>[];
}

const SLICE = 100_000;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const TEMPLATE = 'template-of-all';
const TEMPLATE_SCHEDULE = '59 59 23 31 12 *';

/** What copy `i` is called, when it runs (text and next instant): SQL over the columns i and at (epoch ms of the first second). */
const RARE = {
  schedule: `printf('%d %d %d %d 12 *', i % 60, i / 60 % 60, i / 3600 % 24, 1 + i % 28)`,
  next: `at + 30 * ${DAY_MS} + i * 7919 % 300 * ${DAY_MS}`,
};
const WAVE = {
  schedule: `printf('%d %d %d * * *', second % 60, second / 60 % 60, second / 3600 % 24)`,
  next: 'day + second * 1000',
};

export async function fillStore(sources: Sources, fill: Fill): Promise<void> {
  const house = await openHouse(sources, {
    path: fill.path,
    clock: fill.clock,
    agent: idleAgent(),
    emit: () => undefined,
  });
  await createJobs(sources, house.leader, fill.first ?? []);
  if (fill.kept !== undefined && fill.kept > 0) await keepHistory(house, fill.kept);
  await createJobs(sources, house.leader, [{ name: TEMPLATE, schedule: TEMPLATE_SCHEDULE }]);
  const [row] = await house.database.read('local', 'SELECT id FROM jobs WHERE name = ?', [TEMPLATE]);
  const template = Number(row?.['id']);
  const at = Math.ceil(fill.clock.now() / MINUTE_MS + 1) * MINUTE_MS;
  for (let from = 0; from < fill.jobs - 1; from += SLICE) {
    const to = Math.min(fill.jobs - 1, from + SLICE);
    const outcome = await house.database.write(copies(fill.when, { template, from, to, at }));
    if (outcome.kind !== 'committed') throw new Error(`the jobs could not be written: ${outcome.kind}`);
  }
  await house.close();
}

interface Slice {
  readonly template: number;
  readonly from: number;
  readonly to: number;
  readonly at: number;
}

function copies(when: Fill['when'], { template, from, to, at }: Slice) {
  const { schedule, next } = when === 'rare' ? RARE : WAVE;
  const perSecond = when === 'rare' ? 1 : when.perSecond;
  const day = Math.floor(at / DAY_MS) * DAY_MS;
  // Numbers arrive as floating point, whose division and text are not what is meant here.
  const numbers =
    `WITH RECURSIVE n (i) AS (SELECT CAST(? AS INTEGER) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?), ` +
    `c AS (SELECT i, at, day, (at - day) / 1000 + i / per AS second FROM n, (SELECT CAST(? AS INTEGER) AS at, CAST(? AS INTEGER) AS day, CAST(? AS INTEGER) AS per)), ` +
    `d AS (SELECT i, 'job-' || i AS name, ${schedule} AS schedule, ${next} AS next_at FROM c) `;
  const params = [from, to, at, day, perSecond, template];
  const definition = `replace(replace(t.definition, '${TEMPLATE}', d.name), '${TEMPLATE_SCHEDULE}', d.schedule)`;
  const all = 'FROM d CROSS JOIN jobs t WHERE t.id = ?';
  return [
    {
      sql: `${numbers} INSERT INTO jobs (id, name, displayname, version, parent, disabled, schedule, definition, created_at, updated_at) SELECT t.id + 1 + d.i, d.name, '', 1, '', 0, d.schedule, ${definition}, t.created_at, t.updated_at ${all}`,
      params,
    },
    {
      sql: `${numbers} INSERT INTO job_versions (job_id, version, definition, created_at) SELECT t.id + 1 + d.i, 1, ${definition}, t.created_at ${all}`,
      params,
    },
    {
      sql: `${numbers} INSERT INTO job_state (job_id, version, cursor_at, next_at, anchor_at, success_count, error_count, status) SELECT t.id + 1 + d.i, 1, t.created_at, d.next_at, t.created_at, 0, 0, '' ${all}`,
      params,
    },
  ];
}
