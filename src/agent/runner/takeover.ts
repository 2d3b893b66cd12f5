/**
 * Takes the runs of dead runners: reads their journals, finds out what became of each run (the table of SEMANTICS §1.5), and makes the answer
 * its own before the old journals go. Being interrupted anywhere and repeated gives the same answer.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import type { Clock } from '../../lib/clock.ts';
import { RecentNumbers } from '../../lib/recent.ts';
import type { KnownExecution } from '../../model/agent.ts';
import { BOOT_ID, existence, isChildOf } from '../identity.ts';
import { logFile } from '../log-index.ts';
import { logBase, logHourDirectory, runnerDirectory } from '../paths.ts';
import { allProcesses, type ProcessStat, runnerOf, TICKS_PER_SECOND, uptimeSeconds } from '../process-table.ts';
import type { RunnerOptions } from '../protocol.ts';
import { ACKNOWLEDGED_MAX, readSpool, type SpoolEntry, type SpoolState } from '../spool.ts';
import { planShell } from './executors.ts';
import { knownState, lost, newRun, type Run, type Verdict, verdictOfEnding, verdictOfExit } from './run.ts';
import { type LogLimits, RunLog, STREAMS } from './run-log.ts';
import { recordsOf, type RunTable } from './run-table.ts';
import { spareDirectory, sparePath } from './spare-files.ts';
import { ProcessTrees, signal, type TreeRoot } from './tree.ts';
import type { Watcher } from './watcher.ts';

export interface TakeoverModules {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly options: RunnerOptions;
  readonly table: RunTable;
  readonly watcher: Watcher;
  readonly logLimits: LogLimits;
}

export interface Takeover {
  readonly known: readonly KnownExecution[];
  /** Main processes whose exits only the node can learn. */
  readonly pids: readonly number[];
}

/** Throws when the own journal has no room for what is taken; the old ones then stay, and the next try finds them. */
export async function takeOver(runners: readonly string[], modules: TakeoverModules): Promise<Takeover> {
  const { dataDir, table, watcher } = modules;
  const directories = runners.map((runner) => runnerDirectory(dataDir, runner));
  const state = merge(directories.map((directory) => readWithSpares(directory, dataDir)));
  table.epoch = Math.max(table.epoch, state.epoch);
  for (const key of state.acknowledged) table.remember(key);
  const entries = [...state.entries.values()].filter(
    ({ run }) => table.get(run.key) === undefined && !state.acknowledged.has(run.key),
  );
  endUnborn(runners);
  const verdicts = resolve(entries, modules);
  const runs = entries.map((entry) => adopt(entry, verdicts.get(entry.run.key), modules));
  const written = table.journal.append([
    { r: 'epoch', epoch: table.epoch },
    { r: 'ack', keys: [...state.acknowledged] },
    ...runs.flatMap(recordsOf),
  ]);
  if (!written) throw new Error('no room on disk to take over the journal of an earlier runner');
  for (const run of runs) {
    table.add(run);
    if (verdicts.get(run.request.key)?.kind === 'lives') table.begin(run);
  }
  // Ends are written by finish, so they come after the accept and start marks.
  for (const run of runs) {
    const verdict = verdicts.get(run.request.key);
    if (run.ended === null && verdict !== undefined && verdict.kind === 'over') table.finish(run, verdict.verdict);
  }
  await table.journal.sync();
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
  const live = runs.filter((run) => run.ended === null);
  for (const run of live) watcher.watch(run);
  for (const [index, run] of runs.entries()) {
    const { stop } = entries[index] as SpoolEntry;
    if (run.ended === null && stop !== null) watcher.resumeEnding(run, stop.reason, stop.message);
  }
  return {
    known: runs.map(knownState),
    pids: live.filter((run) => run.adopted === 'asked').map((run) => run.pid as number),
  };
}

/** What unfinished runs wrote to the dead runner's spare files gets its log's name before that runner's directory goes. */
function readWithSpares(directory: string, dataDir: string): SpoolState {
  const state = readSpool(directory);
  for (const { run, spare, ended } of state.entries.values()) {
    if (ended !== null) continue;
    for (const [index, stream] of STREAMS.entries()) {
      const path = sparePath(spareDirectory(directory), spare[index] as number);
      if (spare[index] === 0 || !existsSync(path)) continue;
      mkdirSync(logHourDirectory(dataDir, run.key), { recursive: true });
      renameSync(path, logFile(logBase(dataDir, run.key), stream));
    }
  }
  return state;
}

/** A takeover that was interrupted leaves one run in two journals: the one that knows more counts, and acknowledged is more than all. */
function merge(states: readonly SpoolState[]): SpoolState {
  const acknowledged = new RecentNumbers(ACKNOWLEDGED_MAX * states.length);
  const merged: SpoolState = { epoch: 0, entries: new Map(), acknowledged, spareOf: new Map() };
  for (const state of states) {
    merged.epoch = Math.max(merged.epoch, state.epoch);
    for (const key of state.acknowledged) merged.acknowledged.add(key);
    for (const [key, entry] of state.entries) {
      const other = merged.entries.get(key);
      merged.entries.set(key, other === undefined ? entry : furthest(other, entry));
    }
  }
  return merged;
}

function furthest(a: SpoolEntry, b: SpoolEntry): SpoolEntry {
  return {
    run: a.ended === null ? a.run : b.run,
    spare: a.spare,
    start: a.start ?? b.start,
    stop: a.stop ?? b.stop,
    exitStatus: a.exitStatus ?? b.exitStatus,
    ended: a.ended ?? b.ended,
  };
}

