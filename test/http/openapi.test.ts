// The committed document says what the routes declare.
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { openApiText } from '../../scripts/gen-openapi.ts';

test('docs/openapi.json is up to date (npm run gen)', async () => {
  expect(await readFile(new URL('../../docs/openapi.json', import.meta.url), 'utf8')).toBe(await openApiText());
});

test('every reference has its schema and every operation its own id', async () => {
  const text = await openApiText();
  const document = JSON.parse(text) as {
    components: { schemas: Record<string, unknown> };
    paths: Record<string, Record<string, { operationId: string }>>;
  };
  for (const [, name] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g))
    expect(document.components.schemas).toHaveProperty(name ?? '');
  const ids = Object.values(document.paths).flatMap((path) =>
    Object.values(path).map((operation) => operation.operationId),
  );
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.length).toBeGreaterThan(35);
});

test('what routes share and what one alone has: bytes beside JSON, refusals before the route', async () => {
  const { paths, components } = JSON.parse(await openApiText());
  expect(Object.keys(paths['/v1/runs/{group}/log'].get.responses['200'].content)).toEqual([
    'application/octet-stream',
    'application/json',
  ]);
  for (const path of Object.values<any>(paths)) {
    for (const { responses, security } of Object.values<any>(path)) {
      expect(responses['403']).toEqual({ $ref: '#/components/responses/Forbidden' });
      // Open to everybody: no credentials, no 401.
      expect(responses['401'] === undefined).toBe(security?.length === 0);
    }
  }
  expect(Object.keys(components.responses)).toEqual(['Unauthorized', 'Forbidden']);
});
