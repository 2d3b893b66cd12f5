/** What jobs do in a measurement, and how it is known from outside that they did: a program that appends lines, or requests to an nginx. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { BenchContext } from '../lib/benchmark.ts';
import { sleep } from './node.ts';

/** How a job is started: a program directly, the same through /bin/sh, or a request. */
export type Way = 'direct' | 'sh' | 'http';

/** A start seen from outside. Instants epoch ms. */
export interface Arrival {
  readonly job: string;
  readonly at: number;
  /** When the job was told it was due. */
  readonly due: number;
}

export interface Target {
  readonly way: Way;
  /** The executor part of a job definition. */
  job(name: string): Record<string, unknown>;
  arrivals(): Arrival[];
}

export async function openTarget(context: BenchContext, way: Way): Promise<Target> {
  return way === 'http' ? openSink(context) : openHits(context, way);
}

/** The program that the measured shell jobs start. */
export function hitProgram(context: BenchContext): string {
  const program = join(context.scratch, 'hit');
  if (!existsSync(program)) execFileSync('gcc', ['-O2', '-o', program, join(import.meta.dirname, '..', 'hit.c')]);
  return program;
}

function openHits(context: BenchContext, way: Way): Target {
  const program = hitProgram(context);
  const file = join(context.scratch, `hits-${way}.log`);
  writeFileSync(file, '');
  return {
    way,
    job: (name) => ({
      executor: 'shell',
      executor_config: { command: `${program} ${file} ${name}`, ...(way === 'sh' ? { shell: 'true' } : {}) },
    }),
    arrivals: () => readFileSync(file, 'utf8').split('\n').flatMap(hitOf),
  };
}

function hitOf(line: string): Arrival[] {
  const [kind, job = '', ns = '', due = ''] = line.split(' ');
  return kind === 'S' ? [{ job, at: Number(BigInt(ns) / 1000n) / 1000, due: Date.parse(due) }] : [];
}

/** nginx, because a sink written in JavaScript would be what is measured. */
export async function openSink(context: BenchContext): Promise<Target & { readonly url: string }> {
  const directory = join(context.scratch, 'sink');
  mkdirSync(directory, { recursive: true });
  const port = await freePort();
  writeFileSync(join(directory, 'sink.conf'), sinkConfig(port));
  const nginx = spawn('nginx', ['-p', directory, '-c', 'sink.conf', '-e', 'errors.log'], { stdio: 'inherit' });
  const exited = new Promise<void>((done) => nginx.once('exit', () => done()));
  context.defer(async () => {
    if (nginx.exitCode === null) nginx.kill('SIGTERM');
    await exited;
  });
  const log = join(directory, 'hits.log');
  for (let tries = 0; !existsSync(log) && tries < 500; tries++) await sleep(10);
  if (!existsSync(log)) throw new Error('nginx did not start; the http measurements need it (Debian: nginx-light)');
  const url = `http://127.0.0.1:${port}`;
  return {
    way: 'http',
    url,
    job: (name) => ({
      executor: 'http',
      executor_config: { method: 'GET', url: `${url}/${name}`, expectCode: '200', timeout: '30' },
    }),
    arrivals: () => readFileSync(log, 'utf8').split('\n').flatMap(requestOf),
  };
}

function requestOf(line: string): Arrival[] {
  const [seconds = '', path = '', due = ''] = line.split(' ');
  return path === '' ? [] : [{ job: path.slice(1), at: Number(seconds) * 1000, due: Date.parse(due) }];
}

function sinkConfig(port: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${kind};`)
    .join(' ');
  return `daemon off; worker_processes 1; pid sink.pid; events { worker_connections 8192; }
http {
  log_format hit '$msec $uri $http_belfry_scheduled_at'; access_log hits.log hit; keepalive_requests 1000000; ${temporary}
  server { listen 127.0.0.1:${port} backlog=8192; location / { return 200 'ok'; } }
}
`;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}
