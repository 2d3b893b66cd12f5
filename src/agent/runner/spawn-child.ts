/** Starts processes with child_process: the way that works everywhere. About 1 ms of blocked loop each, so the agent runs two of these. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, unlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { Clock } from '../../lib/clock.ts';
import { type Cgroups, enterCgroup, limitCgroup } from './cgroup.ts';
import type { Spawner, SpawnListener, SpawnRequest, SpawnResult } from './spawner.ts';

export class ChildProcessSpawner implements Spawner {
  readonly kind = 'child_process';
  readonly ready = Promise.resolve();
  readonly depth = Number.POSITIVE_INFINITY;
  readonly #clock: Clock;
  readonly #cgroups: Cgroups | null;
  readonly #listener: SpawnListener;

  /** `cgroups`: null: no run has a control group. */
  constructor(clock: Clock, cgroups: Cgroups | null, listener: SpawnListener) {
    this.#clock = clock;
    this.#cgroups = cgroups;
    this.#listener = listener;
  }

  spawn(request: SpawnRequest, done: (result: SpawnResult) => void): void {
    this.#spawn(request, (result) => {
      done(result);
      this.#listener.settled();
    });
  }

  #spawn(request: SpawnRequest, done: (result: SpawnResult) => void): void {
    const startedAtUs = this.#clock.nowUs();
    const opened: number[] = [];
    try {
      const stdin = request.stdin === null ? 'ignore' : openPayload(request, opened);
      const out = openKept(request.outPath, opened);
      const err = openKept(request.errPath, opened);
      const child = spawn(request.program, request.words.slice(1), {
        argv0: request.words[0],
        env: { ...request.environment },
        cwd: request.cwd ?? undefined,
        detached: true,
        stdio: [stdin, out, err],
      });
      const { pid } = child;
      child.once('error', (error) => {
        if (pid === undefined) done({ kind: 'failed', code: codeOf(error) });
      });
      if (pid === undefined) return;
      child.once('exit', (code, signal) =>
        this.#listener.exited([{ pid, status: code === null ? signalNumber(signal) : code << 8 }]),
      );
      const cgroup = request.ownGroup ? this.#group(pid, request.memLimitBytes) : null;
      done({ kind: 'spawned', pid, startedAtUs, startTicks: null, cgroup });
    } catch (error) {
      // spawn throws for arguments the kernel cannot take (E2BIG, NUL bytes) and openSync for files it cannot open.
      done({ kind: 'failed', code: codeOf(error) });
    } finally {
      for (const fd of opened) closeSync(fd);
    }
  }

  /** What the process forked before stays outside, and is found by the other nets. */
  #group(pid: number, memLimitBytes: number | null): string | null {
    const path = this.#cgroups?.create() ?? null;
    if (path === null) return null;
    enterCgroup(path, pid);
    if (memLimitBytes !== null) limitCgroup(path, memLimitBytes);
    return path;
  }

  /** libuv does it. */
  reap(): void {}

  close(): void {}
}

function openKept(path: string, opened: number[]): number {
  const fd = openSync(path, 'a', 0o640);
  opened.push(fd);
  return fd;
}

/** A file, not a pipe: any size, nothing to deadlock on. It is unlinked before the job can read it, so it cannot be left behind. */
function openPayload(request: SpawnRequest, opened: number[]): number {
  const path = request.stdinPath;
  writeFileSync(path, request.stdin as Uint8Array, { mode: 0o600, flag: 'wx' });
  const fd = openSync(path, 'r');
  opened.push(fd);
  unlinkSync(path);
  return fd;
}

function codeOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ERR_INVALID_ARG_VALUE') return 'EINVAL';
  return code ?? 'EIO';
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return signal === null ? 0 : constants.signals[signal];
}
