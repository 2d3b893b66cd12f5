// Who may speak to a node (DESIGN §6): browsers of foreign pages, credentials, TLS, open ports.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashPassword } from '../../src/http/credentials.ts';
import { ask } from '../kit/http-client.ts';
import { type TestNode, startNode } from '../kit/node.ts';
import { create, expectError, expectLine, manual, nodeForFile } from './kit.ts';

let files = '';
beforeAll(() => {
  files = mkdtempSync(join(tmpdir(), 'belfry-access-'));
});
afterAll(() => rmSync(files, { recursive: true, force: true }));

function file(name: string, text: string): string {
  writeFileSync(join(files, name), text, { mode: 0o600 });
  return join(files, name);
}

describe('a foreign page in a local browser', () => {
  const node = nodeForFile({ args: ['--allowed-hosts', 'cron.example.org'] });
  const rebound = { host: 'evil.example:8080' };
  const crossSite = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' };

  test.each([
    ['a rebound name', rebound],
    ['a foreign origin', { origin: 'https://evil.example' }],
    ['a sandboxed frame', { origin: 'null' }],
    ['another local port', { origin: 'http://127.0.0.1:3000' }],
    ['no origin but cross-site', crossSite],
  ])('%s: can neither read nor write, on any route', async (_what, headers) => {
    const body = JSON.stringify(manual('planted'));
    for (const [method, path] of [
      ['POST', '/v1/jobs'],
      ['GET', '/v1/jobs'],
      ['POST', '/v1/leave'],
      ['GET', '/health'],
      ['GET', '/metrics'],
      ['GET', '/nowhere'],
    ] as const) {
      expectLine(
        await node().ask(method, path, {
          headers: { 'content-type': 'text/plain', ...headers },
          ...(method === 'POST' ? { body } : {}),
        }),
        403,
        /./,
      );
    }
    for (const path of ['/v1/runs', '/v1/calendars', '/v1/openapi.json']) {
      expectError(await node().get(path, headers), 403, { code: 'forbidden', remedy: expect.any(String) });
    }
    expect((await node().get('/v1/jobs/planted')).status).toBe(404);
  });

  test('no answer ever carries CORS headers', async () => {
    const preflight = await node().ask('OPTIONS', '/v1/jobs', {
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
    });
    const own = await node().get('/v1/jobs', { origin: node().url });
    expect(own.status).toBe(200);
    for (const { headers } of [preflight, own])
      expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    expect(own.headers).toMatchObject({
      'cross-origin-resource-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    });
  });

  test('a link from elsewhere opens the page, not the API', async () => {
    const link = {
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
      accept: 'text/html',
    };
    expect((await node().get('/', link)).status).toBe(303);
    expect((await node().get('/ui/', link)).status).toBe(200);
    expect((await node().get('/v1/jobs', link)).status).toBe(403);
    expect((await node().get('/ui/', { ...link, ...rebound })).status).toBe(403);
  });

  test('own names, addresses and clients without such headers pass', async () => {
    const { port } = new URL(node().url);
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, '[::1]', 'cron.example.org', 'test-node:8080']) {
      expect({ host, status: (await node().get('/v1/jobs', { host })).status }).toEqual({ host, status: 200 });
    }
    expect(
      (await node().post('/v1/jobs', manual('own'), { origin: node().url, 'sec-fetch-site': 'same-origin' })).status,
    ).toBe(201);
    await create(node(), manual('plain'));
  });
});

