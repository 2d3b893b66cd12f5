// Health, Prometheus metrics and Go-style variables, for machines that watch.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Clock } from '../lib/clock.ts';
import { sendJson } from './reply.ts';
import type { Route } from './route.ts';
import { Schemas } from './schemas.ts';
import type { Services } from './services.ts';

export function metricsRoutes(services: Services, prometheus: boolean, clock: Clock): Route[] {
  const health: Route = {
    method: 'GET',
    path: '/health',
    open: true,
    schema: {
      summary: 'Whether all is well',
      tag: 'node',
      description: 'Needs no credentials.',
      responses: {
        200: { description: 'It is.', body: Schemas.Health },
        503: { description: 'It is not; issues say why.', body: Schemas.Health },
      },
    },
    handler: (request, reply) => sendHealth(services, request, reply),
  };
  const vars: Route = {
    method: 'GET',
    path: '/debug/vars',
    schema: {
      summary: 'Variables',
      tag: 'node',
      responses: { 200: { description: 'Memory, scheduler, schedules.', body: z.looseObject({}) } },
    },
    handler: () => variables(services, clock),
  };
  return prometheus ? [health, metricsRoute(services), vars] : [health, vars];
}

/** Keys in alphabetical order, as Dkron's; `issues` and `warnings` only when there are some. */
function sendHealth(services: Services, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { leader, status, issues, warnings } = services.node.health();
  const warned = warnings.length === 0 ? {} : { warnings };
  if (issues.length === 0) return sendJson(request, reply, { leader, status, ...warned });
  return sendJson(request, reply.code(503), { issues, leader, status, ...warned });
}

function metricsRoute({ node }: Services): Route {
  return {
    method: 'GET',
    path: '/metrics',
    schema: {
      summary: 'Prometheus metrics',
      tag: 'node',
      responses: { 200: { description: 'The metrics.', type: 'text/plain' } },
    },
    handler: async (_request, reply) => {
      const { contentType, body } = await node.metrics();
      return reply.header('content-type', contentType).send(body);
    },
  };
}

/** Names shown of cron_entries; more would make a debugging aid the heaviest answer of all. */
const ENTRIES_MAX = 1_000;

async function variables(services: Services, clock: Clock): Promise<unknown> {
  const { rss, heapTotal, heapUsed, external } = process.memoryUsage();
  const query = {
    sort: 'name',
    descending: false,
    start: 0,
    end: ENTRIES_MAX,
    q: null,
    status: null,
    disabled: false,
    metadata: {},
  } as const;
  const { jobs } = await services.jobs.list(query);
  const entries: Record<string, string> = {};
  let count = 0;
  for await (const { name, schedule, parent_job } of jobs) {
    if (parent_job === '') entries[name] = schedule;
    if (++count % 500 === 0) await clock.yield();
  }
  return {
    cron_entries: entries,
    memstats: { Sys: rss, HeapSys: heapTotal, HeapAlloc: heapUsed, Alloc: heapUsed, External: external },
    node: services.node.name,
    scheduler_started: services.node.health().leader ? 1 : 0,
  };
}
