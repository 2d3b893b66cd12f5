/** The spare files by themselves: which of them may serve another run, and where those go that may not. */
import {
  appendFileSync,
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  writeFileSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  truncateSync,
  unlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Libc, openLibc } from '../../src/agent/runner/libc.ts';
import { logHourDirectory } from '../../src/agent/paths.ts';
import { readLog } from '../../src/agent/logs.ts';
import { RunLog } from '../../src/agent/runner/run-log.ts';
import { type SpareFile, SpareFiles, spareDirectory } from '../../src/agent/runner/spare-files.ts';

/** What the source promises to stay below. */
const IDLE_MAX = 160;
/** An execution's, epoch µs. */
const KEY = 1_800_000_000_000_000;
const FILES_MAX = 1024;
const WRITERS_MAX = 100_000;

let scratch: string;
let spare: string;
let files: SpareFiles;
/** How many there were at the start. */
let ahead: number;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'belfry-spare-'));
  const directory = join(scratch, 'runner');
  mkdirSync(directory);
  spare = spareDirectory(directory);
  files = SpareFiles.open({ dataDir: join(scratch, 'data'), directory }, libc()) as SpareFiles;
  expect(files).not.toBeNull();
  ahead = readdirSync(spare).length;
});
afterEach(() => {
  files.close();
  // What a test took and did not give back.
  for (const fd of openDescriptors()) closeSync(fd);
  rmSync(scratch, { recursive: true });
});

function libc(): Libc {
  const opened = openLibc();
  if (opened === null) throw new Error('node:ffi does not work here');
  return opened;
}

function take(jobId = 1): [SpareFile, SpareFile] {
  const pair = [files.takeFor(jobId, 'stdout'), files.takeFor(jobId, 'stderr')] as const;
  if (pair[0] === null || pair[1] === null) throw new Error('no spare file to be had');
  return [pair[0], pair[1]];
}

/** Descriptors of this process for files below the scratch directory. */
function openDescriptors(): number[] {
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(scratch);
      } catch {
        return false; // the descriptor of this very listing
      }
    });
}

test('without the C library there are none', () => {
  expect(SpareFiles.open({ dataDir: join(scratch, 'data'), directory: join(scratch, 'other') }, null)).toBeNull();
});

test('some wait from the start; each is empty and handed out once', () => {
  expect(ahead).toBeGreaterThan(0);
  const pairs = Array.from({ length: 50 }, () => take());
  const paths = pairs.flat().map(({ path }) => path);
  expect(new Set(paths).size).toBe(100);
  for (const file of pairs.flat()) {
    expect(file.path).toBe(join(spare, String(file.name)));
    expect(readFileSync(file.path)).toHaveLength(0);
  }
});

test('one that anybody has open for writing is not unwritten, and it is again once that is closed', () => {
  const [out, err] = take();
  expect(files.areUnwritten(out, err)).toBe(true);
  for (const { path } of [out, err]) {
    const writer = openSync(path, 'a');
    expect(files.areUnwritten(out, err)).toBe(false);
    closeSync(writer);
    expect(files.areUnwritten(out, err)).toBe(true);
  }
  // Who only reads it can do no harm.
  const reader = openSync(out.path, 'r');
  expect(files.areUnwritten(out, err)).toBe(true);
  closeSync(reader);
  // The lease of the question is given back: else opening it for writing would end this process by SIGIO, or wait.
  appendFileSync(out.path, '');
  expect(files.areUnwritten(out, err)).toBe(true);
});

test('unwritten ones serve again, the two together', () => {
  const [out, err] = take();
  const others = take();
  files.putBack(out, err);
  expect(take()).toEqual([out, err]);
  expect(others[0].name).not.toBe(out.name);
});

test('one with a byte in it is not unwritten', () => {
  const [out, err] = take();
  appendFileSync(err.path, 'x');
  expect(files.areUnwritten(out, err)).toBe(false);
  expect(files.areUnwritten(err, out)).toBe(false);
  truncateSync(err.path, 0);
  expect(files.areUnwritten(out, err)).toBe(true);
});

test('one that somebody removed is not unwritten', () => {
  const [out, err] = take();
  unlinkSync(out.path);
  expect(files.areUnwritten(out, err)).toBe(false);
  expect(files.areUnwritten(err, out)).toBe(false);
  files.discard(out);
  files.discard(err);
});

test('one that was removed while it waited is not handed out', () => {
  const [out, err] = take();
  files.putBack(out, err);
  unlinkSync(out.path);
  const [next, other] = take();
  expect(next.name).not.toBe(out.name);
  expect(other).toEqual(err);
  for (const path of readdirSync(spare)) unlinkSync(join(spare, path));
  const all = Array.from({ length: 40 }, () => take()).flat();
  for (const { path } of all) expect(existsSync(path)).toBe(true);
  // Nothing is kept of the removed ones, apart from the two still taken.
  expect(openDescriptors()).toHaveLength(all.length + 2);
});

test('one with a second name is not unwritten', () => {
  const [out, err] = take();
  linkSync(out.path, join(scratch, 'link'));
  expect(files.areUnwritten(out, err)).toBe(false);
  unlinkSync(join(scratch, 'link'));
  expect(files.areUnwritten(out, err)).toBe(true);
});

