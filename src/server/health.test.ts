import { expect, test } from 'vitest';
import { AppError } from '../model/errors.ts';
import { type HealthSources, healthOf } from './health.ts';

const WELL: HealthSources = {
  disk: 'ok',
  cursorsAhead: { count: 0, resumesAt: null },
  zoneDiffers: null,
  agentUp: true,
  damage: null,
  storeSilence: null,
  stopping: null,
};
const DAMAGE = new AppError('damaged', 'The database /d/belfry.db is damaged: torn.', {
  remedy: 'Restore a backup with: belfry backup restore FILE --data-dir /d (the damaged file is kept beside it).',
});
const AT = Date.UTC(2026, 10, 23, 4, 18, 48) + 1;

test.each<[string, Partial<HealthSources>, string, string[]]>([
  ['all is well', {}, 'healthy', []],
  [
    'little room',
    { disk: 'low' },
    'unhealthy',
    ['the disk is short of room: nothing is launched and no job is stored until there is space again'],
  ],
  [
    'no room',
    { disk: 'full' },
    'unhealthy',
    ['the disk is full: nothing is launched and writes are refused until there is space again'],
  ],
  ['no runner', { agentUp: false }, 'unhealthy', ['the runner that starts jobs is being restarted: runs wait']],
  [
    'damage',
    { damage: DAMAGE },
    'unhealthy',
    [`${DAMAGE.message} Nothing is read or written any more. Stop the node. ${DAMAGE.remedy}`],
  ],
  [
    'stopping, and nothing runs',
    { stopping: { running: 0, drainEndsAt: null } },
    'draining',
    ['the node is stopping and starts nothing new'],
  ],
  [
    'stopping without a drain; its runners are let go',
    { stopping: { running: 2, drainEndsAt: null }, agentUp: false },
    'draining',
    ['the node is stopping and starts nothing new; 2 runs will go on without it'],
  ],
  [
    'draining',
    { stopping: { running: 1, drainEndsAt: AT } },
    'draining',
    ['the node is stopping and starts nothing new: it waits for 1 run to end, until 2026-11-23T04:18:49Z at most'],
  ],
  [
    'stopping because of damage',
    { stopping: { running: 0, drainEndsAt: null }, damage: DAMAGE },
    'unhealthy',
    ['the node is stopping and starts nothing new', expect.stringMatching(/is damaged/) as string],
  ],
])('%s', (_name, sources, status, issues) => {
  expect(healthOf({ ...WELL, ...sources })).toEqual({ status, issues, warnings: [] });
});

test('another zone than the stored one is a warning only', () => {
  const found = healthOf({ ...WELL, zoneDiffers: { stored: 'Europe/Berlin', host: 'UTC' } });
  expect(found).toMatchObject({ status: 'healthy', issues: [], warnings: [expect.stringMatching(/--timezone/)] });
});
