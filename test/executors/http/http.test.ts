/** The http executor against real servers: keys, codes, bodies, redirects, limits of time. */
import net from 'node:net';
import { Stop } from '../../../src/lib/stop.ts';
import { describe, expect, it } from 'vitest';
import { EXPECT_BODY_BYTES_MAX } from '../../../src/executors/http/expect-body.ts';
import { listen, newExecutor, run, serve } from './kit.ts';

describe('the request', () => {
  it('carries method, headers, body and what SEMANTICS §5 names', async () => {
    const { origin, seen } = await serve((_, response) => response.end('hello'));
    const headers = '["X-When: 12:30:00", "Content-Type: text/x", "Host: other.example:81", "Belfry-Job: forged"]';
    const result = await run(
      newExecutor(),
      { url: `${origin}/p?q=1`, method: 'PATCH', headers, body: 'päck' },
      { more: { attempt: 3 } },
    );
    expect(result).toEqual({
      success: true, reason: '', message: null, exitCode: null,
      output: 'warning: headers: entry 4 is ignored: Belfry-Job is set by Belfry\nhello',
    }); // prettier-ignore
    expect(seen[0]).toMatchObject({
      method: 'PATCH', url: '/p?q=1', body: 'päck',
      headers: {
        host: 'other.example:81', 'x-when': '12:30:00', 'content-type': 'text/x', 'content-length': '5', 'belfry-job': 'nightly',
        'belfry-scheduled-at': '2026-11-22T17:00:00Z', 'belfry-execution-id': '1-n1', 'belfry-attempt': '3', 'idempotency-key': '1700000000000000',
      },
    }); // prettier-ignore
  });

  it.each(['GET', 'DELETE', 'HEAD', 'OPTIONS'])('sends a body with %s too', async (method) => {
    const { origin, seen } = await serve((_, response) => response.end());
    await run(newExecutor(), { url: origin, method, body: 'b' });
    expect(seen[0]).toMatchObject({ method, body: 'b' });
  });

  it.each<[Record<string, string>, string]>([
    [{ url: '' }, 'url is empty: give the address to call, for example https://host/path'],
    [{ method: '' }, 'method is empty: give one, for example GET or POST'],
    [{ headers: '["A: 1", "secret"]' }, 'headers: entry 2 has no colon: write it as "Name: value"'],
    [{ expectCode: '1200' }, 'expectCode: entry 1, "1200", is no code, class or range (as 200, 2xx, 200-299)'],
    [{ expectBody: '(' }, 'expectBody is no valid pattern (RE2 syntax): error parsing regexp: missing closing ): `(`'],
  ])('is not sent when %j', async (config, message) => {
    const { origin, seen } = await serve((_, response) => response.end());
    expect(await run(newExecutor(), { url: origin, ...config })).toMatchObject({
      success: false,
      reason: 'start',
      message,
    });
    expect(seen).toEqual([]);
  });

  it('dumps the configuration with its secrets masked', async () => {
    const { origin } = await serve((_, response) => response.end('body'));
    const { output } = await run(newExecutor(), {
      url: `${origin}/?k=secret`,
      headers: '["Authorization: secret"]',
      body: 'secret',
      debug: 'yes',
    });
    expect(output).toContain('debug: headers = ["Authorization: ***"]');
    expect(output).toContain('debug: response 200');
    expect(output).not.toContain('secret');
  });
});

