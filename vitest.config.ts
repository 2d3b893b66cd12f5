/**
 * The test runner. `npm test` is everything that needs no more than this machine and stays under six minutes on two cores; files named
 * *.long.test.ts only run with `npm run test:all`. What was skipped, and why, is said at the end.
 */
import { defineConfig } from 'vitest/config';

export default defineConfig(({ mode }) => ({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'packages/**/*.test.ts'],
    exclude: ['**/node_modules/**', ...(mode === 'all' ? [] : ['**/*.long.test.ts'])],
    pool: 'forks',
    maxWorkers: 2,
    execArgv: ['--disable-warning=ExperimentalWarning'],
    // Limits for a test that hangs, not waits: tests wait for events.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // A flaky test is a bug.
    retry: 0,
    reporters: ['default', './test/kit/skip-reporter.ts', ...(process.env['TEST_REPORT'] ? ['json'] : [])],
    outputFile: { json: process.env['TEST_REPORT'] ?? 'test-output/vitest.json' },
  },
}));
