/** A full disk: nothing new is accepted, what runs is finished and reported, and work resumes by itself. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AgentWorld, kill } from './kit.ts';

let world: AgentWorld;
let mounted = false;
beforeEach(() => {
  world = new AgentWorld();
  mkdirSync(world.dataDir);
  mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', world.dataDir]).status === 0;
});
afterEach(async () => {
  await world.endProcesses();
  if (mounted) spawnSync('umount', ['-l', world.dataDir]);
  await world.close();
});

test('a run under way ends and is reported; new ones are refused until there is room', async (context) => {
  if (!mounted) context.skip('needs the right to mount a tmpfs');
  const host = world.host({ ack: true, journalReserveBytes: 1024 * 1024 }, { TMPDIR: world.scratch });
  await host.known();
  const running = world.run({
    command: `while [ ! -e ${world.path('go')} ]; do sleep 0.02; done; echo out`,
    shell: 'true',
  });
  host.tell({ start: [running] });
  await host.started(running.key);
  const filler = join(world.dataDir, 'filler');
  fill(filler);
  // More than the reserve holds: each accept mark carries its run.
  const many = Array.from({ length: 60 }, () => world.run({ command: `true ${'x'.repeat(60_000)}` }));
  host.tell({ start: many });
  const refused = await host.waitFor((said) =>
    said.flatMap((one) => one.refused ?? []).find((one) => one.why === 'disk_full'),
  );
  expect(many.map((run) => run.key)).toContain(refused.key);
  writeFileSync(world.path('go'), '');
  expect(await host.ended(running.key)).toMatchObject({ outcome: 'succeeded', exitCode: 0 });
  rmSync(filler);
  const cleared = await host.waitFor((said) => said.find((one) => one.log?.message === 'the disk has room again'));
  expect(cleared).toBeDefined();
  const after = world.run({ command: 'echo again' });
  host.tell({ start: [after] });
  expect(await host.ended(after.key)).toMatchObject({ outcome: 'succeeded', tail: 'again\n' });
});

test('node and runner die on a full disk: the next ones adopt what runs, and the run is reported', async (context) => {
  if (!mounted) context.skip('needs the right to mount a tmpfs');
  const options = { ack: true, journalReserveBytes: 1024 * 1024 };
  const host = world.host(options);
  await host.known();
  const [runner] = await host.runnerPids();
  const running = world.run({
    command: `while [ ! -e ${world.path('go')} ]; do sleep 0.02; done; echo out`,
    shell: 'true',
  });
  host.tell({ start: [running] });
  await host.started(running.key);
  const filler = join(world.dataDir, 'filler');
  fill(filler);
  await host.waitFor((said) => said.find((one) => one.log?.message === 'the disk is full: no run is accepted'));
  // The room that the reserve gave back goes too.
  fill(filler);
  kill(runner as number);
  await host.kill();
  const second = world.host(options);
  await second.waitFor((said) => said.find((one) => one.log !== undefined || one.known !== undefined));
  rmSync(filler);
  expect(await second.known()).toMatchObject([{ key: running.key, state: 'started' }]);
  writeFileSync(world.path('go'), '');
  expect(await second.ended(running.key)).toMatchObject({ outcome: 'lost', reason: 'supervisor_gone', tail: 'out\n' });
});

function fill(path: string): void {
  const block = Buffer.alloc(64 * 1024);
  for (let size = block.length; size >= 1; size = Math.floor(size / 2)) {
    for (;;) {
      try {
        writeFileSync(path, block.subarray(0, size), { flag: 'a' });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        break;
      }
    }
  }
}
