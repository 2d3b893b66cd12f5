// Whatever is sent to whatever route: an answer below 500, without a stack trace, and a node that is well afterwards.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { create, manual, nodeForFile } from './kit.ts';

const node = nodeForFile({ args: ['--max-body', '64KiB', '--max-restore-body', '64KiB'] });
const REQUESTS = 1_500;

interface Document {
  paths: Record<string, Record<string, { parameters?: { name: string; in: string }[] }>>;
}
const document = JSON.parse(
  readFileSync(new URL('../../docs/openapi.json', import.meta.url), 'utf8'),
) as unknown as Document;

const routes = Object.entries(document.paths)
  .flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [] }]) => ({ path, method, parameters })),
  )
  .filter(({ path }) => !['/v1/leave', '/v1/pause'].includes(path));

const FIELDS = [
  'name',
  'schedule',
  'timezone',
  'tags',
  'metadata',
  'retries',
  'parent_job',
  'processors',
  'concurrency',
  'executor',
  'executor_config',
  'starts_at',
  'expires_at',
  'misfire',
  'dst',
  'jitter',
  'calendars',
  'timeout',
  'retry',
  'run_if_past',
  'success_count',
  'last_success',
  'next',
  'to',
  'from',
  'count',
  'dates',
  'weekdays',
  'ranges',
  '__proto__',
];
const word = fc.oneof(
  fc.constantFrom(
    'a',
    'b',
    '..',
    '@every 1s',
    '@at 2099-01-01T00:00:00Z',
    '* * * * *',
    '0 0 31 2 *',
    'forbid',
    'shell',
    '2026-01-01T00:00:00Z',
    '1',
    '-1',
    '9223372036854775808',
    'DESC',
    'name',
    'Europe/Berlin',
    'é',
    '',
  ),
  fc.string({ unit: 'binary', maxLength: 20 }),
);
const value = fc.oneof(
  word,
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.array(word, { maxLength: 3 }),
  fc.dictionary(word, word, { maxKeys: 3 }),
  fc.jsonValue({ maxDepth: 2 }),
);
const object = fc.dictionary(fc.oneof(fc.constantFrom(...FIELDS), word), value, { maxKeys: 8 });
const body = fc.oneof(
  fc.constant(undefined),
  object.map((fields) => JSON.stringify(fields)),
  object.map((fields) => JSON.stringify({ name: 'a', schedule: '@manually', ...fields })),
  fc.array(object, { maxLength: 3 }).map((jobs) => JSON.stringify(jobs)),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
);
const type = fc.constantFrom(
  'application/json',
  'text/plain',
  'multipart/form-data; boundary=x',
  'multipart/form-data',
  '',
  ';;;',
);
const request = fc.record({
  route: fc.constantFrom(...routes),
  words: fc.array(fc.oneof(fc.constant('a'), word), { minLength: 3, maxLength: 3 }),
  query: fc.array(fc.option(word, { nil: undefined, freq: 2 }), { minLength: 8, maxLength: 8 }),
  body,
  type,
  accept: fc.constantFrom('*/*', 'application/json', ''),
});

test(`${REQUESTS} requests of nonsense`, async () => {
  await create(node(), manual('a'));
  await create(node(), manual('b', { schedule: '', parent_job: 'a' }));
  await fc.assert(
    fc.asyncProperty(request, async ({ route, words, query, body, type, accept }) => {
      let used = 0;
      const path = route.path.replaceAll(/\{\w+\}/g, () => encodeURIComponent((words[used++] ?? 'a').toWellFormed()));
      const parameters = route.parameters.filter((parameter) => parameter.in === 'query');
      const given = parameters.flatMap(({ name }, i) =>
        query[i] === undefined ? [] : [[name, query[i].toWellFormed()]],
      );
      const search = given.map((pair) => pair.map((part) => encodeURIComponent(part ?? '')).join('=')).join('&');
      const answer = await node().ask(route.method.toUpperCase(), `${path}?${search}`, {
        headers: { 'content-type': type, accept },
        body,
      });
      expect(answer.status).toBeLessThan(500);
      expect(answer.text).not.toMatch(/\n +at |node_modules|\.ts:\d+/);
    }),
    { numRuns: REQUESTS },
  );
  expect((await node().get('/health')).json()).toEqual({ leader: true, status: 'healthy' });
  expect(node().output).not.toContain('a request failed unexpectedly');
}, 120_000);
