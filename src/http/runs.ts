// What happened to every time a job was due: occurrences, their attempts and logs.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../model/errors.ts';
import { nameProblem } from '../model/job.ts';
import { nearest } from '../model/nearest.ts';
import { OUTCOMES, type Outcome } from '../model/occurrence.ts';
import { canonicalInstant, instantMs } from '../model/time.ts';
import { sendJson } from './reply.ts';
import { type Route, type RouteSchema, param, queryValue } from './route.ts';
import { Schemas } from './schemas.ts';
import type { LogPage, RunQuery, Services } from './services.ts';

const RUNS = { default: 50, max: 500 } as const;
const LOG_BYTES = { default: 65_536, max: 1_048_576 } as const;

export function runRoutes({ runs }: Services): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/runs',
      additive: true,
      schema: LIST,
      handler: (request) => runs.runs(readQuery(request)),
    },
    {
      method: 'GET',
      path: '/v1/runs/:group',
      additive: true,
      schema: ONE,
      handler: (request) => runs.run(readGroup(request)),
    },
    {
      method: 'POST',
      path: '/v1/runs/:group/stop',
      additive: true,
      schema: STOP,
      handler: (request) => runs.stop(readGroup(request)),
    },
    {
      method: 'GET',
      path: '/v1/runs/:group/log',
      additive: true,
      schema: LOG,
      handler: async (request, reply) => {
        refuseUnknown(request, ['execution', 'from', 'limit']);
        const from = readInteger(request, 'from', 0, Number.MAX_SAFE_INTEGER);
        const limit = readInteger(request, 'limit', LOG_BYTES.default, LOG_BYTES.max);
        return sendLog(
          request,
          reply,
          await runs.log(readGroup(request), queryValue(request, 'execution') || null, from, limit),
        );
      },
    },
  ];
}

function invalid(field: string, message: string, remedy: string): AppError {
  return new AppError('invalid', message, { field, remedy });
}

/** A filter with a typing error in its name would filter nothing, and look as if it had. */
function refuseUnknown(request: FastifyRequest, known: readonly string[]): void {
  const unknown = Object.keys(request.query as object).find((key) => key !== 'pretty' && !known.includes(key));
  if (unknown === undefined) return;
  const near = nearest(unknown, known);
  throw invalid(
    unknown,
    'is no parameter of this route',
    `${near === undefined ? '' : `did you mean ${near}? `}use ${known.join(', ')} or pretty`,
  );
}

/** 2^53 and beyond, negative, not a number: no run has such a group. */
function readGroup(request: FastifyRequest): number {
  const text = param(request, 'group');
  const group = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(group)) return group;
  throw invalid(
    'group',
    'is not the group of a run',
    'take it from the answer to POST /v1/jobs/{job}/run or from GET /v1/runs',
  );
}

function readInteger(request: FastifyRequest, field: string, fallback: number, max: number, min = 0): number {
  const text = queryValue(request, field) ?? '';
  if (text === '') return fallback;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max))
    throw invalid(field, `must be a whole number from ${min} to ${max}`, `for example ${field}=${fallback}`);
  return value;
}

function readInstant(request: FastifyRequest, field: string): number | null {
  const text = queryValue(request, field) ?? '';
  if (text === '') return null;
  // "+" in a query is a space: be kind to offsets that were not encoded.
  const canonical = canonicalInstant(text.replace(/ (?=\d\d:\d\d$)/, '+'));
  if (canonical === undefined)
    throw invalid(field, 'is not an RFC 3339 time', 'write for example 2026-11-22T17:00:00Z');
  return instantMs(canonical);
}

function readOutcome(request: FastifyRequest): Outcome | null {
  const text = queryValue(request, 'outcome') ?? '';
  if (text === '') return null;
  const outcome = OUTCOMES.find((known) => known === text);
  if (outcome === undefined) throw invalid('outcome', 'is no outcome', `use one of ${OUTCOMES.join(', ')}`);
  return outcome;
}

/** No job was ever called so: an empty list would say that it had no runs. */
function readJob(request: FastifyRequest): string | null {
  const job = queryValue(request, 'job') || null;
  const problem = job === null ? undefined : nameProblem(job);
  if (problem === undefined) return job;
  throw invalid('job', `is no job's name: ${problem.message}`, 'GET /v1/jobs lists the names');
}

