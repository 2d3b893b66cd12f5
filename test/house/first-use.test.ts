// The first minute of a new user: what `belfry agent` prints is pasted as it stands, and Ctrl-C ends it.
import { execFile, spawnSync } from 'node:child_process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { startNode, type TestNode } from '../kit/node.ts';
import { skipUnless } from '../kit/skip.ts';

let node: TestNode;
beforeEach(async () => {
  node = await startNode();
});
afterEach(() => node.stop('SIGKILL'));

/** A line of the greeting as a shell runs it: the output, or undefined when the command failed. */
function paste(line: string): Promise<string | undefined> {
  return new Promise((done) =>
    execFile('sh', ['-c', line], (error, stdout) => done(error === null ? stdout : undefined)),
  );
}

skipUnless(spawnSync('curl', ['--version']).status === 0, 'no curl')('the greeting', () => {
  test('the first job runs as printed, and its output is shown by the second line', async () => {
    const [create = '', look = ''] = node.output.match(/^ {2}curl .*$/gm) ?? [];
    expect(JSON.parse((await paste(create)) ?? '')).toMatchObject({ name: 'hello', schedule: '@every 10s' });
    const output = await eventually('the first run', async () => {
      const executions = JSON.parse((await paste(look)) ?? '[]') as { success: boolean; output: string }[];
      return executions[0]?.success === true ? executions[0].output : undefined;
    });
    expect(output).toMatch(/^Hello from hello at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n$/);
  });
});

test.each(['SIGINT', 'SIGTERM'] as const)('%s ends it with exit code 0', async (signal) => {
  process.kill(node.pid, signal);
  expect(await node.exited).toBe(0);
});
