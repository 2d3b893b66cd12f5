/** Ends that are ordered: the whole tree goes, however it tries to stay; with control groups and without, by either way of starting. */
import { tmpdir } from 'node:os';
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openCgroups } from '../../src/agent/runner/cgroup.ts';
import { allProcesses, isDead } from '../../src/agent/process-table.ts';
import { AgentWorld, alive, processesWith, until } from './kit.ts';

let world: AgentWorld;
beforeEach(() => {
  world = new AgentWorld();
});
afterEach(() => world.close());

const hasCgroups = openCgroups(tmpdir()) !== null;
afterAll(() => {
  if (!hasCgroups) console.warn('skipped: kills by cgroup, because no writable cgroup v2 is here');
});

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

const escapes: [name: string, command: string][] = [
  ['nothing special', 'sleep 300'],
  ['background children', 'sleep 300 & sleep 301 & sleep 302'],
  ['a new session', 'setsid sleep 300 & sleep 301'],
  [
    'a double fork into a new session, main process gone on',
    '(setsid sh -c "sleep 300 & sleep 301 & wait" &) ; sleep 302',
  ],
  ['TERM ignored', 'trap "" TERM; while :; do sleep 0.05; done'],
  [
    'TERM ignored in a new session whose parent has gone',
    '(setsid sh -c "trap \'\' TERM; while :; do sleep 0.05; done" &) ; sleep 302',
  ],
  // Each process starts its successor and ends: none of them lives for long.
  [
    'a fork storm',
    'storm() { i=0; while [ $i -lt 400 ]; do (sleep 0.01; sleep 0.3) & i=$((i+1)); sleep 0.005; done; }; storm & storm & wait',
  ],
];

const ways = [
  { spawn: 'ffi', cgroups: 'off' },
  { spawn: 'child_process', cgroups: 'off' },
  ...(hasCgroups ? ([{ spawn: 'ffi', cgroups: 'on' }] as const) : []),
] as const;

