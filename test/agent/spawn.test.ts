/** Many starts at once through the spawning threads: each gets its own arguments, environment and input, and no exit comes before its start. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { allProcesses, dataMark, runnerOf } from '../../src/agent/process-table.ts';
import { type Cgroups, openCgroups } from '../../src/agent/runner/cgroup.ts';
import type { StartRequest } from '../../src/model/agent.ts';
import { AgentWorld, alive, type Host, kill, until } from './kit.ts';

let world: AgentWorld;
beforeEach(() => {
  world = new AgentWorld();
});
afterEach(() => world.close());

async function startHost(): Promise<Host> {
  const host = world.host({ spawn: 'ffi', cgroups: 'off', ack: true });
  await host.known();
  return host;
}

/** A text of so many characters that no two of different seeds share. */
function textOf(seed: string, length: number): string {
  return createHash('sha256')
    .update(seed)
    .digest('hex')
    .repeat(Math.ceil(length / 64))
    .slice(0, length);
}

/** Starts all in one message; the tail of each, in order. */
async function tailsOf(host: Host, runs: readonly StartRequest[]): Promise<string[]> {
  host.tell({ start: [...runs] });
  const tails: string[] = [];
  for (const { key } of runs) {
    const ended = await host.ended(key);
    expect(ended).toMatchObject({ outcome: 'succeeded' });
    tails.push(ended.tail);
  }
  return tails;
}

/** Where in what the host said each key of `kind` stands; a key said twice is an error. */
function positions(host: Host, kind: 'started' | 'ended'): Map<number, number> {
  const found = new Map<number, number>();
  for (const [at, said] of host.said.entries()) {
    for (const { key } of said[kind] ?? []) {
      expect(found.has(key)).toBe(false);
      found.set(key, at);
    }
  }
  return found;
}

test('100 at once, each with its own input, arguments and environment', async () => {
  const host = await startHost();
  const indexes = [...Array(100).keys()];
  const runs = indexes.map((i) => {
    const payload = Buffer.from(textOf(`in ${i}`, 50 + i)).toString('base64');
    const command = `printf '%s ' "$WORD" ${i}; cat`;
    return world.run({ command, shell: 'true', env: `WORD=word-${i}`, payload }, { jobId: i });
  });
  expect(await tailsOf(host, runs)).toEqual(indexes.map((i) => `word-${i} ${i} ${textOf(`in ${i}`, 50 + i)}`));
});

test('environments larger than a slot, among small ones', async () => {
  const host = await startHost();
  const indexes = [...Array(40).keys()];
  const sizes = indexes.map((i) => (i % 4 === 1 ? 40 * 1024 : 20 + i));
  const command = 'printf %s "$TEXT" | sha256sum | cut -d " " -f 1; printf "%s" "$WORD"';
  const runs = indexes.map((i) => {
    const env = `TEXT=${textOf(`env ${i}`, sizes[i] as number)},WORD=word-${i}`;
    return world.run({ command, shell: 'true', env }, { jobId: i });
  });
  const sums = indexes.map((i) => sha(textOf(`env ${i}`, sizes[i] as number)));
  expect(await tailsOf(host, runs)).toEqual(sums.map((sum, i) => `${sum}\nword-${i}`));
});

