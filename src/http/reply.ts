// Bodies as Dkron writes them: compact JSON, or indented by four with `?pretty`. Long lists go out in pieces.
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../lib/clock.ts';
import { queryValue } from './route.ts';

const JSON_TYPE = 'application/json; charset=utf-8';
const INDENT = 4;
/** Lists up to this length are one string. */
const WHOLE_LIST_MAX = 200;
/** Pieces of longer ones: small enough that making one is well under a millisecond or two. */
const PIECE_CHARACTERS = 64 * 1024;

const isPretty = (request: FastifyRequest): boolean => queryValue(request, 'pretty') !== undefined;

export function jsonText(request: FastifyRequest, value: unknown): string {
  return isPretty(request) ? JSON.stringify(value, null, INDENT) : JSON.stringify(value);
}

export function sendJson(request: FastifyRequest, reply: FastifyReply, value: unknown): FastifyReply {
  return reply.header('content-type', JSON_TYPE).send(jsonText(request, value));
}

/**
 * A list with X-Total-Count; `lengthMax` when the list is a part of the total. Longer ones are written piece by piece: each waits until the socket took the one before and lets the loop
 * turn, so neither memory nor other requests notice how long the list is. A failure midway cuts the connection, so that half a list is
 * never taken for a whole one.
 */
export async function sendList<T>(
  request: FastifyRequest,
  reply: FastifyReply,
  list: { total: number; items: Iterable<T> | AsyncIterable<T>; lengthMax?: number },
  clock: Clock,
): Promise<FastifyReply> {
  reply.header('x-total-count', list.total).header('content-type', JSON_TYPE);
  const lengthMax = Array.isArray(list.items) ? list.items.length : (list.lengthMax ?? list.total);
  if (lengthMax <= WHOLE_LIST_MAX) return reply.send(jsonText(request, await Array.fromAsync(list.items)));
  const pieces = listPieces(list.items, isPretty(request), clock);
  return reply.send(Readable.from(pieces, { objectMode: false, highWaterMark: PIECE_CHARACTERS }));
}

async function* listPieces<T>(
  items: Iterable<T> | AsyncIterable<T>,
  pretty: boolean,
  clock: Clock,
): AsyncGenerator<string> {
  const indent = ' '.repeat(INDENT);
  let piece = '[';
  let first = true;
  for await (const item of items) {
    const text = pretty ? `\n${JSON.stringify(item, null, INDENT).replaceAll(/^/gm, indent)}` : JSON.stringify(item);
    piece += first ? text : `,${text}`;
    first = false;
    if (piece.length < PIECE_CHARACTERS) continue;
    yield piece;
    piece = '';
    await clock.yield();
  }
  yield `${piece}${pretty && !first ? '\n' : ''}]`;
}
