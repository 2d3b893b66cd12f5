/** Reuse of connections, many at once, and large bodies. */
import http from 'node:http';
import net from 'node:net';
import { expect, it } from 'vitest';
import type { OutputSink } from '../../../src/executors/executor.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { Stop } from '../../../src/lib/stop.ts';
import { later, listen, newExecutor, run, serve } from './kit.ts';

/** A server that answers the first request of each connection and hangs up at the second, as one whose keep-alive just ran out. */
async function staleServer(): Promise<{ url: string; requests: string[]; connections: () => number }> {
  const requests: string[] = [];
  let connections = 0;
  const server = net.createServer((socket) => {
    connections++;
    let answered = false;
    socket.on('error', () => {});
    socket.on('data', (data) => {
      requests.push(String(data).split(' ', 1)[0] ?? '');
      if (answered) return void socket.destroy();
      answered = true;
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
  });
  return { url: `http://127.0.0.1:${await listen(server)}/`, requests, connections: () => connections };
}

/** Lets a connection whose response has ended become idle: undici waits one turn of the loop before it takes the next request. */
async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

it('reuses connections', async () => {
  let connections = 0;
  const server = http.createServer((_, response) => response.end('ok'));
  server.on('connection', () => connections++);
  const url = `http://127.0.0.1:${await listen(server)}/`;
  const executor = newExecutor();
  for (let i = 0; i < 5; i++) {
    expect((await run(executor, { url })).success).toBe(true);
    await turns();
  }
  expect(connections).toBe(1);
});

it('repeats a GET on a fresh connection when the reused one was closed', async () => {
  const { url, requests, connections } = await staleServer();
  const executor = newExecutor();
  for (let i = 0; i < 3; i++) {
    expect(await run(executor, { url })).toMatchObject({ success: true, output: 'ok' });
    await turns();
  }
  expect(connections()).toBe(3);
  expect(requests).toHaveLength(5); // 1, then twice a try that found the connection closed and its repetition
});

it('never repeats a POST', async () => {
  const { url, requests } = await staleServer();
  const executor = newExecutor();
  expect((await run(executor, { url, method: 'POST', body: '1' })).success).toBe(true);
  await turns();
  const second = await run(executor, { url, method: 'POST', body: '2' });
  expect(second).toMatchObject({ success: false, reason: 'exit' });
  expect(requests).toEqual(['POST', 'POST']);
});

it('sends a POST over no connection that was idle for long, a GET over any', async () => {
  let connections = 0;
  const server = http.createServer((_, response) => response.end('ok'));
  server.on('connection', () => connections++);
  const url = `http://127.0.0.1:${await listen(server)}/`;
  let skippedMs = 0;
  const executor = newExecutor({ ...systemClock, monotonic: () => systemClock.monotonic() + skippedMs });
  const after = async (ms: number, method: string) => {
    await turns();
    skippedMs += ms;
    await run(executor, { url, method });
    return connections;
  };
  expect([await after(0, 'POST'), await after(500, 'POST'), await after(2_000, 'GET')]).toEqual([1, 1, 1]);
  expect(await after(2_000, 'POST')).toBe(2);
});

it('does not repeat a GET whose fresh connection broke', async () => {
  let requests = 0;
  const port = await listen(
    net.createServer((socket) => socket.on('data', () => (requests++, socket.destroy())).on('error', () => {})),
  );
  expect((await run(newExecutor(), { url: `http://127.0.0.1:${port}/` })).success).toBe(false);
  expect(requests).toBe(1);
});

it('slow requests hold up neither those of another origin nor, beyond the first connections, of their own', async () => {
  const held: http.ServerResponse[] = [];
  const arrived = Promise.withResolvers<void>();
  const slow = await serve(({ url }, response) => {
    if (url === '/fast') return void response.end('ok');
    held.push(response);
    if (held.length === 200) arrived.resolve();
  });
  const fast = await serve((_, response) => response.end('ok'));
  const executor = newExecutor();
  const waiting = Array.from({ length: 200 }, () => run(executor, { url: `${slow.origin}/slow` }));
  await arrived.promise; // all 200 at once, more than the pool opens first
  expect((await run(executor, { url: fast.origin })).success).toBe(true);
  expect((await run(executor, { url: `${slow.origin}/fast` })).success).toBe(true);
  for (const response of held) response.end('done');
  expect((await Promise.all(waiting)).every(({ success }) => success)).toBe(true);
});

it('a burst of 2,000 all arrive, over a bounded number of connections', async () => {
  let most = 0;
  let open = 0;
  const server = http.createServer((_, response) => response.end('ok'));
  server.on('connection', (socket) => {
    most = Math.max(most, ++open);
    socket.on('close', () => open--);
  });
  const url = `http://127.0.0.1:${await listen(server)}/`;
  const executor = newExecutor();
  const results = await Promise.all(Array.from({ length: 2_000 }, () => run(executor, { url })));
  expect(results.filter(({ success }) => !success)).toEqual([]);
  expect(most).toBeLessThanOrEqual(1_024);
});

it('streams 50 MB through a slow output in bounded memory', async () => {
  const chunk = Buffer.alloc(65_536, 'x');
  const chunks = 800;
  let sent = 0;
  const { origin } = await serve((_, response) => {
    const pump = () => {
      while (sent < chunks) {
        sent++;
        if (!response.write(chunk)) return void response.once('drain', pump);
      }
      response.end();
    };
    pump();
  });
  let bytes = 0;
  let undrained = 0;
  let mostUndrained = 0;
  let mostAhead = 0;
  const sink: OutputSink = {
    write(part) {
      bytes += part.length;
      undrained += part.length;
      mostUndrained = Math.max(mostUndrained, undrained);
      mostAhead = Math.max(mostAhead, sent * chunk.length - bytes);
    },
    drained: () => new Promise((resolve) => setImmediate(() => ((undrained = 0), resolve()))),
  };
  expect((await run(newExecutor(), { url: origin }, { sink })).success).toBe(true);
  expect(bytes).toBe(chunks * chunk.length);
  expect(mostUndrained).toBeLessThan(1_000_000);
  expect(mostAhead).toBeLessThan(20_000_000); // socket buffers of both ends; without back-pressure the whole body would be ahead of a stuck output
});

it('holds the response back while the output is stuck', async () => {
  const chunk = Buffer.alloc(65_536, 'x');
  let sent = 0;
  const full = Promise.withResolvers<void>();
  const { origin } = await serve((_, response) => {
    const stuck = setInterval(() => undefined, 1_000);
    later(() => clearInterval(stuck));
    while (sent < 1_000 && response.write(chunk)) sent++;
    const pump = () => {
      while (sent < 1_000) {
        sent++;
        if (!response.write(chunk)) return;
      }
    };
    response.on('drain', pump);
    full.resolve();
  });
  const release = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  let bytes = 0;
  const stop = new Stop();
  const sink: OutputSink = {
    write: (part) => void (bytes += part.length),
    drained: () => (reached.resolve(), release.promise),
  };
  const result = run(newExecutor(), { url: origin }, { sink, stop });
  await full.promise;
  await reached.promise;
  const before = bytes;
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
  expect(bytes).toBe(before);
  stop.ask();
  release.resolve();
  expect((await result).success).toBe(false);
});

it('ends what runs and what waits when it is closed', async () => {
  const arrived = Promise.withResolvers<void>();
  const { origin } = await serve(() => arrived.resolve());
  const executor = newExecutor();
  const runs = Array.from({ length: 100 }, () => run(executor, { url: origin })); // more than the pool opens at once
  await arrived.promise;
  executor.close();
  expect((await Promise.all(runs)).filter(({ success }) => success)).toEqual([]);
});

it('warms without opening anything', async () => {
  await turns();
  // Timers of the runner of tests come and go; sockets and handles are what warming must not leave.
  const open = () => process.getActiveResourcesInfo().filter((kind) => kind !== 'Timeout');
  const before = open();
  await newExecutor().warm();
  await turns();
  expect(open().sort()).toEqual(before.sort());
});

it.each([
  ['says so', 'Connection: close\r\n', (socket: net.Socket) => socket.end()],
  ['does not say so', '', (socket: net.Socket) => socket.end()],
  ['breaks it off', '', (socket: net.Socket) => void setImmediate(() => socket.resetAndDestroy())],
])(
  'many at once are all served by one who closes each connection after its answer and %s',
  async (_, header, close) => {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () =>
        socket.write(`HTTP/1.1 200 OK\r\n${header}Content-Length: 2\r\n\r\nok`, () => close(socket)),
      );
    });
    const url = `http://127.0.0.1:${await listen(server)}/`;
    const executor = newExecutor();
    for (const method of ['GET', 'POST']) {
      const results = await Promise.all(Array.from({ length: 500 }, () => run(executor, { url, method })));
      expect(results.filter(({ success, output }) => !success || output !== 'ok')).toEqual([]);
    }
  },
);
