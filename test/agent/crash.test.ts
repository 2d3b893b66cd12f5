/** The table of SEMANTICS §1.5, row by row: a process dies exactly at a gap, the next agent says what became of the run. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { decodeRecord, encodeRecord, spoolPath } from '../../src/agent/spool.ts';
import { AgentWorld, alive, type HostOptions, kill, until } from './kit.ts';

let world: AgentWorld;
beforeEach(() => {
  world = new AgentWorld();
});
afterEach(() => world.close());

/** A job that appends its pid to a file (its own evidence), waits for `go`, prints and exits with 7. */
function witness(name: string): { command: string; shell: string; env: string } {
  return {
    shell: 'true',
    env: `W=${world.path(name)}`,
    command:
      'echo $$ >> $W.started; echo early; while [ ! -e $W.go ]; do sleep 0.02; done; echo late; echo $$ >> $W.done; exit 7',
  };
}

function lines(name: string): number[] {
  const path = world.path(name);
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean).map(Number) : [];
}

function go(name: string): void {
  writeFileSync(world.path(`${name}.go`), '');
}

/** A host whose witness `a` has begun, and the pid of its runner. */
async function running(options: HostOptions = {}) {
  const run = world.run(witness('a'));
  const host = world.host(options);
  await host.known();
  const [runner] = await host.runnerPids();
  host.tell({ start: [run] });
  await host.started(run.key);
  await until(() => lines('a.started').length === 1);
  return { host, run, runner: runner as number };
}

/** The runner that has taken over from a dead one. */
function heirOf(dead: number): number | undefined {
  const directories = readdirSync(`${world.dataDir}/runners`).map(
    (name) => `${world.dataDir}/runners/${name}/runner.json`,
  );
  const pids = directories
    .filter((path) => existsSync(path))
    .map((path) => (JSON.parse(readFileSync(path, 'utf8')) as { pid: number }).pid);
  return pids.includes(dead) ? undefined : pids[0];
}

describe('the node dies', () => {
  test('running jobs are adopted: real exit code, all output, real duration', async () => {
    const run = world.run(witness('a'));
    const first = world.host();
    await first.known();
    first.tell({ start: [run] });
    const { startedAtUs, pid } = await first.started(run.key);
    await until(() => lines('a.started').length === 1);
    await first.kill();
    const second = world.host({ ack: true });
    expect(await second.known()).toEqual([
      { key: run.key, state: 'started', started: { key: run.key, startedAtUs, pid } },
    ]);
    go('a');
    const ended = await second.ended(run.key);
    expect(ended).toMatchObject({ outcome: 'failed', reason: 'exit', exitCode: 7, startedAtUs, tail: 'early\nlate\n' });
    expect(lines('a.started')).toEqual([pid]);
    await second.close();
  });

  test('a run that ended meanwhile is delivered by the runner’s journal', async () => {
    const run = world.run(witness('a'));
    const first = world.host();
    await first.known();
    const runners = await first.runnerPids();
    first.tell({ start: [run] });
    await first.started(run.key);
    await first.kill();
    go('a');
    // The runner ends by itself once it is idle; its result stays.
    await until(() => runners.every((pid) => !alive(pid)));
    const second = world.host();
    const [known] = await second.known();
    expect(known).toMatchObject({ state: 'ended', ended: { exitCode: 7, outcome: 'failed', tail: 'early\nlate\n' } });
    second.tell({ ack: [run.key] });
    await second.close();
    const third = world.host();
    expect(await third.known()).toEqual([]);
    await third.close();
  });

  test('before sending: nothing is known, so the leader may start it', async () => {
    const run = world.run(witness('a'));
    const first = world.host({}, { BELFRY_FAILPOINT: 'agent.start.before_send' });
    await first.known();
    first.tell({ start: [run] });
    await first.exit();
    const second = world.host();
    expect(await second.known()).toEqual([]);
    expect(lines('a.started')).toEqual([]);
  });

  test.each(['agent.ended.received', 'agent.ack.before_send'])('at %s: the end is delivered again', async (point) => {
    const run = world.run({ command: '/bin/sh -c "exit 4"' });
    const first = world.host({ ack: true }, { BELFRY_FAILPOINT: point });
    await first.known();
    first.tell({ start: [run] });
    await first.exit();
    const second = world.host({ ack: true });
    const known = await second.known();
    expect(known).toMatchObject([{ key: run.key, state: 'ended', ended: { exitCode: 4 } }]);
  });
});