/**
 * Children of dead runners that have no program yet, because its filesystem hangs, are still of the runner's image and carry no run's
 * environment. The kill is served before a program's first instruction: none can begin when its run has long been called lost.
 */
function endUnborn(runners: readonly string[]): void {
  for (const { pid } of allProcesses()) {
    const runner = pid === process.pid ? null : runnerOf(pid);
    if (runner !== null && runners.includes(runner)) signal(pid, 'SIGKILL');
  }
}

type Resolution =
  | { readonly kind: 'over'; readonly verdict: Verdict }
  /** main: the process found without a start mark; with one, the mark names it. */
  | { readonly kind: 'lives'; readonly main: ProcessStat | null; readonly asked: boolean };

function resolve(entries: readonly SpoolEntry[], modules: TakeoverModules): Map<number, Resolution> {
  const open = entries.filter((entry) => entry.ended === null);
  const inFlight = (entry: SpoolEntry) => entry.start !== null && entry.start.pid === null;
  const members = new ProcessTrees(modules.dataDir).members(
    open.filter((entry) => !inFlight(entry)).map((entry) => rootOfEntry(entry)),
  );
  const answers = new Map<number, Resolution>();
  for (const entry of open) {
    const alive = members.get(entry.run.key) ?? [];
    answers.set(
      entry.run.key,
      inFlight(entry) ? { kind: 'over', verdict: lost('request_in_flight') } : resolveProcess(entry, alive, modules),
    );
  }
  return answers;
}

function rootOfEntry({ run, start }: SpoolEntry): TreeRoot {
  const root = { key: run.key, id: run.id };
  if (start === null || start.bootId !== BOOT_ID) return { ...root, pid: null, startTicks: 0, cgroup: null };
  return { ...root, pid: start.pid, startTicks: start.startTicks, cgroup: start.cgroup };
}

function resolveProcess(entry: SpoolEntry, alive: readonly ProcessStat[], modules: TakeoverModules): Resolution {
  const { start, stop, exitStatus } = entry;
  const { reaperPid } = modules.table;
  if (start !== null && start.pid !== null) {
    const main = existence({ pid: start.pid, startTicks: start.startTicks, bootId: start.bootId });
    const asked = main !== 'gone' && isChildOf(start.pid, start.startTicks, reaperPid);
    // A zombie's status is still there for its parent, which is the node when the node lived on.
    if (main === 'alive' || asked) return { kind: 'lives', main: null, asked };
  }
  if (exitStatus !== null && alive.length === 0) {
    return {
      kind: 'over',
      verdict: stop === null ? verdictOfExit(exitStatus, [0]) : verdictOfEnding(stop, exitStatus),
    };
  }
  if (alive.length === 0) return { kind: 'over', verdict: lost(start === null ? 'start_unknown' : 'supervisor_gone') };
  if (start !== null) return { kind: 'lives', main: null, asked: false };
  // Without a start mark the main process is the leader of the session the spawner gave it; when it has gone, any other stands for the tree.
  const leader = alive.find((stat) => stat.session === stat.pid) ?? null;
  return {
    kind: 'lives',
    main: leader ?? (alive[0] as ProcessStat),
    asked: leader !== null && leader.parent === reaperPid,
  };
}

function adopt(entry: SpoolEntry, resolution: Resolution | undefined, modules: TakeoverModules): Run {
  const run = newRun(entry.run);
  if (entry.ended !== null || resolution === undefined) {
    run.state = 'ended';
    run.ended = entry.ended;
    run.startedAtUs = entry.ended?.startedAtUs ?? null;
    return run;
  }
  const { start } = entry;
  run.state = 'running';
  run.startedAtUs = start?.startedAtUs ?? null;
  run.pid = start?.pid ?? null;
  run.startTicks = start?.startTicks ?? 0;
  run.exitStatus = entry.exitStatus;
  run.exited = entry.exitStatus !== null;
  run.cgroup = start?.cgroup ?? null;
  run.adopted = resolution.kind === 'lives' && resolution.asked ? 'asked' : 'blind';
  if (resolution.kind === 'lives' && start === null && resolution.main !== null) {
    run.pid = resolution.main.pid;
    run.startTicks = resolution.main.startTicks;
    run.startedAtUs =
      modules.clock.nowUs() - Math.round((uptimeSeconds() - run.startTicks / TICKS_PER_SECOND) * 1_000_000);
  }
  resumeLimits(run, resolution, modules);
  return run;
}

/** Its limits go on counting from its start; the machine's uptime tells how long ago that was, whatever the wall clock did meanwhile. */
function resumeLimits(run: Run, resolution: Resolution, { options, clock, logLimits }: TakeoverModules): void {
  const log = new RunLog(logLimits, run.request.key);
  log.resume();
  run.output = log;
  if (resolution.kind !== 'lives') return;
  const planned = planShell(run.request, { node: options.node, base: options.baseEnvironment });
  if (planned.kind !== 'plan') return;
  run.successCodes = planned.plan.successCodes;
  run.memLimitBytes = planned.plan.memLimitBytes;
  run.timeoutMs = planned.plan.timeoutMs;
  if (run.timeoutMs === null) return;
  const sinceStartMs = (uptimeSeconds() - run.startTicks / TICKS_PER_SECOND) * 1000;
  const elapsedMs = run.startTicks > 0 ? sinceStartMs : (clock.nowUs() - (run.startedAtUs ?? clock.nowUs())) / 1000;
  run.deadline = clock.monotonic() + run.timeoutMs - elapsedMs;
}