describe.each(ways)('$spawn, cgroups $cgroups', (way) => {
  test.each(escapes)('stop ends %s', async (_name, command) => {
    const host = world.host({ ...way, ack: true });
    await host.known();
    const run = world.run(
      { command: `${command} # \n`, shell: 'true', env: `W=${world.path('w')}` },
      { killGraceMs: 300 },
    );
    host.tell({ start: [run] });
    await host.started(run.key);
    await until(
      () => processesWith(run.id).length >= (command.startsWith('sleep 300') && !command.includes('&') ? 1 : 2),
    );
    host.tell({ stop: [{ key: run.key, reason: 'user' }] });
    expect(await host.ended(run.key)).toMatchObject({ outcome: 'cancelled', reason: 'user' });
    // Reported means verified: nobody is left at this moment, not only soon.
    expect(processesWith(run.id)).toEqual([]);
  });

  test('nobody stays who was in the tree when its end was ordered, whatever ties die first', async () => {
    const host = world.host({ ...way, ack: true });
    await host.known();
    const mark = String(100_000 + Math.floor(Math.random() * 800_000));
    const wiped = `setsid env -i sh -c "(sleep 1${mark} &) ; sleep 2${mark}" & sleep 3${mark}`;
    const run = world.run({ command: wiped, shell: 'true' }, { killGraceMs: 300 });
    const left = () => allProcesses().filter((stat) => !isDead(stat) && commandOf(stat.pid).includes(mark));
    host.tell({ start: [run] });
    await host.started(run.key);
    await until(() => left().filter((stat) => commandOf(stat.pid).startsWith('sleep')).length === 3);
    host.tell({ stop: [{ key: run.key, reason: 'user' }] });
    await host.ended(run.key);
    expect(left()).toEqual([]);
  });

  if (way.cgroups === 'on')
    test('with a control group nobody stays who left in the first instant', async () => {
      const host = world.host({ ...way, ack: true });
      await host.known();
      const mark = String(100_000 + Math.floor(Math.random() * 800_000));
      const left = () => allProcesses().filter((stat) => !isDead(stat) && commandOf(stat.pid).includes(mark));
      const command = `(env -i setsid sh -c "sleep 1${mark} &" &); exec sleep 2${mark}`;
      const runs = [...Array(60).keys()].map((jobId) =>
        world.run({ command, shell: 'true' }, { killGraceMs: 100, jobId }),
      );
      host.tell({ start: runs });
      await until(() => left().filter((stat) => commandOf(stat.pid).startsWith('sleep')).length === 2 * runs.length);
      host.tell({ stop: runs.map(({ key }) => ({ key, reason: 'user' as const })) });
      for (const { key } of runs) await host.ended(key);
      expect(left()).toEqual([]);
    });

  test('a timeout ends the tree and says so', async () => {
    const host = world.host({ ...way, ack: true });
    await host.known();
    const run = world.run(
      { command: '(setsid sleep 300 &); echo before; sleep 301', shell: 'true', env: `W=${world.path('w')}` },
      { timeoutMs: 400, killGraceMs: 100 },
    );
    host.tell({ start: [run] });
    const ended = await host.ended(run.key);
    expect(ended).toMatchObject({
      outcome: 'failed',
      reason: 'timeout',
      message: 'timed out after 400ms',
      tail: 'before\n',
    });
    expect(ended.finishedAtUs - (ended.startedAtUs ?? 0)).toBeGreaterThanOrEqual(400_000);
    expect(processesWith(run.id)).toEqual([]);
  });

  test('a run that ends by itself in time leaves its background children alone', async () => {
    const host = world.host({ ...way, ack: true });
    await host.known();
    const run = world.run(
      { command: '(setsid sleep 300 &); echo done', shell: 'true', env: `W=${world.path('w')}` },
      { timeoutMs: 20_000 },
    );
    host.tell({ start: [run] });
    expect(await host.ended(run.key)).toMatchObject({ outcome: 'succeeded', exitCode: 0 });
    // In the middle of its exec it shows no environment.
    await until(() => processesWith(run.id).length === 1);
  });

  // tail holds what it was given until somebody reads, and nobody does.
  test.each([
    ['the whole tree', (eat: string) => `${eat} & ${eat} & wait`],
    ['a child in a session of its own', (eat: string) => `(setsid sh -c "${eat} & ${eat} & wait" &) ; sleep 300`],
  ])('the memory limit counts %s and leaves no time', async (_name, command) => {
    const host = world.host({ ...way, ack: true });
    await host.known();
    const run = world.run({
      command: command('head -c 40000000 /dev/zero | tail -c 40000000 | sleep 300'),
      shell: 'true',
      mem_limit: '60MB',
      env: `W=${world.path('w')}`,
    });
    host.tell({ start: [run] });
    expect(await host.ended(run.key)).toMatchObject({ outcome: 'failed', reason: 'memory' });
    expect(processesWith(run.id)).toEqual([]);
  });

  test('TERM comes first, and a job that heeds it in time is not killed', async () => {
    const host = world.host({ ...way, ack: true });
    await host.known();
    const run = world.run({
      command: 'trap "echo bye; exit 5" TERM; echo up; while :; do sleep 0.05; done',
      shell: 'true',
      env: `W=${world.path('w')}`,
    });
    host.tell({ start: [run] });
    await until(() => logOf(run.key).includes('up'));
    host.tell({ stop: [{ key: run.key, reason: 'replaced' }] });
    expect(await host.ended(run.key)).toMatchObject({
      outcome: 'cancelled',
      reason: 'replaced',
      exitCode: 5,
      signal: null,
      tail: expect.stringContaining('bye'),
    });
  });
});

test('drain waits, then stops what is left, and its runners end', async () => {
  const host = world.host({ ack: true });
  await host.known();
  const runners = await host.runnerPids();
  const quick = world.run({ command: 'sleep 0.3' });
  const slow = world.run({ command: 'sleep 300', env: `W=${world.path('w')}` });
  host.tell({ start: [quick, slow] });
  await host.started(slow.key);
  host.tell({ drain: 1000 });
  expect(await host.ended(quick.key)).toMatchObject({ outcome: 'succeeded' });
  expect(await host.ended(slow.key)).toMatchObject({ outcome: 'cancelled', reason: 'shutdown' });
  await host.exit();
  await until(() => runners.every((pid) => !alive(pid)));
});

function logOf(key: number): string {
  const path = `${world.dataDir}/logs/${Math.floor(key / 3_600_000_000)}/${key}.out`;
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
