// Whose a process is, by its environment alone.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { dataMark } from '../process-table.ts';
import { ProcessTrees } from './tree.ts';

const ID = '1795424756001014000-one-of-tree-test';
let directories: string[];
let processes: ChildProcess[];
beforeEach(() => {
  processes = [];
  directories = [1, 2].map(() => mkdtempSync(join(tmpdir(), 'belfry-tree-')));
});
afterEach(() => {
  for (const one of processes) one.kill('SIGKILL');
  for (const directory of directories) rmSync(directory, { recursive: true });
});

async function start(environment: Record<string, string>): Promise<number> {
  // Not of the group or session of anything the test asks about.
  const child = spawn('/bin/sleep', ['30'], { env: environment, detached: true, stdio: 'ignore' });
  processes.push(child);
  await new Promise((resolve) => child.once('spawn', resolve));
  return child.pid as number;
}

test('two nodes of one name do not take each other\u2019s processes, even when their runs have one id', async () => {
  const [ours, theirs] = directories as [string, string];
  const own = await start({ BELFRY_EXECUTION_ID: ID, BELFRY_DATA_ID: dataMark(ours) });
  const foreign = await start({ BELFRY_EXECUTION_ID: ID, BELFRY_DATA_ID: dataMark(theirs) });
  const older = await start({ BELFRY_EXECUTION_ID: ID });
  await start({ NOT_BELFRY_EXECUTION_ID: ID, BELFRY_DATA_ID: dataMark(ours) });
  const root = { key: 1, id: ID, pid: null, startTicks: 0, cgroup: null };
  const members = (dataDir: string) =>
    new Set(
      new ProcessTrees(dataDir)
        .members([root])
        .get(1)
        ?.map(({ pid }) => pid),
    );
  expect(members(ours)).toEqual(new Set([own, older]));
  expect(members(theirs)).toEqual(new Set([foreign, older]));
});
