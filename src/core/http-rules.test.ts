import { assert, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { debugLines, parseHttpConfig } from './http-config.ts';
import { acceptsCode, codeMismatchText, parseExpectCode } from './http-expect.ts';
import { redirectStep, type RedirectableRequest } from './http-redirect.ts';
import { parseRetryAfter, RETRY_AFTER_MS_MAX } from './http-retry-after.ts';

function accepts(text: string, code: number): boolean {
  const parsed = parseExpectCode(text);
  if (!parsed.ok) throw new Error(parsed.problem);
  return acceptsCode(parsed.ranges, code);
}

describe('expectCode', () => {
  it.each<[string, number[], number[]]>([
    ['', [100, 200, 302, 404, 499], [500, 503, 599]],
    ['200', [200], [201, 404, 500]],
    ['200, 201,', [200, 201], [202]],
    ['2xx', [200, 299], [199, 300]],
    ['2XX,404', [204, 404], [405]],
    ['200-299,500', [200, 250, 299, 500], [300, 501]],
  ])('%j', (text, yes, no) => {
    for (const code of yes) expect([code, accepts(text, code)]).toEqual([code, true]);
    for (const code of no) expect([code, accepts(text, code)]).toEqual([code, false]);
  });

  it.each(['1200', '20', '0xx', '299-200', '200;201', 'ok'])('refuses %s', (text) => {
    expect(parseExpectCode(`404,${text}`)).toMatchObject({ ok: false, problem: expect.stringContaining('entry 2') });
  });

  it('says which code came', () => {
    expect(codeMismatchText('200', 404)).toBe('received response code 404 does not match the expected code 200');
    expect(codeMismatchText(undefined, 503)).toContain('received response code 503');
  });
});

describe('Retry-After', () => {
  const now = Date.UTC(2026, 10, 22, 17, 0, 0);
  it.each<[string, number | undefined]>([
    ['120', 120_000],
    [' 0 ', 0],
    ['99999999999', RETRY_AFTER_MS_MAX],
    ['Sun, 22 Nov 2026 17:01:00 GMT', 60_000],
    ['Sunday, 22-Nov-26 17:01:00 GMT', 60_000],
    ['Sun Nov 22 17:01:00 2026', 60_000],
    ['Sun Nov  1 17:01:00 2026', 0],
    ['Tue, 22 Nov 1994 17:01:00 GMT', 0],
    ['Tuesday, 22-Nov-94 17:01:00 GMT', 0],
    ['Sun, 22 Foo 2026 17:01:00 GMT', undefined],
    ['Sun, 22 Nov 2026 25:01:00 GMT', undefined],
    ['Tue, 31 Feb 2026 15:01:00 GMT', undefined],
    ['-5', undefined],
    ['soon', undefined],
    ['', undefined],
  ])('%s', (text, expected) => expect(parseRetryAfter(text, now)).toBe(expected));

  it('is never negative nor above its limit', () => {
    const bounded = (ms: number | undefined) => ms === undefined || (ms >= 0 && ms <= RETRY_AFTER_MS_MAX);
    expect(() => assert(property(string(), (text) => bounded(parseRetryAfter(text, now))))).not.toThrow();
  });
});

describe('redirects', () => {
  const request: RedirectableRequest = {
    url: new URL('https://a.example/x'),
    method: 'POST',
    body: 'data',
    headers: ['Authorization', 'Cookie', 'Content-Type', 'Host', 'X-Own'].map((name) => ({ name, value: 'v' })),
  };
  const follow = (status: number, location: string, from = request) => {
    const step = redirectStep(from, status, location, 0);
    if (step.kind !== 'follow') throw new Error(step.kind);
    return step.request;
  };
  const names = ({ headers }: RedirectableRequest) => headers.map(({ name }) => name);

  it.each([301, 302, 303])('%i turns POST into GET without its body', (status) => {
    const next = follow(status, '/y');
    expect(next).toMatchObject({ method: 'GET', body: '' });
    expect(next.url.href).toBe('https://a.example/y');
    expect(names(next)).toEqual(['Authorization', 'Cookie', 'Host', 'X-Own']);
  });
  it.each([307, 308])('%i keeps method and body', (status) => {
    expect(follow(status, '/y')).toMatchObject({ method: 'POST', body: 'data' });
    expect(names(follow(status, '/y'))).toContain('Content-Type');
  });
  it('keeps HEAD', () => expect(follow(303, '/y', { ...request, method: 'HEAD' }).method).toBe('HEAD'));
  it.each(['https://b.example/y', '//b.example/y', 'http://a.example/y'])(
    'takes credentials off on the way to %s',
    (location) => {
      expect(names(follow(307, location))).toEqual(['Content-Type', 'X-Own']);
    },
  );
  it('keeps credentials on the same host', () =>
    expect(names(follow(307, 'https://a.example:8443/y'))).toContain('Authorization'));
  it.each<[number, string | undefined, number, string]>([
    [200, '/y', 0, 'final'],
    [304, '/y', 0, 'final'],
    [302, undefined, 0, 'final'],
    [302, '/y', 9, 'follow'],
    [302, '/y', 10, 'refused'],
    [302, 'file:///etc/passwd', 0, 'refused'],
    [302, 'http://[bad', 0, 'refused'],
  ])('%i to %s after %i: %s', (status, location, followed, kind) => {
    expect(redirectStep(request, status, location, followed).kind).toBe(kind);
  });
});

describe('config', () => {
  const base = { url: 'http://host/x', method: 'GET' };
  const config = (more: Record<string, string>) => {
    const parsed = parseHttpConfig({ ...base, ...more });
    if (!parsed.ok) throw new Error(parsed.problem);
    return parsed.config;
  };

  it.each<[Record<string, string>, string]>([
    [{ url: ' ' }, 'url is empty: give the address to call, for example https://host/path'],
    [{ method: '' }, 'method is empty: give one, for example GET or POST'],
    [{ method: 'G T' }, 'method "G T" is no HTTP method: give for example GET or POST'],
    [{ method: 'CONNECT' }, 'method CONNECT is not supported: give for example GET or POST'],
    [{ url: 'host/x?key=secret' }, 'url is not an absolute URL: begin it with http:// or https://'],
    [{ url: 'host:8080/x' }, 'url has an unsupported scheme: begin it with http:// or https://'],
    [
      { url: 'https://ho st/x?key=secret' },
      'url is not an absolute URL: what follows https:// is no host, port and path',
    ],
    [
      { url: 'ftp://host/x?key=secret' },
      'url has an unsupported scheme: it begins with ftp://, and http:// or https:// are possible',
    ],
    [{ expectCode: 'x' }, 'expectCode: entry 1, "x", is no code, class or range (as 200, 2xx, 200-299)'],
    [{ headers: '["x"]' }, 'headers: entry 1 has no colon: write it as "Name: value"'],
    [{ headers: 'X-Key: secret' }, 'headers is not JSON: write it as ["Name: value", "Other: value"]'],
    [{ tlsCertificateFile: 'client.pem' }, 'tlsCertificateFile needs tlsCertificateKeyFile'],
    [{ tlsCertificateKeyFile: 'client.key' }, 'tlsCertificateKeyFile needs tlsCertificateFile'],
  ])('%j: %s', (more, problem) => expect(parseHttpConfig({ ...base, ...more })).toEqual({ ok: false, problem }));

  // What one job's configuration left behind must never be another's.
  it.each<Record<string, string>>([
    { method: 'post' },
    { headers: '["X-Key: other"]' },
    { timeout: '5' },
    { expectCode: '201' },
    { expectBody: 'done' },
    { debug: 'true' },
    { tlsNoVerifyPeer: 'true' },
    { tlsCertificateFile: 'a.pem', tlsCertificateKeyFile: 'a.key' },
    { tlsRootCAsFile: 'ca.pem' },
    { body: 'text' },
    { url: 'http://user:secret@host/y' },
  ])('reads %j as it does alone, whatever it read before', (more) => {
    const read = () => JSON.stringify(config(more));
    const plain = JSON.stringify(config({}));
    const after = read();
    expect(JSON.stringify(config({}))).toBe(plain);
    config({ method: 'PUT', expectCode: '299', headers: '["X-Last: one"]' });
    expect([read(), read(), after]).toEqual([after, after, after]);
    expect(parseHttpConfig({ ...base, ...more, headers: 'no JSON' }).ok).toBe(false);
    expect(read()).toBe(after);
    expect(after).not.toBe(plain);
  });

  it('reads certificate and key of each job', () => {
    const pairs = [['a', 'a'], ['b', 'a'], ['b', 'b']]; // prettier-ignore
    const read = pairs.map(([tlsCertificateFile = '', tlsCertificateKeyFile = '']) => {
      const { tls } = config({ tlsCertificateFile, tlsCertificateKeyFile });
      return [tls.certificateFile, tls.certificateKeyFile];
    });
    expect(read).toEqual(pairs);
  });

  it.each<[string, number | null, number]>([
    ['', null, 0],
    ['5', 5_000, 0],
    ['500ms', 500, 0],
    ['1m', 60_000, 0],
    ['0', 30_000, 1],
    ['-1', 30_000, 1],
    ['soon', 30_000, 1],
  ])('timeout %j is %s ms with %i warnings', (timeout, ms, warnings) => {
    expect(config({ timeout })).toMatchObject({ timeoutMs: ms, warnings: { length: warnings } });
  });

  it('takes credentials out of the URL', () => {
    const { url, headers } = config({ url: 'http://us%20er:p%3Ass@host/x#frag' });
    expect(url.href).toBe('http://host/x');
    expect(headers).toEqual([{ name: 'Authorization', value: `Basic ${btoa('us er:p:ss')}` }]);
    expect(config({ url: 'http://u:p@host/', headers: '["authorization: mine"]' }).headers).toHaveLength(1);
  });

  it('reads booleans as Go, others as false with a warning', () => {
    expect(config({ tlsNoVerifyPeer: 'true' }).tls.verifyPeer).toBe(false);
    expect(config({ tlsNoVerifyPeer: 'yes' })).toMatchObject({ tls: { verifyPeer: true }, warnings: { length: 1 } });
  });

  it('shows no secret in a debug dump', () => {
    const raw = {
      ...base,
      url: 'http://u:secret@host/x?token=secret',
      headers: '["X-Key: secret"]',
      body: 'secret',
      unknown: 'secret',
      debug: '1',
    };
    const lines = debugLines(raw, config(raw)).join('\n');
    expect(lines).toContain('debug: url = http://host/x?token=***');
    expect(lines).toContain('X-Key: ***');
    expect(lines).not.toContain('secret');
  });
});
