/** Calendars shared between jobs by name. A change moves the cursor of every job that uses it to now: no time before the edit fires. */
import { type CompileContext, specOf } from '../core/compiled-job.ts';
import { nextAfter } from '../core/schedule/index.ts';
import type { Clock } from '../lib/clock.ts';
import type { Mutex } from '../lib/mutex.ts';
import { AppError } from '../model/errors.ts';
import type { CalendarInput, JobDefinition } from '../model/job.ts';
import { JOBS_BY_ID, type JobRow, resetCursor } from '../store/jobs.ts';
import { deleteCalendar, GET_CALENDARS, JOBS_OF_CALENDAR, putCalendar } from '../store/meta.ts';
import type { Definitions } from './definitions.ts';
import type { LeaderStore } from './leader-store.ts';
import type { Scheduler } from './scheduler.ts';

export interface CalendarsModules {
  readonly store: LeaderStore;
  readonly lock: Mutex;
  readonly definitions: Definitions;
  readonly scheduler: Scheduler;
  readonly clock: Clock;
}

export class Calendars {
  readonly #m: CalendarsModules;

  constructor(modules: CalendarsModules) {
    this.#m = modules;
  }

  /** Reads all of them; called before any job is compiled. */
  async load(): Promise<void> {
    this.#m.definitions.setCalendars((await this.list()).map((calendar) => [calendar.name, calendar]));
  }

  async list(): Promise<CalendarInput[]> {
    const rows = await this.#m.store.read<{ definition: string }>(GET_CALENDARS);
    return rows.map((row) => JSON.parse(row.definition) as CalendarInput);
  }

  /** The calendar and the cursors of the jobs that use it are one commit; what was due of them before it is decided first. */
  put(calendar: CalendarInput): Promise<CalendarInput> {
    return this.#m.lock.run(async () => {
      const { store, definitions, scheduler, clock } = this.#m;
      const now = Math.floor(clock.now());
      const ids = (await this.#users(calendar.name)).map((user) => user.id);
      await scheduler.settle(ids, now);
      const { context } = definitions;
      const changed = {
        ...context,
        calendar: (name: string) => (name === calendar.name ? calendar : context.calendar(name)),
      };
      const rows = await store.read<JobRow>(JOBS_BY_ID, [JSON.stringify(ids)]);
      // A clock that was set back does not take the cursor with it.
      const plans = rows.map((row) => {
        const cursorAt = Math.max(now, row.cursor_at);
        return { row, cursorAt, nextAt: nextOf(row, cursorAt, changed) };
      });
      await store.writeFor([
        putCalendar(calendar.name, JSON.stringify(calendar), now),
        ...plans.map(({ row, cursorAt, nextAt }) => resetCursor(row.id, row.version, cursorAt, nextAt)),
      ]);
      await this.load();
      for (const { row, cursorAt, nextAt } of plans) scheduler.put(row.id, nextAt, cursorAt);
      return calendar;
    });
  }

  delete(name: string): Promise<void> {
    return this.#m.lock.run(async () => {
      if (this.#m.definitions.calendar(name) === undefined) {
        throw new AppError('not_found', `no calendar named ${JSON.stringify(name)}`, {
          remedy: 'GET /v1/calendars lists them',
        });
      }
      const users = await this.#users(name);
      if (users.length > 0) {
        throw new AppError('conflict', `calendar ${name} is used by ${users.map((user) => user.name).join(', ')}`, {
          remedy: 'take it out of those jobs first',
        });
      }
      await this.#m.store.writeFor([deleteCalendar(name)]);
      await this.load();
    });
  }

  #users(name: string): Promise<{ id: number; name: string }[]> {
    return this.#m.store.read<{ id: number; name: string }>(JOBS_OF_CALENDAR, [JSON.stringify(name), name]);
  }
}

function nextOf(row: JobRow, now: number, context: CompileContext): number | null {
  const definition = JSON.parse(row.definition) as JobDefinition;
  const { spec } = specOf(definition, row.id, row.anchor_at, context);
  return spec === null || definition.disabled ? null : (nextAfter(spec, now) ?? null);
}
