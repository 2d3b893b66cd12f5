// Whose a control group is, where one can be made, who is in it, and when it goes.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cgroupMembers, enterCgroup, killCgroup, openCgroups, removeCgroup } from './cgroup.ts';
import { usableCgroups } from './open-spawner.ts';

test('each data directory has groups of its own, and opens without removing another one’s', ({ skip }) => {
  const directories = [1, 2].map(() => mkdtempSync(join(tmpdir(), 'belfry-cgroup-'))) as [string, string];
  try {
    const [one, two] = [openCgroups(directories[0]), openCgroups(directories[1])];
    if (one === null || two === null) return skip('no writable cgroup v2 is here');
    const groups = [one.create(), two.create()] as [string, string];
    expect(new Set(groups).size).toBe(2);
    openCgroups(directories[0]);
    expect(groups.map((group) => existsSync(group))).toEqual([false, true]);
    expect(removeCgroup(groups[1])).toBe(true);
  } finally {
    for (const directory of directories) rmSync(directory, { recursive: true });
  }
});

test('a dead runner’s empty groups are removed by the next one of any data directory', ({ skip }) => {
  const directory = mkdtempSync(join(tmpdir(), 'belfry-cgroup-'));
  try {
    const groups = openCgroups(directory);
    if (groups === null) return skip('no writable cgroup v2 is here');
    const { pid: dead } = spawnSync('true');
    const named = (name: string) => join(groups.home, `belfry-${name}`);
    const left = [`1-1-${dead}-1`, `probe-${dead}`].map(named);
    const kept = [`1-1-${process.pid}-1`, `of-somebody-else-${dead}`].map(named);
    // One with this process's own pid must not be in the way.
    for (const path of [...left, ...kept, named(`probe-${process.pid}`)]) mkdirSync(path);
    expect(openCgroups(directory)).not.toBeNull();
    expect([left, kept].map((paths) => paths.map((path) => existsSync(path)))).toEqual([
      [false, false],
      [true, true],
    ]);
    for (const path of kept) removeCgroup(path);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('groups that a job makes inside its own belong to it', async ({ skip }) => {
  const directory = mkdtempSync(join(tmpdir(), 'belfry-cgroup-'));
  const groups = openCgroups(directory);
  rmSync(directory, { recursive: true });
  if (groups === null) return skip('no writable cgroup v2 is here');
  const group = groups.create() as string;
  const inner = join(group, 'inner', 'innermost');
  mkdirSync(inner, { recursive: true });
  const child = spawn('/bin/sleep', ['60'], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  enterCgroup(inner, child.pid as number);
  expect(cgroupMembers(group)).toEqual([child.pid]);
  expect(removeCgroup(group)).toBe(false);
  killCgroup(group);
  expect((await ended)[1]).toBe('SIGKILL');
  expect([removeCgroup(group), existsSync(group)]).toEqual([true, false]);
});

test('no group is made where this process cannot be found again: in a namespace of its own under the host’s mount', ({
  skip,
}) => {
  const directory = mkdtempSync(join(tmpdir(), 'belfry-cgroup-'));
  const groups = openCgroups(directory);
  if (groups === null) return skip('no writable cgroup v2 is here');
  const inner = groups.create() as string;
  const script = `
    import { openCgroups } from './src/agent/runner/cgroup.ts';
    console.log(openCgroups(process.argv[1]));`;
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', '-e', script, directory];
  const words = ['-c', 'echo $$ > "$0/cgroup.procs" && exec unshare -C "$@"', inner, ...node];
  const { stdout, stderr, status } = spawnSync('/bin/sh', words, { encoding: 'utf8', timeout: 20_000 });
  rmSync(directory, { recursive: true });
  removeCgroup(inner);
  if (status !== 0 && stderr.startsWith('unshare:')) return skip('no cgroup namespace may be made here');
  expect([stdout, stderr]).toEqual(['null\n', '']);
});

test('where no group can be made, `on` is refused and `auto` does without', () => {
  const none = () => null;
  expect(() => usableCgroups('on', tmpdir(), none)).toThrow(/^cgroups: on was asked for, but no cgroup v2 is here/);
  expect(usableCgroups('auto', tmpdir(), none)).toBeNull();
  expect(
    usableCgroups('off', tmpdir(), () => {
      throw new Error('not asked for');
    }),
  ).toBeNull();
});

test('a group is not killed while the killer is in it', ({ skip }) => {
  const directory = mkdtempSync(join(tmpdir(), 'belfry-cgroup-'));
  try {
    const groups = openCgroups(directory);
    if (groups === null) return skip('no writable cgroup v2 is here');
    const script = `
      import { spawn } from 'node:child_process';
      import { cgroupMembers, enterCgroup, killCgroup } from './src/agent/runner/cgroup.ts';
      const [home, path] = process.argv.slice(1);
      enterCgroup(path, process.pid);
      const child = spawn('/bin/sleep', ['60'], { stdio: 'ignore' });
      child.once('exit', (_code, signal) => console.log('ended by', signal));
      child.once('spawn', () => {
        killCgroup(path);
        console.log('lives');
        enterCgroup(home, process.pid);
        killCgroup(path);
      });`;
    const words = ['--disable-warning=ExperimentalWarning', '-e', script, groups.home, groups.create() as string];
    const { stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8', timeout: 20_000 });
    expect([stdout, stderr]).toEqual(['lives\nended by SIGKILL\n', '']);
    openCgroups(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