describe('credentials', () => {
  let node: TestNode;
  beforeAll(async () => {
    const users = file('users', `ann:plain pass\nbob:${await hashPassword('hashed pass')}\n`);
    node = await startNode({
      args: ['--auth-basic-file', users, '--auth-token-file', file('tokens', '0123456789abcdef0123\n')],
    });
  }, 60_000);
  afterAll(() => node.stop(), 60_000);
  const basic = (pair: string) => ({ authorization: `Basic ${Buffer.from(pair).toString('base64')}` });

  test('without: 401 with a challenge, on every route but /health', async () => {
    for (const path of ['/v1/jobs', '/v1/', '/metrics', '/ui/', '/nowhere', '/debug/vars']) {
      const answer = await node.get(path);
      expectLine(answer, 401, /credentials/);
      expect(answer.headers['www-authenticate']).toBe('Basic realm="belfry", charset="UTF-8", Bearer realm="belfry"');
    }
    expectError(await node.get('/v1/runs'), 401, { code: 'unauthorized' });
    expectLine(await node.post('/v1/jobs', manual('sneaked')), 401, /./);
    expect((await node.get('/health')).status).toBe(200);
  });

  test('with: passes', async () => {
    for (const headers of [
      basic('ann:plain pass'),
      basic('bob:hashed pass'),
      { authorization: 'Bearer 0123456789abcdef0123' },
    ]) {
      expect((await node.get('/v1/jobs', headers)).json()).toEqual([]);
    }
  });

  test('the command to paste on the page says how to prove oneself, in the words of the greeting', async () => {
    const bearer = await node.get('/ui/', basic('ann:plain pass'));
    expect(bearer.text).toContain('>curl -H &#34;Authorization: Bearer $TOKEN&#34; -X POST');
    expect(node.output).toContain('curl -H "Authorization: Bearer $TOKEN" ');
    const other = await startNode({ args: ['--auth-basic-file', file('one-user', 'ann:plain pass\n')] });
    expect((await other.get('/ui/', basic('ann:plain pass'))).text).toContain('>curl -u USER:PASSWORD -X POST');
    expect(other.output).toContain('curl -u USER:PASSWORD ');
    await other.stop();
  });

  test('wrong ones: 401, and the answer does not repeat them', async () => {
    for (const headers of [
      basic('ann:nope-nope'),
      basic('bob:nope-nope'),
      basic('eve:nope-nope'),
      { authorization: 'Bearer nope-nope' },
      { authorization: 'nope-nope' },
    ]) {
      const answer = await node.get('/v1/jobs', headers);
      expectLine(answer, 401, /not known/);
      expect(answer.text).not.toContain('nope');
    }
    expect(node.output).not.toContain('nope-nope');
  });

  test('a foreign page does not get in on the browser’s credentials', async () => {
    expectLine(await node.get('/v1/jobs', { ...basic('ann:plain pass'), origin: 'https://evil.example' }), 403, /./);
  });
});

describe('starting', () => {
  test('on an address others reach without credentials: refused, unless --insecure-http says so', async () => {
    await expect(startNode({ args: ['--http-addr', '0.0.0.0:0'] })).rejects.toThrow(/auth-basic-file/);
    const open = await startNode({ args: ['--http-addr', '0.0.0.0:0', '--insecure-http'] });
    await open.stop();
  });

  test('credential files that are none: refused by line, without their content', async () => {
    await expect(startNode({ args: ['--auth-token-file', file('bad', 'my-secret\n')] })).rejects.toThrow(
      /--auth-token-file: .*bad: line 1 is not a token/,
    );
    await expect(startNode({ args: ['--auth-token-file', file('bad', 'my-secret\n')] })).rejects.not.toThrow(
      /my-secret/,
    );
    await expect(startNode({ args: ['--auth-basic-file', join(files, 'missing')] })).rejects.toThrow(/missing/);
  });

  test('TLS', async () => {
    const [cert, key] = [join(files, 'cert.pem'), join(files, 'key.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
        '-keyout',
        key,
        '-out',
        cert,
        ...subject,
      ],
      { stdio: 'ignore' },
    );
    const node = await startNode({ args: ['--tls-cert', cert, '--tls-key', key] });
    try {
      expect(node.url).toMatch(/^https:/);
      expect((await ask(node.url, 'GET', '/health', { ca: readFileSync(cert, 'utf8') })).status).toBe(200);
      await expect(ask(node.url.replace('https', 'http'), 'GET', '/health')).rejects.toThrow(
        /socket hang up|ECONNRESET/,
      );
    } finally {
      await node.stop();
    }
  });
});
