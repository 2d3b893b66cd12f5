/**
 * What a person hears while the store does not answer. The leader repeats what it has begun to write until it knows how that ended, however
 * long it takes; whoever sent the request is told after a while that this is so, and further writes are refused at once.
 */
import type { Clock } from '../lib/clock.ts';
import { AppError } from '../model/errors.ts';
import type { Route } from './route.ts';
import type { NodeService } from './services.ts';

/** A write that takes longer is answered 503, its end unknown. */
export const ANSWER_WITHIN_MS = 30_000;

/** The route, if it stores something with these two answers in place; else as it is. */
export function withPatience(route: Route, node: Pick<NodeService, 'storeSilence'>, clock: Clock): Route {
  if (route.method === 'GET' || route.storesNothing === true) return route;
  const handler: Route['handler'] = (request, reply) => {
    const silence = node.storeSilence();
    if (silence !== null) {
      throw new AppError('unavailable', `${silence}; nothing was changed`, {
        remedy: 'GET /health tells more; the node resumes by itself',
      });
    }
    const handled = Promise.resolve(route.handler(request, reply));
    return route.streamBytesMax === undefined ? within(handled, clock) : handled;
  };
  return { ...route, handler };
}

function within(handled: Promise<unknown>, clock: Clock): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(ANSWER_WITHIN_MS, () => {
      const message = `the store has not answered for ${ANSWER_WITHIN_MS / 1000} s: whether this was done is not known`;
      reject(
        new AppError('unavailable', message, { remedy: 'look whether it was before you try again; see GET /health' }),
      );
    });
    handled.then(resolve, reject).finally(() => timer.cancel());
  });
}
