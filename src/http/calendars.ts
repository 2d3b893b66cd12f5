// Calendars shared between jobs by name.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../model/errors.ts';
import { type CalendarInput, calendarInputSchema, nameProblem } from '../model/job.ts';
import { checked, jsonBody } from './body.ts';
import { sendList } from './reply.ts';
import { type Route, type RouteSchema, param } from './route.ts';
import { Schemas } from './schemas.ts';
import type { CalendarsService, Services } from './services.ts';

export function calendarRoutes({ calendars }: Services, clock: Clock): Route[] {
  const path = '/v1/calendars/:name';
  return [
    {
      method: 'GET',
      path: '/v1/calendars',
      additive: true,
      schema: LIST,
      handler: async (request, reply) => {
        const items = await calendars.list();
        return sendList(request, reply, { total: items.length, items }, clock);
      },
    },
    { method: 'GET', path, additive: true, schema: GET, handler: (request) => getCalendar(calendars, request) },
    { method: 'PUT', path, additive: true, schema: PUT, handler: (request) => putCalendar(calendars, request) },
    {
      method: 'DELETE',
      path,
      additive: true,
      schema: DELETE,
      handler: (request, reply) => deleteCalendar(calendars, request, reply),
    },
  ];
}

async function getCalendar(calendars: CalendarsService, request: FastifyRequest): Promise<CalendarInput> {
  const name = param(request, 'name');
  const found = (await calendars.list()).find((calendar) => calendar.name === name);
  if (found === undefined)
    throw new AppError('not_found', 'no such calendar', { remedy: 'GET /v1/calendars lists them' });
  return found;
}

async function putCalendar(calendars: CalendarsService, request: FastifyRequest): Promise<CalendarInput> {
  const name = param(request, 'name');
  const problem = nameProblem(name);
  if (problem !== undefined) {
    throw new AppError('invalid', problem.message, {
      field: 'name',
      remedy: 'use lower-case letters, digits, "_" and "-"',
    });
  }
  const body = jsonBody(request);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new AppError('invalid', 'expected a JSON object', { remedy: `send for example ${EXAMPLE}` });
  }
  if ('name' in body && body.name !== name) {
    throw new AppError('invalid', 'is not the name in the path', { field: 'name', remedy: 'leave it out' });
  }
  return calendars.put(checked(calendarInputSchema, { ...body, name }, EXAMPLE));
}

const EXAMPLE = '{"dates":["12-25"]}';

async function deleteCalendar(
  calendars: CalendarsService,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  await calendars.delete(param(request, 'name'));
  return reply.code(204).send();
}

const NAME = { name: 'Name of the calendar.' };
const GONE = { description: 'No such calendar.', body: Schemas.Error };

const LIST: RouteSchema = {
  summary: 'List calendars',
  tag: 'calendars',
  responses: { 200: { description: 'All calendars.', body: z.array(Schemas.Calendar) } },
};

const GET: RouteSchema = {
  summary: 'One calendar',
  tag: 'calendars',
  params: NAME,
  responses: { 200: { description: 'The calendar.', body: Schemas.Calendar }, 404: GONE },
};

const PUT: RouteSchema = {
  summary: 'Create or replace a calendar',
  tag: 'calendars',
  params: NAME,
  body: Schemas.InlineCalendar,
  responses: {
    200: { description: 'As stored.', body: Schemas.Calendar },
    400: { description: 'Not a calendar.', body: Schemas.Error },
  },
};

const DELETE: RouteSchema = {
  summary: 'Delete a calendar that no job uses',
  tag: 'calendars',
  params: NAME,
  responses: { 204: { description: 'Gone.' }, 404: GONE, 409: { description: 'Jobs use it.', body: Schemas.Error } },
};
