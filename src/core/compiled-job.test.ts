import { describe, expect, it } from 'vitest';
import { definitionOf, parseJobInput } from '../model/job.ts';
import { type CompileContext, compileJob } from './compiled-job.ts';

const NODE: CompileContext = {
  zone: 'UTC',
  misfire: { graceMs: 5_000, policy: 'all', windowMs: 3_600_000, max: 7 },
  startDeadlineMs: null,
  relaunchMax: 3,
  calendar: () => undefined,
};

function misfireOf(misfire?: unknown) {
  const parsed = parseJobInput({ name: 'j', schedule: '@hourly', misfire });
  if (!parsed.ok) throw new Error(parsed.message);
  return compileJob({ id: 1, version: 1, anchorAt: 0, definition: definitionOf(parsed.job) }, NODE).job.misfire;
}

describe('misfire', () => {
  it.each([undefined, null, {}])('follows the node’s options where the job says nothing (%j)', (misfire) =>
    expect(misfireOf(misfire)).toEqual(NODE.misfire),
  );
  it('is the job’s where it says something, also the built-in default', () => {
    expect(misfireOf({ policy: 'last' })).toEqual({ ...NODE.misfire, policy: 'last' });
    expect(misfireOf({ grace: '60s', window: '7d', max: 100 })).toEqual({
      graceMs: 60_000,
      policy: 'all',
      windowMs: 604_800_000,
      max: 100,
    });
  });
});
