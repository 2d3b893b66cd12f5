/**
 * The durable record of one runner: what it accepted, started and ended, and what the node has acknowledged. Lines of `crc json`;
 * a line that does not check ends the reading there (a torn tail after a power cut), because nothing after it was ever promised.
 */
import { crc32 } from 'node:zlib';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RecentNumbers } from '../lib/recent.ts';
import type { ExecutionEnded, StartRequest, StopRequest } from '../model/agent.ts';

export type SpoolRecord =
  | { readonly r: 'open'; readonly version: 1; readonly runner: string }
  | { readonly r: 'epoch'; readonly epoch: number }
  | { readonly r: 'accept'; readonly runs: readonly StartRequest[] }
  | SpareMark
  | StartMark
  | StopMark
  /** The main process is dead with this wait status, but its tree is still being ended. */
  | { readonly r: 'exit'; readonly key: number; readonly status: number }
  | { readonly r: 'end'; readonly runs: readonly ExecutionEnded[] }
  | { readonly r: 'ack'; readonly keys: readonly number[] };

/** These runs are about to write to spare files of the runner (0: to a file of their own); a file named again belongs to the later run. */
export interface SpareMark {
  readonly r: 'spare';
  /** key, number of the file for stdout, for stderr */
  readonly files: readonly (readonly [number, number, number])[];
}

/** Processes (or, with pid null, in-process runs) have begun. */
export interface StartMark {
  readonly r: 'start';
  readonly bootId: string;
  readonly runs: readonly Begun[];
}

export interface Begun {
  readonly key: number;
  readonly pid: number | null;
  readonly startTicks: number;
  readonly startedAtUs: number;
  readonly cgroup: string | null;
}

/** Its end has been ordered: whatever the processes exit with, this is why. */
export interface StopMark {
  readonly r: 'stop';
  readonly key: number;
  readonly reason: EndingReason;
  readonly message: string;
}

export type EndingReason = StopRequest['reason'] | 'timeout' | 'memory';

/** What the records of one execution add up to. */
export interface SpoolEntry {
  readonly run: StartRequest;
  /** Numbers of the spare files it may have written to, 0 for none: of stdout, of stderr. */
  spare: readonly [number, number];
  start: (Begun & { readonly bootId: string }) | null;
  stop: StopMark | null;
  exitStatus: number | null;
  ended: ExecutionEnded | null;
}

export interface SpoolState {
  epoch: number;
  /** Accepted and not yet acknowledged, by key. */
  readonly entries: Map<number, SpoolEntry>;
  /** Acknowledged keys, oldest first: a start of one of these must not start again. */
  readonly acknowledged: RecentNumbers;
  /** Who may have written to each spare file. */
  readonly spareOf: Map<number, SpoolEntry>;
}

const NO_SPARE = [0, 0] as const;

/** Acknowledged keys remembered against a repeated start. A leader repeats within seconds; this is minutes at full speed. */
export const ACKNOWLEDGED_MAX = 20_000;

export function spoolPath(directory: string): string {
  return join(directory, 'journal');
}

export function encodeRecord(record: SpoolRecord): string {
  const json = JSON.stringify(record);
  return `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`;
}

/** Reads what a (dead) runner left. A missing file is an empty spool: that runner accepted nothing. */
export function readSpool(directory: string): SpoolState {
  const path = spoolPath(directory);
  return existsSync(path) ? parseSpool(readFileSync(path)) : emptySpool();
}

export function parseSpool(bytes: Buffer): SpoolState {
  const state = emptySpool();
  let from = 0;
  while (from < bytes.length) {
    const end = bytes.indexOf(10, from);
    if (end < 0) break;
    const record = decodeRecord(bytes.toString('utf8', from, end));
    if (record === null) break;
    applyRecord(state, record);
    from = end + 1;
  }
  return state;
}

function emptySpool(): SpoolState {
  return { epoch: 0, entries: new Map(), acknowledged: new RecentNumbers(ACKNOWLEDGED_MAX), spareOf: new Map() };
}

/** null: torn or damaged. */
export function decodeRecord(line: string): SpoolRecord | null {
  const json = line.slice(9);
  if (line[8] !== ' ' || crc32(json).toString(16).padStart(8, '0') !== line.slice(0, 8)) return null;
  return JSON.parse(json) as SpoolRecord;
}

/** Records may repeat (a takeover that was itself interrupted): the furthest state wins. */
function applyRecord(state: SpoolState, record: SpoolRecord): void {
  switch (record.r) {
    case 'open':
      return;
    case 'epoch':
      state.epoch = Math.max(state.epoch, record.epoch);
      return;
    case 'accept':
      for (const run of record.runs) {
        if (state.entries.has(run.key) || state.acknowledged.has(run.key)) continue;
        state.entries.set(run.key, { run, spare: NO_SPARE, start: null, stop: null, exitStatus: null, ended: null });
      }
      return;
    case 'spare':
      for (const files of record.files) applySpare(state, files);
      return;
    case 'start':
      for (const begun of record.runs) {
        const entry = state.entries.get(begun.key);
        if (entry !== undefined) entry.start = { ...begun, bootId: record.bootId };
      }
      return;
    case 'stop': {
      const entry = state.entries.get(record.key);
      if (entry !== undefined) entry.stop = record;
      return;
    }
    case 'exit': {
      const entry = state.entries.get(record.key);
      if (entry !== undefined) entry.exitStatus = record.status;
      return;
    }
    case 'end':
      for (const ended of record.runs) {
        const entry = state.entries.get(ended.key);
        if (entry !== undefined) entry.ended = ended;
      }
      return;
    case 'ack':
      for (const key of record.keys) acknowledge(state, key);
      return;
  }
}

function applySpare(state: SpoolState, [key, out, err]: SpareMark['files'][number]): void {
  const entry = state.entries.get(key);
  for (const name of [out, err]) {
    const earlier = state.spareOf.get(name);
    if (earlier !== undefined) earlier.spare = [omit(earlier.spare[0], name), omit(earlier.spare[1], name)];
    if (entry !== undefined && name !== 0) state.spareOf.set(name, entry);
  }
  if (entry !== undefined) entry.spare = [out, err];
}

function omit(name: number, taken: number): number {
  return name === taken ? 0 : name;
}

function acknowledge(state: SpoolState, key: number): void {
  state.entries.delete(key);
  state.acknowledged.add(key);
}
