/**
 * `npm run gen` writes everything that derives from something else; `npm run check` fails when a committed file is not what would be
 * written (`--check`). To generate another file, add it to GENERATED.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { openApiText } from './gen-openapi.ts';
import { configurationDocs } from './generate/configuration-docs.ts';

/** Path in the repository → its whole text. */
const GENERATED: Readonly<Record<string, () => string | Promise<string>>> = {
  'docs/configuration.md': configurationDocs,
  'docs/openapi.json': openApiText,
};

const root = resolve(import.meta.dirname, '..');
const onlyCheck = process.argv.includes('--check');

for (const [path, make] of Object.entries(GENERATED)) {
  const file = resolve(root, path);
  const before = existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  const after = await make();
  if (before === after) continue;
  if (onlyCheck) {
    console.log(`${path} is not what its source says: run "npm run gen" and commit the change.`);
    process.exitCode = 1;
  } else {
    writeFileSync(file, after);
    console.log(`wrote ${path}`);
  }
}
