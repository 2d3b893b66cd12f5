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
