// A run says at its end what it skipped and why: shown on a planted run with the real configuration.
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..', '..');

const PLANTED = `
import { expect, test } from 'vitest';
import { skipUnless } from './kit/skip.ts';

skipUnless(true, 'never said')('has it', () => test('runs', () => expect(1).toBe(1)));
skipUnless(false, 'no such binary')('lacks it', () => {
  test('one', () => expect(1).toBe(2));
  test('two', () => expect(1).toBe(2));
});
test('late', (context) => context.skip('not on this kernel'));
`;

let tree: string;
beforeEach(() => {
  tree = mkdtempSync(join(tmpdir(), 'belfry-skip-'));
  mkdirSync(join(tree, 'test', 'kit'), { recursive: true });
  for (const name of ['vitest.config.ts', 'package.json', 'test/kit/skip.ts', 'test/kit/skip-reporter.ts']) {
    cpSync(join(root, name), join(tree, name));
  }
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
});
afterEach(() => rmSync(tree, { recursive: true, force: true }));

function run(...args: string[]): Promise<{ code: number | null; out: string }> {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const env = { PATH: process.env['PATH'], HOME: tree, NO_COLOR: '1', TEST_REPORT: join(tree, 'report.json') };
  return new Promise((done) => {
    const child = execFile(process.execPath, [vitest, 'run', ...args], { cwd: tree, env }, (_error, stdout, stderr) =>
      done({ code: child.exitCode, out: stdout + stderr }),
    );
  });
}

test('reasons and counts, and a long test only when all are asked for', async () => {
  writeFileSync(join(tree, 'test', 'planted.test.ts'), PLANTED);
  writeFileSync(
    join(tree, 'test', 'slow.long.test.ts'),
    "import { expect, test } from 'vitest';\n\ntest('slow', () => expect(1).toBe(1));\n",
  );
  const { code, out } = await run();
  expect(code, out).toBe(0);
  expect(out).toMatch(/Skipped:\n {2}2 tests: no such binary\n {2}1 test: not on this kernel\n/);
  expect(out).not.toContain('never said');
  expect(out).toMatch(/Tests +1 passed \| 3 skipped/);
  expect((await run('--mode', 'all')).out).toMatch(/Tests +2 passed \| 3 skipped/);
});
