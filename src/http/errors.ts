// Errors at the HTTP edge: one line of text on Dkron's routes, an object on ours, never a stack trace.
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { AppError, ERROR_TABLE, type ErrorCode } from '../model/errors.ts';

/** What is said of an error. */
export interface Problem {
  status: number;
  code: ErrorCode;
  message: string;
  field?: string | undefined;
  remedy?: string | undefined;
  group?: number | undefined;
  retryable: boolean;
}

const FRAMEWORK_MESSAGES: Readonly<Record<string, string>> = {
  FST_ERR_BAD_URL: 'the path is not valid percent-encoding',
  FST_ERR_MAX_PARAM_LENGTH: 'a name in the path is longer than 2,000 characters',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'the body is not as long as Content-Length says',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'the Content-Type is not well-formed',
};

/** Anything thrown, as a problem; what is not expected becomes "internal" and tells nothing of its inside. */
export function problemOf(error: unknown): Problem {
  if (error instanceof AppError) {
    const { status, retryable } = ERROR_TABLE[error.code];
    const { code, message, field, remedy, group } = error;
    return { status, code, message, field, remedy, group, retryable };
  }
  const status = (error as Partial<FastifyError> | null)?.statusCode;
  if (status === 413) {
    const remedy = 'send less, or raise --max-body (--max-restore-body for a restore)';
    return { status, code: 'too_large', message: 'the request body is too large', remedy, retryable: false };
  }
  if (typeof status === 'number' && status >= 400 && status < 500) {
    const { code } = error as FastifyError;
    const message = FRAMEWORK_MESSAGES[code] ?? `bad request (${code})`;
    return { status, code: 'invalid', message, retryable: false };
  }
  const remedy = "try again; the node's log says more";
  return { status: 500, code: 'internal', message: 'internal error', remedy, retryable: false };
}

/** One line: "<message> (field <field>); <remedy>". */
export function problemLine(problem: Problem): string {
  const field = problem.field === undefined || problem.field === '' ? '' : `${problem.field}: `;
  const hasRemedy = problem.remedy !== undefined && problem.remedy !== '';
  // Messages of the store are whole sentences.
  const said = hasRemedy ? `${problem.message.replace(/\.$/, '')}; ${problem.remedy}` : problem.message;
  return `${field}${said}`.replaceAll(/\s+/g, ' ');
}

/** `additive`: the JSON form. */
export function sendProblem(reply: FastifyReply, problem: Problem, additive: boolean): FastifyReply {
  reply.code(problem.status);
  if (problem.status === 503 && problem.retryable) reply.header('retry-after', '1');
  if (problem.group !== undefined) reply.header('x-belfry-group', problem.group);
  if (!additive) return reply.header('content-type', 'text/plain; charset=utf-8').send(problemLine(problem));
  const { code, message, field, remedy, group } = problem;
  const error = {
    code,
    message,
    ...(field ? { field } : {}),
    ...(remedy ? { remedy } : {}),
    ...(group === undefined ? {} : { group }),
  };
  return reply.header('content-type', 'application/json; charset=utf-8').send(JSON.stringify({ error }));
}

/** Dkron's answer to unknown paths and methods. */
export const NOT_FOUND_TEXT = '404 page not found';

export function isAdditive(request: FastifyRequest): boolean {
  return (request.routeOptions.config as { additive?: boolean } | undefined)?.additive === true;
}
