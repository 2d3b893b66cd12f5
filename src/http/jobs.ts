// Jobs: Dkron's routes (dkron.md §1.4–1.8) and the cursor of a job's schedule.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../model/errors.ts';
import { type JobInput, type JobRefusal, parseJobInput } from '../model/job.ts';
import { checked, jsonBody } from './body.ts';
import { headerText } from './header-text.ts';
import { readBool, readJobQuery } from './job-query.ts';
import { sendJson, sendList } from './reply.ts';
import { type Route, type RouteSchema, param, queryValue } from './route.ts';
import { Schemas } from './schemas.ts';
import type { Services } from './services.ts';

export function jobRoutes(services: Services, clock: Clock): Route[] {
  const write = (request: FastifyRequest, reply: FastifyReply) => writeJob(services, request, reply);
  const run = (request: FastifyRequest, reply: FastifyReply) => runJob(services, request, reply);
  return [
    {
      method: 'GET',
      path: '/v1/jobs',
      schema: LIST,
      handler: (request, reply) => listJobs(services, clock, request, reply),
    },
    { method: 'POST', path: '/v1/jobs', schema: WRITE, handler: write },
    {
      method: 'PATCH',
      path: '/v1/jobs',
      schema: { ...WRITE, summary: 'The same as POST: replaces the whole job' },
      handler: write,
    },
    {
      method: 'GET',
      path: '/v1/jobs/:job',
      schema: GET,
      handler: (request) => services.jobs.get(param(request, 'job')),
    },
    { method: 'PUT', path: '/v1/jobs/:job', schema: PUT, handler: write },
    { method: 'DELETE', path: '/v1/jobs/:job', schema: DELETE, handler: (request) => deleteJob(services, request) },
    { method: 'POST', path: '/v1/jobs/:job', schema: RUN, handler: run },
    { method: 'POST', path: '/v1/jobs/:job/run', schema: RUN, handler: run },
    {
      method: 'POST',
      path: '/v1/jobs/:job/toggle',
      schema: TOGGLE,
      handler: (request, reply) => toggleJob(services, request, reply),
    },
    {
      method: 'POST',
      path: '/v1/jobs/:job/cursor',
      additive: true,
      schema: CURSOR,
      handler: (request) => resetCursor(services, request),
    },
  ];
}

async function listJobs(
  services: Services,
  clock: Clock,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const query = readJobQuery(request);
  const { total, jobs } = await services.jobs.list(query);
  const lengthMax = Math.max(0, Math.min(query.end ?? total, total) - query.start);
  return sendList(request, reply, { total, items: jobs, lengthMax }, clock);
}

/** Pause is judged before the body, as in Dkron: a paused node takes nothing, good or bad. */
async function writeJob(services: Services, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  if (await services.node.paused()) {
    throw new AppError('paused', 'new submissions are paused', { remedy: 'POST /v1/unpause to take them again' });
  }
  const { job, warnings } = readJob(request);
  if (!services.node.matches(job.tags)) warnings.push(headerText(noNodeWarning(job.tags)));
  const { job: stored, warnings: odd } = await services.jobs
    .put(job, { runOnCreate: queryValue(request, 'runoncreate') !== undefined })
    .catch(asValidation);
  warnings.push(...[...odd, ...(await services.check(job))].map(headerText));
  if (warnings.length > 0) reply.header('x-belfry-warning', warnings.join('; ').slice(0, WARNING_CHARACTERS_MAX));
  return sendJson(request, reply.code(201).header('location', jobPath(job.name)), stored);
}

const jobPath = (name: string): string => `/v1/jobs/${encodeURIComponent(name)}`;

/** Dkron's texts: a body that cannot be decoded, and a job that does not hold. */
function readJob(request: FastifyRequest): { job: JobInput; warnings: string[] } {
  const body = decodeBody(request);
  const inPath = param(request, 'job');
  if (inPath !== '' && typeof body === 'object' && body !== null && !('name' in body))
    Object.assign(body, { name: inPath });
  const parsed = parseJobInput(body);
  if (!parsed.ok) throw refusedJob(parsed);
  const warnings = parsed.unknownFields.length > 0 ? [unknownFieldsWarning(parsed.unknownFields)] : [];
  if (inPath !== '' && inPath !== parsed.job.name)
    warnings.push(`the body's name ${parsed.job.name} counts, not the path's`);
  return { job: parsed.job, warnings: warnings.map(headerText) };
}

