/** Runs that are silent, at first or to their end, write to files that later runs use again: nobody's output may end up in another's log. */
import { existsSync, readdirSync, readFileSync, readlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openLog, readLog } from '../../src/agent/logs.ts';
import { logBase, logsDirectory, runnersDirectory } from '../../src/agent/paths.ts';
import { spareDirectory } from '../../src/agent/runner/spare-files.ts';
import type { StartRequest } from '../../src/model/agent.ts';
import { AgentWorld, type Host, until } from './kit.ts';

/** What a runner keeps waiting, of both streams together. */
const SPARE_MAX = 2 * 160;

let world: AgentWorld;
beforeEach(() => {
  world = new AgentWorld();
});
afterEach(() => world.close());

async function startHost(): Promise<Host> {
  const host = world.host({ spawn: 'ffi', ack: true });
  await host.known();
  return host;
}

/** The runner's, which must have some: else no run writes to any. */
function spareFiles(): string[] {
  const directory = spareDirectory(`${runnersDirectory(world.dataDir)}/${runners()[0]}`);
  const found = readdirSync(directory).map((name) => `${directory}/${name}`);
  expect(found.length).toBeGreaterThan(0);
  return found;
}

function runners(): string[] {
  return readdirSync(runnersDirectory(world.dataDir));
}

function filesOf(key: number): string[] {
  return ['.out', '.err', '.idx'].filter((ending) => existsSync(logBase(world.dataDir, key) + ending));
}

function logText(key: number): string {
  return readLog(world.dataDir, { key, from: 0, limit: 1000 }).bytes.toString();
}

/** Where the process with this pid writes to now. */
function outputs(pid: number): string[] {
  return [1, 2].map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
}

interface Expectation {
  readonly run: StartRequest;
  readonly out: string;
  readonly err: string;
}

/** Forty that print their own word, by turns on either stream and on both, and forty that print nothing; each once `gate` is there. */
function crowd(name: string, gate: string): Expectation[] {
  return Array.from({ length: 80 }, (_, i) => {
    const word = `${name}-${i}`;
    const out = i % 2 === 0 && i % 3 !== 2 ? word : '';
    const err = i % 2 === 0 && i % 3 !== 1 ? `${word}!` : '';
    const command = `while [ ! -e $W.${gate} ]; do sleep 0.2; done; printf '%s' '${out}'; printf '%s' '${err}' >&2`;
    // Those that print are jobs of their own, so that they begin in spare files; the silent ones are one job.
    const jobId = i % 2 === 0 ? 100 + i : 2;
    return { run: world.run({ command, shell: 'true', env: `W=${world.path('w')}` }, { jobId }), out, err };
  });
}

async function checkCrowd(host: Host, expected: readonly Expectation[]): Promise<void> {
  for (const { run, out, err } of expected) {
    const ended = await host.ended(run.key);
    expect(ended).toMatchObject({ outcome: 'succeeded', outputBytes: out.length + err.length });
    // What one look finds on both streams has the order of the files' times, which may be the same.
    expect([`${out}${err}`, `${err}${out}`]).toContain(ended.tail);
    expect(filesOf(run.key)).toEqual([
      ...(out === '' ? [] : ['.out']),
      ...(err === '' ? [] : ['.err']),
      ...(out === '' || err === '' ? [] : ['.idx']),
    ]);
    if (out !== '') expect(readFileSync(`${logBase(world.dataDir, run.key)}.out`, 'utf8')).toBe(out);
    if (err !== '') expect(readFileSync(`${logBase(world.dataDir, run.key)}.err`, 'utf8')).toBe(err);
  }
}

test('what a background child writes after its silent run never comes into a later run’s log', async () => {
  const host = await startHost();
  const child =
    'echo $$ > $W.child; while [ ! -e $W.late ]; do sleep 0.05; done; echo LATE; echo LATE >&2; touch $W.said';
  const silent = world.run({
    command: `(setsid sh -c '${child}' &); while [ ! -s $W.child ]; do sleep 0.01; done`,
    shell: 'true',
    env: `W=${world.path('w')}`,
  });
  host.tell({ start: [silent] });
  await host.ended(silent.key);
  const held = outputs(Number(readFileSync(world.path('w.child'), 'utf8')));
  expect(held.every((path) => path.includes('/spare/'))).toBe(true);
  const during = crowd('during', 'gate');
  host.tell({ start: during.map(({ run }) => run) });
  for (const { run } of during) {
    const { pid } = await host.started(run.key);
    for (const path of outputs(pid as number)) expect(held).not.toContain(path);
  }
  writeFileSync(world.path('w.late'), '');
  await until(() => existsSync(world.path('w.said')));
  writeFileSync(world.path('w.gate'), '');
  await checkCrowd(host, during);
  const after = crowd('after', 'gate');
  host.tell({ start: after.map(({ run }) => run) });
  await checkCrowd(host, after);
  expect(openLog(world.dataDir, silent.key)).toBeNull();
  for (const path of spareFiles()) expect(readFileSync(path, 'utf8')).toBe('');
});

