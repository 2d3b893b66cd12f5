// The checker's own test: forged runs in which one thing is wrong. A check that has gone quiet shows here, not in a green chaos run.
import { describe, expect, test } from 'vitest';
import { check } from './checker.ts';
import { fnv1a64, parseEvidence } from './evidence.ts';
import { addAttempt, forge, type Forged, observe, pick, shownOf, T0 } from './forged.ts';
import { dueInstants } from './instants.ts';
import type { ChaosJob, FindingKind } from './types.ts';

function findings(world: Forged): FindingKind[] {
  return check(observe(world)).findings.map(({ kind }) => kind);
}

function expectOnly(world: Forged, kind: FindingKind): void {
  const found = check(observe(world)).findings;
  expect(found.length, 'nothing was found').toBeGreaterThan(0);
  expect([...new Set(found.map((finding) => finding.kind))], found.map(({ text }) => text).join('\n')).toEqual([kind]);
}

interface Plant {
  readonly what: string;
  readonly kind: FindingKind;
  readonly job?: Partial<ChaosJob>;
  readonly child?: boolean;
  readonly plant: (world: Forged) => void;
}

const failsOnce = (world: Forged, n: number) => {
  const parts = pick(world, n);
  Object.assign(parts.execution, { outcome: 'failed', reason: 'exit', exitCode: 3 });
  if (parts.evidence.end !== null) parts.evidence.end = { ...parts.evidence.end, code: 3 };
  return parts;
};

const diesUnderItsShell = (world: Forged) => {
  const { evidence, execution, run } = pick(world, 3);
  evidence.end = null;
  Object.assign(execution, { outcome: 'failed', reason: 'exit', exitCode: 137 });
  Object.assign(run, { outcome: 'failed', reason: 'exit' });
  return execution;
};

const loses = (world: Forged, n: number, reason: string) => {
  const parts = pick(world, n);
  Object.assign(parts.run, { outcome: 'lost', reason });
  Object.assign(parts.execution, { outcome: 'lost', reason, exitCode: null });
  return parts;
};

const powerCut = (world: Forged, at: number) => {
  world.log.faults = [{ kind: 'power-cut', at, detail: '' }];
  world.log.runnerDeaths = [{ pid: 99, at }];
  world.log.nodeDeaths = [at];
};

const forgeRequests = () => {
  const world = forge({ executor: 'http' });
  for (const evidence of world.evidence.values())
    if (evidence.end !== null) evidence.end = { ...evidence.end, code: 200 };
  return world;
};

/** `count` rows from n on become one range row. */
const drop = (world: Forged, n: number, count: number, reason: string) => {
  const runs = Array.from({ length: count }, (_, i) => pick(world, n + i).run);
  for (const { id } of runs.flatMap(({ executions }) => executions)) world.evidence.delete(id);
  const [run, ...rest] = runs as [(typeof runs)[0], ...typeof runs];
  const lastScheduledAt = runs.at(-1)?.scheduledAt ?? null;
  Object.assign(run, { outcome: 'missed', reason, executions: [], lastScheduledAt, count });
  world.history = world.history.filter((one) => !rest.includes(one));
  return run;
};

