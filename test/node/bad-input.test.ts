// Bad input over HTTP: 4xx with the field and what to do, nothing changed, never a stack trace.
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startNode, type TestNode } from '../kit/node.ts';
import { create, manual } from './kit.ts';

let node: TestNode;
beforeAll(async () => {
  node = await startNode();
  await create(node, manual('parent', 'true'));
  await create(node, { ...manual('child', 'true'), schedule: '', parent_job: 'parent' });
}, 60_000);
afterAll(() => node.stop());

const job = (over: object): string =>
  JSON.stringify({
    name: 'fine',
    schedule: '@daily',
    executor: 'shell',
    executor_config: { command: 'true' },
    ...over,
  });
const state = async (): Promise<string> => (await node.get('/v1/jobs?_sort=name')).text;

interface Bad {
  readonly method?: string;
  readonly path?: string;
  readonly body?: string | Buffer;
  readonly status: number;
  readonly says: RegExp;
}

const CASES: Readonly<Record<string, Bad>> = {
  'a body over 1 MiB': {
    body: job({ displayname: 'x'.repeat(1_100_000) }),
    status: 413,
    says: /too large.*--max-body/,
  },
  'malformed JSON': { body: '{"name": "fine", "schedule" "@daily"}', status: 400, says: /line 1, column 29/ },
  'half a body': { body: '{"name": "fi', status: 400, says: /ends inside a string/ },
  'an empty body': { body: '', status: 400, says: /unable to parse payload/ },
  'a list': { body: '[]', status: 400, says: /JSON object/ },
  'bytes that are no text': { body: Buffer.from([0xff, 0xfe, 0x00]), status: 400, says: /line 1/ },
  'deep nesting': { body: '['.repeat(200_000), status: 400, says: /unable to parse payload/ },
  'a number for a text': { body: job({ schedule: 5 }), status: 400, says: /schedule: expected a string/ },
  'a text for a number': { body: job({ retries: 'three' }), status: 400, says: /retries: expected/ },
  'negative retries': { body: job({ retries: -1 }), status: 400, says: /retries: .*0/ },
  'half a retry': { body: job({ retries: 1.5 }), status: 400, says: /retries/ },
  'too many retries': {
    body: '{"name":"fine","schedule":"@daily","retries":9223372036854775808}',
    status: 400,
    says: /retries/,
  },
  'a list for a map': { body: job({ tags: ['a'] }), status: 400, says: /tags/ },
  'an unknown zone': { body: job({ timezone: 'Europe/Madird' }), status: 400, says: /timezone: .*Europe\/Madrid/ },
  'an unknown zone in the schedule': {
    body: job({ schedule: 'TZ=Mars/Base @daily' }),
    status: 400,
    says: /schedule: .*Mars\/Base/,
  },
  'a name with a slash': { body: job({ name: 'a/b' }), status: 400, says: /name contains illegal character/ },
  'a name with dots': { body: job({ name: '..' }), status: 400, says: /name/ },
  'a name in capitals': { body: job({ name: 'ÉCOLE' }), status: 400, says: /name/ },
  'a name with an emoji': { body: job({ name: 'clock-⏰' }), status: 400, says: /name/ },
  'an empty name': { body: job({ name: '' }), status: 400, says: /name/ },
  'an endless name': { body: job({ name: 'x'.repeat(5_000) }), status: 400, says: /name/ },
  'a 100,000-character schedule': {
    body: job({ schedule: `${'1,'.repeat(50_000)} * * * *` }),
    status: 400,
    says: /schedule is longer|at most \d+ characters/,
  },
  'an impossible schedule': { body: job({ schedule: '0 0 30 2 *' }), status: 400, says: /schedule: / },
  'a schedule with too few fields': { body: job({ schedule: '* *' }), status: 400, says: /schedule: .*fields/ },
  'a schedule with a line break': { body: job({ schedule: '@at 2030\n-01' }), status: 400, says: /schedule: / },
  'a duration that is none': { body: job({ timeout: 'soon' }), status: 400, says: /timeout/ },
  'a policy that is none': { body: job({ misfire: { policy: 'some' } }), status: 400, says: /misfire\.policy/ },
  'an overlap mode that is none': { body: job({ concurrency: 'maybe' }), status: 400, says: /concurrency/ },
  'an instant that is none': { body: job({ starts_at: 'tomorrow' }), status: 400, says: /starts_at/ },
  'itself as parent': { body: job({ parent_job: 'fine' }), status: 400, says: /parent/ },
  'a missing parent': { body: job({ schedule: '', parent_job: 'nobody' }), status: 404, says: /parent job not found/ },
  'parents in a circle': {
    body: JSON.stringify({ ...manual('parent', 'true'), schedule: '', parent_job: 'child' }),
    status: 400,
    says: /parent_job: .*depends on/,
  },
  'an unknown calendar': { body: job({ calendars: ['nobody'] }), status: 400, says: /calendar/ },
  'NaN in JSON': { body: '{"name":"fine","schedule":"@daily","retries":NaN}', status: 400, says: /line 1, column/ },
  'a prototype for a name': { method: 'GET', path: '/v1/jobs/__proto__', status: 404, says: /no job named/ },
  'a path that climbs': { method: 'GET', path: '/v1/jobs/..%2f..%2fetc%2fpasswd', status: 404, says: /no job named/ },
  'a path with a broken escape': { method: 'GET', path: '/v1/jobs/%zz', status: 400, says: /./ },
  'an endless path': { method: 'GET', path: `/v1/jobs/${'x'.repeat(4_000)}`, status: 414, says: /longer than 2,000/ },
  'a run that is none': { method: 'POST', path: '/v1/jobs/nobody/run', status: 404, says: /no job named/ },
  'a group of 2^63': { method: 'GET', path: '/v1/runs/9223372036854775808', status: 400, says: /group/ },
  'NaN as a group': { method: 'GET', path: '/v1/runs/NaN', status: 400, says: /group/ },
  'a negative range': { method: 'GET', path: '/v1/jobs?_start=-1', status: 400, says: /_start/ },
  'a limit that is none': { method: 'GET', path: '/v1/runs?limit=many', status: 400, says: /limit/ },
  'an outcome that is none': { method: 'GET', path: '/v1/runs?outcome=great', status: 400, says: /outcome/ },
  'a cursor nobody gave': { method: 'GET', path: '/v1/runs?cursor=%7B%7D', status: 400, says: /cursor/ },
  'a column that is none': { method: 'GET', path: '/v1/jobs?_sort=password', status: 400, says: /_sort/ },
  'a restore of no jobs': { method: 'POST', path: '/v1/restore', body: '{"a":1}', status: 400, says: /array/ },
  'a cursor to nowhere': {
    method: 'POST',
    path: '/v1/jobs/parent/cursor',
    body: '{"to":"then"}',
    status: 400,
    says: /to/,
  },
  'a calendar with no such day': {
    method: 'PUT',
    path: '/v1/calendars/x',
    body: '{"dates":["2026-02-30"]}',
    status: 400,
    says: /dates/,
  },
};

