import { expect, test } from 'vitest';
import { type RunningNode, runAgent } from './agent.ts';

test('a signal that arrives while the node says that it is up stops it', async () => {
  const { promise: ended, resolve } = Promise.withResolvers<Awaited<RunningNode['ended']>>();
  const node: RunningNode = {
    address: { host: '127.0.0.1', port: 1 },
    stop: () => resolve({ exitCode: 0, lastWords: null }),
    ended,
  };
  const services = {
    startNode: () => Promise.resolve(() => Promise.resolve(node)),
    fileProblems: () => Promise.resolve(() => []),
  };
  const said: string[] = [];
  const before = process.listenerCount('SIGTERM');
  const talk = (text: string) => {
    said.push(text);
    if (!text.includes('Belfry is up')) return;
    if (process.listenerCount('SIGTERM') > before) process.kill(process.pid, 'SIGTERM');
    else resolve({ exitCode: 1, lastWords: 'nobody would have heard it' });
  };
  const code = await runAgent([], {}, services, { data: () => undefined, talk });
  expect(said.at(-1)).toBe('The node has stopped; no job is running.');
  expect(code).toBe(0);
  expect(process.listenerCount('SIGTERM')).toBe(before);
});