describe('the runner dies alone', () => {
  test('its running jobs go on, and the node learns their exit codes', async () => {
    const runs = [world.run(witness('a')), world.run(witness('b'))];
    const host = world.host({ ack: true });
    await host.known();
    const [runner] = await host.runnerPids();
    host.tell({ start: runs });
    for (const run of runs) await host.started(run.key);
    await until(() => lines('a.started').length === 1 && lines('b.started').length === 1);
    kill(runner as number);
    // One ends while nobody looks after it, the other one later.
    go('a');
    expect(await host.ended((runs[0] as { key: number }).key)).toMatchObject({
      exitCode: 7,
      outcome: 'failed',
      reason: 'exit',
      tail: 'early\nlate\n',
    });
    go('b');
    expect(await host.ended((runs[1] as { key: number }).key)).toMatchObject({ exitCode: 7, tail: 'early\nlate\n' });
    expect(lines('a.started')).toHaveLength(1);
    await host.close();
  });

  test('and so does the one that took over, before it has heard of an exit: the node still has it', async () => {
    const { host, run, runner } = await running({ ack: true });
    kill(runner);
    const second = await until(() => heirOf(runner));
    process.kill(second, 'SIGSTOP');
    const [job] = lines('a.started') as [number];
    go('a');
    await until(() => !alive(job));
    // When it has answered twice since, it has had its signal, and has told the one that cannot hear.
    for (const answers of [1, 2]) {
      host.tell({ state: true });
      await host.waitFor((said) =>
        said.filter((one) => one.state !== undefined).length >= answers ? true : undefined,
      );
    }
    kill(second);
    expect(await host.ended(run.key)).toMatchObject({ exitCode: 7, reason: 'exit', tail: 'early\nlate\n' });
    await until(() => !existsSync(`/proc/${job}`));
    expect(lines('a.started')).toEqual([job]);
    await host.close();
  });

  test('one that only hangs is named, then killed, and its jobs go on', async () => {
    const { host, run, runner } = await running({ ack: true, hurry: 20 });
    process.kill(runner, 'SIGSTOP');
    const said = (text: string) =>
      host.waitFor((all) => all.find((one) => one.log?.message.includes(text))?.log, `a word: ${text}`);
    expect(await said('does not answer (')).toMatchObject({
      pid: runner,
      message: expect.stringContaining(`kill -CONT ${runner}`) as string,
    });
    expect(await said('is killed and its runs are taken over')).toMatchObject({ pid: runner });
    go('a');
    expect(await host.ended(run.key)).toMatchObject({ exitCode: 7, tail: 'early\nlate\n' });
    expect(lines('a.started')).toHaveLength(1);
    await host.close();
  });

  test('a node that starts while it hangs says so, kills it, and adopts its jobs', async () => {
    const { host: first, run, runner } = await running();
    process.kill(runner, 'SIGSTOP');
    await first.kill();
    const second = world.host({ ack: true, hurry: 20 });
    expect(await second.known()).toMatchObject([{ key: run.key, state: 'started' }]);
    const said = second.said.flatMap(({ log }) => (log !== undefined && log.pid === runner ? [log.message] : []));
    expect(said).toEqual([expect.stringContaining('waits for its word'), expect.stringContaining('is killed')]);
    expect(alive(runner)).toBe(false);
    go('a');
    await second.ended(run.key);
    expect(lines('a.started')).toHaveLength(1);
    await second.close();
  });

  test('a node that is no subreaper says lost, but only once no process is left', async () => {
    const { host, run, runner } = await running({ ack: true, reap: false });
    kill(runner);
    await host.waitFor(
      (said) => said.flatMap((one) => one.started ?? []).filter((one) => one.key === run.key)[1],
      'a second word of the start',
    );
    go('a');
    expect(await host.ended(run.key)).toMatchObject({
      outcome: 'lost',
      reason: 'supervisor_gone',
      tail: 'early\nlate\n',
    });
    expect(lines('a.done')).toHaveLength(1);
  });

  const gaps: [point: string, expected: Record<string, unknown>, starts: number][] = [
    // Never marked: the agent hands it to the next runner.
    ['runner.accept.before', { outcome: 'failed', exitCode: 7 }, 1],
    ['runner.accept.written', { outcome: 'lost', reason: 'start_unknown' }, 0],
    ['runner.accept.synced', { outcome: 'lost', reason: 'start_unknown' }, 0],
    // Its process is found by the environment it carries.
    ['runner.spawned', { outcome: 'failed', exitCode: 7 }, 1],
    ['runner.start.written', { outcome: 'failed', exitCode: 7 }, 1],
    // The exit was seen but not yet taken from the kernel.
    ['runner.exit.seen', { outcome: 'failed', exitCode: 7 }, 1],
    ['runner.end.before', { outcome: 'failed', exitCode: 7 }, 1],
    ['runner.end.written', { outcome: 'failed', exitCode: 7 }, 1],
  ];
  test.each(gaps)('at %s: %j', async (point, expected, starts) => {
    const run = world.run(witness('a'));
    // The failpoint is in the first runner only: the next ones find the variable's count used up by a marker file.
    const host = world.host({ ack: true }, { BELFRY_FAILPOINT: point, BELFRY_FAILPOINT_ONCE: world.path('failed') });
    await host.known();
    host.tell({ start: [run] });
    if (starts > 0) {
      await host.started(run.key);
      go('a');
    }
    expect(await host.ended(run.key)).toMatchObject(expected);
    expect(existsSync(world.path('failed'))).toBe(true);
    expect(lines('a.started')).toHaveLength(starts);
    await host.close();
  });
});