describe('bad input', () => {
  test.each(Object.entries(CASES))('%s', async (_name, { method = 'POST', path = '/v1/jobs', body, status, says }) => {
    const before = await state();
    const answer = await node.ask(method, path, {
      ...(body === undefined ? {} : { body }),
      headers: { 'content-type': 'application/json' },
    });
    expect({ status: answer.status, text: answer.text }).toEqual({ status, text: expect.stringMatching(says) });
    expect(answer.text).not.toMatch(/\n\s+at |node_modules|\.ts:\d+/);
    expect(answer.text.length).toBeLessThan(2_000);
    if (!answer.headers['content-type']?.includes('json')) expect(answer.text).not.toContain('\n');
    expect(await state()).toBe(before);
  });

  test.each<[string, string]>([
    ['no HTTP at all', 'hello\r\n\r\n'],
    ['two lengths', 'POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}'],
    [
      'a length and chunks',
      'POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a header without end', `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`],
    ['no host', 'GET /v1/jobs HTTP/1.1\r\n\r\n'],
    ['a broken chunk', 'POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'],
  ])('on the wire: %s', async (_name, text) => {
    const answer = await raw(text);
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d |^$/);
    expect(answer).not.toMatch(/\n\s+at |node_modules/);
    expect((await node.get('/health')).status).toBe(200);
  });

  test('after all of it the node has said nothing alarming', () => {
    expect(node.output).not.toMatch(/failed unexpectedly|"level":(50|60)/);
  });
});

/** The bytes as they are, and whatever comes back until the node closes. */
function raw(text: string): Promise<string> {
  const { hostname, port } = new URL(node.url);
  return new Promise((done, fail) => {
    const socket = net.connect(Number(port), hostname, () => socket.write(text));
    let answer = '';
    socket.setTimeout(10_000, () => fail(new Error(`no end of the answer: ${answer}`)));
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
      // A connection that is kept alive after its answer.
      if (answer.includes('\r\n\r\n')) socket.end();
    });
    socket.on('error', () => done(answer));
    socket.on('close', () => done(answer));
  });
}
