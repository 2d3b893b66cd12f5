// The pages for people: for now one status page.
import { isIPv6 } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../lib/clock.ts';
import type { Route } from './route.ts';
import type { NodeService, Services } from './services.ts';
import { AppError } from '../model/errors.ts';
import { NOT_FOUND_TEXT } from './errors.ts';
import { POLICY } from './ui-assets.ts';
import { type PageHead, statusPage, troublePage } from './ui-page.ts';

const UPCOMING_SHOWN = 8;
const RECENT_SHOWN = 15;

/** `curlCredentials`: what the command on the page needs to be let in (src/model/curl.ts). */
export function uiRoutes(services: Services, clock: Clock, curlCredentials: string): Route[] {
  return [
    {
      method: 'GET',
      path: '/',
      schema: {
        summary: 'To the pages, for browsers',
        tag: 'node',
        responses: {
          303: { description: 'To /ui/.' },
          404: { description: 'HTML is not wanted.', type: 'text/plain' },
        },
      },
      handler: (request, reply) => toPages(request, reply),
    },
    {
      method: 'GET',
      path: '/ui/',
      schema: {
        summary: 'The status page',
        tag: 'node',
        responses: { 200: { description: 'HTML.', type: 'text/html' } },
      },
      handler: (request, reply) => sendPage(services, { now: clock.now(), curlCredentials }, request, reply),
    },
  ];
}

function toPages(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const accept = request.headers.accept ?? '*/*';
  if (!/(^|[,\s])(text\/html|text\/\*|\*\/\*)/i.test(accept)) {
    return reply.code(404).header('content-type', 'text/plain; charset=utf-8').send(NOT_FOUND_TEXT);
  }
  return reply.code(303).header('location', '/ui/').send('');
}

async function sendPage(
  services: Services,
  given: { readonly now: number; readonly curlCredentials: string },
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { node, jobs, runs } = services;
  const none = {
    sort: 'name',
    descending: false,
    start: 0,
    end: 0,
    q: null,
    status: null,
    disabled: null,
    metadata: {},
  } as const;
  reply.headers({
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': POLICY,
    'x-frame-options': 'DENY',
  });
  try {
    const [list, running, recent, upcoming, paused] = await Promise.all([
      jobs.list(none),
      runs.busy(),
      runs.runs({ job: null, outcome: null, from: null, to: null, cursor: null, limit: RECENT_SHOWN }),
      jobs.upcoming?.(UPCOMING_SHOWN),
      node.paused(),
    ]);
    const facts = { paused, jobs: list.total, running, recent: recent.runs, upcoming };
    return reply.send(statusPage({ ...headOf(node), address: addressOf(services, request), ...facts, ...given }));
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'damaged') throw error;
    return reply.code(503).send(troublePage(headOf(node)));
  }
}

function headOf(node: NodeService): PageHead {
  return { node: node.name, version: node.version, ...node.health() };
}

/** As the visitor reached it; the Host header was checked. */
function addressOf(services: Services, request: FastifyRequest): string {
  const { host, port } = services.node.httpAddress();
  return `${request.protocol}://${request.headers.host ?? `${isIPv6(host) ? `[${host}]` : host}:${port}`}`;
}
