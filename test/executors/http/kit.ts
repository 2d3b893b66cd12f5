/** What the http executor's suites share: a real server on loopback, and one call of the executor with its output collected. */
import http from 'node:http';
import type net from 'node:net';
import { afterEach } from 'vitest';
import type { ExecutorResult, OutputSink } from '../../../src/executors/executor.ts';
import { createHttpExecutor, type HttpExecutor } from '../../../src/executors/http/http.ts';
import { systemClock, type Clock } from '../../../src/lib/clock.ts';
import { Stop, type StopSignal } from '../../../src/lib/stop.ts';
import type { StartRequest } from '../../../src/model/agent.ts';

const undo: (() => Promise<void> | void)[] = [];

/** Runs after the test, last first. */
export function later(work: () => Promise<void> | void): void {
  undo.push(work);
}

afterEach(async () => {
  for (const work of undo.splice(0).reverse()) await work();
});

export function newExecutor(clock: Clock = systemClock): HttpExecutor {
  const executor = createHttpExecutor({ clock });
  later(() => executor.close());
  return executor;
}

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** Starts any server on a free loopback port; gives the port. It and its connections end with the test. */
export async function listen(server: net.Server): Promise<number> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  later(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as net.AddressInfo).port;
}

/** An http server that keeps what it saw; `answer` gets the request with its body read. */
export async function serve(
  answer: (seen: Seen, response: http.ServerResponse) => void,
): Promise<{ origin: string; port: number; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = http.createServer((request, response) => void take(request, response));
  const take = async (request: http.IncomingMessage, response: http.ServerResponse) => {
    const one: Seen = {
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      body: await readAll(request),
    };
    seen.push(one);
    answer(one, response);
  };
  const port = await listen(server);
  return { origin: `http://127.0.0.1:${port}`, port, seen };
}

export async function readAll(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

export function startRequest(config: Record<string, string>, more: Partial<StartRequest> = {}): StartRequest {
  return {
    key: 1, id: '1-n1', group: 1_700_000_000_000_000, attempt: 1, job: 'nightly', jobId: 7, trigger: 'schedule',
    scheduledAt: Date.UTC(2026, 10, 22, 17), executor: 'http', config, timeoutMs: null, killGraceMs: 0, ...more,
  }; // prettier-ignore
}

export interface Ran extends ExecutorResult {
  readonly output: string;
}

/** One execution; method GET unless `config` says otherwise. */
export async function run(
  executor: HttpExecutor,
  config: Record<string, string>,
  { stop = new Stop(), more = {}, sink }: { stop?: StopSignal; more?: Partial<StartRequest>; sink?: OutputSink } = {},
): Promise<Ran> {
  const chunks: Uint8Array[] = [];
  const output = sink ?? { write: (chunk: Uint8Array) => void chunks.push(chunk), drained: () => Promise.resolve() };
  const result = await executor.execute(startRequest({ method: 'GET', ...config }, more), {
    output,
    stop,
    node: 'n1',
  });
  return { ...result, output: Buffer.concat(chunks).toString() };
}
