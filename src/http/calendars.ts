// Calendars shared between jobs by name.
import { z } from 'zod';
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../model/errors.ts';
import { calendarInputSchema, nameProblem } from '../model/job.ts';
import { checked, jsonBody } from './body.ts';
import { sendList } from './reply.ts';
import { type Route, param } from './route.ts';
import { Schemas } from './schemas.ts';
import type { Services } from './services.ts';

const NAME = { name: 'Name of the calendar.' };
const GONE = { description: 'No such calendar.', body: Schemas.Error };

export function calendarRoutes({ calendars }: Services, clock: Clock): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/calendars',
      additive: true,
      schema: { summary: 'List calendars', tag: 'calendars', responses: { 200: { description: 'All calendars.', body: z.array(Schemas.Calendar) } } },
      handler: async (request, reply) => {
        const items = await calendars.list();
        return sendList(request, reply, { total: items.length, items }, clock);
      },
    },
    {
      method: 'GET',
      path: '/v1/calendars/:name',
      additive: true,
      schema: { summary: 'One calendar', tag: 'calendars', params: NAME, responses: { 200: { description: 'It.', body: Schemas.Calendar }, 404: GONE } },
      handler: async (request) => {
        const name = param(request, 'name');
        const found = (await calendars.list()).find((calendar) => calendar.name === name);
        if (found === undefined) throw new AppError('not_found', 'no such calendar', { remedy: 'GET /v1/calendars lists them' });
        return found;
      },
    },
    {
      method: 'PUT',
      path: '/v1/calendars/:name',
      additive: true,
      schema: {
        summary: 'Create or replace a calendar',
        tag: 'calendars',
        params: NAME,
        body: Schemas.InlineCalendar,
        responses: { 200: { description: 'As stored.', body: Schemas.Calendar }, 400: { description: 'Not valid.', body: Schemas.Error } },
      },
      handler: async (request) => {
        const name = param(request, 'name');
        const problem = nameProblem(name);
        if (problem !== undefined) throw new AppError('invalid', problem.message, { field: 'name', remedy: 'use lower-case letters, digits, "_" and "-"' });
        const body = jsonBody(request);
        if (typeof body !== 'object' || body === null || Array.isArray(body)) throw new AppError('invalid', 'expected a JSON object');
        if ('name' in body && body.name !== name) throw new AppError('invalid', 'is not the name in the path', { field: 'name', remedy: 'leave it out' });
        return calendars.put(checked(calendarInputSchema, { ...body, name }));
      },
    },
    {
      method: 'DELETE',
      path: '/v1/calendars/:name',
      additive: true,
      schema: { summary: 'Delete a calendar', tag: 'calendars', params: NAME, responses: { 204: { description: 'Gone.' }, 404: GONE } },
      handler: async (request, reply) => {
        await calendars.delete(param(request, 'name'));
        return reply.code(204).send();
      },
    },
  ];
}
