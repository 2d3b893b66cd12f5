/** A run whose output is still in a spare file when its runner dies: whatever it prints, and whenever, is in its log in the end. */
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readLog } from '../../src/agent/logs.ts';
import { logBase, logsDirectory, runnersDirectory } from '../../src/agent/paths.ts';
import { COMPACT_BYTES } from '../../src/agent/runner/journal.ts';
import { spoolPath } from '../../src/agent/spool.ts';
import type { StartRequest } from '../../src/model/agent.ts';
import { AgentWorld, alive, type Host, kill, until } from './kit.ts';

let world: AgentWorld;
beforeEach(() => {
  world = new AgentWorld();
});
afterEach(() => world.close());

const STEPS = ['before', 'during', 'after'] as const;
type Streams = readonly ('stdout' | 'stderr')[];
/** Each run by the streams it prints to. */
const CASES: readonly Streams[] = [['stdout'], ['stderr'], ['stdout', 'stderr'], []];

/** At every step it waits for the test's word, prints its own to its streams, and says that it has. */
function talker(streams: Streams, index: number): StartRequest {
  const steps = STEPS.map((step) => {
    const prints = streams.map((stream) => `echo ${wordOf(step, index, stream)}${stream === 'stderr' ? ' >&2' : ''}`);
    return [`while [ ! -e $W.${step} ]; do sleep 0.05; done`, ...prints, `touch $W.${step}.${index}`].join('; ');
  });
  const config = { command: `${steps.join('; ')}; exit 3`, shell: 'true', env: `W=${world.path('w')}` };
  return world.run(config, { jobId: 10 + index });
}

function wordOf(step: string, index: number, stream: string): string {
  return `${step} ${index} ${stream}`;
}

/** Lets all of them print, and waits until they have. */
async function print(step: string): Promise<void> {
  writeFileSync(world.path(`w.${step}`), '');
  for (const index of CASES.keys()) await until(() => existsSync(world.path(`w.${step}.${index}`)));
}

function outputs(pid: number | null): string[] {
  return [1, 2].map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
}

/** Starts the talkers, after runs that used the same spare files before them; the first runner's directory and pid. */
async function begin(host: Host, runs: readonly StartRequest[]): Promise<{ directory: string; runner: number }> {
  await host.known();
  const [runner] = await host.runnerPids();
  const directory = `${runnersDirectory(world.dataDir)}/${readdirSync(runnersDirectory(world.dataDir))[0]}`;
  for (let i = 0; i < 3; i += 1) {
    const earlier = Array.from({ length: 8 }, () => world.run({ command: 'true' }));
    host.tell({ start: earlier });
    for (const { key } of earlier) await host.ended(key);
  }
  host.tell({ start: [...runs] });
  for (const { key } of runs) {
    const { pid } = await host.started(key);
    expect(outputs(pid).every((path) => path.startsWith(`${directory}/spare/`))).toBe(true);
  }
  return { directory, runner: runner as number };
}

/** The runner stands still while they print, so that nothing of it is in a log when it dies. */
async function printAndKill(runs: readonly StartRequest[], directory: string, runner: number): Promise<void> {
  kill(runner, 'SIGSTOP');
  await print('before');
  for (const { key } of runs) expect(existsSync(`${logBase(world.dataDir, key)}.out`)).toBe(false);
  const written = readdirSync(`${directory}/spare`).filter((name) => statSync(`${directory}/spare/${name}`).size > 0);
  expect(written).toHaveLength(CASES.flat().length);
  kill(runner);
}

/** All bytes are there, each in the file of its stream, and nothing is there of the silent runs before. */
function checkLogs(runs: readonly StartRequest[]): void {
  const found = readdirSync(logsDirectory(world.dataDir), { recursive: true, withFileTypes: true });
  const keys = new Set(found.filter((entry) => entry.isFile()).map(({ name }) => Number(name.split('.', 1)[0])));
  const printing = runs.filter((_, index) => CASES[index]?.length !== 0);
  expect(keys).toEqual(new Set(printing.map(({ key }) => key)));
  for (const [index, streams] of CASES.entries()) {
    const { key } = runs[index] as StartRequest;
    let total = 0;
    for (const [stream, ending] of [['stdout', '.out'] as const, ['stderr', '.err'] as const]) {
      const path = logBase(world.dataDir, key) + ending;
      const expected = STEPS.map((step) => `${wordOf(step, index, stream)}\n`).join('');
      expect(existsSync(path)).toBe(streams.includes(stream));
      if (!streams.includes(stream)) continue;
      expect(readFileSync(path, 'utf8')).toBe(expected);
      total += expected.length;
    }
    const { bytes, chunks } = readLog(world.dataDir, { key, from: 0, limit: 10_000 });
    expect(bytes).toHaveLength(total);
    expect([...new Set(chunks.map(({ stream }) => stream))].sort()).toEqual([...streams].sort());
  }
}