const PLANTS: readonly Plant[] = [
  { what: 'a due instant without a row', kind: 'unrecorded', plant: (world) => {
    const { run, execution } = pick(world, 3);
    world.history = world.history.filter((one) => one !== run);
    world.evidence.delete(execution.id);
  } },
  { what: 'a run that the record does not have', kind: 'unrecorded', plant: (world) => {
    const { evidence } = pick(world, 3);
    const [start] = evidence.starts;
    if (start !== undefined) world.evidence.set('1000-chaos', { ...evidence, id: '1000-chaos', starts: [{ ...start, group: 1 }] });
  } },
  { what: 'a parent that succeeded without its child', kind: 'unrecorded', child: true, plant: (world) => {
    const { run, execution } = pick(world, 3, 'child');
    world.history = world.history.filter((one) => one !== run);
    world.evidence.delete(execution.id);
  } },
  { what: 'two starts of one attempt', kind: 'doubled', plant: (world) => {
    const { evidence } = pick(world, 3);
    evidence.starts.push(...evidence.starts);
  } },
  { what: 'one attempt under two ids', kind: 'doubled', job: { retries: 1 }, plant: (world) => {
    const { run } = failsOnce(world, 3);
    const { id } = addAttempt(world, run);
    const second = world.evidence.get(id);
    if (second === undefined) throw new Error('no second attempt');
    const key = `${run.group + 600_001}000-chaos`;
    world.evidence.set(key, { ...second, id: key });
    world.logs.set(key, { id: key, bytes: 10, hash: second.end?.hash ?? '' });
    run.executions.push({ ...(run.executions[1] as typeof run.executions[0] & object), id: key });
  } },
  { what: 'an attempt after a success', kind: 'doubled', job: { retries: 1 }, plant: (world) => void addAttempt(world, pick(world, 3).run) },
  { what: 'more retries than the job has', kind: 'doubled', plant: (world) => void addAttempt(world, failsOnce(world, 3).run) },
  { what: 'one instant in two rows', kind: 'doubled', plant: (world) => {
    const { run } = pick(world, 3);
    world.history.push({ ...run, group: 5, executions: [], outcome: 'cancelled', reason: 'job_disabled', finishedAt: T0 + 30_000 });
  } },
  { what: 'a child that ran twice', kind: 'doubled', child: true, plant: (world) => {
    const { run } = pick(world, 3, 'child');
    world.history.push({ ...run, group: 5, executions: [], outcome: 'missed', reason: 'start_deadline' });
    pick(world, 3, 'child');
    world.history = world.history.map((one) => (one.group === 5 ? { ...one, outcome: 'cancelled', reason: 'job_disabled', finishedAt: T0 + 30_000 } : one));
  } },
  { what: 'a row for an instant that was not due', kind: 'wrong', plant: (world) => {
    world.history.push({ ...pick(world, 3).run, group: 5, scheduledAt: T0 + 3_500, executions: [], outcome: 'cancelled', reason: 'job_disabled', finishedAt: T0 + 30_000 });
  } },
  { what: 'a range row that counts wrongly', kind: 'wrong', plant: (world) => {
    const run = drop(world, 3, 2, 'superseded');
    run.count = 3;
    world.log.nodeDown = [{ from: T0 + 3_000, to: T0 + 12_000 }];
  } },
  { what: 'another exit code', kind: 'wrong', plant: (world) => void (pick(world, 3).execution.exitCode = 1) },
  { what: 'a success that was none', kind: 'wrong', plant: (world) => {
    const { evidence, execution } = pick(world, 3);
    if (evidence.end !== null) evidence.end = { ...evidence.end, code: 9 };
    execution.exitCode = null;
  } },
  { what: 'a failure that was none', kind: 'wrong', plant: (world) => {
    const { run, execution } = pick(world, 3);
    Object.assign(execution, { outcome: 'failed', reason: 'exit', exitCode: null });
    Object.assign(run, { outcome: 'failed', reason: 'exit' });
  } },
  { what: 'a success of what never ran', kind: 'wrong', plant: (world) => void world.evidence.delete(pick(world, 3).execution.id) },
  { what: 'other output', kind: 'wrong', plant: (world) => {
    const { execution } = pick(world, 3);
    world.logs.set(execution.id, { id: execution.id, bytes: 10, hash: '0000000000000000' });
  } },
  { what: 'output cut short', kind: 'wrong', plant: (world) => void (pick(world, 3).execution.outputBytes = 9) },
  { what: 'a start recorded before it can have been', kind: 'wrong', plant: (world) => void (pick(world, 3).execution.startedAt = T0 - 9_000) },
  { what: 'a start recorded after the real one', kind: 'wrong', plant: (world) => void (pick(world, 3).execution.startedAt = T0 + 4_150) },
  { what: 'an end recorded before the real one', kind: 'wrong', plant: (world) => void (pick(world, 3).execution.finishedAt = T0 + 4_100) },
  { what: 'an end recorded long after the real one', kind: 'wrong', plant: (world) => void (pick(world, 3).execution.finishedAt = T0 + 9_000) },
  { what: 'a run told another instant than the recorded one', kind: 'wrong', plant: (world) => {
    const { evidence } = pick(world, 3);
    evidence.starts = evidence.starts.map((start) => ({ ...start, scheduledAt: new Date(T0).toISOString() }));
  } },
  { what: 'an occurrence that ended other than its last attempt', kind: 'wrong', plant: (world) => {
    Object.assign(pick(world, 3).run, { outcome: 'failed', reason: 'exit' });
  } },
  { what: 'a retry that was due and never came', kind: 'wrong', job: { retries: 1 }, plant: (world) => {
    Object.assign(failsOnce(world, 3).run, { outcome: 'failed', reason: 'exit' });
  } },
  { what: 'a relaunch that was due and never came', kind: 'wrong', job: { atLeastOnce: true }, plant: (world) => {
    loses(world, 3, 'supervisor_gone');
    world.log.runnerDeaths = [{ pid: 99, at: T0 + 4_100 }];
    world.log.nodeDeaths = [T0 + 4_100];
  } },
  { what: 'a timeout of a job without one', kind: 'wrong', plant: (world) => {
    Object.assign(pick(world, 3).execution, { outcome: 'failed', reason: 'timeout' });
    Object.assign(pick(world, 3).run, { outcome: 'failed', reason: 'timeout' });
  } },
  { what: 'a timeout of what had ended in time', kind: 'wrong', job: { timeoutMs: 1_000 }, plant: (world) => {
    Object.assign(pick(world, 3).execution, { outcome: 'failed', reason: 'timeout' });
    Object.assign(pick(world, 3).run, { outcome: 'failed', reason: 'timeout' });
  } },
  { what: 'a death by a signal that nobody sent', kind: 'wrong', plant: (world) => {
    const { evidence, execution, run } = pick(world, 3);
    evidence.end = null;
    Object.assign(execution, { outcome: 'failed', reason: 'signal', exitCode: null, signal: 'SIGKILL' });
    Object.assign(run, { outcome: 'failed', reason: 'signal' });
  } },
  { what: 'a death under its shell that nobody caused', kind: 'wrong', job: { throughShell: true }, plant: diesUnderItsShell },
  { what: 'a cancel that nobody asked for', kind: 'wrong', plant: (world) => {
    Object.assign(pick(world, 3).run, { outcome: 'cancelled', reason: 'user' });
  } },
  { what: 'a skip where overlap is allowed', kind: 'wrong', plant: (world) => {
    const { run, execution } = pick(world, 3);
    world.evidence.delete(execution.id);
    Object.assign(run, { outcome: 'skipped', reason: 'overlap', executions: [] });
  } },
  { what: 'a result counted twice', kind: 'wrong', plant: (world) => {
    const [shown] = [...shownOf(world)].map(([, job]) => job);
    if (shown !== undefined) world.shown = new Map([['one', { ...shown, successCount: shown.successCount + 1 }]]);
  } },
  { what: 'a failure listed as a success', kind: 'wrong', plant: (world) => {
    const [shown] = [...shownOf(world)].map(([, job]) => job);
    const executions = shown?.executions.map((one, n) => (n === 3 ? { ...one, success: false } : one)) ?? [];
    if (shown !== undefined) world.shown = new Map([['one', { ...shown, executions }]]);
  } },
  { what: 'a skip with nothing in the way', kind: 'wrong', job: { concurrency: 'forbid' }, plant: (world) => {
    const { run, execution } = pick(world, 3);
    world.evidence.delete(execution.id);
    Object.assign(run, { outcome: 'skipped', reason: 'overlap', executions: [], finishedAt: run.scheduledAt + 1 });
  } },
  { what: 'a child after a parent that failed', kind: 'wrong', child: true, plant: (world) => {
    Object.assign(failsOnce(world, 3).run, { outcome: 'failed', reason: 'exit' });
  } },
  { what: 'two runs at once', kind: 'overlap', job: { concurrency: 'queue' }, plant: (world) => void pick(world, 3).evidence.overlaps.push(T0 + 4_005) },
  { what: 'a loss without any fault', kind: 'lost', plant: (world) => void loses(world, 3, 'supervisor_gone') },
  { what: 'a loss though only the runner died', kind: 'lost', plant: (world) => {
    loses(world, 3, 'supervisor_gone');
    world.log.runnerDeaths = [{ pid: 99, at: T0 + 4_100 }];
  } },
  { what: 'a loss though only the node died', kind: 'lost', plant: (world) => {
    loses(world, 3, 'supervisor_gone');
    world.log.nodeDeaths = [T0 + 4_100];
  } },
  { what: 'a loss though both died long after its end', kind: 'lost', plant: (world) => {
    loses(world, 3, 'supervisor_gone');
    world.log.runnerDeaths = [{ pid: 99, at: T0 + 8_000 }];
    world.log.nodeDeaths = [T0 + 8_000];
  } },
  { what: 'a loss without a sign of its run, long before the power cut', kind: 'lost', plant: (world) => {
    const { execution } = loses(world, 3, 'supervisor_gone');
    world.evidence.delete(execution.id);
    powerCut(world, T0 + 8_000);
  } },
  { what: 'an unknown start though another runner died', kind: 'lost', plant: (world) => {
    loses(world, 3, 'start_unknown');
    world.log.runnerDeaths = [{ pid: 99, at: T0 - 60_000 }, { pid: 98, at: T0 + 4_100 }];
  } },
  { what: 'a reason for a loss that one node cannot have', kind: 'lost', plant: (world) => void loses(world, 3, 'node_gone') },
  { what: 'an instant dropped as late though nothing was late', kind: 'missed', plant: (world) => void drop(world, 3, 2, 'superseded') },
  { what: 'a reason for dropping that nothing here can cause', kind: 'missed', plant: (world) => void drop(world, 3, 2, 'no_target') },
  { what: 'an acknowledged run that is not on record', kind: 'unacknowledged', plant: (world) => void world.acknowledgedRuns.set(77, 'one') },
  { what: 'an acknowledged job that is gone', kind: 'unacknowledged', plant: (world) => void world.acknowledgedJobs.set('written', 1) },
  { what: 'an acknowledged write that is gone', kind: 'unacknowledged', plant: (world) => {
    world.acknowledgedJobs.set('written', 2);
    world.storedJobs.set('written', 1);
  } },
  { what: 'an occurrence still open a minute after the faults', kind: 'unfinished', plant: (world) => void world.unfinishedAfterFaults.push(pick(world, 3).run) },
  { what: 'an occurrence open for ever', kind: 'unfinished', plant: (world) => void Object.assign(pick(world, 3).run, { phase: 'active', outcome: null, finishedAt: null }) },
  { what: 'a late launch when all is calm', kind: 'late', plant: (world) => {
    const { evidence, execution } = pick(world, 8);
    evidence.starts = evidence.starts.map((start) => ({ ...start, at: start.at + 1_500 }));
    if (evidence.end !== null) evidence.end = { ...evidence.end, at: evidence.end.at + 1_500 };
    Object.assign(execution, { startedAt: (execution.startedAt ?? 0) + 1_500, finishedAt: (execution.finishedAt ?? 0) + 1_500 });
  } },
]; // prettier-ignore