describe('success', () => {
  it.each<[number, string | undefined, boolean]>([
    [200, undefined, true],
    [404, undefined, true],
    [500, undefined, false],
    [503, '5xx', true],
    [200, '201,204', false],
    [204, '200-299', true],
    [200, '1200', false],
  ])('%i with expectCode %s: %s', async (code, expectCode, success) => {
    const { origin } = await serve((_, response) => response.writeHead(code).end());
    const result = await run(newExecutor(), { url: origin, ...(expectCode === undefined ? {} : { expectCode }) });
    expect(result.success).toBe(success);
  });

  it.each<[number, Record<string, string>, boolean]>([
    [404, {}, true],
    [429, {}, true],
    [404, { expectCode: '2xx,404' }, false],
    [404, { expectBody: '' }, false],
    [304, {}, false],
    [500, {}, false],
  ])('%i with %j is worth a word: %s', async (code, config, warned) => {
    const { origin } = await serve((_, response) => response.writeHead(code).end(code === 304 ? '' : 'body\n'));
    const { output } = await run(newExecutor(), { url: origin, ...config });
    const warning = `warning: response code ${code} counts as a success because expectCode is not given: "2xx" there makes it a failure\n`;
    expect(output).toBe(`${warned ? warning : ''}${code === 304 ? '' : 'body\n'}`);
  });

  it('wants the body to match, anywhere in it', async () => {
    const { origin } = await serve((_, response) => response.end('{"status": "ok"}\n'));
    const executor = newExecutor();
    expect(await run(executor, { url: origin, expectBody: '"status":\\s*"(?i)OK"' })).toMatchObject({ success: true });
    expect(await run(executor, { url: origin, expectBody: '^ok$' })).toMatchObject({
      success: false, reason: 'expectation', message: 'received response body did not match the expected body', output: '{"status": "ok"}\n',
    }); // prettier-ignore
  });

  it('says when only a part of the body was looked at', async () => {
    const { origin } = await serve((_, response) => response.end(`${'x'.repeat(EXPECT_BODY_BYTES_MAX)}needle`));
    const { message } = await run(newExecutor(), { url: origin, expectBody: 'needle' });
    expect(message).toContain(`only its first ${EXPECT_BODY_BYTES_MAX} of ${EXPECT_BODY_BYTES_MAX + 6} bytes`);
  });

  it.each(['(a*)*b', '(a|aa)+$x', '(x+x+)+y'])('answers the catastrophic pattern %s at once', async (expectBody) => {
    const { origin } = await serve((_, response) => response.end('a'.repeat(100_000)));
    const before = performance.now();
    expect(await run(newExecutor(), { url: origin, expectBody })).toMatchObject({ reason: 'expectation' });
    expect(performance.now() - before).toBeLessThan(5_000); // a backtracking matcher would need longer than the universe has
  });

  it('keeps the loop free while a large pattern works, and ends it at the limit', async () => {
    let seed = 1;
    const letter = () => 'ab'[(seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff) < 0x3fffffff ? 0 : 1];
    const body = `cd${Array.from({ length: 500_000 }, letter).join('')}`;
    const { origin } = await serve((_, response) => response.end(body));
    const result = run(newExecutor(), { url: origin, expectBody: '(?:a.{900}c|b.{900}d){1}', timeout: '900ms' });
    let longest = 0;
    let last = performance.now();
    const probe = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 5);
    expect(await result).toMatchObject({
      reason: 'timeout',
      message: 'timed out after 0.9s while checking expectBody',
    });
    clearInterval(probe);
    expect(longest).toBeLessThan(450);
  });
});

describe('redirects', () => {
  it('are followed with the method rules of Go, without the output of the way there', async () => {
    const { origin, seen } = await serve(({ url }, response) => {
      if (url === '/a') response.writeHead(307, { location: '/b' }).end('on the way');
      else if (url === '/b') response.writeHead(303, { location: '/c' }).end('on the way');
      else response.end('there');
    });
    expect(await run(newExecutor(), { url: `${origin}/a`, method: 'POST', body: 'x' })).toMatchObject({
      success: true,
      output: 'there',
    });
    expect(seen.map(({ method, url, body }) => [method, url, body])).toEqual([
      ['POST', '/a', 'x'],
      ['POST', '/b', 'x'],
      ['GET', '/c', ''],
    ]);
  });

  it('take no credentials to another host', async () => {
    const other = await serve((_, response) => response.end());
    const { origin } = await serve((_, response) =>
      response.writeHead(302, { location: `http://localhost:${other.port}/` }).end(),
    );
    await run(newExecutor(), { url: origin, headers: '["Authorization: secret", "X-Own: kept"]' });
    expect(other.seen[0]?.headers).toMatchObject({ 'x-own': 'kept' });
    expect(other.seen[0]?.headers.authorization).toBeUndefined();
  });

  it('end after ten, as what was not expected', async () => {
    const { origin, port, seen } = await serve((_, response) => response.writeHead(302, { location: '/again' }).end());
    expect(await run(newExecutor(), { url: origin })).toMatchObject({
      success: false,
      reason: 'expectation',
      message: `stopped after 10 redirects, and 127.0.0.1:${port} answered with another (302): they may lead in a circle; call the last address directly`,
    });
    expect(seen).toHaveLength(11);
  });

  it('do not read an endless body on the way', async () => {
    const { origin } = await serve(({ url }, response) => {
      if (url !== '/') return void response.end('there');
      response.writeHead(302, { location: '/b' });
      response.on('drain', () => response.write('x'.repeat(65_536)));
      response.write('x'.repeat(200_000));
    });
    expect(await run(newExecutor(), { url: `${origin}/` })).toMatchObject({ success: true, output: 'there' });
  });
});

