// `npm run check`: everything that can be said about the source without running it. Runs every step, then says which failed.
import { spawn } from 'node:child_process';
import { delimiter, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');

const node = [process.execPath, '--disable-warning=ExperimentalWarning'];

const STEPS: readonly (readonly [string, readonly string[]])[] = [
  ['types', ['tsc', '-p', '.']],
  ['lint', ['oxlint', '--deny-warnings', '--report-unused-disable-directives']],
  ['format', ['oxfmt', '--check']],
  ['unused', ['knip', '--no-progress']],
  ['sizes', [...node, 'scripts/ratchet.ts']],
  ['generated', [...node, 'scripts/gen.ts', '--check']],
];

const failed: string[] = [];
for (const [name, command] of STEPS) {
  const began = performance.now();
  const { exitCode, output } = await run(command);
  console.log(`${exitCode === 0 ? 'ok  ' : 'FAIL'} ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
  if (exitCode === 0) continue;
  failed.push(name);
  console.log(output);
}
console.log(`${STEPS.length - failed.length} passed, ${failed.length} failed`);
process.exitCode = failed.length === 0 ? 0 : 1;

function run([file = '', ...args]: readonly string[]): Promise<{ exitCode: number; output: string }> {
  return new Promise((done, fail) => {
    const chunks: string[] = [];
    const path = [join(root, 'node_modules', '.bin'), process.env['PATH'] ?? ''].join(delimiter);
    const child = spawn(file, args, {
      cwd: root,
      env: { ...process.env, PATH: path },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => chunks.push(chunk));
    }
    child.on('error', fail);
    child.on('close', (code) => done({ exitCode: code ?? 1, output: chunks.join('') }));
  });
}