describe('both die', () => {
  test('a process that still lives is adopted; with nobody to see its exit it ends lost', async () => {
    const { host: first, run, runner } = await running();
    kill(runner);
    await first.kill();
    const second = world.host({ ack: true });
    expect(await second.known()).toMatchObject([{ key: run.key, state: 'started' }]);
    go('a');
    expect(await second.ended(run.key)).toMatchObject({
      outcome: 'lost',
      reason: 'supervisor_gone',
      tail: 'early\nlate\n',
    });
  });

  test('one that ends by itself just before its time limit is lost, not timed out', async () => {
    const runs = [2.7, 2.75, 2.8, 2.85, 2.9, 2.95].map((seconds, jobId) =>
      world.run({ command: `sleep ${seconds}`, env: `W=${world.path('w')}` }, { timeoutMs: 3_000, jobId }),
    );
    const first = world.host();
    await first.known();
    const [runner] = await first.runnerPids();
    first.tell({ start: runs });
    for (const { key } of runs) await first.started(key);
    kill(runner as number);
    await first.kill();
    const second = world.host({ ack: true });
    await second.known();
    const outcomes = await Promise.all(runs.map(async ({ key }) => (await second.ended(key)).reason));
    expect(outcomes).toEqual(runs.map(() => 'supervisor_gone'));
  });

  test('a process that has gone meanwhile ends lost: supervisor_gone', async () => {
    const run = world.run(witness('a'));
    const first = world.host();
    await first.known();
    const [runner] = await first.runnerPids();
    first.tell({ start: [run] });
    const { pid } = await first.started(run.key);
    await first.kill();
    kill(runner as number);
    go('a');
    await until(() => !alive(pid as number));
    const second = world.host();
    expect(await second.known()).toMatchObject([
      { key: run.key, state: 'ended', ended: { outcome: 'lost', reason: 'supervisor_gone' } },
    ]);
  });

  test('an end mark is delivered', async () => {
    const run = world.run({ command: '/bin/sh -c "exit 4"' });
    const first = world.host();
    await first.known();
    const [runner] = await first.runnerPids();
    first.tell({ start: [run] });
    await first.ended(run.key);
    await first.kill();
    kill(runner as number);
    const second = world.host();
    expect(await second.known()).toMatchObject([{ state: 'ended', ended: { exitCode: 4 } }]);
  });

  test('after a power cut: nothing of another boot is ours, and every open run ends with its reason', async () => {
    const started = world.run(witness('a'));
    const first = world.host();
    await first.known();
    const [runner] = await first.runnerPids();
    first.tell({ start: [started] });
    await first.started(started.key);
    kill(runner as number);
    await first.kill();
    // What the disk would hold: the same journal, written in a boot that is over, and one more run accepted just before the end.
    const accepted = world.run({ command: 'true' });
    const [directory] = readdirSync(`${world.dataDir}/runners`);
    const path = spoolPath(`${world.dataDir}/runners/${directory}`);
    const records = readFileSync(path, 'utf8')
      .split('\n')
      .flatMap((line) => decodeRecord(line) ?? []);
    const older = records.map((record) => (record.r === 'start' ? { ...record, bootId: 'the boot before' } : record));
    writeFileSync(path, [...older, { r: 'accept', runs: [accepted] } as const].map(encodeRecord).join(''));
    for (const pid of lines('a.started')) kill(pid);
    await until(() => lines('a.started').every((pid) => !alive(pid)));
    const second = world.host();
    const known = await second.known();
    expect(known).toHaveLength(2);
    expect(known).toMatchObject([
      { key: started.key, ended: { outcome: 'lost', reason: 'supervisor_gone' } },
      { key: accepted.key, ended: { outcome: 'lost', reason: 'start_unknown' } },
    ]);
  });

  test('its deadline goes on counting', async () => {
    const run = world.run({ command: 'sleep 60', timeout: '1500ms' }, { killGraceMs: 200 });
    const first = world.host();
    await first.known();
    const [runner] = await first.runnerPids();
    first.tell({ start: [run] });
    const { pid } = await first.started(run.key);
    kill(runner as number);
    await first.kill();
    const second = world.host();
    const ended = await second.ended(run.key);
    expect(ended).toMatchObject({ outcome: 'failed', reason: 'timeout', message: 'timed out after 1s500ms' });
    expect(alive(pid as number)).toBe(false);
  });
});

