/** What people do to a node: jobs written, deleted, toggled, run, stopped. An acknowledged answer is held against the store at once. */
import { AppError } from '../../src/model/errors.ts';
import { definitionOf, type JobInput, parseJobInput } from '../../src/model/job.ts';
import { FencedError } from '../../src/server/leader-store.ts';
import type { Leader } from '../../src/server/leader.ts';
import type { Checker } from './checker.ts';
import type { Dice } from './dice.ts';
import type { SimNode } from './node.ts';
import type { VirtualTime } from './virtual-time.ts';
import { type Profile, randomJob } from './workload.ts';

/** Requests, by how often they come. */
export const REQUESTS = {
  create: 10,
  edit: 10,
  toggle: 6,
  delete: 3,
  run: 10,
  forced: 3,
  stop: 5,
  cursor: 1,
  calendar: 0.5,
  restore_jobs: 0.5,
  submissions: 0.5,
  churn: 0.02,
  run_then_delete: 0.2,
} as const;
export type Request = keyof typeof REQUESTS;

/** Names in use: job0 and so on. */
export const JOBS = 48;
const MINUTE = 60_000;
/** More edits than versions of a job are kept. */
const CHURN = 104;

export interface LoadModules {
  readonly dice: Dice;
  readonly time: VirtualTime;
  readonly checker: Checker;
  readonly profile: Profile;
  readonly zone: string;
  readonly node: () => SimNode | undefined;
  /** Share of jobs that go after their success. */
  readonly ephemeralShare: number;
}

export class Load {
  readonly #m: LoadModules;
  /** Jobs with a request under way: what becomes of two at once is not foretold. */
  readonly #busy = new Set<string>();

  constructor(modules: LoadModules) {
    this.#m = modules;
  }

  /** The node died, and its requests with it. */
  forget(): void {
    this.#busy.clear();
  }