test('what cannot be started says why and stops nobody else', async () => {
  const host = await startHost();
  const broken: [config: Record<string, string>, message: string][] = [
    // More than there is memory for, and more than Linux takes in one word.
    [{ command: `/bin/echo ${'x'.repeat(3_000_000)}` }, 'fork/exec /bin/echo: argument list too long'],
    [{ command: `/bin/echo ${'x'.repeat(200_000)}` }, 'fork/exec /bin/echo: argument list too long'],
    [{ command: '/bin/true', env: `TEXT=${'x'.repeat(200_000)}` }, 'fork/exec /bin/true: argument list too long'],
    [{ command: '/no/such/program' }, 'fork/exec /no/such/program: no such file or directory'],
    [
      { command: '/etc/passwd' },
      'fork/exec /etc/passwd: permission denied (the file is not executable: chmod +x, or name its interpreter in the command)',
    ],
  ];
  const runs: StartRequest[] = [];
  const failing = new Map<number, string>();
  for (let i = 0; i < 30; i += 1) {
    const [config, message] = (i % 3 === 1 ? broken[Math.floor(i / 3) % broken.length] : undefined) ?? [null, ''];
    const text = textOf(`env ${i}`, i % 9 === 0 ? 40 * 1024 : 10);
    const command = `printf '%s' ${i}\${#TEXT}`;
    runs.push(world.run(config ?? { command, shell: 'true', env: `TEXT=${text}` }, { jobId: i }));
    if (config !== null) failing.set(i, message);
  }
  host.tell({ start: runs });
  for (const [i, { key }] of runs.entries()) {
    const message = failing.get(i);
    const expected =
      message === undefined
        ? { outcome: 'succeeded', tail: `${i}${i % 9 === 0 ? 40 * 1024 : 10}` }
        : { outcome: 'failed', reason: 'start', message, startedAtUs: null };
    expect(await host.ended(key)).toMatchObject(expected);
  }
});

test('no end is told before its start, and each once', async () => {
  const host = await startHost();
  const runs = Array.from({ length: 300 }, (_, i) => world.run({ command: '/bin/true' }, { jobId: i % 7 }));
  host.tell({ start: runs });
  for (const { key } of runs) expect(await host.ended(key)).toMatchObject({ outcome: 'succeeded', exitCode: 0 });
  const started = positions(host, 'started');
  const ended = positions(host, 'ended');
  expect(new Set(started.keys())).toEqual(new Set(runs.map(({ key }) => key)));
  expect(new Set(ended.keys())).toEqual(new Set(runs.map(({ key }) => key)));
  for (const { key } of runs) expect(started.get(key)).toBeLessThan(ended.get(key) as number);
});

test('dead orphans of jobs hold up no exit while starts are under way', async () => {
  const host = await startHost();
  const [runner] = await host.runnerPids();
  const children = () => allProcesses().filter((stat) => stat.parent === runner);
  const parent = world.run({
    command: 'i=0; while [ $i -lt 200 ]; do (sleep 300 &); i=$((i+1)); done',
    shell: 'true',
    env: `W=${world.path('w')}`,
  });
  host.tell({ start: [parent] });
  await host.ended(parent.key);
  const orphans = await until(() => (children().length === 200 ? children() : undefined));
  const runs = Array.from({ length: 1200 }, () => world.run({ command: '/bin/true' }, { jobId: 2 }));
  host.tell({ start: runs });
  await host.started((runs[0] as StartRequest).key);
  // The runner came to know them before any of the runs, so the kernel names them first.
  for (const { pid } of orphans) kill(pid);
  for (const { key } of runs) expect(await host.ended(key)).toMatchObject({ outcome: 'succeeded' });
  const lastStart = Math.max(...positions(host, 'started').values());
  const endedBefore = [...positions(host, 'ended').values()].filter((at) => at < lastStart);
  expect(endedBefore.length).toBeGreaterThan(runs.length / 2);
  await until(() => children().length === 0);
});

// More of them than there are threads at first.
const STUCK = 4;

test('programs whose file cannot be opened for a while hold up no other start', async () => {
  const host = await startHost();
  const slow = world.path('slow');
  copyFileSync('/bin/true', slow);
  const lease = await leaseOn(slow);
  const stuck = Array.from({ length: STUCK }, () => world.run({ command: slow }, { jobId: 1 }));
  const others = Array.from({ length: 100 }, () => world.run({ command: '/bin/true' }, { jobId: 2 }));
  host.tell({ start: [...stuck, ...others] });
  for (const { key } of others) expect(await host.ended(key)).toMatchObject({ outcome: 'succeeded' });
  for (const { key } of stuck) expect(positions(host, 'started').has(key)).toBe(false);
  lease.kill();
  for (const { key } of stuck) expect(await host.ended(key)).toMatchObject({ outcome: 'succeeded' });
});

