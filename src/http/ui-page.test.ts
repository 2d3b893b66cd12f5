import { expect, test } from 'vitest';
import type { RunView } from './services.ts';
import { type PageData, statusPage, troublePage } from './ui-page.ts';

const RUN: RunView = {
  group: 1,
  job: 'j',
  job_id: 1,
  job_version: 1,
  trigger: 'manual',
  scheduled_at: '2026-11-23T04:00:00Z',
  due_at: '2026-11-23T04:00:00Z',
  parent_group: null,
  phase: 'active',
  outcome: null,
  reason: '',
  stopping: null,
  finished_at: null,
  last_scheduled_at: null,
  count: 1,
  count_exact: true,
  executions: [],
};
const PAGE: PageData = {
  node: 'n',
  version: '1',
  status: 'healthy',
  issues: [],
  warnings: [],
  address: 'http://n',
  curlCredentials: '',
  paused: false,
  jobs: 1,
  running: [],
  upcoming: [],
  recent: [],
  now: Date.parse('2026-11-23T04:00:10Z'),
};

test.each<[string, Partial<PageData>, RegExp[]]>([
  ['healthy', {}, [/class="pill good">healthy</]],
  [
    'unhealthy',
    { status: 'unhealthy', issues: ['<a>', 'b'] },
    [/class="pill bad">2 issues</, /class="bad">Issues<.*<li>&#60;a&#62;<\/li><li>b<\/li>/],
  ],
  [
    'draining, which nobody need be woken for',
    { status: 'draining', issues: ['it waits'] },
    [/class="pill warn">draining</, /class="warn">Draining<.*<li>it waits</],
  ],
  [
    'healthy with a warning',
    { warnings: ['another zone'] },
    [/class="pill good">healthy</, /class="warn">Warnings<.*<li>another zone</],
  ],
  [
    'a run that is being stopped',
    { recent: [{ ...RUN, stopping: { since: '2026-11-23T04:00:05Z', reason: 'user' } }] },
    [/<span class="warn">stopping<\/span> <small>user</],
  ],
  ['a run that waits', { recent: [RUN] }, [/<span class="calm">waiting<\/span><\/td>/]],
])('%s', (_name, data, expected) => {
  for (const part of expected) expect(statusPage({ ...PAGE, ...data })).toMatch(part);
});

test('when the store cannot be read the page tells why, and claims nothing else', () => {
  const page = troublePage({ ...PAGE, status: 'unhealthy', issues: ['the database is damaged'] });
  expect(page).toMatch(/id="live">.*the database is damaged/);
  expect(page).not.toMatch(/Jobs<|first job|healthy/);
});