describe('all output is kept, on the right stream', () => {
  test('when the runner dies', async () => {
    const runs = CASES.map(talker);
    const host = world.host({ spawn: 'ffi' });
    const { directory, runner } = await begin(host, runs);
    await printAndKill(runs, directory, runner);
    // The node stands still too, so that there is no runner at all while they print.
    host.child.kill('SIGSTOP');
    await print('during');
    expect(readdirSync(runnersDirectory(world.dataDir))).toHaveLength(1);
    host.child.kill('SIGCONT');
    await until(() => !existsSync(directory));
    await print('after');
    for (const { key } of runs) expect(await host.ended(key)).toMatchObject({ outcome: 'failed', exitCode: 3 });
    checkLogs(runs);
  });

  test('when the runner dies and they end before the next one looks', async () => {
    const runs = CASES.map(talker);
    const host = world.host({ spawn: 'ffi' });
    const { directory, runner } = await begin(host, runs);
    host.child.kill('SIGSTOP');
    await printAndKill(runs, directory, runner);
    await print('during');
    await print('after');
    host.child.kill('SIGCONT');
    for (const [index, { key }] of runs.entries()) {
      const ended = await host.ended(key);
      expect(ended).toMatchObject({ outcome: 'failed', exitCode: 3 });
      for (const stream of CASES[index] as Streams) expect(ended.tail).toContain(`${wordOf('after', index, stream)}\n`);
    }
    checkLogs(runs);
  });

  test('when both die', async () => {
    const runs = CASES.map(talker);
    const first = world.host({ spawn: 'ffi' });
    const { directory, runner } = await begin(first, runs);
    await printAndKill(runs, directory, runner);
    await first.kill();
    await print('during');
    const second = world.host({ spawn: 'ffi' });
    const known = await second.known();
    for (const { key } of runs) expect(known).toContainEqual(expect.objectContaining({ key, state: 'started' }));
    expect(existsSync(directory)).toBe(false);
    await print('after');
    for (const { key } of runs) expect(await second.ended(key)).toMatchObject({ outcome: 'lost' });
    checkLogs(runs);
  });

  test('when the journal was rewritten meanwhile', async () => {
    const runs = CASES.map(talker);
    const host = world.host({ spawn: 'ffi', ack: true });
    const { directory, runner } = await begin(host, runs);
    const journal = statSync(spoolPath(directory)).ino;
    const payload = Buffer.alloc(1024 * 1024, 'p').toString('base64');
    const large = Array.from({ length: Math.ceil(COMPACT_BYTES / payload.length) }, () =>
      world.run({ command: 'true', payload }),
    );
    host.tell({ start: large });
    for (const { key } of large) await host.ended(key);
    await until(() => statSync(spoolPath(directory)).ino !== journal);
    await printAndKill(runs, directory, runner);
    await print('during');
    await until(() => !existsSync(directory));
    await print('after');
    for (const { key } of runs) await host.ended(key);
    checkLogs(runs);
  });

  test('when some of it has its log’s name already', async () => {
    const runs = CASES.map(talker);
    const host = world.host({ spawn: 'ffi' });
    const { directory, runner } = await begin(host, runs);
    await print('before');
    // Files that the journal still knows by their earlier names.
    await until(() => existsSync(`${logBase(world.dataDir, (runs[0] as StartRequest).key)}.out`));
    kill(runner);
    await until(() => !alive(runner));
    await print('during');
    await until(() => !existsSync(directory));
    await print('after');
    for (const { key } of runs) expect(await host.ended(key)).toMatchObject({ outcome: 'failed', exitCode: 3 });
    checkLogs(runs);
  });
});
