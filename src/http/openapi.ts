// The OpenAPI 3.1 document, made from the routes. scripts/gen-openapi.ts commits it; a test fails when the committed one differs.
import { z } from 'zod';
import type { ResponseSchema, Route, RouteSchema } from './route.ts';
import { Schemas } from './schemas.ts';

const COMPONENTS = new Map<unknown, string>(Object.entries(Schemas).map(([name, schema]) => [schema, name]));
const REF = '#/components/schemas/';

/** GET /v1/openapi.json, made once when first asked for. */
export function openApiRoutes(routes: readonly Route[], version: string): Route[] {
  let text: string | undefined;
  const route: Route = {
    method: 'GET',
    path: '/v1/openapi.json',
    additive: true,
    schema: {
      summary: 'This document',
      tag: 'node',
      responses: { 200: { description: 'OpenAPI 3.1.', body: z.looseObject({}) } },
    },
    handler: (_request, reply) => {
      text ??= JSON.stringify(openApiDocument([...routes, route], version), null, 2);
      return reply.header('content-type', 'application/json; charset=utf-8').send(text);
    },
  };
  return [route];
}

export function openApiDocument(routes: readonly Route[], version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    if (route.path === '/v1/') continue; // the same as /v1
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}').replace(/\/\*$/, '');
    (paths[path] ??= {})[route.method.toLowerCase()] = operation(route);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Belfry',
      version,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description:
        "Dkron's REST API and what Belfry adds. Errors are one line of text on Dkron's routes, `Error` objects on the others.",
    },
    servers: [{ url: 'http://127.0.0.1:8080' }],
    tags: ['jobs', 'executions', 'runs', 'schedule', 'calendars', 'cluster', 'node'].map((name) => ({ name })),
    paths,
    components: { schemas: componentSchemas(), responses: SHARED_RESPONSES, securitySchemes: SECURITY },
    security: [{}, { basic: [] }, { bearer: [] }],
  };
}

/** A line of text on Dkron's routes, an Error on the others. */
const REFUSED = {
  'text/plain': { schema: { type: 'string' } },
  'application/json': { schema: { $ref: `${REF}Error` } },
};

/** What any route answers before it is asked. */
const SHARED_RESPONSES = {
  Unauthorized: {
    description: 'This node asks for credentials, and these are none it knows. Only where credential files are given.',
    headers: { 'WWW-Authenticate': { description: 'What it asks for.', schema: { type: 'string' } } },
    content: REFUSED,
  },
  Forbidden: { description: 'A page of another site, or a Host that is not allowed.', content: REFUSED },
};

const SECURITY = { basic: { type: 'http', scheme: 'basic' }, bearer: { type: 'http', scheme: 'bearer' } };

function operation(route: Route): Record<string, unknown> {
  const { schema } = route;
  return {
    operationId: operationId(route),
    summary: schema.summary,
    tags: [schema.tag],
    ...(schema.description === undefined ? {} : { description: schema.description }),
    ...(route.open === true ? { security: [] } : {}),
    ...parameters(schema),
    ...requestBody(schema),
    responses: {
      ...Object.fromEntries(
        Object.entries(schema.responses).map(([status, response]) => [status, responseObject(response)]),
      ),
      ...(route.open === true ? {} : { 401: { $ref: '#/components/responses/Unauthorized' } }),
      403: { $ref: '#/components/responses/Forbidden' },
    },
  };
}

/** "getV1JobsJobExecutions": stable as long as the route is. */
function operationId({ method, path }: Route): string {
  const words = path.split(/[^A-Za-z0-9]+/).filter((word) => word !== '');
  return method.toLowerCase() + words.map((word) => word[0]?.toUpperCase() + word.slice(1)).join('');
}

function parameters({ params = {}, query }: RouteSchema): { parameters?: unknown[] } {
  const inPath = Object.entries(params).map(([name, description]) => ({
    name,
    in: 'path',
    required: true,
    description,
    schema: { type: 'string' },
  }));
  const inQuery = Object.entries(query?.shape ?? {}).map(([name, field]) => {
    const { description, ...schema } = plain(field);
    return { name, in: 'query', ...(description === undefined ? {} : { description }), schema };
  });
  return inPath.length + inQuery.length === 0 ? {} : { parameters: [...inPath, ...inQuery] };
}

function requestBody({ body, bodyType = 'application/json' }: RouteSchema): { requestBody?: unknown } {
  return body === undefined
    ? {}
    : { requestBody: { required: true, content: { [bodyType]: { schema: reference(body) } } } };
}

function responseObject({ description, body, type, bytes, headers }: ResponseSchema): Record<string, unknown> {
  const json = body === undefined ? undefined : { 'application/json': { schema: reference(body) } };
  const raw = bytes === true ? { 'application/octet-stream': {} } : undefined;
  const content =
    type === undefined
      ? json === undefined
        ? undefined
        : { ...raw, ...json }
      : { [type]: { schema: { type: 'string' } } };
  const described = Object.entries(headers ?? {}).map(([name, text]) => [
    name,
    { description: text, schema: { type: 'string' } },
  ]);
  return {
    description,
    ...(described.length === 0 ? {} : { headers: Object.fromEntries(described) }),
    ...(content === undefined ? {} : { content }),
  };
}

/** A named schema by reference, a list of one too; anything else in place. */
function reference(schema: z.ZodType): Record<string, unknown> {
  const name = COMPONENTS.get(schema);
  if (name !== undefined) return { $ref: REF + name };
  if (schema instanceof z.ZodArray) return { type: 'array', items: reference(schema.element as z.ZodType) };
  return plain(schema);
}

function plain(schema: z.core.$ZodType): Record<string, unknown> {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Record<
    string,
    unknown
  >;
  return rest;
}

function componentSchemas(): Record<string, unknown> {
  return Object.fromEntries(Object.entries(Schemas).map(([name, schema]) => [name, plain(schema)]));
}
