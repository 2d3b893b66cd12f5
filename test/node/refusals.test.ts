// What a person meets when a node cannot start: the reason, what to do, and nothing changed.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startNode } from '../kit/node.ts';
import { create, manual, runToEnd } from './kit.ts';

const BELFRY = resolve(import.meta.dirname, '..', '..', 'bin', 'belfry');

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'belfry-refusals-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));

/** Runs bin/belfry to its end. */
function belfry(args: readonly string[], env: Record<string, string> = {}): Promise<{ code: number; said: string }> {
  return ended(BELFRY, args, env);
}

function ended(program: string, args: readonly string[], env: Record<string, string> = {}) {
  const options = {
    cwd: directory,
    env: { PATH: process.env['PATH'] ?? '', HOME: directory, ...env },
    timeout: 25_000,
  };
  return new Promise<{ code: number; said: string }>((done) => {
    execFile(program, args, options, (error, stdout, stderr) =>
      done({ code: error === null ? 0 : Number(error.code ?? 99), said: stdout + stderr }),
    );
  });
}

test('a second node on the same directory is refused and told who has it', async () => {
  await using node = await startNode();
  const { code, said } = await belfry(['agent', '--data-dir', node.dataDir, '--http-addr', '127.0.0.1:0']);
  expect(code).toBe(1);
  expect(said).toContain(`is in use by process ${node.pid}`);
  expect(said).toMatch(/kill \d+|--data-dir/);
  // The very same start again: the directory says more than the port would.
  const again = await belfry(['agent', '--data-dir', node.dataDir, '--http-addr', new URL(node.url).host]);
  expect(again).toEqual({ code: 1, said });
  expect((await node.get('/health')).status).toBe(200);
});

test('control groups that were asked for and cannot be had', async ({ skip }) => {
  const readOnly =
    'for m in $(findmnt -nt cgroup2 -o TARGET); do mount -o remount,ro,bind "$m" || exit 77; done; exec "$@"';
  const args = ['agent', '--data-dir', 'data', '--http-addr', '127.0.0.1:0', '--cgroups', 'on'];
  const { code, said } = await ended('unshare', ['-m', '/bin/sh', '-c', readOnly, 'sh', BELFRY, ...args]);
  if (code === 77 || said.startsWith('unshare:')) return skip('no filesystem may be mounted here');
  expect(code).toBe(1);
  expect(said.trim().split('\n').at(-1)).toMatch(/^belfry: The runner process cannot start: cgroups: on was asked for/);
});

test('a port in use is named, with another to take', async () => {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const { code, said } = await belfry([
    'agent',
    '--data-dir',
    join(directory, 'd'),
    '--http-addr',
    `127.0.0.1:${port}`,
  ]);
  server.close();
  expect(code).toBe(1);
  expect(said).toContain(`Cannot listen on 127.0.0.1:${port}: another program listens there`);
  expect(said).toMatch(/--http-addr/);
  expect(said).not.toMatch(/^\s+at /m);
  expect(existsSync(join(directory, 'd'))).toBe(false);
});

test.each([
  ['198.51.100.7:8080', 'no network interface of this machine has that address'],
  ['no-such-host.invalid:8080', 'the name has no address'],
])('%s: why it cannot be listened on, before anything is made', async (address, cause) => {
  const flags = ['--data-dir', join(directory, 'd'), '--http-addr', address, '--insecure-http', '--log-format', 'json'];
  const { code, said } = await belfry(['agent', ...flags]);
  expect(code).toBe(1);
  expect(said).toMatch(new RegExp(`Cannot listen on ${address}: ${cause}\\.\\n  \\w.*--http-addr`));
  expect(existsSync(join(directory, 'd'))).toBe(false);
});

test.each<[string, (path: string) => void]>([
  ['torn', (path) => writeFileSync(path, readFileSync(path).fill(0x5a, 4096, 20_000))],
  ['cut off', (path) => truncateSync(path, 10_000)],
  ['empty', (path) => truncateSync(path, 0)],
])('a %s database is met with the restore command, and left as it is', async (_name, damage) => {
  const dataDir = join(directory, 'data');
  mkdirSync(dataDir);
  const first = await startNode({ dataDir });
  await create(first, manual('one', 'true'));
  await runToEnd(first, 'one');
  await first.stop();
  const path = join(dataDir, 'belfry.db');
  damage(path);
  const before = readFileSync(path);
  const { code, said } = await belfry(['agent', '--data-dir', dataDir, '--http-addr', '127.0.0.1:0']);
  expect(code).toBe(1);
  expect(said).toContain(`belfry backup restore FILE --data-dir ${dataDir}`);
  expect(said).toMatch(/damaged/);
  expect(said).not.toMatch(/^\s+at /m);
  expect(readFileSync(path).equals(before)).toBe(true);
});

test('everything wrong with the configuration is named at once, before anything starts', async () => {
  const file = join(directory, 'bad.yml');
  writeFileSync(file, 'max-rnus: 5\nlog-level: loud\n');
  const args = [
    '--config',
    file,
    '--data-dir',
    join(directory, 'd'),
    '--http-adr',
    '127.0.0.1:1',
    '--misfire-grace',
    'soon',
    '--timezone',
    'Europe/Madird',
  ];
  const { code, said } = await belfry(['agent', ...args], { BELFRY_DISK_RESERVE: 'lots' });
  expect(code).toBe(2);
  for (const part of [
    'max-rnus',
    'max-runs',
    'log-level',
    '--http-adr',
    'http-addr',
    'misfire-grace',
    'Europe/Madrid',
    'BELFRY_DISK_RESERVE',
  ]) {
    expect(said).toContain(part);
  }
  expect(() => readFileSync(join(directory, 'd', 'belfry.db'))).toThrow(/ENOENT/);
});

test('an open port without credentials is refused before anything is made', async () => {
  const { code, said } = await belfry(['agent', '--data-dir', join(directory, 'd'), '--http-addr', '0.0.0.0:0']);
  expect(code).not.toBe(0);
  expect(said).toMatch(/--auth-token-file/);
  expect(() => readFileSync(join(directory, 'd', 'belfry.db'))).toThrow(/ENOENT/);
});

test('a directory that cannot be written is named', async () => {
  writeFileSync(join(directory, 'file'), '');
  const { code, said } = await belfry([
    'agent',
    '--data-dir',
    join(directory, 'file', 'd'),
    '--http-addr',
    '127.0.0.1:0',
  ]);
  expect(code).toBe(1);
  expect(said).toContain('--data-dir');
  expect(said).not.toMatch(/^\s+at /m);
});
