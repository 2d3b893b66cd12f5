/**
 * The HTTP edge: routes, who may call them, and how errors look. It knows the services and nothing behind them.
 */
import type { Readable } from 'node:stream';
import multipart from '@fastify/multipart';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Clock } from '../lib/clock.ts';
import { curlCredentials } from '../model/curl.ts';
import { calendarRoutes } from './calendars.ts';
import { clusterRoutes } from './cluster.ts';
import type { Credentials } from './credentials.ts';
import { NOT_FOUND_TEXT, isAdditive, problemOf, sendProblem } from './errors.ts';
import { executionRoutes } from './executions.ts';
import { headerText } from './header-text.ts';
import { jobRoutes } from './jobs.ts';
import { metricsRoutes } from './metrics.ts';
import { openApiRoutes } from './openapi.ts';
import { redirectOf } from './redirect.ts';
import { sendJson } from './reply.ts';
import { restoreRoutes } from './restore.ts';
import type { Route } from './route.ts';
import { runRoutes } from './runs.ts';
import { scheduleRoutes } from './schedule.ts';
import { ownHosts, refusalOf } from './security.ts';
import type { Services } from './services.ts';
import { withPatience } from './store-patience.ts';
import { uiRoutes } from './ui.ts';

export interface HttpOptions {
  /** Default 1 MiB. */
  readonly bodyBytesMax: number;
  /** POST /v1/restore; default 256 MiB. */
  readonly restoreBytesMax: number;
  /** Host names of this node besides localhost and addresses. */
  readonly hosts: readonly string[];
  /** null: everybody who reaches the port may do everything. */
  readonly credentials: Credentials | null;
  readonly tls: { readonly cert: string | Uint8Array; readonly key: string | Uint8Array } | null;
  /** The pages at / and /ui. */
  readonly ui: boolean;
  readonly prometheus: boolean;
  readonly clock: Clock;
  /** Told of errors nobody expected; never of refusals. `route` is the pattern, not the URL. */
  readonly onError: (error: unknown, route: string) => void;
}

export const HTTP_DEFAULTS = {
  bodyBytesMax: 1_048_576,
  restoreBytesMax: 268_435_456,
  /** A whole request must arrive within this, headers within a minute (node's default). */
  requestTimeoutMs: 300_000,
  keepAliveTimeoutMs: 72_000,
  paramCharactersMax: 2_000,
} as const;

/** What the hooks know of a route; unknown paths have none of it. */
interface RouteConfig {
  readonly additive?: boolean;
  readonly open?: boolean;
  readonly stream?: boolean;
}

/** Every route for these options, in the order of the document. */
export function allRoutes(options: HttpOptions, services: Services): Route[] {
  const { clock } = options;
  const asked = options.credentials?.asked ?? { basic: false, token: false };
  const routes = [
    ...jobRoutes(services, clock),
    ...executionRoutes(services, clock),
    ...runRoutes(services),
    ...scheduleRoutes(services),
    ...calendarRoutes(services, clock),
    ...restoreRoutes(services, options),
    ...clusterRoutes(services),
    ...metricsRoutes(services, options.prometheus, clock),
    ...(options.ui ? uiRoutes(services, clock, curlCredentials(asked)) : []),
  ];
  return [...routes, ...openApiRoutes(routes, services.node.version)];
}

/** The app, not yet listening. */
export function createHttpApp(options: HttpOptions, services: Services): FastifyInstance {
  const app = bareApp(options);
  const routes = allRoutes(options, services);
  readBodiesWhole(app);
  guard(app, options, services.node.name);
  answerErrors(app, options, routes);
  for (const route of routes) {
    const patient = withPatience(route, services.node, options.clock);
    if (route.streamBytesMax === undefined) addRoute(app, patient);
    else addStreamRoute(app, patient);
  }
  return app;
}

function bareApp(options: HttpOptions): FastifyInstance {
  const settings = {
    bodyLimit: options.bodyBytesMax,
    requestTimeout: HTTP_DEFAULTS.requestTimeoutMs,
    keepAliveTimeout: HTTP_DEFAULTS.keepAliveTimeoutMs,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: HTTP_DEFAULTS.paramCharactersMax },
    frameworkErrors: (error: unknown, _request: FastifyRequest, reply: FastifyReply) =>
      sendProblem(reply, problemOf(error), false),
  };
  if (options.tls === null) return Fastify(settings);
  const https = { cert: Buffer.from(options.tls.cert), key: Buffer.from(options.tls.key) };
  return Fastify({ ...settings, https });
}

