/**
 * Runs the suites of ci-suites.json one after the other, each within its time, and sums what they counted. Last line: "N passed, N failed".
 * A suite's counts come from its vitest report when it names one, else from the last "N passed, N failed" it printed; a suite without
 * counts is one check. A suite that exits with an error has failed at least once, whatever it counted.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';

export interface Suite {
  readonly name: string;
  /** A line for sh, run in the repository. */
  readonly command: string;
  /** Then it is ended and counts as failed. */
  readonly minutes: number;
  /** vitest's JSON report, if it writes one. */
  readonly report?: string;
}

export interface Counts {
  readonly passed: number;
  readonly failed: number;
}

interface Ended {
  readonly exitCode: number | null;
  readonly timedOut: boolean;
  /** The end of what it printed. */
  readonly output: string;
}

const root = resolve(import.meta.dirname, '..');
const OUTPUT_KEPT = 64 * 1024;
/** Between SIGTERM and SIGKILL of a suite past its time. */
const GRACE_MS = 10_000;

/** What a suite counted: its report, else its last line of counts, else its exit code. */
export function countsOf(ended: Ended, report: string | undefined): Counts {
  const { passed, failed } = reported(report) ?? printed(ended.output) ?? { passed: 0, failed: 0 };
  const fine = ended.exitCode === 0 && !ended.timedOut;
  if (fine) return passed + failed === 0 ? { passed: 1, failed: 0 } : { passed, failed };
  return { passed, failed: Math.max(1, failed) };
}

function reported(report: string | undefined): Counts | undefined {
  if (report === undefined) return undefined;
  const { numPassedTests, numFailedTests, numFailedTestSuites } = JSON.parse(report) as Record<string, number>;
  // A file that could not even be loaded has no tests to fail.
  return { passed: numPassedTests ?? 0, failed: (numFailedTests ?? 0) || (numFailedTestSuites ?? 0) };
}

function printed(output: string): Counts | undefined {
  const last = [...output.matchAll(/^(?:\w+: )?(\d+) passed, (\d+) failed\b/gm)].at(-1);
  return last === undefined ? undefined : { passed: Number(last[1]), failed: Number(last[2]) };
}

async function runSuite({ name, command, minutes, report }: Suite): Promise<Counts> {
  const file = report === undefined ? undefined : resolve(root, report);
  if (file !== undefined) rmSync(file, { force: true });
  console.log(`\n=== ${name}: ${command}`);
  const began = performance.now();
  const ended = await runCommand(command, minutes * 60_000, file === undefined ? {} : { TEST_REPORT: file });
  const counts = countsOf(ended, file !== undefined && existsSync(file) ? readFileSync(file, 'utf8') : undefined);
  const why = ended.timedOut
    ? `, ended after ${minutes} min`
    : ended.exitCode === 0
      ? ''
      : `, exit code ${ended.exitCode}`;
  const took = ((performance.now() - began) / 1000).toFixed(0);
  console.log(`=== ${name}: ${counts.passed} passed and ${counts.failed} failed in ${took} s${why}`);
  return counts;
}

/** In a process group of its own, so that a suite past its time takes its children with it. */
function runCommand(command: string, limitMs: number, env: Record<string, string>): Promise<Ended> {
  return new Promise((done, fail) => {
    const child = spawn('sh', ['-c', command], {
      cwd: root,
      detached: true,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    let timedOut = false;
    const end = (signal: NodeJS.Signals) => void (child.pid !== undefined && killGroup(child.pid, signal));
    const limit = setTimeout(() => {
      timedOut = true;
      end('SIGTERM');
      setTimeout(() => end('SIGKILL'), GRACE_MS).unref();
    }, limitMs);
    for (const [stream, to] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ] as const) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        to.write(chunk);
        output = (output + chunk).slice(-OUTPUT_KEPT);
      });
    }
    child.on('error', fail);
    child.on('close', (exitCode) => {
      clearTimeout(limit);
      done({ exitCode, timedOut, output });
    });
  });
}

function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // It has ended by itself in this very moment.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function main(): Promise<void> {
  mkdirSync(resolve(root, 'test-output'), { recursive: true });
  const suites = JSON.parse(readFileSync(resolve(import.meta.dirname, 'ci-suites.json'), 'utf8')) as Suite[];
  let passed = 0;
  let failed = 0;
  for (const suite of suites) {
    const counts = await runSuite(suite);
    passed += counts.passed;
    failed += counts.failed;
  }
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}

if (import.meta.main) await main();
