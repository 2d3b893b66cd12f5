// Two nodes may live in one control group, and their runs may have one key.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openCgroups, removeCgroup } from './cgroup.ts';

test('each data directory has groups of its own, and opens without removing another one’s', ({ skip }) => {
  const directories = [1, 2].map(() => mkdtempSync(join(tmpdir(), 'belfry-cgroup-'))) as [string, string];
  try {
    const [one, two] = [openCgroups(directories[0]), openCgroups(directories[1])];
    if (one === null || two === null) return skip('no writable cgroup v2 is here');
    const groups = [one.create(17), two.create(17)] as [string, string];
    expect(new Set(groups).size).toBe(2);
    openCgroups(directories[0]);
    expect(groups.map((group) => existsSync(group))).toEqual([false, true]);
    expect(removeCgroup(groups[1])).toBe(true);
  } finally {
    for (const directory of directories) rmSync(directory, { recursive: true });
  }
});