test('a program that hangs when its runner is killed never begins', async () => {
  const host = await startHost();
  const [slow, begun] = [world.path('slow'), world.path('begun')];
  copyFileSync('/usr/bin/touch', slow);
  const lease = await leaseOn(slow);
  const stuck = world.run({ command: `${slow} ${begun}` });
  host.tell({ start: [stuck] });
  const [runner = 0] = await host.runnerPids();
  const id = runnerOf(runner);
  const unborn = await until(() => allProcesses().find(({ pid }) => pid !== runner && runnerOf(pid) === id)?.pid);
  kill(runner);
  expect(await host.ended(stuck.key)).toMatchObject({ outcome: 'lost', reason: 'start_unknown' });
  lease.kill();
  await until(() => !alive(unborn));
  expect(existsSync(begun)).toBe(false);
});

test('what the runner has open is open in none of the threads that start', async () => {
  const host = await startHost();
  const [runner] = await host.runnerPids();
  expect(await tailsOf(host, [world.run({ command: 'ls -l /proc/self/fd', shell: 'true' })])).toHaveLength(1);
  const tasks = readdirSync(`/proc/${runner}/task`).map((task) => `/proc/${runner}/task/${task}`);
  const opened = (task: string) =>
    readdirSync(`${task}/fd`)
      .filter((fd) => Number(fd) > 2)
      .map((fd) => readlinkSync(`${task}/fd/${fd}`))
      .filter((target) => target.startsWith(world.dataDir) || target.startsWith('socket:'));
  expect(opened(`/proc/${runner}/task/${runner}`).length).toBeGreaterThan(10);
  const threads = tasks.filter((task) => opened(task).length === 0);
  expect(threads).toHaveLength(2);
});

test('input reaches a job also where children may not look into the runner (a Node with file capabilities)', () => {
  const script = `
    import { systemClock } from './src/lib/clock.ts';
    import { openLibc } from './src/agent/runner/libc.ts';
    import { FfiSpawner } from './src/agent/runner/spawn-ffi.ts';
    const libc = openLibc(), PR_SET_DUMPABLE = 4;
    libc.call.prctl(PR_SET_DUMPABLE, 0n, 0n, 0n, 0n);
    const listener = { exited: () => process.exit(), settled: () => undefined };
    setTimeout(() => process.exit(1), 15_000); // nothing else keeps it alive
    const spawner = new FfiSpawner(libc, systemClock, null, listener, (error) => { throw error; });
    await spawner.ready;
    const outPath = process.argv[1];
    const files = { cwd: null, stdinPath: '', outPath, errPath: '/dev/null', filesRecur: false };
    const group = { ownGroup: false, memLimitBytes: null };
    const request = { program: '/bin/cat', words: ['cat'], environment: {}, stdin: Buffer.from('input'), ...files, ...group };
    spawner.spawn(request, (result) => { if (result.kind === 'failed') throw new Error(result.code); });`;
  const out = world.path('out');
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', '-e', script, out];
  const unprivileged = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-all', '--inh-caps=-all', ...node] : node;
  const { stderr } = spawnSync(unprivileged[0] as string, unprivileged.slice(1), { encoding: 'utf8', timeout: 20_000 });
  expect(stderr).toBe('');
  expect(readFileSync(out, 'utf8')).toBe('input');
});

