/** Durability seen from outside: under strace, nothing is executed before the fdatasync of its accept mark returned. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AgentWorld, until } from './kit.ts';

let world: AgentWorld;
beforeEach(() => {
  world = new AgentWorld();
});
afterEach(() => world.close());

const hasStrace = spawnSync('strace', ['-V']).status === 0;

test('exec follows the sync of its accept mark', async (context) => {
  if (!hasStrace) context.skip('needs strace');
  const host = world.host({ ack: true, spawn: 'ffi' });
  await host.known();
  const [runner] = await host.runnerPids();
  const trace = world.path('trace');
  const calls = 'trace=pwrite64,fdatasync,execve';
  const strace = spawn('strace', ['-f', '-s', '100000', '-e', calls, '-o', trace, '-p', String(runner)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await new Promise<void>((resolve) => strace.stderr.once('data', () => resolve()));
  const runs = Array.from({ length: 200 }, () => world.run({ command: '/bin/true' })).map((run) => ({
    ...run,
    config: { command: `/bin/true ${run.key}` },
  }));
  for (let from = 0; from < runs.length; from += 20) {
    host.tell({ start: runs.slice(from, from + 20) });
    await host.ended(runs[from]?.key as number);
  }
  for (const run of runs) await host.ended(run.key);
  strace.kill('SIGINT');
  await new Promise((resolve) => strace.once('exit', resolve));
  await until(() => existsSync(trace));
  const checked = executionsBeforeSync(
    readFileSync(trace, 'latin1').split('\n'),
    runs.map((run) => run.key),
  );
  expect(checked).toEqual({ executed: 200, early: [] });
});

/** Walks the trace: a key is safe once a sync that began after its mark was written has returned. */
function executionsBeforeSync(lines: readonly string[], keys: readonly number[]) {
  const safe = new Set<string>();
  const early: string[] = [];
  const syncing = new Map<string, Set<string>>();
  let written = new Set<string>();
  let executed = 0;
  for (const line of lines) {
    const thread = line.split(' ', 1)[0] as string;
    if (line.includes('pwrite64(')) {
      if (!line.includes(String.raw`{\"r\":\"accept\",\"runs\":[`)) continue;
      for (const match of line.matchAll(/\{\\"key\\":(\d+),\\"id\\":/g)) written.add(match[1] as string);
    } else if (line.includes('fdatasync(')) {
      syncing.set(thread, written);
      written = new Set();
      if (line.includes('= 0')) for (const key of syncing.get(thread) ?? []) safe.add(key);
    } else if (line.includes('fdatasync resumed') && line.includes('= 0')) {
      for (const key of syncing.get(thread) ?? []) safe.add(key);
    } else if (line.includes('execve(')) {
      const key = keys.find((one) => line.includes(`"${one}"`));
      if (key === undefined) continue;
      executed += 1;
      if (!safe.has(String(key))) early.push(String(key));
    }
  }
  return { executed, early };
}
