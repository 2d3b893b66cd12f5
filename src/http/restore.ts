// POST /v1/restore: Dkron's backup format, a JSON array of jobs, as an uploaded file or as the body itself, read as a stream.
import { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../model/errors.ts';
import { type JobInput, parseJobInput } from '../model/job.ts';
import { refusedJob } from './jobs.ts';
import { parseJson } from '../lib/json.ts';
import { JsonArrayError, jsonElements } from './json-elements.ts';
import type { Route } from './route.ts';
import type { Services } from './services.ts';

/** Jobs in one restore. */
const JOBS_MAX = 2_000_000;

export function restoreRoutes(services: Services, limits: { restoreBytesMax: number; bodyBytesMax: number }): Route[] {
  const { restoreBytesMax, bodyBytesMax } = limits;
  return [
    {
      method: 'POST',
      path: '/v1/restore',
      streamBytesMax: restoreBytesMax,
      schema: {
        summary: 'Restore jobs from what GET /v1/jobs gave',
        tag: 'jobs',
        description:
          'A multipart upload with the field `file`, or the array as application/json. Every job is checked before the first is stored, ' +
          'and a parent must be in the same file. The answer is a JSON string that holds a JSON array, one line per job.',
        body: z.object({ file: z.string().meta({ format: 'binary' }) }),
        bodyType: 'multipart/form-data',
        responses: {
          200: { description: '"[\\"success create a\\",\\"fail create b\\"]"', body: z.string() },
          400: { description: 'Not an array of jobs, or a job is not valid; nothing was changed.', type: 'text/plain' },
          404: { description: 'No file in the form.', type: 'text/plain' },
          413: { description: 'The file is too large.', type: 'text/plain' },
        },
      },
      handler: async (request) => {
        const jobs = await readJobs(limited(await uploaded(request), restoreBytesMax), bodyBytesMax);
        return JSON.stringify(await services.jobs.restore(jobs));
      },
    },
  ];
}

/** The part named `file`, or a body that is no form. */
async function uploaded(request: FastifyRequest): Promise<AsyncIterable<Uint8Array>> {
  if (!request.isMultipart()) {
    if (request.body instanceof Readable) return request.body as AsyncIterable<Uint8Array>;
    throw noFile();
  }
  try {
    for await (const part of request.parts()) {
      if (part.type === 'file' && part.fieldname === 'file') return part.file;
      if (part.type === 'file') part.file.resume();
    }
  } catch (cause) {
    if ((cause as { statusCode?: number }).statusCode === 413) throw cause;
    throw new AppError('invalid', 'the form is not well-formed', {
      remedy: 'curl -F file=@jobs.json …/v1/restore',
      cause,
    });
  }
  throw noFile();
}

const noFile = (): AppError =>
  new AppError('not_found', 'no file in the form', {
    remedy: 'send the field "file": curl -F file=@jobs.json …/v1/restore',
  });

async function* limited(source: AsyncIterable<Uint8Array>, bytesMax: number): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    if (bytes > bytesMax || isTruncated(source)) throw tooLarge();
    yield chunk;
  }
  if (isTruncated(source)) throw tooLarge();
}

/** The form parser stops at the limit and marks the stream. */
const isTruncated = (source: unknown): boolean => (source as { truncated?: boolean }).truncated === true;

const tooLarge = (): AppError =>
  new AppError('too_large', 'the file is too large', { remedy: 'raise --max-restore-body' });

async function readJobs(source: AsyncIterable<Uint8Array>, jobBytesMax: number): Promise<JobInput[]> {
  const jobs: JobInput[] = [];
  try {
    for await (const text of jsonElements(source, jobBytesMax)) {
      if (jobs.length >= JOBS_MAX) throw new AppError('too_large', `the file holds more than ${JOBS_MAX} jobs`);
      jobs.push(readJob(text, jobs.length + 1));
    }
  } catch (error) {
    if (!(error instanceof JsonArrayError)) throw error;
    throw new AppError('invalid', `unable to parse payload: ${error.message}`, {
      remedy: 'send what GET /v1/jobs answered',
      cause: error,
    });
  }
  return jobs;
}

function readJob(text: string, number: number): JobInput {
  const json = parseJson(text);
  if (!json.ok) throw new AppError('invalid', `unable to parse payload: job number ${number}: ${json.message}`);
  const parsed = parseJobInput(json.value);
  if (parsed.ok) return parsed.job;
  const { message, remedy } = refusedJob(parsed);
  throw new AppError('invalid', `job number ${number}: ${message}`, { remedy: remedy ?? '' });
}
