/** The journal as a file: rewritten when mostly dead, readable at any time, all or nothing on a full disk. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { COMPACT_BYTES, Journal } from '../../src/agent/runner/journal.ts';
import { readSpool, spoolPath, type SpoolRecord } from '../../src/agent/spool.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { StartRequest } from '../../src/model/agent.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'belfry-journal-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function accept(key: number, size = 10): SpoolRecord {
  const run: StartRequest = {
    key,
    id: `${key}-n`,
    group: key,
    attempt: 1,
    job: 'j',
    jobId: 1,
    trigger: 'manual',
    scheduledAt: 0,
    executor: 'shell',
    config: { command: 'x'.repeat(size) },
    timeoutMs: null,
    killGraceMs: 0,
  };
  return { r: 'accept', runs: [run] };
}

function journal(live: () => SpoolRecord[] = () => []): Journal {
  return new Journal(
    { directory, runner: 'r', reserveBytes: 1024 * 1024 },
    { clock: systemClock, preallocate: () => true, live },
  );
}

test('what was appended is read back, synced or not', async () => {
  const log = journal();
  log.append([accept(1)]);
  log.append([accept(2), accept(3)]);
  expect([...readSpool(directory).entries.keys()]).toEqual([1, 2, 3]);
  await Promise.all([log.sync(), log.sync()]);
  log.close();
});

test('it is rewritten when large, keeps what is live, and goes on', async () => {
  const live: SpoolRecord[] = [accept(7), { r: 'epoch', epoch: 9 }];
  const log = journal(() => live);
  for (let key = 100; statSync(spoolPath(directory)).size < COMPACT_BYTES; key += 1) log.append([accept(key, 100_000)]);
  await log.sync();
  log.compactIfLarge();
  expect(statSync(spoolPath(directory)).size).toBeLessThan(10_000);
  log.append([accept(8)]);
  await log.sync();
  const state = readSpool(directory);
  expect([...state.entries.keys()]).toEqual([7, 8]);
  expect(state.epoch).toBe(9);
  log.close();
});

test('asked while a sync is under way, it is rewritten after that', async () => {
  const log = journal(() => [accept(7)]);
  for (let key = 100; statSync(spoolPath(directory)).size < COMPACT_BYTES; key += 1) log.append([accept(key, 100_000)]);
  const synced = log.sync();
  log.compactIfLarge();
  expect(statSync(spoolPath(directory)).size).toBeGreaterThanOrEqual(COMPACT_BYTES);
  await synced;
  expect(statSync(spoolPath(directory)).size).toBeLessThan(10_000);
  log.close();
});

test('a directory that has been renamed away is an error, not a new journal', () => {
  rmSync(directory, { recursive: true });
  expect(() => journal()).toThrow('ENOENT');
  directory = mkdtempSync(join(tmpdir(), 'belfry-journal-'));
});
