// Generated files are what their source says; planted differences are seen.
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..', '..');

let tree: string;
beforeEach(() => {
  tree = mkdtempSync(join(tmpdir(), 'belfry-gen-'));
  for (const name of ['src', 'scripts', 'docs', 'package.json'])
    cpSync(join(root, name), join(tree, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
});
afterEach(() => rmSync(tree, { recursive: true, force: true }));

function gen(...args: string[]): Promise<{ code: number | null; out: string }> {
  return new Promise((done) => {
    const all = ['--disable-warning=ExperimentalWarning', join(tree, 'scripts', 'gen.ts'), ...args];
    const child = execFile(process.execPath, all, (_error, stdout, stderr) =>
      done({ code: child.exitCode, out: stdout + stderr }),
    );
  });
}

test('a changed option makes the check fail until gen has run; a second run changes nothing', async () => {
  await gen();
  expect(await gen('--check')).toEqual({ code: 0, out: '' });

  const file = join(tree, 'src', 'model', 'options', 'runs.ts');
  const source = readFileSync(file, 'utf8');
  expect(source).toContain('default: 500');
  writeFileSync(file, source.replace('default: 500', 'default: 501'));
  expect(await gen('--check')).toEqual({
    code: 1,
    out: expect.stringContaining('docs/configuration.md is not what its source says'),
  });

  expect(await gen()).toEqual({ code: 0, out: 'wrote docs/configuration.md\n' });
  expect(readFileSync(join(tree, 'docs', 'configuration.md'), 'utf8')).toContain('default `501`');
  expect(await gen('--check')).toEqual({ code: 0, out: '' });
});
