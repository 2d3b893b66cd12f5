// The wall clock stepped either way under a running node: nothing twice, nothing silent, and a person is told.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { startNode, type TestNode } from '../kit/node.ts';
import { skipUnless } from '../kit/skip.ts';
import { create, manual, type Run, runsOf } from './kit.ts';

const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';
const HOUR_S = 3_600;

let directory: string;
let node: TestNode;
const evidence = () => join(directory, 'evidence');
const shift = (seconds: number): void =>
  writeFileSync(join(directory, 'offset'), `${seconds >= 0 ? '+' : ''}${seconds}\n`);

async function start(): Promise<void> {
  shift(0);
  const env = {
    LD_PRELOAD: FAKETIME,
    FAKETIME_TIMESTAMP_FILE: join(directory, 'offset'),
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
  node = await startNode({ env });
  await create(node, { ...manual('tick', `echo $BELFRY_SCHEDULED_AT >> ${evidence()}`), schedule: '@every 1s' });
  await ran(2);
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'belfry-clock-'));
});
afterEach(async () => {
  await node.stop('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

const starts = (): string[] => (existsSync(evidence()) ? readFileSync(evidence(), 'utf8').trimEnd().split('\n') : []);

async function ran(more: number): Promise<void> {
  const from = starts().length;
  await eventually(`${more} more runs`, async () => (starts().length >= from + more ? true : undefined));
}

/** Looked at once: while what was missed catches up, the next look finds more. */
function expectNoneTwice(): void {
  const seen = starts();
  expect(seen.filter((instant, at) => seen.indexOf(instant) !== at)).toEqual([]);
}

const covered = (runs: readonly Run[]): number => runs.reduce((sum, { count }) => sum + count, 0);

skipUnless(existsSync(FAKETIME), 'no faketime')('the clock stepped', () => {
  test('forward: the gap goes to the misfire policy, on record, and launches go on', async () => {
    await start();
    shift(HOUR_S);
    await ran(3);
    const runs = await runsOf(node, 'tick');
    const superseded = runs.filter(({ reason }) => reason === 'superseded');
    expect(covered(superseded)).toBeGreaterThan(HOUR_S - 120);
    // One row per occurrence that ran, and rows for the rest: every second once.
    const instants = runs.map(({ scheduled_at }) => Date.parse(scheduled_at));
    const span = (Math.max(...instants) - Math.min(...instants)) / 1000 + 1;
    expect(covered(runs)).toBe(span);
    expectNoneTwice();
    expect((await node.get('/metrics')).text).toMatch(/^belfry_clock_steps_total [1-9]/m);
  }, 60_000);

  test('back: nothing is emitted again, health says when launches resume, and the cursor can be reset', async () => {
    await start();
    shift(-HOUR_S);
    const issue = await eventually('health to tell', async () => {
      const { text } = await node.get('/health');
      return /clock is behind/.test(text) ? text : undefined;
    });
    expect(issue).toMatch(/resume after \d{4}-.*cursor/);
    const before = starts().length;
    const answer = await node.post('/v1/jobs/tick/cursor', { to: 'now' });
    expect({ status: answer.status, text: answer.status === 200 ? '' : answer.text }).toEqual({
      status: 200,
      text: '',
    });
    await ran(2);
    expect(starts().length).toBeGreaterThan(before);
    expectNoneTwice();
    await eventually('health', async () => ((await node.get('/health')).status === 200 ? true : undefined));
  }, 60_000);
});

test('a host moved to another zone: schedules keep theirs, with a warning that is no reason for 503; --timezone lasts one start', async () => {
  const zones: [args: string[], host: string, next: RegExp, warned: boolean][] = [
    [[], 'UTC', /T12:00:00Z$/, false],
    [[], 'Asia/Tokyo', /T12:00:00Z$/, true],
    [['--timezone', 'Asia/Tokyo'], 'Asia/Tokyo', /T03:00:00Z$/, false],
    [[], 'UTC', /T12:00:00Z$/, false],
  ];
  for (const [args, host, next, warned] of zones) {
    node = await startNode({ dataDir: directory, args, env: { TZ: host } });
    await create(node, {
      name: 'noon',
      schedule: '0 0 12 * * *',
      disabled: false,
      executor: 'shell',
      owner: String(next),
    });
    expect((await node.get('/v1/jobs/noon')).json()).toMatchObject({ next: expect.stringMatching(next) as string });
    const health = await node.get('/health');
    expect(health.status).toBe(200);
    expect(JSON.stringify(health.json()).includes('this host is in Asia/Tokyo')).toBe(warned);
    await node.stop();
  }
}, 60_000);
