// The node and its cluster in Dkron's words (dkron.md §1.2, §1.3, §1.13, §1.14): one node, which is its own leader.
import { isIP } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { sendJson } from './reply.ts';
import type { Route, RouteSchema } from './route.ts';
import { Schemas } from './schemas.ts';
import type { NodeService, Services } from './services.ts';

export function clusterRoutes({ node }: Services): Route[] {
  const status = () => nodeStatus(node);
  return [
    { method: 'GET', path: '/v1', schema: STATUS, handler: status },
    { method: 'GET', path: '/v1/', schema: STATUS, handler: status },
    { method: 'GET', path: '/v1/members', schema: MEMBERS, handler: (request, reply) => members(node, request, reply) },
    { method: 'GET', path: '/v1/leader', schema: LEADER, handler: (request, reply) => leader(node, request, reply) },
    {
      method: 'GET',
      path: '/v1/isleader',
      schema: IS_LEADER,
      handler: (request, reply) => isLeader(node, request, reply),
    },
    {
      method: 'POST',
      path: '/v1/leave',
      storesNothing: true,
      schema: LEAVE,
      handler: (request, reply) => leave(node, request, reply),
    },
    { method: 'GET', path: '/v1/pause', schema: PAUSED, handler: async () => ({ paused: await node.paused() }) },
    { method: 'POST', path: '/v1/pause', schema: PAUSE, handler: async () => ({ paused: await node.setPaused(true) }) },
    {
      method: 'POST',
      path: '/v1/unpause',
      schema: UNPAUSE,
      handler: async () => ({ paused: await node.setPaused(false) }),
    },
  ];
}

/** Serf's statistics of a pool of one: there is no gossip, so every clock and queue stands at zero. */
function nodeStatus(node: NodeService): unknown {
  const zero = [
    'failed',
    'left',
    'health_score',
    'member_time',
    'event_time',
    'query_time',
    'intent_queue',
    'event_queue',
    'query_queue',
  ];
  return {
    agent: { name: node.name, version: node.version },
    serf: {
      members: '1',
      ...Object.fromEntries(zero.map((key) => [key, '0'])),
      encrypted: 'false',
      coordinate_resets: '0',
    },
    tags: node.tags,
  };
}

/** The host's address where the name is none: a member's Addr is an IP. Port 0: nothing listens for gossip. */
function member(node: NodeService): z.infer<typeof Schemas.Member> {
  const { host } = node.httpAddress();
  return {
    Name: node.name,
    Addr: isIP(host) === 0 ? '127.0.0.1' : host,
    Port: 0,
    Tags: node.tags,
    Status: 1,
    ProtocolMin: 1,
    ProtocolMax: 5,
    ProtocolCur: 2,
    DelegateMin: 2,
    DelegateMax: 5,
    DelegateCur: 4,
  };
}

/** `id` is the name: Dkron makes a new one for each call. */
function members(node: NodeService, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return sendJson(request, reply.header('x-total-count', 1), [{ ...member(node), id: node.name, statusText: 'alive' }]);
}

function leader(node: NodeService, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return node.health().leader ? sendJson(request, reply, member(node)) : sendJson(request, reply.code(500), null);
}

function isLeader(node: NodeService, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const leads = node.health().leader;
  return sendJson(request, reply.code(leads ? 200 : 404), leads ? 'This node is a leader' : 'This node is a follower');
}

/** The answer goes out first; then the node stops as on SIGTERM. */
function leave(node: NodeService, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.raw.once('close', () => node.leave());
  return sendJson(request, reply.header('connection', 'close'), servers(node));
}

function servers(node: NodeService): unknown {
  const { host, port } = node.httpAddress();
  const region = node.tags['region'] ?? 'global';
  const address = { IP: isIP(host) === 0 ? '127.0.0.1' : host, Port: port, Zone: '' };
  const server = {
    Name: node.name,
    ID: node.name,
    Region: region,
    Datacenter: node.tags['dc'] ?? 'dc1',
    Port: port,
    Bootstrap: false,
    Expect: 1,
    RaftVersion: 3,
    BuildVersion: node.version,
    Addr: address,
    RPCAddr: address,
    Status: 1,
  };
  return { [region]: [server] };
}

const STATUS: RouteSchema = {
  summary: 'This node',
  tag: 'cluster',
  responses: { 200: { description: 'Name, version, tags.', body: Schemas.Status } },
};
const MEMBERS: RouteSchema = {
  summary: 'All nodes',
  tag: 'cluster',
  responses: {
    200: {
      description: 'The members.',
      body: z.array(Schemas.Member.extend({ id: z.string(), statusText: z.string() })),
      headers: { 'X-Total-Count': 'Number of members.' },
    },
  },
};
const LEADER: RouteSchema = {
  summary: 'The leader',
  tag: 'cluster',
  responses: {
    200: { description: 'The member that leads.', body: Schemas.Member },
    500: { description: 'null: there is no leader.', body: z.null() },
  },
};
const IS_LEADER: RouteSchema = {
  summary: 'Whether this node leads',
  tag: 'cluster',
  responses: {
    200: { description: 'It does.', body: z.string() },
    404: { description: 'It does not.', body: z.string() },
  },
};
const LEAVE: RouteSchema = {
  summary: 'Stop this node in good order',
  tag: 'cluster',
  responses: {
    200: {
      description: 'The servers by region; the node stops after this answer.',
      body: z.record(z.string(), z.array(z.looseObject({}))),
    },
  },
};
const PAUSED: RouteSchema = {
  summary: 'Whether submissions are paused',
  tag: 'cluster',
  responses: { 200: { description: 'The flag.', body: Schemas.Paused } },
};
const PAUSE: RouteSchema = {
  summary: 'Refuse new and changed jobs with 503; launches go on',
  tag: 'cluster',
  responses: { 200: { description: 'paused: true', body: Schemas.Paused } },
};
const UNPAUSE: RouteSchema = {
  summary: 'Take jobs again',
  tag: 'cluster',
  responses: { 200: { description: 'paused: false', body: Schemas.Paused } },
};