/**
 * Bodies are bytes whatever their Content-Type says, as in Dkron; routes read them as JSON. The header is taken away, because one that is
 * not well-formed would be refused before any parser is asked.
 */
function readBodiesWhole(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addHook('onRequest', (request, _reply, done) => {
    const isForm = /^multipart\//i.test(request.headers['content-type'] ?? '');
    if (!isForm || (request.routeOptions.config as RouteConfig).stream !== true)
      delete request.raw.headers['content-type'];
    done();
  });
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
}

const API_HEADERS = {
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'same-origin',
} as const;

/** Foreign sites first, then credentials; both before anything of the request but its headers is read. */
function guard(app: FastifyInstance, options: HttpOptions, nodeName: string): void {
  const own = ownHosts([...options.hosts, nodeName]);
  const whom = headerText(nodeName);
  app.addHook('onRequest', async (request, reply) => {
    const config = request.routeOptions.config as RouteConfig;
    reply.headers(API_HEADERS);
    if (config.open !== true) reply.header('x-whom', whom);
    const visit = { method: request.method, path: pathOf(request.url), headers: request.headers };
    const refusal = refusalOf(visit, own);
    if (refusal !== undefined) {
      return sendProblem(reply, { status: 403, code: 'forbidden', ...refusal, retryable: false }, isAdditive(request));
    }
    if (options.credentials !== null && config.open !== true) {
      const refused = await authorize(request, reply, options.credentials);
      if (refused !== undefined) return refused;
    }
    // The router lets a parameter be empty: "/v1/jobs/" would be the job without a name.
    return hasEmptyParam(request) ? reply.callNotFound() : undefined;
  });
}

function hasEmptyParam(request: FastifyRequest): boolean {
  const params = request.params as Record<string, string>;
  for (const name in params) if (params[name] === '') return true;
  return false;
}

async function authorize(
  request: FastifyRequest,
  reply: FastifyReply,
  credentials: Credentials,
): Promise<FastifyReply | undefined> {
  const verdict = await credentials.check(request.headers.authorization);
  if (verdict === 'ok') return undefined;
  if (verdict === 'busy') {
    const message = 'too many passwords are being checked';
    return sendProblem(
      reply,
      { status: 503, code: 'unavailable', message, remedy: 'try again', retryable: true },
      isAdditive(request),
    );
  }
  reply.header('www-authenticate', credentials.challenges.join(', '));
  const message = verdict === 'missing' ? 'this node asks for credentials' : 'these credentials are not known here';
  const remedy = 'send a user and password or a bearer token of its credential files';
  return sendProblem(
    reply,
    { status: 401, code: 'unauthorized', message, remedy, retryable: false },
    isAdditive(request),
  );
}

function answerErrors(app: FastifyInstance, options: HttpOptions, routes: readonly Route[]): void {
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error);
    if (problem.code === 'internal') options.onError(error, request.routeOptions.url ?? 'none');
    // A body that was refused may still be arriving: the connection is of no more use.
    if (problem.status === 413) reply.header('connection', 'close');
    return sendProblem(reply, problem, isAdditive(request));
  });
  app.setNotFoundHandler((request, reply) => {
    const target = redirectOf(request.method, request.url, routes);
    if (target !== undefined)
      return reply
        .code(request.method === 'GET' ? 301 : 307)
        .header('location', target)
        .send('');
    return reply.code(404).header('content-type', 'text/plain; charset=utf-8').send(NOT_FOUND_TEXT);
  });
}

function addRoute(app: FastifyInstance, route: Route): void {
  app.route({
    method: route.method,
    url: route.path,
    config: {
      additive: route.additive === true,
      open: route.open === true,
      stream: route.streamBytesMax !== undefined,
    } satisfies RouteConfig,
    handler: async (request, reply) => {
      const result = await route.handler(request, reply);
      return result === reply || reply.sent ? reply : sendJson(request, reply, result);
    },
  });
}

/** In a context of its own, where bodies are handed over unread. */
function addStreamRoute(app: FastifyInstance, route: Route): void {
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    await scope.register(multipart, { limits: { files: 1, fileSize: route.streamBytesMax ?? 0 } });
    scope.addContentTypeParser('*', { bodyLimit: route.streamBytesMax ?? 0 }, (_request, body: Readable, done) =>
      done(null, body),
    );
    addRoute(scope, route);
  });
}

function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}
