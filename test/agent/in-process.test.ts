/** Executors inside the runner: many at once, fast and slow ones. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AgentWorld } from './kit.ts';

let world: AgentWorld;
let server: Server;
const silent: ServerResponse[] = [];
let base = '';
beforeEach(async () => {
  world = new AgentWorld();
  server = createServer((request, response) => {
    if (request.url === '/silent') silent.push(response);
    else response.end('ok');
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  await world.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

test('requests nobody answers hold up no process; and no request to somebody else', async () => {
  const host = world.host({ ack: true });
  await host.known();
  const silentRuns = Array.from({ length: 900 }, () =>
    world.run({ url: `${base}/silent`, method: 'GET', timeout: '60' }, { executor: 'http', jobId: 1 }),
  );
  const other = base.replace('127.0.0.1', 'localhost');
  const request = world.run({ url: `${other}/`, method: 'GET' }, { executor: 'http', jobId: 2 });
  const program = world.run({ command: '/bin/true' }, { jobId: 3 });
  host.tell({ start: [...silentRuns, request, program] });
  expect(await host.ended(request.key)).toMatchObject({ outcome: 'succeeded', tail: 'ok' });
  expect(await host.ended(program.key)).toMatchObject({ outcome: 'succeeded' });
  host.tell({ stop: silentRuns.map(({ key }) => ({ key, reason: 'user' as const })) });
  for (const { key } of silentRuns) expect(await host.ended(key)).toMatchObject({ outcome: 'cancelled' });
});

test('2,000 at once are each answered once', async () => {
  const host = world.host({ ack: true });
  await host.known();
  const runs = Array.from({ length: 2000 }, (_, i) =>
    world.run({ url: `${base}/${i}`, method: 'GET' }, { executor: 'http', jobId: i }),
  );
  host.tell({ start: runs });
  for (const { key } of runs) expect(await host.ended(key)).toMatchObject({ outcome: 'succeeded', tail: 'ok' });
});
