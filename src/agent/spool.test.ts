import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ExecutionEnded, StartRequest } from '../model/agent.ts';
import { decodeRecord, encodeRecord, parseSpool, readSpool, type SpoolRecord, spoolPath } from './spool.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'belfry-spool-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function request(key: number): StartRequest {
  return {
    key,
    id: `${key}-n`,
    group: key,
    attempt: 1,
    job: 'j',
    jobId: 1,
    trigger: 'manual',
    scheduledAt: 0,
    executor: 'shell',
    config: { command: 'ü "x"\n' },
    timeoutMs: null,
    killGraceMs: 0,
  };
}

function ended(key: number): ExecutionEnded {
  return {
    key,
    startedAtUs: 1,
    finishedAtUs: 2,
    outcome: 'failed',
    reason: 'exit',
    exitCode: 1,
    signal: null,
    message: 'exit status 1',
    tail: 't\n',
    outputBytes: 2,
    logBytes: 2,
  };
}

const start = (key: number): SpoolRecord => ({
  r: 'start',
  key,
  pid: 5,
  startTicks: 6,
  bootId: 'b',
  startedAtUs: 7,
  cgroup: null,
});

function write(records: readonly SpoolRecord[], tail = ''): void {
  writeFileSync(spoolPath(directory), records.map(encodeRecord).join('') + tail);
}

test('a run from its accept mark to its acknowledgement', () => {
  write([
    { r: 'epoch', epoch: 4 },
    { r: 'accept', run: request(1) },
    { r: 'accept', run: request(2) },
    start(1),
    { r: 'end', ended: ended(1) },
    { r: 'ack', keys: [1] },
  ]);
  const state = readSpool(directory);
  expect(state.epoch).toBe(4);
  expect([...state.acknowledged]).toEqual([1]);
  expect([...state.entries.values()]).toEqual([
    { run: request(2), spare: [0, 0], start: null, stop: null, exitStatus: null, ended: null },
  ]);
});

test('no file is an empty spool', () => {
  expect(readSpool(directory).entries.size).toBe(0);
});

test('an acknowledged run does not come back by a repeated accept mark', () => {
  write([
    { r: 'accept', run: request(1) },
    { r: 'end', ended: ended(1) },
    { r: 'ack', keys: [1] },
    { r: 'accept', run: request(1) },
  ]);
  expect(readSpool(directory).entries.size).toBe(0);
});

test('cut anywhere, the file reads as the records before the cut', () => {
  const records: SpoolRecord[] = [{ r: 'accept', run: request(1) }, start(1), { r: 'end', ended: ended(1) }];
  const text = Buffer.from(records.map(encodeRecord).join(''));
  const ends = records.map((_, i) =>
    Buffer.byteLength(
      records
        .slice(0, i + 1)
        .map(encodeRecord)
        .join(''),
    ),
  );
  for (let cut = 0; cut <= text.length; cut += 1) {
    // A preallocated or half written tail reads as zeros or garbage.
    for (const junk of ['', '\0'.repeat(50), 'garbage\nmore']) {
      const entry = parseSpool(Buffer.concat([text.subarray(0, cut), Buffer.from(junk)])).entries.get(1);
      const whole = ends.filter((end) => end <= cut).length;
      expect([
        entry !== undefined,
        entry?.start !== null && entry !== undefined,
        entry?.ended !== null && entry !== undefined,
      ]).toEqual([whole >= 1, whole >= 2, whole >= 3]);
    }
  }
});

test('a changed byte is found, whatever it is', () => {
  const line = encodeRecord({ r: 'accept', run: request(1) }).slice(0, -1);
  fc.assert(
    fc.property(fc.nat(line.length - 1), fc.integer({ min: 33, max: 126 }), (at, code) => {
      const changed = line.slice(0, at) + String.fromCharCode(code) + line.slice(at + 1);
      expect(decodeRecord(changed) === null).toBe(changed !== line);
    }),
  );
});
