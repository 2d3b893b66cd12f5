// Executions in Dkron's shape (dkron.md §1.9, §1.10, §1.12, §1.16, §3).
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../model/errors.ts';
import { readRange } from './job-query.ts';
import { sendList } from './reply.ts';
import { type Route, type RouteSchema, param, queryValue } from './route.ts';
import { Schemas } from './schemas.ts';
import type { ExecutionView, Services } from './services.ts';

export function executionRoutes(services: Services, clock: Clock): Route[] {
  const { runs } = services;
  const one = (request: FastifyRequest) => runs.execution(param(request, 'job'), param(request, 'execution'));
  return [
    {
      method: 'GET',
      path: '/v1/jobs/:job/executions',
      schema: LIST,
      handler: (request, reply) => list(services, clock, request, reply),
    },
    {
      method: 'DELETE',
      path: '/v1/jobs/:job/executions',
      schema: WIPE,
      handler: (request) => runs.deleteExecutions(param(request, 'job')),
    },
    {
      method: 'GET',
      path: '/v1/jobs/:job/executions/:execution',
      schema: ONE,
      handler: async (request) => shown(await one(request), false),
    },
    {
      method: 'GET',
      path: '/v1/busy',
      schema: BUSY,
      handler: (request, reply) => busy(services, clock, request, reply),
    },
    { method: 'GET', path: '/v1/stats', schema: STATS, handler: (request) => stats(services, request) },
  ];
}

/** Dkron leaves empty fields out, and has `output_truncated` on lists only; ours says it elsewhere too when it is true. */
export function shown(execution: ExecutionView, inList: boolean): Partial<ExecutionView> {
  const { id, job_name, started_at, finished_at, success, output, node_name, group, attempt, output_truncated } =
    execution;
  return {
    id,
    job_name,
    started_at,
    finished_at,
    success,
    ...(output === '' ? {} : { output }),
    ...(node_name === '' ? {} : { node_name }),
    ...(group === 0 ? {} : { group }),
    ...(attempt === 0 ? {} : { attempt }),
    ...(inList || output_truncated ? { output_truncated } : {}),
  };
}

const SORTS = {
  '': 'started_at',
  id: 'started_at',
  started_at: 'started_at',
  finished_at: 'finished_at',
  attempt: 'attempt',
} as const;

async function list(
  services: Services,
  clock: Clock,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const sort = queryValue(request, '_sort') ?? '';
  if (!Object.hasOwn(SORTS, sort)) {
    throw new AppError('invalid', 'names no field executions can be sorted by', {
      field: '_sort',
      remedy: 'use started_at, finished_at or attempt',
    });
  }
  const order = {
    sort: SORTS[sort as keyof typeof SORTS],
    descending: (queryValue(request, '_order') ?? 'DESC') === 'DESC',
  };
  const [start, end] = [readRange(request, '_start') ?? 0, readRange(request, '_end')];
  const limit = outputLimit(queryValue(request, 'output_size_limit'));
  const all = await services.runs.executions(param(request, 'job'), order);
  const items = all.slice(start, end ?? all.length).map((execution) => shown(withLimit(execution, limit), true));
  return sendList(request, reply, { total: all.length, items }, clock);
}

/** Bytes of output to keep, or null; anything but a whole number is no limit, as in Dkron. */
function outputLimit(text: string | undefined): number | null {
  return text !== undefined && /^\+?\d{1,15}$/.test(text) ? Number(text) : null;
}

/** Keeps the last bytes of the output; a character cut in two is left out. */
export function withLimit(execution: ExecutionView, bytesMax: number | null): ExecutionView {
  if (bytesMax === null) return execution;
  const bytes = Buffer.from(execution.output);
  if (bytes.length <= bytesMax) return execution;
  let from = bytes.length - bytesMax;
  while (from < bytes.length && ((bytes[from] ?? 0) & 0xc0) === 0x80) from++;
  return { ...execution, output: bytes.toString('utf8', from), output_truncated: true };
}

async function busy(
  services: Services,
  clock: Clock,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const running = await services.runs.busy();
  return sendList(
    request,
    reply,
    { total: running.length, items: running.map((execution) => shown(execution, false)) },
    clock,
  );
}

const STATS_DAYS = { default: 30, max: 365 } as const;

async function stats(services: Services, request: FastifyRequest): Promise<unknown> {
  const text = queryValue(request, 'days') ?? '';
  const days = /^[+-]?\d+$/.test(text) ? Number(text) : 0;
  return { stats: await services.runs.stats(days <= 0 ? STATS_DAYS.default : Math.min(days, STATS_DAYS.max)) };
}

const JOB = { job: 'Name of the job.' };
const NO_JOB = { description: 'No such job.', type: 'text/plain' };
const TOTAL = { 'X-Total-Count': 'Number of executions.' };

const LIST: RouteSchema = {
  summary: 'The newest 100 executions of a job',
  tag: 'executions',
  params: JOB,
  query: z.object({
    _sort: z.enum(['id', 'started_at', 'finished_at', 'attempt']).optional(),
    _order: z.string().optional().describe('DESC by default; anything else is ascending.'),
    _start: z.int().min(0).optional(),
    _end: z.int().min(0).optional(),
    output_size_limit: z.int().min(0).optional().describe('Keep only so many last bytes of each output.'),
  }),
  responses: {
    200: { description: 'The executions; output is the tail.', body: z.array(Schemas.Execution), headers: TOTAL },
    400: { description: 'A parameter is not valid.', type: 'text/plain' },
    404: NO_JOB,
  },
};

const ONE: RouteSchema = {
  summary: 'One execution with the last 256,000 bytes of its output',
  tag: 'executions',
  params: { ...JOB, execution: 'Id of the execution.' },
  responses: {
    200: { description: 'The execution.', body: Schemas.Execution },
    404: { description: 'No such job or execution.', type: 'text/plain' },
  },
};

const WIPE: RouteSchema = {
  summary: "Wipe a job's history and counters",
  tag: 'executions',
  params: JOB,
  responses: { 200: { description: 'The job.', body: Schemas.Job }, 404: NO_JOB },
};

const BUSY: RouteSchema = {
  summary: 'What runs now',
  tag: 'executions',
  responses: {
    200: { description: 'Running executions, oldest first.', body: z.array(Schemas.Execution), headers: TOTAL },
  },
};

const STATS: RouteSchema = {
  summary: 'Finished executions per UTC day',
  tag: 'executions',
  query: z.object({ days: z.int().optional().describe('1 to 365, 30 by default; the last day is today.') }),
  responses: { 200: { description: 'One entry per day, oldest first.', body: Schemas.Stats } },
};
