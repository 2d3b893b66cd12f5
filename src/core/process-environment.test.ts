import { expect, test } from 'vitest';
import type { StartRequest } from '../model/agent.ts';
import { baseEnvironment, parseJobEnv, processEnvironment } from './process-environment.ts';

const run: StartRequest = {
  key: 1_795_000_000_000_001,
  id: '1795000000000001000-n1',
  group: 1_795_000_000_000_000,
  attempt: 3,
  job: 'backup',
  jobId: 7,
  trigger: 'schedule',
  scheduledAt: Date.UTC(2026, 10, 22, 17),
  executor: 'shell',
  config: { env: 'PATH=/opt/bin,BELFRY_EXECUTION_ID=forged,A=1' },
  timeoutMs: null,
  killGraceMs: 1000,
};

test('the job’s own values win over the base, and nothing wins over what Belfry says', () => {
  const environment = processEnvironment(run, 'n1', { PATH: '/bin', HOME: '/root' });
  expect(environment).toMatchObject({
    PATH: '/opt/bin',
    HOME: '/root',
    A: '1',
    ENV_JOB_NAME: 'backup',
    BELFRY_EXECUTION_ID: run.id,
    BELFRY_SCHEDULED_AT: '2026-11-22T17:00:00Z',
    BELFRY_GROUP: '1795000000000000',
    BELFRY_ATTEMPT: '3',
    BELFRY_NODE: 'n1',
  });
});

test('milliseconds appear only when there are some, and then all three digits', () => {
  const at = (scheduledAt: number) => processEnvironment({ ...run, scheduledAt }, 'n1', {})['BELFRY_SCHEDULED_AT'];
  expect(at(Date.UTC(2026, 1, 28, 23, 59, 59, 500))).toBe('2026-02-28T23:59:59.500Z');
  expect(at(Date.UTC(2028, 1, 29))).toBe('2028-02-29T00:00:00Z');
});

test('another user’s home and name', () => {
  const user = { name: 'daemon', home: '/usr/sbin', shell: '/bin/false' };
  expect(processEnvironment(run, 'n1', { HOME: '/root', USER: 'root', LANG: 'C' }, user)).toMatchObject({
    HOME: '/usr/sbin',
    USER: 'daemon',
    LOGNAME: 'daemon',
    LANG: 'C',
  });
});

test.each([
  ['', {}],
  ['A=1', { A: '1' }],
  ['A=1,B=2', { A: '1', B: '2' }],
  ['A=1,2,3,B=x=y', { A: '1,2,3', B: 'x=y' }],
  [' A=1, B=2', { A: '1', B: '2' }],
  ['A=', { A: '' }],
  ['junk,A=1', { A: '1' }],
  ['A=1,2=3', { A: '1,2=3' }],
])('env %j', (text, pairs) => {
  expect(parseJobEnv(text)).toEqual(pairs);
});

test('the base takes the fixed names, the asked ones, and defaults for what is missing', () => {
  expect(baseEnvironment({ PATH: '/bin', SECRET: 's', TZ: 'UTC' }, ['TZ', 'NOT_SET'])).toEqual({
    PATH: '/bin',
    HOME: '/',
    SHELL: '/bin/sh',
    LANG: 'C.UTF-8',
    TZ: 'UTC',
  });
});
