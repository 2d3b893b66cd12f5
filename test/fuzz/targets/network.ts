// What the network says: header lines and hosts to the API, credentials, answers to an http job, and rqlite's answers.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseExpectCode } from '../../../src/core/http-expect.ts';
import { parseHeaders } from '../../../src/core/http-headers.ts';
import { redirectStep } from '../../../src/core/http-redirect.ts';
import { parseRetryAfter } from '../../../src/core/http-retry-after.ts';
import { compileExpectation } from '../../../src/executors/http/expect-body.ts';
import { parseCredentials } from '../../../src/http/credentials.ts';
import { ownHosts, refusalOf } from '../../../src/http/security.ts';
import { AppError } from '../../../src/model/errors.ts';
import type { Database } from '../../../src/store/database.ts';
import { openRqlite } from '../../../src/store/rqlite/database.ts';
import { must, type Target, withInput, withInputAsync } from '../target.ts';

const HOSTS = [
  'localhost',
  'localhost:8080',
  '127.0.0.1',
  '127.0.0.1:8080',
  '[::1]:8080',
  'node-1',
  'NODE-1.',
  'evil.example',
  '0',
  '0x7f.1',
  '2130706433',
  'localhost.evil.example',
  'xn--nxasmq6b',
  '127.0.0.1.nip.io',
];
const ORIGINS = [
  'http://localhost:8080',
  'null',
  'https://evil.example',
  'http://127.0.0.1:8080',
  'file://',
  'http://[::1]',
  'http://localhost@evil.example',
];
const OWN = ownHosts(['node-1']);
/** Host values that name this node for sure. */
const OURS = /^(?:localhost|node-1)\.?(?::\d{0,5})?$|^[\d.]+(?::\d{0,5})?$|^\[[0-9a-f:.%]+\](?::\d{0,5})?$/i;

const visits: Target = {
  name: 'hosts and origins',
  weight: 6,
  limitMs: 250,
  run(dice) {
    const host = dice.mangle(dice.pick(HOSTS));
    const origin = dice.chance(0.5) ? dice.mangle(dice.pick(ORIGINS)) : undefined;
    const site = dice.chance(0.5)
      ? dice.pick(['cross-site', 'same-origin', 'same-site', 'none', dice.noise(10)])
      : undefined;
    const headers = {
      host,
      origin,
      'sec-fetch-site': site,
      'sec-fetch-mode': dice.pick([undefined, 'navigate', 'cors']),
    };
    const visit = {
      method: dice.pick(['GET', 'POST', 'OPTIONS']),
      path: dice.pick(['/', '/ui/x', '/v1/jobs']),
      headers,
    };
    withInput(visit, () => {
      const refusal = refusalOf(visit, OWN);
      if (refusal !== undefined)
        return must(refusal.message !== '' && refusal.remedy !== '', 'why and what to do', refusal);
      must(host === '' || OURS.test(host.trim()), 'a foreign host is refused', host);
      must(site !== 'cross-site' || visit.path !== '/v1/jobs', 'nothing cross-site reaches /v1', visit);
    });
  },
};

const credentials: Target = {
  name: 'credentials',
  weight: 2,
  // A wrong password costs that much on purpose.
  limitMs: 2_000,
  async run(dice) {
    const files = {
      basic: dice.mangle('# people\nann:secret-1\nbob:secret-2\n'),
      tokens: dice.mangle('token-1234567890\n'),
    };
    const header = dice.mangle(
      dice.chance(0.02)
        ? `Basic ${Buffer.from('ann:wrong').toString('base64')}`
        : dice.pick(['Bearer wrong-token', 'Bearer', 'Digest x', '']),
    );
    await withInputAsync([files, header], async () => {
      const parsed = parseCredentials(files);
      if (!parsed.ok)
        return must(
          parsed.message !== '' && !parsed.message.includes('secret-'),
          'a message without secrets',
          parsed.message,
        );
      const verdict = await parsed.credentials.check(header);
      must(['ok', 'missing', 'wrong', 'busy'].includes(verdict), 'a verdict', verdict);
    });
  },
};

const jobHttp: Target = {
  name: 'http job texts',
  weight: 8,
  limitMs: 400,
  async run(dice) {
    const text = dice.mangle(
      dice.pick([
        '["A: b","C: d"]',
        'A: b',
        '120',
        'Sun, 22 Nov 2026 17:00:00 GMT',
        '200-204,301',
        '5xx',
        'https://example.org/a?b',
        '//example.org',
        '/x',
        'o[k]+',
        '(a|b)*c{1,50}',
        '(?i)^ok$',
        '[[:alpha:]]+',
        '(((a{100}){100}){100})',
      ]),
    );
    await withInputAsync(text, async () => {
      must(typeof parseHeaders(text) === 'object', 'headers or a problem');
      const wait = parseRetryAfter(text, Date.UTC(2026, 10, 22));
      must(wait === undefined || (Number.isFinite(wait) && wait >= 0), 'a wait', wait);
      must(typeof parseExpectCode(text) === 'object', 'codes or a problem');
      const step = redirectStep(
        { method: 'POST', url: new URL('https://example.org/'), headers: [], body: '' },
        302,
        text,
        0,
      );
      must(typeof step === 'object', 'a step');
      const expectation = await compileExpectation(text);
      must(
        expectation.ok || (expectation.problem !== '' && !expectation.problem.includes('\n')),
        'a pattern or a problem',
        expectation,
      );
    });
  },
};

/** Answers what the next input says. */
class Answerer {
  readonly #server = createServer((request, response) => {
    request.resume();
    response.writeHead(this.status, { 'content-type': 'application/json' }).end(this.body);
  });
  status = 200;
  body: Buffer | string = '';
  #database: Database | undefined;

  async database(): Promise<Database> {
    if (this.#database !== undefined) return this.#database;
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#database = openRqlite({
      url: `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`,
      timeoutMs: 2_000,
    }));
  }

  async close(): Promise<void> {
    await this.#database?.close();
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

const answerer = new Answerer();
const ANSWERS = [
  {
    results: [
      {
        columns: ['a', 'b'],
        types: ['integer', 'text'],
        values: [
          [1, 'x'],
          [2, null],
        ],
        time: 0.1,
      },
    ],
  },
  { results: [{ last_insert_id: 1, rows_affected: 1 }] },
  { results: [{ error: 'UNIQUE constraint failed: occurrences.job_id' }] },
  { results: [{ error: 'database or disk is full' }] },
  { results: [{ error: 'database disk image is malformed' }] },
  { results: [], error: 'leadership lost' },
];

const rqlite: Target = {
  name: 'rqlite answers',
  weight: 3,
  limitMs: 1_000,
  async run(dice) {
    const database = await answerer.database();
    answerer.status = dice.pick([200, 200, 200, 400, 401, 500, 503]);
    answerer.body = dice.chance(0.6)
      ? JSON.stringify(dice.mangleJson(dice.pick(ANSWERS), 0.1))
      : dice.mangle(JSON.stringify(dice.pick(ANSWERS)));
    const read = dice.chance(0.5);
    await withInputAsync([answerer.status, answerer.body, read ? 'read' : 'write'], async () => {
      try {
        if (read) await database.read('leader', 'SELECT a, b FROM t');
        else await database.write([{ sql: 'UPDATE t SET a = 1', params: [] }]);
      } catch (error) {
        must(error instanceof AppError, 'only errors of the port', error instanceof Error ? error.stack : error);
      }
    });
  },
  close: () => answerer.close(),
};

export const networkTargets = [visits, credentials, jobHttp, rqlite];