test('a start repeated by a new node while the old one’s copy is still in the socket runs once', async () => {
  const run = world.run(witness('a'));
  const first = world.host();
  await first.known();
  const [runner] = await first.runnerPids();
  kill(runner as number, 'SIGSTOP');
  first.tell({ start: [run], state: true });
  await first.waitFor((said) => said.find((one) => one.state !== undefined));
  await first.kill();
  const second = world.host({ ack: true });
  kill(runner as number, 'SIGCONT');
  const known = await second.known();
  if (!known.some(({ key }) => key === run.key)) second.tell({ epoch: 2, start: [run] });
  go('a');
  await second.ended(run.key);
  await second.close();
  expect(lines('a.started')).toHaveLength(1);
});

test('an older epoch is refused', async () => {
  const host = world.host();
  await host.known();
  const run = world.run({ command: 'true' });
  host.tell({ epoch: 5, start: [run] });
  await host.ended(run.key);
  await host.kill();
  const second = world.host();
  await second.known();
  const late = world.run({ command: 'true' });
  second.tell({ epoch: 4, start: [late] });
  const refused = await second.waitFor((said) => said.find((one) => one.refused !== undefined)?.refused);
  expect(refused).toEqual([{ key: late.key, why: 'stale_epoch' }]);
});

test('a runner of another protocol number is adopted and drained', async () => {
  const run = world.run(witness('a'));
  const first = world.host({ protocol: 0 });
  await first.known();
  first.tell({ start: [run] });
  await first.started(run.key);
  await first.kill();
  const second = world.host({ ack: true });
  expect(await second.known()).toMatchObject([{ key: run.key, state: 'started' }]);
  const runners = await second.waitFor((said) => said.find((one) => one.runners !== undefined)?.runners);
  expect(runners.map((one) => one.draining)).toEqual(expect.arrayContaining([false, true]));
  const next = world.run({ command: 'true' });
  second.tell({ start: [next] });
  await second.ended(next.key);
  go('a');
  expect(await second.ended(run.key)).toMatchObject({ exitCode: 7 });
  const older = runners.find((one) => one.draining)?.pid as number;
  await until(() => !alive(older));
});
