import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
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
  bootId: 'b',
  runs: [{ key, pid: 5, startTicks: 6, startedAtUs: 7, cgroup: null }],
});

function write(records: readonly SpoolRecord[], tail = ''): void {
  writeFileSync(spoolPath(directory), records.map(encodeRecord).join('') + tail);
}

test('a run from its accept mark to its acknowledgement', () => {
  write([
    { r: 'epoch', epoch: 4 },
    { r: 'accept', runs: [request(1)] },
    { r: 'accept', runs: [request(2)] },
    start(1),
    { r: 'end', runs: [ended(1)] },
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
    { r: 'accept', runs: [request(1)] },
    { r: 'end', runs: [ended(1)] },
    { r: 'ack', keys: [1] },
    { r: 'accept', runs: [request(1)] },
  ]);
  expect(readSpool(directory).entries.size).toBe(0);
});

test('cut anywhere, the file reads as the records before the cut', () => {
  const records: SpoolRecord[] = [{ r: 'accept', runs: [request(1)] }, start(1), { r: 'end', runs: [ended(1)] }];
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

describe('spare files', () => {
  const accept = (key: number): SpoolRecord => ({ r: 'accept', runs: [request(key)] });
  const spare = (...files: [number, number, number][]): SpoolRecord => ({ r: 'spare', files });
  /** Of each key the journal knows, the files it may have written to. */
  const owned = (bytes: Buffer) =>
    Object.fromEntries([...parseSpool(bytes).entries].map(([key, entry]) => [key, entry.spare]));

  const tables: [name: string, records: SpoolRecord[], expected: Record<number, readonly [number, number]>][] = [
    ['several runs in one record', [accept(1), accept(2), spare([1, 7, 8], [2, 9, 10])], { 1: [7, 8], 2: [9, 10] }],
    ['one stream only', [accept(1), accept(2), spare([1, 7, 0], [2, 0, 8])], { 1: [7, 0], 2: [0, 8] }],
    ['named again: both', [accept(1), spare([1, 7, 8]), accept(2), spare([2, 7, 8])], { 1: [0, 0], 2: [7, 8] }],
    [
      'named again: one of the two',
      [accept(1), accept(2), accept(3), spare([1, 7, 8]), spare([2, 7, 9]), spare([3, 10, 8])],
      { 1: [0, 0], 2: [7, 9], 3: [10, 8] },
    ],
    [
      'named again for the other stream',
      [accept(1), accept(2), spare([1, 7, 8]), spare([2, 8, 9])],
      { 1: [7, 0], 2: [8, 9] },
    ],
    [
      'named three times, within one record too',
      [accept(1), accept(2), accept(3), spare([1, 7, 8], [2, 7, 8]), spare([3, 7, 8])],
      { 1: [0, 0], 2: [0, 0], 3: [7, 8] },
    ],
    ['none is nobody’s', [accept(1), accept(2), spare([1, 0, 7]), spare([2, 0, 0])], { 1: [0, 7], 2: [0, 0] }],
    [
      'the earlier one acknowledged before',
      [accept(1), spare([1, 7, 8]), { r: 'ack', keys: [1] }, accept(2), spare([2, 7, 8])],
      { 2: [7, 8] },
    ],
    [
      'the earlier one acknowledged after',
      [accept(1), spare([1, 7, 8]), accept(2), spare([2, 7, 8]), { r: 'ack', keys: [1] }],
      { 2: [7, 8] },
    ],
    ['the later one unknown', [accept(1), spare([1, 7, 8]), spare([2, 7, 9])], { 1: [0, 8] }],
    [
      'the rest of its life changes nothing',
      [accept(1), spare([1, 7, 8]), start(1), { r: 'exit', key: 1, status: 0 }, accept(1)],
      { 1: [7, 8] },
    ],
  ];
  test.each(tables)('%s', (_name, records, expected) => {
    expect(owned(Buffer.from(records.map(encodeRecord).join('')))).toEqual(expected);
  });

  test('cut anywhere, no file has two owners, and each is the one of the last whole record', () => {
    const records = [accept(1), accept(2), spare([1, 7, 8]), spare([2, 7, 9]), { r: 'ack', keys: [1] } as const];
    const states = [
      {},
      { 1: [0, 0] },
      { 1: [0, 0], 2: [0, 0] },
      { 1: [7, 8], 2: [0, 0] },
      { 1: [0, 8], 2: [7, 9] },
      { 2: [7, 9] },
    ];
    const lines = records.map(encodeRecord);
    const ends = lines.map((_, i) => Buffer.byteLength(lines.slice(0, i + 1).join('')));
    const bytes = Buffer.from(lines.join(''));
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const whole = ends.filter((end) => end <= cut).length;
      for (const junk of ['', '\0'.repeat(50), 'garbage\nmore']) {
        expect(owned(Buffer.concat([bytes.subarray(0, cut), Buffer.from(junk)]))).toEqual(states[whole]);
      }
    }
  });
});

test('a changed byte is found, whatever it is', () => {
  const line = encodeRecord({ r: 'accept', runs: [request(1)] }).slice(0, -1);
  fc.assert(
    fc.property(fc.nat(line.length - 1), fc.integer({ min: 33, max: 126 }), (at, code) => {
      const changed = line.slice(0, at) + String.fromCharCode(code) + line.slice(at + 1);
      expect(decodeRecord(changed) === null).toBe(changed !== line);
    }),
  );
});
