// Node and runner have a larger share of the processors than the jobs, and a terminal's session keeps its own.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { allProcesses } from '../../src/agent/process-table.ts';
import { SHARE_NICE } from '../../src/lib/processor-share.ts';
import { eventually } from '../kit/eventually.ts';
import { startNode, type TestNode } from '../kit/node.ts';

const AUTOGROUP = '/proc/self/autogroup';
let node: TestNode | undefined;
afterEach(async () => {
  await node?.stop();
  node = undefined;
});

test('node and runner take a larger share, jobs the usual one', async ({ skip }) => {
  if (!existsSync(AUTOGROUP)) return skip('this kernel has no autogroups');
  const may = spawnSync('setsid', ['sh', '-c', `echo ${SHARE_NICE} > ${AUTOGROUP}`]).status === 0;
  if (!may) return skip('a larger share of the processors takes root or CAP_SYS_NICE');
  node = await startNode({ under: ['setsid'] });
  const { pid } = node;
  const config = { command: `cat ${AUTOGROUP}; nice`, shell: 'true' };
  const job = { name: 'share', schedule: '@manually', executor: 'shell', executor_config: config };
  await node.ask('POST', '/v1/jobs', { headers: { 'content-type': 'application/json' }, body: job });
  await node.ask('POST', '/v1/jobs/share/run');
  const output = await eventually('the end of the run', async () => {
    const answer = await node?.ask('GET', '/v1/jobs/share/executions');
    const [execution] = answer?.json<{ output: string; success: boolean }[]>() ?? [];
    return execution?.success === true ? execution.output : undefined;
  });
  expect(output).toMatch(/nice 0\n0\n$/);
  const runners = allProcesses().filter((stat) => stat.parent === pid);
  expect(runners.length).toBeGreaterThan(0);
  for (const process of [pid, ...runners.map((runner) => runner.pid)])
    expect(readFileSync(`/proc/${process}/autogroup`, 'utf8')).toMatch(new RegExp(`nice ${SHARE_NICE}\n$`));
});

test('the session of a terminal keeps its share', ({ skip }) => {
  if (!existsSync(AUTOGROUP)) return skip('this kernel has no autogroups');
  const look = `import { readFileSync } from 'node:fs'; import { enlargeShare } from './src/lib/processor-share.ts';
    console.log(String(enlargeShare()), readFileSync('${AUTOGROUP}', 'utf8'));`;
  const command = `'${process.execPath}' --disable-warning=ExperimentalWarning -e "${look}"`;
  const { stdout } = spawnSync('script', ['-qec', command, '/dev/null'], { encoding: 'utf8', timeout: 20_000 });
  expect(stdout).toMatch(/^false .* nice 0\r?\n/);
});