function readQuery(request: FastifyRequest): RunQuery {
  refuseUnknown(request, Object.keys(LIST_QUERY.shape));
  const limit = readInteger(request, 'limit', RUNS.default, RUNS.max, 1);
  const cursor = queryValue(request, 'cursor') || null;
  const [from, to] = [readInstant(request, 'from'), readInstant(request, 'to')];
  if (from !== null && to !== null && from > to)
    throw invalid('to', 'is before `from`', 'exchange them: from is the earlier one');
  return { job: readJob(request), outcome: readOutcome(request), from, to, cursor, limit };
}

/** The bytes as they are, unless JSON is asked for: `curl` shows the log, programs get positions and times as well. */
function sendLog(request: FastifyRequest, reply: FastifyReply, page: LogPage): FastifyReply {
  const { bytes, ...about } = page;
  const next = page.from + bytes.length;
  if (wantsJson(request.headers.accept)) {
    const { execution, from, total_bytes, first_kept_byte, chunks } = about;
    const data = Buffer.from(bytes).toString('base64');
    return sendJson(request, reply, { execution, from, next, total_bytes, first_kept_byte, data, chunks });
  }
  return reply
    .headers({
      'content-type': 'application/octet-stream',
      'x-belfry-execution': about.execution,
      'x-belfry-from': about.from,
      'x-belfry-next': next,
      'x-belfry-total-bytes': about.total_bytes,
      'x-belfry-first-kept-byte': about.first_kept_byte,
    })
    .send(Buffer.from(bytes));
}

function wantsJson(accept: string | undefined): boolean {
  return /(^|,)\s*application\/json\s*(;|,|$)/i.test(accept ?? '');
}

const GROUP = { group: 'The run: what POST /v1/jobs/{job}/run answered as `group`.' };
const error = (description: string) => ({ description, body: Schemas.Error });
const NO_RUN = error('No such run.');
const BAD = error('A parameter is not valid.');

const LIST_QUERY = z.object({
  job: z.string().optional().describe('Name of the job; deleted jobs too, until their history goes.'),
  outcome: z.enum(OUTCOMES).optional(),
  from: z.string().optional().describe('Due at or after this time (RFC 3339).'),
  to: z.string().optional().describe('Due before this time.'),
  cursor: z.string().optional().describe('From the page before.'),
  limit: z.int().min(1).max(RUNS.max).default(RUNS.default),
});

const LIST: RouteSchema = {
  summary: 'Runs, newest first',
  tag: 'runs',
  description:
    'Every time a job was due, was triggered or asked for, with its outcome and reason. Consecutive dropped ones are one row.',
  query: LIST_QUERY,
  responses: { 200: { description: 'One page.', body: Schemas.RunList }, 400: BAD },
};

const ONE: RouteSchema = {
  summary: 'One run with its attempts',
  tag: 'runs',
  params: GROUP,
  responses: { 200: { description: 'The run.', body: Schemas.Run }, 400: BAD, 404: NO_RUN },
};

const STOP: RouteSchema = {
  summary: 'Stop a run',
  tag: 'runs',
  description:
    'Ends every process of it (SIGTERM, grace, SIGKILL) and cancels what waits. Answers at once; the run ends as cancelled: user.',
  params: GROUP,
  responses: { 200: { description: 'The run as it stands.', body: Schemas.Run }, 400: BAD, 404: NO_RUN },
};

const LOG: RouteSchema = {
  summary: 'The full log of an execution',
  tag: 'runs',
  description:
    'Raw bytes with X-Belfry-* headers; with Accept: application/json the same with the stream and time of each piece.',
  params: GROUP,
  query: z.object({
    execution: z.string().optional().describe('Id of the execution; default the newest attempt.'),
    from: z.int().min(0).default(0).describe('First byte.'),
    limit: z.int().min(0).max(LOG_BYTES.max).default(LOG_BYTES.default).describe('Bytes.'),
  }),
  responses: {
    200: {
      description: 'The bytes.',
      body: Schemas.LogPage,
      bytes: true,
      headers: {
        'X-Belfry-Execution': 'Id of the execution.',
        'X-Belfry-From': 'Position of the first byte.',
        'X-Belfry-Next': 'Where to read on.',
        'X-Belfry-Total-Bytes': 'Bytes written so far.',
        'X-Belfry-First-Kept-Byte': 'Older bytes are gone.',
      },
    },
    400: BAD,
    404: NO_RUN,
  },
};