function decodeBody(request: FastifyRequest): unknown {
  try {
    return jsonBody(request);
  } catch (error) {
    if (error instanceof AppError)
      throw new AppError('invalid', `unable to parse payload: ${error.message}`, { remedy: error.remedy ?? '' });
    throw error;
  }
}

/** Also restore's. */
export function refusedJob({ stage, field, message, remedy }: JobRefusal): AppError {
  const text = stage === 'decode' ? 'unable to parse payload' : VALIDATION;
  return new AppError('invalid', `${text}: ${field === '' ? '' : `${field}: `}${message}`, { remedy });
}

const VALIDATION = 'job validation failed';
const SCHEDULE_REMEDY = 'POST /v1/schedule/preview tells what a schedule means';

/** What the service refuses of a job (its schedule, its zone) is validation too. */
function asValidation(error: unknown): never {
  if (!(error instanceof AppError)) throw error;
  // Clients compare this body with Dkron's.
  if (error.code === 'parent_not_found') throw new AppError('parent_not_found', 'specified parent job not found');
  if (error.code !== 'invalid') throw error;
  const remedy = error.remedy ?? (error.field === 'schedule' ? SCHEDULE_REMEDY : '');
  const field = error.field === undefined ? '' : `${error.field}: `;
  const text = error.message.startsWith(VALIDATION) ? error.message : `${VALIDATION}: ${field}${error.message}`;
  throw new AppError('invalid', text, { remedy, cause: error });
}

function noNodeWarning(tags: Readonly<Record<string, string>>): string {
  const shown = JSON.stringify(tags).slice(0, TAGS_CHARACTERS_MAX);
  return `no node has its tags ${shown}: unless one appears, its occurrences end as missed (no_target)`;
}

/** Clients refuse an answer whose headers are longer than some 16 KiB. */
const WARNING_CHARACTERS_MAX = 4_000;
const TAGS_CHARACTERS_MAX = 300;
const UNKNOWN_SHOWN_MAX = 20;
const UNKNOWN_CHARACTERS_MAX = 60;

function unknownFieldsWarning(fields: readonly string[]): string {
  const shown = fields
    .slice(0, UNKNOWN_SHOWN_MAX)
    .map((field) => JSON.stringify(field.slice(0, UNKNOWN_CHARACTERS_MAX)));
  const more = fields.length > UNKNOWN_SHOWN_MAX ? ` and ${fields.length - UNKNOWN_SHOWN_MAX} more` : '';
  return `unknown fields were left out: ${shown.join(', ')}${more}`;
}

async function deleteJob(services: Services, request: FastifyRequest): Promise<unknown> {
  const running = queryValue(request, 'running') || 'detach';
  if (running !== 'detach' && running !== 'kill') {
    throw new AppError('invalid', 'must be detach or kill', {
      field: 'running',
      remedy: 'leave it out to let running executions go on',
    });
  }
  return services.jobs.delete(param(request, 'job'), running);
}

/** Answers as soon as the run is on record: Dkron's shape and the run's group beside it. */
async function runJob(services: Services, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { job, group } = await services.jobs.run(param(request, 'job'), {
    force: readBool(request, 'force') ?? false,
  });
  return sendJson(request, reply.code(200).header('location', jobPath(job.name)), { ...job, group });
}

async function toggleJob(services: Services, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const job = await services.jobs.toggle(param(request, 'job'));
  return sendJson(request, reply.code(200).header('location', jobPath(job.name)), job);
}

const CursorBody = z.strictObject({ to: z.literal('now') });

async function resetCursor(services: Services, request: FastifyRequest): Promise<unknown> {
  checked(CursorBody, jsonBody(request), '{"to":"now"}');
  return services.jobs.resetCursor(param(request, 'job'));
}

const JOB = { job: 'Name of the job.' };
const Text = (description: string) => ({ description, type: 'text/plain' });
const NO_JOB = Text('No such job.');
const LOCATION = { Location: 'Path of the job.' };
const Flag = z.string().optional();
const WARNING =
  'What was accepted and will not do as written: unknown fields, keys the executor does not read, a run that cannot succeed, a schedule without a time left.';

