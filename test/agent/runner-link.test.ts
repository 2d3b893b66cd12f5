// The node's end of the connection to a runner.
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runnerDirectory } from '../../src/agent/paths.ts';
import { greetingOf, RunnerLink } from '../../src/agent/runner-link.ts';
import { systemClock } from '../../src/lib/clock.ts';

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'belfry-link-'));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

test('one closed while it connects greets nobody and keeps no process from ending', async () => {
  mkdirSync(runnerDirectory(dataDir, 'r'), { recursive: true });
  await using server = createServer().listen(join(runnerDirectory(dataDir, 'r'), 'sock'));
  await once(server, 'listening');
  const target = { runner: 'r', pid: process.pid, draining: false, ended: () => false, kill: () => undefined };
  const nothing = () => undefined;
  const events = { message: nothing, dead: nothing, silent: nothing, hung: nothing };
  const link = new RunnerLink(dataDir, target, systemClock, events);
  const connection = once(server, 'connection') as Promise<[Socket]>;
  link.open(() => greetingOf(1, false));
  link.close();
  const [socket] = await connection;
  let heard = '';
  socket.on('data', (chunk) => (heard += String(chunk)));
  await once(socket, 'close');
  expect(heard).toBe('');
});
