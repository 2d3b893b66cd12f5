import { describe, expect, test } from 'vitest';
import { ownHosts, refusalOf } from './security.ts';

const own = ownHosts(['Node-1.Example.org', 'cron.example.org', 'odd.example.org:8443']);
type Headers = Record<string, string>;
const passes = (headers: Headers, method = 'GET', path = '/v1/jobs') =>
  refusalOf({ method, path, headers }, own) === undefined;

describe('Host', () => {
  test.each([
    'localhost',
    'localhost:8080',
    'LOCALHOST',
    '127.0.0.1:8080',
    '10.1.2.3',
    '[::1]:8080',
    '[fe80::1]',
    'node-1.example.org',
    'node-1.example.org.:8080',
    'cron.example.org:9',
    'odd.example.org:8443',
  ])('%s is ours', (host) => expect(passes({ host })).toBe(true));

  test.each([
    'evil.com',
    'localhost.evil.com',
    '127.0.0.1.evil.com',
    'evil.com:8080',
    'sub.cron.example.org',
    'odd.example.org',
    '',
    'a@localhost',
    '0x7f000001',
    '2130706433',
    '127.1',
    'localhost:8080:1',
    '[localhost]',
  ])('%s is not', (host) => expect(passes({ host })).toBe(false));
});

describe('Origin', () => {
  const host = 'localhost:8080';
  test('absent passes: no browser, or one that reads its own page', () => expect(passes({ host }, 'POST')).toBe(true));
  test.each([
    ['http://localhost:8080', host],
    ['https://localhost:8080', host],
    ['http://cron.example.org', '127.0.0.1:8080'],
    ['https://cron.example.org', 'localhost:8080'],
    ['https://odd.example.org:8443', 'localhost:8080'],
    ['http://127.0.0.1', '127.0.0.1'],
    ['https://10.0.0.1', '10.0.0.1:443'],
    ['http://[::1]:8080', '[::1]:8080'],
  ])('%s to %s is ours', (origin, to) => expect(passes({ host: to, origin }, 'POST')).toBe(true));
  test.each([
    ['http://evil.com', host],
    ['null', host],
    ['http://localhost:3000', host],
    ['http://localhost', host],
    ['file://', host],
    ['http://127.0.0.1:8080', host],
    ['https://evil.com:8080', host],
    ['http://cron.example.org:8080', host],
    ['', host],
    ['chrome-extension://abc', host],
    ['http://localhost:8080, http://evil.com', host],
  ])('%s to %s is foreign', (origin, to) => expect(passes({ host: to, origin }, 'POST')).toBe(false));
});

describe('Sec-Fetch-Site', () => {
  const host = 'localhost:8080';
  const cross = { host, 'sec-fetch-site': 'cross-site' };
  test.each(['same-origin', 'same-site', 'none'])('%s passes', (site) =>
    expect(passes({ host, 'sec-fetch-site': site })).toBe(true),
  );
  test('cross-site does not', () => expect(passes(cross)).toBe(false));
  const link = { ...cross, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
  test.each(['/', '/ui', '/ui/', '/ui/jobs'])('a link from elsewhere to %s may be followed', (path) =>
    expect(passes(link, 'GET', path)).toBe(true),
  );
  test.each(['/v1/jobs', '/v1/', '/uix', '/health', '/metrics'])('but not to %s', (path) =>
    expect(passes(link, 'GET', path)).toBe(false),
  );
  test('nor as a form, a frame, a script, under a foreign name, or with a foreign Origin', () => {
    expect(passes(link, 'POST', '/ui/')).toBe(false);
    expect(passes({ ...link, 'sec-fetch-dest': 'iframe' }, 'GET', '/ui/')).toBe(false);
    expect(passes({ ...cross, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' }, 'GET', '/ui/')).toBe(false);
    expect(passes({ ...link, host: 'evil.com:8080' }, 'GET', '/ui/')).toBe(false);
    expect(passes({ ...link, origin: 'http://evil.com' }, 'GET', '/ui/')).toBe(false);
  });
});
