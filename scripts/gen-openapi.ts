// Writes docs/openapi.json from the routes; with --check only says whether it is up to date.
import { readFile, writeFile } from 'node:fs/promises';
import { allRoutes, HTTP_DEFAULTS } from '../src/http/app.ts';
import { openApiDocument } from '../src/http/openapi.ts';
import type { Services } from '../src/http/services.ts';
import { systemClock } from '../src/lib/clock.ts';

const FILE = new URL('../docs/openapi.json', import.meta.url);

/** The routes' declarations need no services: only handlers do, and none is called here. */
export async function openApiText(): Promise<string> {
  const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  const services = { node: { version } } as unknown as Services;
  const options = {
    ...HTTP_DEFAULTS,
    hosts: [],
    credentials: null,
    tls: null,
    ui: true,
    prometheus: true,
    clock: systemClock,
    onError: () => undefined,
  };
  return `${JSON.stringify(openApiDocument(allRoutes(options, services), version), null, 2)}\n`;
}

async function main(): Promise<number> {
  const text = await openApiText();
  if (!process.argv.includes('--check')) {
    await writeFile(FILE, text);
    return 0;
  }
  if ((await readFile(FILE, 'utf8')) === text) return 0;
  process.stderr.write('docs/openapi.json is not what the routes declare: npm run gen\n');
  return 1;
}

if (import.meta.main) process.exitCode = await main();
