/** Small facts about a database, by key. */
import type { Statement } from './database.ts';

export const GET_META = 'SELECT value FROM meta WHERE key = ?';
const PUT_META = 'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value';

export function putMeta(key: string, value: string): Statement {
  return { sql: PUT_META, params: [key, value] };
}

export const GET_CALENDARS = 'SELECT name, definition FROM calendars ORDER BY name';
const PUT_CALENDAR =
  'INSERT INTO calendars (name, definition, updated_at) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, updated_at = excluded.updated_at';
const DELETE_CALENDAR = 'DELETE FROM calendars WHERE name = ?';
/** Jobs that name a calendar. */
export const JOBS_OF_CALENDAR =
  "SELECT j.id, j.name FROM jobs j WHERE j.deleted_at IS NULL AND instr(j.definition, ?) > 0 AND EXISTS (SELECT 1 FROM json_each(j.definition, '$.calendars') c WHERE c.value = ?)";

export function putCalendar(name: string, definition: string, now: number): Statement {
  return { sql: PUT_CALENDAR, params: [name, definition, now] };
}

export function deleteCalendar(name: string): Statement {
  return { sql: DELETE_CALENDAR, params: [name] };
}
