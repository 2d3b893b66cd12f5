// Request bodies: bytes → JSON → what the schema says, each failure with its place.
import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { bodyFault } from '../model/body-fault.ts';
import { AppError } from '../model/errors.ts';
import { parseJson } from '../lib/json.ts';

/** The body as JSON. `undefined` when there is none. Throws AppError('invalid') with the position. */
export function jsonBody(request: FastifyRequest): unknown {
  const { body } = request;
  if (!Buffer.isBuffer(body) || body.length === 0) return undefined;
  const parsed = parseJson(body.toString('utf8'));
  if (!parsed.ok) throw new AppError('invalid', `not JSON: ${parsed.message}`, { remedy: jsonRemedy(request) });
  return parsed.value;
}

/** Dkron decodes no compressed body either. */
function jsonRemedy(request: FastifyRequest): string {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  return encoding === 'identity'
    ? 'send valid JSON'
    : 'send it as it is: bodies with a Content-Encoding are not decoded';
}

/** A value checked by a schema. Throws AppError('invalid') that names the first field at fault; `example` is a body that would do. */
export function checked<T extends z.ZodType>(schema: T, value: unknown, example: string): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { field, message, remedy } = bodyFault(
    result.error,
    schema,
    value,
    `send for example ${example}; every field is in /v1/openapi.json`,
  );
  throw new AppError('invalid', message, { field, remedy });
}