describe('the checker', () => {
  test('finds nothing in a run without faults', () => {
    const verdict = check(observe(forge({}, true)));
    expect(verdict.findings).toEqual([]);
    expect(verdict.counts).toMatchObject({
      occurrences: 20,
      starts: 20,
      dueInstants: 10,
      logsCompared: 20,
      lost: 0,
      lostPossible: 0,
      calmLaunches: 2,
    });
  });

  test.each(PLANTS)('catches $what ($kind)', ({ kind, job, child, plant }) => {
    const world = forge(job ?? {}, child ?? false);
    expect(findings(world)).toEqual([]);
    plant(world);
    expectOnly(world, kind);
  });

  test('allows the code of a shell whose job was killed', () => {
    const world = forge({ throughShell: true });
    world.log.jobKills = [{ id: diesUnderItsShell(world).id, at: T0 + 4_100 }];
    expect(findings(world)).toEqual([]);
  });

  test('allows the start of a request that was recorded before a pause with a step of the clock in it', () => {
    const stepMs = 60_000;
    const world = forgeRequests();
    const { run, execution, evidence } = pick(world, 9);
    Object.assign(evidence.starts[0] ?? {}, { at: T0 + 15_000 });
    Object.assign(evidence.end ?? {}, { at: T0 + 15_200 });
    execution.finishedAt = T0 + 15_200 + stepMs;
    run.finishedAt = execution.finishedAt;
    world.log.clock = [
      { from: T0 - 100_000, offsetMs: 0 },
      { from: T0 + 10_100, offsetMs: stepMs },
    ];
    expect(findings(structuredClone(world))).toContain('wrong');
    world.log.runnerStopped = [{ from: T0 + 10_050, to: T0 + 14_990 }];
    expect(findings(world)).not.toContain('wrong');
  });

  test('allows that a server goes on with a request broken off, and not with one that was answered', () => {
    const endsAfterItsRecord = (ms: number, isBrokenOff: boolean) => {
      const world = forgeRequests();
      const { run, execution, evidence } = pick(world, 3);
      Object.assign(evidence.end ?? {}, { at: (execution.finishedAt ?? 0) + ms });
      if (isBrokenOff)
        for (const one of [run, execution])
          Object.assign(one, { outcome: 'cancelled', reason: 'user', exitCode: null });
      return findings(world).filter((kind) => kind === 'wrong');
    };
    expect([endsAfterItsRecord(300, true), endsAfterItsRecord(300, false)]).toEqual([
      endsAfterItsRecord(0, true),
      [...endsAfterItsRecord(0, false), 'wrong'],
    ]);
    expect(endsAfterItsRecord(900, true)).toEqual([...endsAfterItsRecord(0, true), 'wrong']);
  });

  test('allows a loss when runner and node both died during the run', () => {
    const world = forge();
    loses(world, 3, 'supervisor_gone');
    world.log.runnerDeaths = [{ pid: 99, at: T0 + 4_100 }];
    world.log.nodeDeaths = [T0 + 4_090];
    const { findings: found, counts } = check(observe(world));
    expect(found).toEqual([]);
    expect(counts.lost).toBe(1);
    expect(counts.lostPossible).toBeGreaterThanOrEqual(1);
  });

  test('allows a loss without a sign of its run when a power cut took it as it began', () => {
    const world = forge();
    const { execution } = loses(world, 3, 'supervisor_gone');
    world.evidence.delete(execution.id);
    powerCut(world, (execution.startedAt ?? 0) + 20);
    expect(findings(world)).toEqual([]);
  });

  test('allows a log that found no place on a full disk, when the record says so', () => {
    const world = forge();
    const { execution } = pick(world, 3);
    world.logs.set(execution.id, { id: execution.id, bytes: 12, hash: '0000000000000000' });
    execution.logBytes = 0;
    expectOnly(structuredClone(world), 'wrong');
    world.log.diskFull = [{ from: T0 + 3_000, to: T0 + 5_000 }];
    expect(findings(world)).toEqual([]);
  });

  test('allows a drop that a step of the clock explains', () => {
    const world = forge({ misfire: { graceMs: 1_000, policy: 'last', max: 100 } });
    drop(world, 3, 2, 'superseded');
    const stepMs = 3_000;
    world.log.clock = [
      { from: T0 - 100_000, offsetMs: 0 },
      { from: T0 + 3_200, offsetMs: stepMs },
    ];
    for (const run of world.history)
      if (run.scheduledAt > T0 + 5_000) for (const { id } of run.executions) advance(world, id, stepMs);
    expect(findings(world)).toEqual([]);
  });

  test('a launch before the tree noticed a step back is none of the calm', () => {
    const world = forge();
    world.log.clock = [
      { from: T0 - 100_000, offsetMs: 0 },
      { from: T0 + 7_900, offsetMs: -1_500 },
    ];
    expect(findings(world)).toEqual([]);
  });

  test('allows a drop when the clock was stepped back between the instant and its jitter, and on over both later', () => {
    const world = forge({ jitterMs: 900, misfire: { graceMs: 300, policy: 'last', max: 100 } });
    drop(world, 1, 1, 'superseded');
    drop(world, 2, 3, 'superseded');
    world.log.clock = [
      { from: T0 - 100_000, offsetMs: 0 },
      { from: T0 + 2_050, offsetMs: -5_000 },
      { from: T0 + 5_500, offsetMs: 0 },
    ];
    expect(findings(world)).toEqual([]);
  });
});