test('one with output becomes the log; where that has no room it stays a spare one', () => {
  const [out, err] = take();
  const writer = openSync(out.path, 'a');
  appendFileSync(writer, 'one ');
  const open = openDescriptors().length;
  expect(() => files.keep(out, join(scratch, 'no', 'such', 'directory'))).toThrow(/ENOENT/);
  expect(openDescriptors()).toHaveLength(open);
  expect(existsSync(out.path)).toBe(true);
  files.keep(out, join(scratch, 'log'));
  expect(existsSync(out.path)).toBe(false);
  expect(openDescriptors()).toHaveLength(open - 1);
  appendFileSync(writer, 'two');
  closeSync(writer);
  expect(readFileSync(join(scratch, 'log'), 'utf8')).toBe('one two');
  // Its number is never given again.
  const later = Array.from({ length: 100 }, () => take()).flat();
  expect(later.map(({ name }) => name)).not.toContain(out.name);
  files.discard(err);
});

test('a job that wrote gets none for that stream, until it was silent once', () => {
  files.learn(7, 'stdout', true);
  expect(files.takeFor(7, 'stdout')).toBeNull();
  expect(files.takeFor(7, 'stderr')).not.toBeNull();
  expect(files.takeFor(8, 'stdout')).not.toBeNull();
  files.learn(7, 'stderr', true);
  files.learn(7, 'stdout', false);
  expect(files.takeFor(7, 'stdout')).not.toBeNull();
  expect(files.takeFor(7, 'stderr')).toBeNull();
});

test('so many jobs are remembered as writing and no more; one that falls silent makes room', () => {
  for (let job = 1; job <= WRITERS_MAX + 1; job += 1) files.learn(job, 'stdout', true);
  expect(files.takeFor(WRITERS_MAX, 'stdout')).toBeNull();
  expect(files.takeFor(WRITERS_MAX + 1, 'stdout')).not.toBeNull();
  files.learn(1, 'stdout', false);
  files.learn(WRITERS_MAX + 1, 'stdout', true);
  expect(files.takeFor(WRITERS_MAX + 1, 'stdout')).toBeNull();
});

test('so many are kept waiting, the rest goes', () => {
  const pairs = Array.from({ length: IDLE_MAX + 20 }, () => take());
  for (const [out, err] of pairs) files.putBack(out, err);
  expect(readdirSync(spare)).toHaveLength(2 * IDLE_MAX);
  expect(openDescriptors()).toHaveLength(2 * IDLE_MAX);
});

test('so many there are at once; each that goes makes room for one', () => {
  const all: SpareFile[] = [];
  for (let file = files.takeFor(1, 'stdout'); file !== null; file = files.takeFor(1, 'stdout')) all.push(file);
  // Those made ahead for the other stream count too.
  expect(all).toHaveLength(FILES_MAX - ahead / 2);
  expect(readdirSync(spare)).toHaveLength(FILES_MAX);
  files.discard(all.pop() as SpareFile);
  expect(files.takeFor(1, 'stdout')).not.toBeNull();
  expect(files.takeFor(1, 'stdout')).toBeNull();
  files.keep(all.pop() as SpareFile, join(scratch, 'log'));
  expect(files.takeFor(1, 'stdout')).not.toBeNull();
  expect(files.takeFor(1, 'stdout')).toBeNull();
  for (const file of all) files.discard(file);
});

test('with its directory gone a run makes files of its own', () => {
  const idle = Array.from({ length: ahead / 2 }, () => take());
  rmSync(spare, { recursive: true });
  expect(files.takeFor(1, 'stdout')).toBeNull();
  for (const [out, err] of idle) {
    expect(files.areUnwritten(out, err)).toBe(false);
    files.discard(out);
    files.discard(err);
  }
  expect(openDescriptors()).toEqual([]);
});

test('closing leaves an empty directory and no descriptor', () => {
  const [out, err] = take();
  files.putBack(out, err);
  expect(openDescriptors()).toHaveLength(ahead);
  files.close();
  expect(readdirSync(spare)).toEqual([]);
  expect(openDescriptors()).toEqual([]);
});

test('output that finds no room for its name gets it at a later look, though nothing more is written; else it is no log', () => {
  const dataDir = join(scratch, 'data');
  const hour = logHourDirectory(dataDir, KEY);
  const limits = { dataDir, outputBytesMax: () => 1e6, tailBytes: 100, punch: () => undefined };
  const run = (): RunLog => {
    const log = new RunLog(limits, KEY);
    const [stdout, stderr] = take();
    log.use({ files, jobId: 1, stdout, stderr });
    appendFileSync(log.outPath, 'said');
    // A file where the directory should be: renaming into it fails as it does on a full disk.
    rmSync(hour, { recursive: true, force: true });
    writeFileSync(hour, '');
    expect(log.poll(KEY)).toBe(true);
    expect(log.outPath).toContain('/spare/');
    return log;
  };
  const lucky = run();
  rmSync(hour);
  expect(lucky.finish(KEY + 1e6)).toEqual({ outputBytes: 4, logBytes: 4, tail: 'said' });
  expect(readLog(dataDir, { key: KEY, from: 0, limit: 100 }).bytes.toString()).toBe('said');
  files.learn(1, 'stdout', false);
  expect(run().finish(KEY + 1e6)).toEqual({ outputBytes: 4, logBytes: 0, tail: 'said' });
});