describe('Retry-After', () => {
  it.each<[number, string, () => string, number]>([
    [429, 'seconds', () => '7', 7_000],
    [503, 'a date', () => new Date(Date.now() + 3_600_000).toUTCString(), 3_600_000],
  ])('%i asks not to be called for a while, as %s', async (code, _form, value, expected) => {
    const { origin } = await serve((_, response) => response.writeHead(code, { 'retry-after': value() }).end());
    const { retryAfterMs } = await run(newExecutor(), { url: origin, expectCode: '200' });
    expect(Math.abs((retryAfterMs ?? 0) - expected)).toBeLessThan(5_000);
  });

  it.each([
    [200, '7'],
    [503, 'nonsense'],
  ] as const)('%i with %s asks nothing', async (code, value) => {
    const { origin } = await serve((_, response) => response.writeHead(code, { 'retry-after': value }).end());
    expect((await run(newExecutor(), { url: origin, expectCode: '2xx' })).retryAfterMs).toBeUndefined();
  });
});

describe('time limits', () => {
  it('while connecting', async () => {
    const port = await listen(net.createServer()); // accepts, and never answers the TLS greeting
    const result = await run(newExecutor(), { url: `https://127.0.0.1:${port}/`, timeout: '150ms' });
    expect(result).toMatchObject({
      reason: 'timeout',
      message: `timed out after 0.15s while connecting to 127.0.0.1:${port}`,
    });
  });

  it('while waiting for the headers', async () => {
    const { origin, port } = await serve(() => undefined);
    const result = await run(newExecutor(), { url: origin, timeout: '150ms' });
    expect(result).toMatchObject({
      reason: 'timeout',
      message: `timed out after 0.15s while waiting for the response of 127.0.0.1:${port}`,
    });
  });

  it('while the body comes, however steadily', async () => {
    const { origin, port } = await serve((_, response) => {
      const drip = setInterval(() => response.write('.'), 20);
      response.on('close', () => clearInterval(drip));
    });
    const result = await run(newExecutor(), { url: origin, timeout: '200ms' });
    expect(result).toMatchObject({
      reason: 'timeout',
      message: `timed out after 0.2s while reading the response body from 127.0.0.1:${port}`,
    });
    expect(result.output).toMatch(/^\.+$/);
  });

  it('is the job’s where the key is absent', async () => {
    const { origin } = await serve(() => undefined);
    expect(await run(newExecutor(), { url: origin }, { more: { timeoutMs: 100 } })).toMatchObject({
      reason: 'timeout',
    });
  });

  it('ends when the runner says so, and the connection with it', async () => {
    const stop = new Stop();
    const closed = Promise.withResolvers<void>();
    const { origin } = await serve((_, response) => {
      response.on('close', () => closed.resolve());
      stop.ask();
    });
    const result = await run(newExecutor(), { url: origin }, { stop });
    expect(result).toMatchObject({
      success: false,
      reason: 'exit',
      message: expect.stringContaining('stopped while waiting for the response'),
    });
    await closed.promise;
    expect(await run(newExecutor(), { url: origin }, { stop })).toMatchObject({
      success: false,
    });
  });
});

describe('what breaks', () => {
  it('refused', async () => {
    const server = net.createServer();
    const port = await new Promise<number>((resolve) =>
      server.listen(0, '127.0.0.1', () => resolve((server.address() as net.AddressInfo).port)),
    );
    await new Promise((resolve) => server.close(resolve));
    const result = await run(newExecutor(), { url: `http://127.0.0.1:${port}/path?secret` });
    expect(result).toMatchObject({
      success: false,
      reason: 'start',
      message: `connection refused by 127.0.0.1:${port}`,
    });
  });

  it('a name that does not exist', async () => {
    const { reason, message } = await run(newExecutor(), { url: 'http://no-such-host.invalid/' });
    expect(reason).toBe('start');
    expect(message).toMatch(/^cannot resolve the name in no-such-host\.invalid:80 \(E/);
  });

  it.each<[string, string, string, RegExp]>([
    ['closed before the head', '', 'exit', /closed the connection before its response began/],
    [
      'closed in the body',
      'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc',
      'exit',
      /closed the connection before its response was complete/,
    ],
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n', 'exit', /no HTTP response/],
    [
      'TLS to a plain port',
      'HTTP/1.1 400 Bad Request\r\n\r\n',
      'start',
      /^TLS with 127.* failed: .*wrong version.*http:\/\/ in url$/,
    ],
  ])('%s', async (name, answer, reason, message) => {
    const port = await listen(
      net.createServer((socket) => socket.once('data', () => socket.end(answer)).on('error', () => {})),
    );
    const scheme = name.startsWith('TLS') ? 'https' : 'http';
    const result = await run(newExecutor(), { url: `${scheme}://127.0.0.1:${port}/` });
    expect(result).toMatchObject({ success: false, reason });
    expect(result.message).toMatch(message);
    expect(result.message).not.toContain('\n');
  });
});