describe.runIf(openCgroups(tmpdir()) !== null)('control groups', () => {
  // A child of the first moment: whoever is in the group by then stays in it.
  const command = '(cat /proc/self/cgroup)';

  test('many at once, each in one of its own', async () => {
    const host = world.host({ spawn: 'ffi', cgroups: 'on' });
    await host.known();
    const runs = Array.from({ length: 60 }, () => world.run({ command, shell: 'true' }, { jobId: 1 }));
    const groups = (await tailsOf(host, runs)).map(lastOf);
    expect(new Set(groups).size).toBe(60);
    const marked = groupsInMarks();
    expect(groups).toEqual(runs.map(({ key }) => expect.stringMatching(`/${basename(marked.get(key) as string)}$`)));
  });

  test('some in groups of their own, some in none: nobody in a foreign one', async () => {
    const host = world.host({ spawn: 'ffi', cgroups: 'auto' });
    await host.known();
    const foundIn = new Map<number, string>();
    for (let round = 0; round < 8; round += 1) {
      const runs = Array.from({ length: 36 }, () => world.run({ command, shell: 'true' }, { jobId: 1 }));
      // Few at once have groups, and the next dozen comes while those start.
      for (const from of [0, 5, 17, 24]) host.tell({ start: runs.slice(from, { 0: 5, 5: 17, 17: 24 }[from] ?? 36) });
      for (const { key } of runs) foundIn.set(key, basename(lastOf((await host.ended(key)).tail)));
    }
    const marked = groupsInMarks();
    const own = [...foundIn].filter(([key, group]) => marked.get(key)?.endsWith(`/${group}`));
    expect(own.length).toBe(marked.size);
    expect(own.length).toBeGreaterThan(3);
    expect(foundIn.size - own.length).toBeGreaterThan(3);
    const owned = new Set(own.map(([, group]) => group));
    expect(owned.size).toBe(own.length);
    for (const [key, group] of foundIn) if (!marked.has(key)) expect(owned.has(group)).toBe(false);
  });

  test('starts with and without one in turn: no stranger in anybody’s', () => {
    const script = `
      import { mkdirSync, readFileSync } from 'node:fs';
      import { systemClock } from './src/lib/clock.ts';
      import { CgroupRemover, openCgroups } from './src/agent/runner/cgroup.ts';
      import { openLibc } from './src/agent/runner/libc.ts';
      import { FfiSpawner } from './src/agent/runner/spawn-ffi.ts';
      const dir = process.argv[1];
      mkdirSync(dir);
      setTimeout(() => process.exit(1), 50_000); // nothing else keeps it alive while a start is under way
      const groups = { cgroups: openCgroups(dir), remover: new CgroupRemover() };
      const over = Promise.withResolvers();
      let ended = 0;
      const exited = (exits) => { if ((ended += exits.length) === 600) over.resolve(); };
      const listener = { exited, settled: () => undefined };
      const spawner = new FfiSpawner(openLibc(), systemClock, groups, listener, (error) => { throw error; });
      await spawner.ready;
      const found = [];
      for (let i = 0; i < 600;) {
        const some = [];
        for (const end = i + 1 + (i % 5); i < end; i += 1) {
          const outPath = dir + '/' + i;
          const base = { program: '/bin/cat', words: ['cat', '/proc/self/cgroup'], environment: {}, cwd: null, stdin: null };
          const files = { stdinPath: '', outPath, errPath: '/dev/null', filesRecur: false };
          const request = { ...base, ...files, ownGroup: i % 3 === 0, memLimitBytes: null };
          some.push(new Promise((done) => spawner.spawn(request, done)).then(({ cgroup }) => found.push([outPath, cgroup])));
        }
        if (i % 2) await Promise.all(some); else await some[0];
      }
      await over.promise;
      spawner.close();
      openCgroups(dir); // removes them
      console.log(JSON.stringify(found.map(([path, cgroup]) => [readFileSync(path, 'utf8'), cgroup])));
      process.exit();`;
    const command = ['--disable-warning=ExperimentalWarning', '-e', script, world.path('alternate')];
    const { stdout, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8', timeout: 60_000 });
    expect(stderr).toBe('');
    const found = JSON.parse(stdout) as [text: string, cgroup: string | null][];
    const own = found.flatMap(([, cgroup]) => (cgroup === null ? [] : [basename(cgroup)]));
    expect(own.length).toBeGreaterThan(5);
    expect(new Set(own).size).toBe(own.length);
    for (const [text, cgroup] of found) {
      const group = basename(lastOf(text));
      if (cgroup === null) expect(own).not.toContain(group);
      else expect(group).toBe(basename(cgroup));
    }
  });

  test('the runner waits in the group of the next run, has left it when that goes on, and leaves none behind', async () => {
    const host = world.host({ spawn: 'ffi', cgroups: 'auto', ack: true });
    await host.known();
    const [runner] = await host.runnerPids();
    const home = lastOf(readFileSync('/proc/self/cgroup', 'utf8'));
    const groupOf = (pid: number | undefined) => lastOf(readFileSync(`/proc/${pid}/cgroup`, 'utf8'));
    for (let round = 0; round < 3; round += 1) {
      await until(() => groupOf(runner) !== home);
      const waitsIn = groupOf(runner);
      expect((await tailsOf(host, [world.run({ command, shell: 'true' })])).map(lastOf)).toEqual([waitsIn]);
      await until(() => groupOf(runner) !== waitsIn);
    }
    const before = groupsOf(world.dataDir);
    expect(before.length).toBeGreaterThan(0);
    await host.close();
    await until(() => groupsOf(world.dataDir).length === 0);
  });

  test('programs that hang when they are started hold up the others for seconds at most', async () => {
    const host = world.host({ spawn: 'ffi', cgroups: 'on' });
    await host.known();
    const slow = world.path('slow');
    copyFileSync('/bin/true', slow);
    const lease = await leaseOn(slow);
    const stuck = Array.from({ length: STUCK }, () => world.run({ command: slow }, { jobId: 1 }));
    const others = Array.from({ length: 20 }, () => world.run({ command, shell: 'true' }, { jobId: 2 }));
    host.tell({ start: stuck });
    host.tell({ start: others });
    const groups: string[] = [];
    for (const { key } of others) groups.push(lastOf((await host.ended(key)).tail));
    expect(new Set(groups).size).toBe(others.length);
    for (const { key } of stuck) expect(positions(host, 'started').has(key)).toBe(false);
    lease.kill();
    for (const { key } of stuck) expect(await host.ended(key)).toMatchObject({ outcome: 'succeeded' });
  });
});

/** The groups that runs had for themselves, by the runner's journal. */
function groupsInMarks(): Map<number, string> {
  const found = new Map<number, string>();
  for (const runner of readdirSync(join(world.dataDir, 'runners'))) {
    const journal = readFileSync(join(world.dataDir, 'runners', runner, 'journal'), 'utf8');
    for (const mark of journal.matchAll(/"key":(\d+),[^{}]*"cgroup":"([^"]+)"/g))
      found.set(Number(mark[1]), mark[2] as string);
  }
  return found;
}

function groupsOf(dataDir: string): string[] {
  // Of another directory: opening one removes what is empty.
  const { home } = openCgroups(tmpdir()) as Cgroups;
  return readdirSync(home).filter((name) => name.startsWith(`belfry-${dataMark(dataDir).replace(':', '-')}-`));
}

function lastOf(cgroup: string): string {
  return cgroup.trim().split('\n').at(-1) as string;
}

/** A process that lets nobody open the file until it is ended (for at most the 45 s of /proc/sys/fs/lease-break-time). */
async function leaseOn(path: string): Promise<{ kill: () => void }> {
  const script = `
    import { openSync } from 'node:fs';
    import { openLibc } from './src/agent/runner/libc.ts';
    process.on('SIGIO', () => undefined);
    const F_SETLEASE = 1024, F_WRLCK = 1;
    const failed = openLibc().call.fcntl(openSync(process.argv[1], 'r+'), F_SETLEASE, F_WRLCK) !== 0;
    console.log(failed ? 'failed' : 'held');
    setTimeout(() => undefined, 40_000);`;
  const holder = spawn(process.execPath, ['-e', script, path], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [said] = (await once(holder.stdout, 'data')) as [Buffer];
  expect(String(said).trim()).toBe('held');
  return { kill: () => void holder.kill('SIGKILL') };
}

function sha(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
