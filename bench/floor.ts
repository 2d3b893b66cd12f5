/**
 * What this machine can do in this hour without Belfry: bare programs that take one step each, beside which the other figures are read.
 * --requests 10000 (http requests at once, through undici alone; needs nginx)  --syncs 200  --answers 400  --posts 5000
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Pool } from 'undici';
import { Client } from './drive/client.ts';
import { createJobs, NOTHING } from './drive/jobs.ts';
import { sleep } from './drive/node.ts';
import { openSink } from './drive/targets.ts';
import { bareStarts } from './floor/starts.ts';
import type { Benchmark, BenchContext, Figures } from './lib/benchmark.ts';
import { latencies, rounded } from './lib/samples.ts';

export const floor: Benchmark = {
  name: 'floor',
  about: 'the machine without Belfry: bare programs that do one step each',
  async run(context) {
    const server = await startServer(context);
    return [
      { name: 'starts, C loop', figures: { starts_per_s: bareStarts(context, 'direct') } },
      { name: 'starts, C loop, sh -c', figures: { starts_per_s: bareStarts(context, 'sh') } },
      { name: 'two synced writes', figures: await syncs(context) },
      { name: 'http requests at once, undici', figures: await requests(context) },
      { name: 'GET of a constant', figures: await answers(context, server) },
      { name: 'POST, one row each', figures: await posts(context, server) },
    ];
  },
};

/** As many bytes as the intent of a lone run, and its accept mark. */
const INTENT_BYTES = 24_576;
const MARK_BYTES = 350;
const SYNC_EVERY_MS = 50;

/** What a run that is due alone waits for: its intent on disk, then the mark that it was accepted. */
async function syncs(context: BenchContext): Promise<Figures> {
  const files = ['intent', 'mark'].map((name) => openSync(join(context.scratch, name), 'w'));
  const pieces = [Buffer.alloc(INTENT_BYTES, 1), Buffer.alloc(MARK_BYTES, 1)];
  const ms: number[] = [];
  for (let i = 0; i < context.option('syncs', 200); i++) {
    await sleep(SYNC_EVERY_MS);
    const from = performance.now();
    for (const [at, file] of files.entries()) {
      writeSync(file, pieces[at] as Buffer);
      fdatasyncSync(file);
    }
    ms.push(performance.now() - from);
  }
  return latencies('both', ms);
}

const CONNECTIONS = 64;
const ROUNDS = 3;

async function requests(context: BenchContext): Promise<Figures> {
  const { url } = await openSink(context);
  const pool = new Pool(url, { connections: CONNECTIONS });
  context.defer(() => pool.close());
  const count = context.option('requests', 10_000);
  const ms: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const from = performance.now();
    await Promise.all(
      Array.from({ length: count }, async () => {
        const { body } = await pool.request({ method: 'GET', path: '/bare' });
        await body.dump();
      }),
    );
    ms.push(performance.now() - from);
  }
  return { first_ms: rounded(ms[0] as number), third_ms: rounded(ms[2] as number) };
}

async function startServer(context: BenchContext): Promise<string> {
  const script = join(import.meta.dirname, 'floor', 'server.ts');
  const child = fork(script, [join(context.scratch, 'floor.db')]);
  context.defer(async () => {
    child.disconnect();
    await once(child, 'exit');
  });
  const [port] = (await once(child, 'message')) as [number];
  return `http://127.0.0.1:${port}`;
}

/** About as long as the driver's other reads between two of its gets. */
const PAUSE_MS = 3;

async function answers(context: BenchContext, url: string): Promise<Figures> {
  const client = new Client(url);
  context.defer(() => client.close());
  const count = context.option('answers', 400);
  const ms: number[] = [];
  for (let i = 0; i < count * 2; i++) {
    ms.push(await client.timed('/'));
    await sleep(PAUSE_MS);
  }
  // The first half warms both ends up.
  return latencies('get', ms.slice(count));
}

async function posts(context: BenchContext, url: string): Promise<Figures> {
  const client = new Client(url);
  context.defer(() => client.close());
  return { posts_per_s: await createJobs({ client }, context.option('posts', 5_000), '@manually', NOTHING) };
}
