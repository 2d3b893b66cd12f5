// What `.ci/run` counts: it must not call green what did not run.
import { describe, expect, test } from 'vitest';
import suites from '../../scripts/ci-suites.json' with { type: 'json' };
import { countsOf, type Suite } from '../../scripts/ci-suites.ts';

const ended = (exitCode: number | null, output = '', timedOut = false) => ({ exitCode, output, timedOut });
const report = (numPassedTests: number, numFailedTests: number, numFailedTestSuites = 0) =>
  JSON.stringify({ numPassedTests, numFailedTests, numFailedTestSuites });

describe('counts of a suite', () => {
  test.each([
    ['its report', ended(0), report(12, 0), { passed: 12, failed: 0 }],
    ['its report with failures', ended(1), report(10, 2, 1), { passed: 10, failed: 2 }],
    ['a file that could not be loaded', ended(1), report(10, 0, 1), { passed: 10, failed: 1 }],
    [
      'the last line it printed',
      ended(0, '1 passed, 1 failed\nseed 5\n7 passed, 0 failed\n'),
      undefined,
      { passed: 7, failed: 0 },
    ],
    [
      'a line with a word before it',
      ended(0, 'chaos: 7 passed, 0 failed, 2 skipped\n'),
      undefined,
      { passed: 7, failed: 0 },
    ],
    ['only its exit code', ended(0, 'fine\n'), undefined, { passed: 1, failed: 0 }],
    ['an exit code against what it printed', ended(3, '7 passed, 0 failed\n'), undefined, { passed: 7, failed: 1 }],
    ['killed', ended(null), undefined, { passed: 0, failed: 1 }],
    ['past its time', ended(0, '7 passed, 0 failed\n', true), undefined, { passed: 7, failed: 1 }],
  ])('%s', (_name, how, text, counts) => expect(countsOf(how, text)).toEqual(counts));
});

test('all suites together stay inside an hour, installing included', () => {
  const all: readonly Suite[] = suites;
  expect(all.reduce((sum, { minutes }) => sum + minutes, 0)).toBeLessThanOrEqual(55);
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
});
