import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readIndex } from './log-index.ts';

let directory: string;
let base: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'belfry-index-'));
  base = join(directory, '1');
});
afterEach(() => rmSync(directory, { recursive: true }));

function brief() {
  return readIndex(base).chunks.map(({ stream, offset, length, late }) => [stream, offset, length, late]);
}

test('one file without index is one chunk', () => {
  writeFileSync(`${base}.out`, 'hello');
  expect(brief()).toEqual([['stdout', 0, 5, false]]);
});

test('what the index has not seen is appended as observed late', () => {
  writeFileSync(`${base}.out`, 'hello');
  writeFileSync(`${base}.err`, 'oops');
  writeFileSync(`${base}.idx`, 'o 0 3 100 0\n');
  expect(brief()).toEqual(
    expect.arrayContaining([
      ['stdout', 0, 3, false],
      ['stdout', 3, 2, true],
      ['stderr', 0, 4, true],
    ]),
  );
});

test('a torn last line does not count, a lost line leaves a gap that is closed', () => {
  writeFileSync(`${base}.out`, 'x'.repeat(30));
  writeFileSync(`${base}.idx`, 'o 0 10 100 0\no 1o 20 10 300 0\no 20 10 300 0\no 30 5');
  expect(brief()).toEqual([
    ['stdout', 0, 10, false],
    ['stdout', 10, 10, true],
    ['stdout', 20, 10, false],
  ]);
});

test('released bytes', () => {
  writeFileSync(`${base}.out`, 'x'.repeat(30));
  writeFileSync(`${base}.idx`, 'o 0 30 100 0\nk 12 12 0\n');
  expect(readIndex(base)).toMatchObject({ released: 12, releasedOut: 12, releasedErr: 0 });
});