/** In real time the run was so much earlier than by the node's clock. */
function advance(world: Forged, id: string, ms: number): void {
  const evidence = world.evidence.get(id);
  if (evidence === undefined) return;
  evidence.starts = evidence.starts.map((start) => ({ ...start, at: start.at - ms }));
  if (evidence.end !== null) evidence.end = { ...evidence.end, at: evidence.end.at - ms };
}

describe('due instants', () => {
  test.each([
    [{ kind: 'every', startsAt: T0, intervalMs: 3_000 } as const, [0, 3_000, 6_000]],
    [{ kind: 'seconds', step: 7 } as const, [0, 7_000]],
    [{ kind: 'none' } as const, []],
  ])('%j', (schedule, offsets) => {
    expect(dueInstants(schedule, T0 - 1, T0 + 8_000)).toEqual(offsets.map((offset) => T0 + offset));
  });

  test('a step that does not divide a minute begins anew with it', () => {
    expect(dueInstants({ kind: 'seconds', step: 7 }, T0 + 50_000, T0 + 68_000)).toEqual([
      T0 + 56_000,
      T0 + 60_000,
      T0 + 67_000,
    ]);
  });
});

describe('evidence', () => {
  test('is read line by line', () => {
    const text =
      'S\t1795370439575123456\ta\t2\t7\t2026-11-22T17:00:00Z\tjob\tschedule\t12\t11\nO\t1795370439576000000\ta\nT\t1795370439577000000\ta\nE\t1795370439578000000\ta\t3\t5\t00ff\nS\t17';
    const one = parseEvidence(text).get('a');
    expect(one?.starts).toEqual([
      {
        at: 1795370439575.123,
        attempt: 2,
        group: 7,
        scheduledAt: '2026-11-22T17:00:00Z',
        job: 'job',
        pid: 12,
        parentPid: 11,
      },
    ]);
    expect(one).toMatchObject({
      overlaps: [1795370439576],
      termAt: 1795370439577,
      end: { at: 1795370439578, code: 3, bytes: 5, hash: '00ff' },
    });
  });

  test('has the hash the job program computes', () => {
    // The start value is the one of job.c; worked out with its own loop.
    let hash = 1469598103934665603n;
    const bytes = Buffer.from('Belfry \u00fc\n');
    for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * 1099511628211n) % 2n ** 64n;
    expect(fnv1a64(bytes)).toBe(hash.toString(16).padStart(16, '0'));
  });
});