const LIST: RouteSchema = {
  summary: 'List jobs',
  tag: 'jobs',
  description: 'Filters are combined with AND; X-Total-Count counts what they leave, before the range.',
  query: z.object({
    _sort: z
      .string()
      .optional()
      .describe('id, name, displayname, schedule, success_count, error_count, last_success, last_error or next.'),
    _order: z.string().optional().describe('DESC reverses.'),
    _start: z.int().min(0).optional().describe('First to show, from 0.'),
    _end: z.int().min(0).optional().describe('One past the last.'),
    q: z.string().optional().describe('Part of name or displayname, case-sensitive.'),
    status: z.string().optional().describe('success, failed, partially_failed or untriggered.'),
    disabled: z.enum(['true', 'false']).optional(),
    'metadata[KEY]': z
      .string()
      .optional()
      .describe('Jobs whose metadata has exactly this value; may be repeated with other keys.'),
    pretty: Flag.describe('Indent the answer; any value.'),
  }),
  responses: {
    200: {
      description: 'The jobs.',
      body: z.array(Schemas.Job),
      headers: { 'X-Total-Count': 'Number of jobs after filtering.' },
    },
    400: Text('A parameter is not valid.'),
  },
};

const WRITE: RouteSchema = {
  summary: 'Create or replace a job',
  tag: 'jobs',
  query: z.object({ runoncreate: Flag.describe('Run it at once; any value.') }),
  body: Schemas.JobInput,
  responses: {
    201: {
      description: 'The stored job.',
      body: Schemas.Job,
      headers: { ...LOCATION, 'X-Belfry-Warning': WARNING },
    },
    400: Text('The body is no job; the text names the field and the remedy.'),
    404: Text('The parent job does not exist.'),
    413: Text('The body is too large.'),
    503: Text(
      'Submissions are paused, the disk is full, the store does not answer, or (with runoncreate) the node is stopping.',
    ),
  },
};

const PUT: RouteSchema = {
  ...WRITE,
  summary: 'Create or replace a job; the name in the body counts',
  params: { job: 'Name of the job, used when the body has none.' },
};

const GET: RouteSchema = {
  summary: 'One job',
  tag: 'jobs',
  params: JOB,
  responses: { 200: { description: 'The job.', body: Schemas.Job }, 404: NO_JOB },
};

const DELETE: RouteSchema = {
  summary: 'Delete a job',
  tag: 'jobs',
  params: JOB,
  query: z.object({
    running: z.enum(['detach', 'kill']).optional().describe('What happens to running executions; default detach.'),
  }),
  responses: {
    200: { description: 'The job as it was.', body: Schemas.Job },
    400: Text('"running" is neither detach nor kill.'),
    404: NO_JOB,
    409: Text('Other jobs have it as their parent.'),
  },
};

const RUN: RouteSchema = {
  summary: 'Run a job now',
  tag: 'jobs',
  description: 'Answers at once. `group` is the run: GET /v1/runs/{group} tells how it goes.',
  params: JOB,
  query: z.object({ force: z.enum(['true', 'false']).optional().describe('Run even where its concurrency forbids.') }),
  responses: {
    200: {
      description: 'The job, with the group of the run.',
      body: Schemas.Job.extend({ group: z.int() }),
      headers: LOCATION,
    },
    400: Text('"force" is neither true nor false.'),
    404: NO_JOB,
    409: {
      ...Text('It is running and its concurrency forbids another.'),
      headers: { 'X-Belfry-Group': 'The run in the way.' },
    },
    503: Text('The disk is full, the store does not answer, or the node is stopping.'),
  },
};

const TOGGLE: RouteSchema = {
  summary: 'Disable an enabled job, enable a disabled one',
  tag: 'jobs',
  params: JOB,
  responses: { 200: { description: 'The job.', body: Schemas.Job, headers: LOCATION }, 404: NO_JOB },
};

const CURSOR: RouteSchema = {
  summary: "Move the cursor of a job's schedule to now",
  tag: 'jobs',
  description: 'For a cursor that a clock error put into the future; what lies between is on record as missed.',
  params: JOB,
  body: CursorBody,
  responses: {
    200: { description: 'The job.', body: Schemas.Job },
    400: { description: 'Not {"to":"now"}.', body: Schemas.Error },
    404: { description: 'No such job.', body: Schemas.Error },
  },
};
