// Places: who takes one, and when it is free.
import { beforeEach, expect, test } from 'vitest';
import { VirtualTime } from '../../test/sim/virtual-time.ts';
import type { AgentSession, StartRequest } from '../model/agent.ts';
import { Dispatcher } from './dispatcher.ts';
import type { LiveRun } from './live.ts';

let sent: number[];
let dispatcher: Dispatcher;

beforeEach(() => {
  sent = [];
  const agent = {
    node: 'n1',
    start: (_epoch: number, requests: readonly StartRequest[]) => void sent.push(...requests.map(({ key }) => key)),
  } as unknown as AgentSession;
  dispatcher = new Dispatcher(
    { node: 'n1', tags: {}, epoch: 1, maxRuns: 2, catchUpRate: 10 },
    { agent, clock: new VirtualTime(0).clock(), expire: () => undefined },
  );
});

function run(key: number, ending = false): LiveRun {
  const job = { id: key, name: `j${key}`, definition: { tags: {} }, startDeadlineMs: null, misfire: { graceMs: 0 } };
  return { key, group: key, job, attempt: 1, dueAt: key, stopping: null, sent: false, ending } as unknown as LiveRun;
}

test('an end gives its place to the next in due order, once', () => {
  const runs = [1, 2, 3, 4, 5].map((key) => run(key));
  dispatcher.enqueue(runs);
  expect([sent, dispatcher.counts]).toEqual([[1, 2], { waiting: 3, running: 2 }]);
  for (const _again of [1, 2]) dispatcher.release(runs[0] as LiveRun);
  dispatcher.pump();
  expect([sent, dispatcher.counts]).toEqual([[1, 2, 3], { waiting: 2, running: 2 }]);
});

test('one whose end was told before it was adopted takes no place, and still counts as sent', () => {
  const ended = run(1, true);
  dispatcher.adopt(ended);
  expect([ended.sent, dispatcher.counts.running]).toEqual([true, 0]);
});

test('one that ends while it waits to be handed over again is not', () => {
  const runs = [1, 2, 3].map((key) => run(key));
  dispatcher.enqueue(runs);
  const [first, , third] = runs as [LiveRun, LiveRun, LiveRun];
  dispatcher.release(third);
  dispatcher.release(first);
  dispatcher.pump();
  expect([sent, third.sent, dispatcher.counts]).toEqual([[1, 2], true, { waiting: 0, running: 1 }]);
});

test('a refusal puts a run back, unless its end has been told', () => {
  const [first, second] = [run(1), run(2)];
  dispatcher.enqueue([first, second]);
  first.ending = true;
  dispatcher.release(first);
  dispatcher.takeBack(first);
  dispatcher.takeBack(second);
  expect([first.sent, second.sent, dispatcher.counts]).toEqual([true, false, { waiting: 1, running: 0 }]);
});