test('output on stderr only, the first time and when the job is known for it', async () => {
  const host = await startHost();
  for (const word of ['first', 'second', 'third']) {
    const run = world.run({ command: `printf ${word} >&2`, shell: 'true' });
    host.tell({ start: [run] });
    expect(await host.ended(run.key)).toMatchObject({ outcome: 'succeeded', tail: word, outputBytes: word.length });
    const { bytes, chunks } = readLog(world.dataDir, { key: run.key, from: 0, limit: 100 });
    expect(bytes.toString()).toBe(word);
    expect(chunks.map(({ stream }) => stream)).toEqual(['stderr']);
    expect(filesOf(run.key)).toEqual(['.err']);
  }
});

test('a job that was known to write and is silent, and the other way round', async () => {
  const host = await startHost();
  for (const word of ['', 'one', '', '', 'two', 'three', '', 'four']) {
    const run = world.run({ command: `printf '%s' '${word}'`, shell: 'true' });
    host.tell({ start: [run] });
    expect(await host.ended(run.key)).toMatchObject({ tail: word, outputBytes: word.length, logBytes: word.length });
    expect(logText(run.key)).toBe(word);
    expect(filesOf(run.key)).toEqual(word === '' ? [] : ['.out']);
  }
});

test('silent at first: what is printed later can be read within a second, while the run goes on', async () => {
  const host = await startHost();
  const wait = 'while [ ! -e $W.go ]; do sleep 0.05; done';
  const run = world.run({
    command: `sleep 1.5; echo word; touch $W.printed; ${wait}; echo end >&2`,
    shell: 'true',
    env: `W=${world.path('w')}`,
  });
  host.tell({ start: [run] });
  const { pid } = await host.started(run.key);
  expect(outputs(pid as number).every((path) => path.includes('/spare/'))).toBe(true);
  await until(() => existsSync(world.path('w.printed')));
  const log = await until(() => openLog(world.dataDir, run.key) ?? undefined, 1000);
  expect(log.read(0, 100).bytes.toString()).toBe('word\n');
  expect(outputs(pid as number)[0]).toBe(`${logBase(world.dataDir, run.key)}.out`);
  writeFileSync(world.path('w.go'), '');
  expect(await host.ended(run.key)).toMatchObject({ tail: 'word\nend\n', outputBytes: 9 });
  expect(logText(run.key)).toBe('word\nend\n');
});

test('200 silent runs leave no file behind, and a bounded number of spare ones', async () => {
  const host = await startHost();
  const [pid] = await host.runnerPids();
  const runs = Array.from({ length: 200 }, (_, i) => world.run({ command: 'sleep 0.5' }, { jobId: i % 5 }));
  host.tell({ start: runs });
  for (const run of runs)
    expect(await host.ended(run.key)).toMatchObject({ outcome: 'succeeded', tail: '', outputBytes: 0, logBytes: 0 });
  const left = readdirSync(logsDirectory(world.dataDir), { recursive: true, withFileTypes: true });
  expect(left.filter((entry) => entry.isFile())).toEqual([]);
  expect(spareFiles().length).toBeLessThanOrEqual(SPARE_MAX);
  for (const path of spareFiles()) expect(readFileSync(path)).toHaveLength(0);
  const targets = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  expect(targets.filter((path) => path.includes('/spare/')).sort()).toEqual(spareFiles().sort());
});

test('a runner that ends takes its spare files along', async () => {
  const host = await startHost();
  const run = world.run({ command: 'true' });
  host.tell({ start: [run] });
  await host.ended(run.key);
  expect(spareFiles()).not.toEqual([]);
  const [runner] = runners();
  await host.close();
  await until(() => readdirSync(spareDirectory(`${runnersDirectory(world.dataDir)}/${runner}`)).length === 0);
});

test('somebody removes the empty files that wait: the next runs write all the same', async () => {
  const host = await startHost();
  for (const path of spareFiles()) unlinkSync(path);
  const runs = ['one', 'two', 'three'].map((word, i) =>
    world.run({ command: `printf ${word}; printf ${word}! >&2`, shell: 'true' }, { jobId: i }),
  );
  host.tell({ start: runs });
  for (const { key } of runs) expect(await host.ended(key)).toMatchObject({ outcome: 'succeeded' });
  expect(runs.map(({ key }) => readFileSync(`${logBase(world.dataDir, key)}.out`, 'utf8'))).toEqual([
    'one',
    'two',
    'three',
  ]);
  expect(runs.map(({ key }) => readFileSync(`${logBase(world.dataDir, key)}.err`, 'utf8'))).toEqual([
    'one!',
    'two!',
    'three!',
  ]);
});
