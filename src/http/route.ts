/**
 * A route is data: where it is, what it takes and gives (for the OpenAPI document and for checking), and its handler. Dkron's own routes read
 * their input leniently and answer errors as one line of text; additive ones check input with their schemas and answer errors as JSON.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';

export interface RouteSchema {
  readonly summary: string;
  readonly tag: 'jobs' | 'executions' | 'runs' | 'schedule' | 'calendars' | 'cluster' | 'node';
  readonly description?: string;
  /** Path parameters and what they are. */
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** When the body is not JSON. */
  readonly bodyType?: string;
  readonly responses: Readonly<Record<number, ResponseSchema>>;
}

export interface ResponseSchema {
  readonly description: string;
  readonly body?: z.ZodType;
  /** Default application/json; text/plain for errors of Dkron's routes. */
  readonly type?: string;
  /** Served as raw bytes too, unless JSON is asked for. */
  readonly bytes?: true;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Fastify's form: "/v1/jobs/:job". */
  readonly path: string;
  /** Not one of Dkron's: errors are JSON. */
  readonly additive?: true;
  /** Needs no credentials. */
  readonly open?: true;
  /** Not a GET, and stores nothing: served also while the store does not answer. */
  readonly storesNothing?: true;
  /** The body stays a stream and may be this large; else it is read whole, up to the usual limit. */
  readonly streamBytesMax?: number;
  readonly schema: RouteSchema;
  /** What it returns is sent as JSON, unless the reply was sent already. */
  handler(request: FastifyRequest, reply: FastifyReply): unknown;
}

/** Path parameter, decoded. */
export function param(request: FastifyRequest, name: string): string {
  return (request.params as Record<string, string | undefined>)[name] ?? '';
}

/** Query parameter: the last one when repeated, undefined when absent. */
export function queryValue(request: FastifyRequest, name: string): string | undefined {
  const value = (request.query as Record<string, string | string[] | undefined>)[name];
  return Array.isArray(value) ? value.at(-1) : value;
}
