// Which group this process is in when moves fail, starts hang, or nothing happens for a while. The groups are plain directories here.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Clock } from '../../lib/clock.ts';
import { CgroupRemover } from './cgroup.ts';
import { REST_MS, SpawnGroups, START_MAX_MS, STAY_MS } from './spawn-groups.ts';

let home: string;
let now: number;
let timers: { at: number; run: () => void }[];
/** Where the last move goes. */
let target: string | null;
let groups: SpawnGroups;

const clock = {
  monotonic: () => now,
  setTimer(ms: number, run: () => void) {
    const timer = { at: now + ms, run };
    timers.push(timer);
    return { cancel: () => void (timers = timers.filter((one) => one !== timer)) };
  },
} as Clock;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'belfry-groups-'));
  [now, timers, target] = [0, [], null];
  let made = 0;
  const create = () => {
    const path = join(home, String(++made));
    mkdirSync(path);
    return path;
  };
  groups = new SpawnGroups({
    cgroups: { home, create },
    remover: new CgroupRemover(),
    clock,
    move: (path) => void (target = path),
  });
});
afterEach(() => rmSync(home, { recursive: true }));

const group = (number: number) => join(home, String(number));

function pass(ms: number): void {
  now += ms;
  for (const timer of timers.filter(({ at }) => at <= now)) {
    timers = timers.filter((one) => one !== timer);
    timer.run();
  }
}

function arrive(isThere = true): void {
  groups.moved(isThere);
}

/** It has come to wait in a fresh group. */
function rest(): void {
  pass(REST_MS);
  arrive();
}

/** Asks for a start; the group it has, null for none, 'waits' while it has to. */
function ask(wantsOwn = true): { group: string | null } {
  const asked: { group: string | null } = { group: 'waits' };
  groups.admit(wantsOwn, (group) => (asked.group = group));
  return asked;
}

test('a run finds its group waiting, and the next one is made when it has begun', () => {
  pass(REST_MS);
  expect(target).toBe(group(1));
  arrive();
  expect(ask().group).toBe(group(1));
  const [next, shared] = [ask(), ask(false)];
  expect(next.group).toBe('waits');
  expect(groups.begun(group(1), 5, null)).toBe(true);
  expect([target, next.group]).toEqual([group(2), 'waits']);
  arrive();
  expect([next.group, shared.group]).toEqual([group(2), 'waits']);
  expect(groups.begun(group(2), 6, null)).toBe(true);
  arrive();
  expect(shared.group).toBe(null);
});

test('it moves on in a moment, and at once when somebody waits for that', () => {
  rest();
  ask();
  groups.begun(group(1), 5, null);
  pass(STAY_MS - 1);
  expect(target).toBe(group(1));
  pass(1);
  expect(target).toBe(group(2));
  arrive();
  ask();
  groups.begun(group(2), 6, null);
  expect(target).toBe(group(2));
  const next = ask();
  expect(target).toBe(group(3));
  arrive();
  expect(next.group).toBe(group(3));
});

test('without a rest before it the way there comes first', () => {
  const asked = ask();
  expect([asked.group, target]).toEqual(['waits', group(1)]);
  arrive();
  expect(asked.group).toBe(group(1));
});

test('a group that runs have begun in is no run’s own, and goes when it is left', () => {
  rest();
  expect(ask(false).group).toBe(null);
  // While that begins nobody has a group.
  expect(ask().group).toBe(null);
  groups.sharedBegun();
  groups.sharedBegun();
  const asked = ask();
  expect(asked.group).toBe('waits');
  arrive();
  expect(asked.group).toBe(group(2));
  expect(existsSync(group(1))).toBe(false);
});

test('it rests when nothing has been started for a while, not between two starts', () => {
  pass(REST_MS - 1);
  ask(false);
  pass(REST_MS - 1);
  pass(REST_MS);
  expect(target).toBe(null);
  groups.sharedBegun();
  pass(REST_MS);
  expect(target).toBe(group(1));
});

test('a start that fails leaves its group to the next one', () => {
  rest();
  ask();
  const next = ask();
  groups.unclaim(group(1));
  expect(next.group).toBe(group(1));
});

test('a memory limit leaves room for what this process has used in the group', () => {
  rest();
  ask();
  for (const [name, text] of [
    ['cgroup.procs', '5\n'],
    ['memory.max', 'max'],
    ['memory.current', '4096\n'],
  ] as const)
    writeFileSync(join(group(1), name), text);
  expect(groups.begun(group(1), 5, 1_000_000)).toBe(true);
  pass(STAY_MS);
  arrive();
  expect(readFileSync(join(group(1), 'memory.max'), 'utf8')).toBe('1004096');
});

test('a start that hangs is left alone in its group', () => {
  rest();
  ask();
  const next = ask();
  pass(START_MAX_MS - 1);
  expect(target).toBe(group(1));
  pass(1);
  // Nobody is in there yet: a child made from here on would be born wherever this process went.
  expect(target).toBe(group(1));
  writeFileSync(join(group(1), 'cgroup.procs'), `${process.pid}\n777\n`);
  pass(START_MAX_MS);
  expect(target).toBe(group(2));
  arrive();
  expect(next.group).toBe(group(2));
  rmSync(join(group(1), 'cgroup.procs'));
  expect(groups.begun(group(1), 5, null)).toBe(false);
  expect(existsSync(group(1))).toBe(false);
});

test('where a fresh group cannot be entered runs have none for a while', () => {
  const asked = ask();
  arrive(false);
  expect([asked.group, existsSync(group(1))]).toEqual([null, false]);
  groups.sharedBegun();
  now += 2000;
  expect(ask().group).toBe('waits');
});

test('a run’s group is left at least for where this process came from', () => {
  rest();
  ask();
  groups.begun(group(1), 5, null);
  const next = ask();
  expect(target).toBe(group(2));
  arrive(false);
  expect([target, next.group, existsSync(group(1))]).toEqual([home, 'waits', true]);
  arrive();
  expect(next.group).toBe(null);
});

test('when a run’s group cannot be left at all no further run gets one', () => {
  rest();
  ask();
  groups.begun(group(1), 5, null);
  pass(STAY_MS);
  arrive(false);
  arrive(false);
  expect(ask().group).toBe(null);
  groups.sharedBegun();
  pass(1_000_000);
  expect(ask().group).toBe(null);
});