  request(kind: Request): void {
    const { dice } = this.#m;
    const name = `job${dice.int(0, JOBS - 1)}`;
    switch (kind) {
      case 'create':
      case 'edit':
        return this.#put(name);
      case 'toggle':
        return this.#send(name, ({ jobs }) => jobs.toggle(name));
      case 'delete':
        return this.#delete(name);
      case 'run':
      case 'forced':
        return this.#run(name, kind === 'forced');
      case 'stop':
        return this.#stop();
      case 'cursor':
        return this.#resetCursor(name);
      case 'calendar':
        return this.#calendar(`calendar${dice.int(0, 1)}`);
      case 'restore_jobs':
        return this.#restoreJobs(name);
      case 'submissions':
        return this.#send('submissions', async (leader) => {
          await leader.setPaused(true);
          await leader.setPaused(false);
        });
      case 'run_then_delete':
        return this.#runThenDelete(name);
      case 'churn':
        return this.#send(name, async ({ jobs }) => {
          for (let turn = 0; turn < CHURN; turn++) await jobs.toggle(name);
        });
    }
  }

  /** Sends a request about something that has none under way; expected refusals are fine. */
  #send(
    busy: string,
    send: (leader: Leader) => Promise<unknown>,
    acknowledged: (answer: unknown) => void = () => undefined,
  ): void {
    const node = this.#m.node();
    const leader = node?.dead === false && !node.stopped ? node.leader : undefined;
    if (leader === undefined || this.#busy.has(busy)) return;
    this.#busy.add(busy);
    const isCurrent = () => node === this.#m.node();
    send(leader).then(
      (answer) => {
        if (!isCurrent()) return;
        this.#busy.delete(busy);
        acknowledged(answer);
      },
      (error: unknown) => {
        if (isCurrent()) this.#busy.delete(busy);
        if (error instanceof AppError && error.code !== 'internal') return;
        if (error instanceof FencedError && !isCurrent()) return;
        this.#m.checker.complain(`a request failed: ${error instanceof Error ? error.stack : String(error)}`);
      },
    );
  }

  #job(name: string): JobInput {
    const { dice, time, profile, zone, ephemeralShare } = this.#m;
    const parents = Array.from({ length: JOBS }, (_, index) => `job${index}`);
    const parsed = parseJobInput(randomJob(name, dice, { profile, zone, nowMs: time.wall(), parents }));
    if (!parsed.ok) throw new Error(`the load made a bad job: ${JSON.stringify(parsed)}`);
    return dice.chance(ephemeralShare) ? { ...parsed.job, ephemeral: true } : parsed.job;
  }

  #put(name: string): void {
    const job = this.#job(name);
    const runOnCreate = this.#m.dice.chance(0.1);
    this.#send(
      name,
      ({ jobs }) => jobs.put(job, { runOnCreate }),
      () => this.#expectStored(job),
    );
  }

  #expectStored(job: JobInput): void {
    const { checker } = this.#m;
    const stored = checker.row('SELECT definition FROM jobs WHERE name = ? AND deleted_at IS NULL', job.name);
    // An ephemeral job may be gone by now, of its own accord.
    if (job.ephemeral && stored === undefined) return;
    if (stored?.['definition'] === JSON.stringify(definitionOf(job))) return;
    checker.complain(`the acknowledged write of ${job.name} is not in the store`);
  }

  #restoreJobs(name: string): void {
    const job: JobInput = { ...this.#job(name), parent_job: '', schedule: '*/20 * * * * *' };
    this.#send(
      name,
      ({ jobs }) => jobs.restore([job]),
      // A parent that the store refuses is an answer: "fail create".
      (answer) => (answer as string[])[0]?.startsWith('success') === true && this.#expectStored(job),
    );
  }

  #delete(name: string): void {
    const { checker, dice } = this.#m;
    const id = checker.row('SELECT id FROM jobs WHERE name = ? AND deleted_at IS NULL', name)?.['id'];
    const how = dice.pick(['detach', 'kill'] as const);
    this.#send(
      name,
      ({ jobs }) => jobs.delete(name, how),
      () => {
        if (typeof id !== 'number') return;
        checker.truth.deleted.add(id);
        const row = checker.row('SELECT deleted_at FROM jobs WHERE id = ?', id);
        if (row?.['deleted_at'] === null) checker.complain(`the acknowledged deletion of ${name} is not in the store`);
      },
    );
  }

  #run(name: string, force: boolean): void {
    this.#send(
      name,
      ({ jobs }) => jobs.run(name, { force }),
      (answer) => {
        const { group } = answer as { group: number };
        if (this.#m.checker.row('SELECT 1 FROM occurrences WHERE group_id = ?', group) !== undefined) return;
        this.#m.checker.complain(`the acknowledged manual run ${group} is not in the store`);
      },
    );
  }

  #stop(): void {
    const row = this.#m.checker.row(
      'SELECT group_id FROM occurrences WHERE phase > 0 ORDER BY group_id LIMIT 1 OFFSET ?',
      this.#m.dice.int(0, 5),
    );
    const group = row?.['group_id'];
    if (typeof group === 'number') this.#send(`group${group}`, ({ runs }) => runs.stop(group));
  }

  /** The run is on its way to the agent when the job goes and the node dies: the next life must not start it. */
  #runThenDelete(name: string): void {
    const id = this.#m.checker.row('SELECT id FROM jobs WHERE name = ? AND deleted_at IS NULL', name)?.['id'];
    this.#send(
      name,
      async ({ jobs }) => {
        await jobs.run(name, { force: true });
        return jobs.delete(name, 'detach');
      },
      () => {
        if (typeof id === 'number') this.#m.checker.truth.deleted.add(id);
        this.#m.node()?.crash();
      },
    );
  }

  #resetCursor(name: string): void {
    const { checker, time } = this.#m;
    const row = checker.row(
      'SELECT s.job_id, s.cursor_at, s.anchor_at FROM job_state s JOIN jobs j ON j.id = s.job_id WHERE j.name = ? AND j.deleted_at IS NULL',
      name,
    ) as { job_id: number; cursor_at: number; anchor_at: number } | undefined;
    const wall = time.wall();
    // Created by a clock that was ahead: a reset moves the phase of @every, which the history does not know of.
    if (row === undefined || row.anchor_at > wall) return;
    // Whether it is answered or not: it may have been committed.
    if (row.cursor_at > wall) checker.rewound(row.job_id, wall - 1_000, time.wallMax + MINUTE);
    this.#send(name, ({ jobs }) => jobs.resetCursor(name));
  }

  /** Calendars that exclude nothing in this century, so that the history need not know them. */
  #calendar(name: string): void {
    const remove = this.#m.dice.chance(0.4);
    this.#send(name, ({ calendars }) =>
      remove ? calendars.delete(name) : calendars.put({ name, dates: ['2099-12-25'], weekdays: [], ranges: [] }),
    );
  }
}
