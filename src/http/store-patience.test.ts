import { expect, test } from 'vitest';
import { type Clock, systemClock } from '../lib/clock.ts';
import type { Route } from './route.ts';
import { ANSWER_WITHIN_MS, withPatience } from './store-patience.ts';

/** Timers fire when the test says so. */
function handClock(): { clock: Clock; timers: { ms: number; run: () => void; cancelled: boolean }[] } {
  const timers: { ms: number; run: () => void; cancelled: boolean }[] = [];
  const setTimer: Clock['setTimer'] = (ms, run) => {
    const timer = { ms, run, cancelled: false };
    timers.push(timer);
    return { cancel: () => (timer.cancelled = true) };
  };
  return { clock: { ...systemClock, setTimer }, timers };
}

function routeOf(over: Partial<Route>): Route {
  const schema = { summary: '', tag: 'jobs', responses: {} } as const;
  return { method: 'POST', path: '/x', schema, handler: () => 'done', ...over };
}

const call = async (route: Route): Promise<unknown> => route.handler(undefined as never, undefined as never);

test('what answers in time leaves no timer', async () => {
  const { clock, timers } = handClock();
  const route = withPatience(routeOf({}), { storeSilence: () => null }, clock);
  expect(await call(route)).toBe('done');
  expect(timers).toMatchObject([{ ms: ANSWER_WITHIN_MS, cancelled: true }]);
});

test('a write without an answer is given up, its end unknown, and its late failure harms nobody', async () => {
  const { clock, timers } = handClock();
  const late = Promise.withResolvers<unknown>();
  const route = withPatience(routeOf({ handler: () => late.promise }), { storeSilence: () => null }, clock);
  const answer = call(route);
  timers[0]?.run();
  await expect(answer).rejects.toMatchObject({
    code: 'unavailable',
    message: 'the store has not answered for 30 s: whether this was done is not known',
  });
  late.reject(new Error('at last'));
  await clock.yield();
});

test.each<[string, Partial<Route>, boolean]>([
  ['a write', {}, true],
  ['a restore', { streamBytesMax: 10 }, true],
  ['a read', { method: 'GET' }, false],
  ['what stores nothing', { storesNothing: true }, false],
])('while the store is silent: %s', async (_name, over, refused) => {
  const { clock } = handClock();
  const route = withPatience(routeOf(over), { storeSilence: () => 'the store does not answer (why)' }, clock);
  const answer = call(route);
  if (refused) {
    const message = 'the store does not answer (why); nothing was changed';
    await expect(answer).rejects.toMatchObject({ code: 'unavailable', message });
  } else {
    expect(await answer).toBe('done');
  }
});
