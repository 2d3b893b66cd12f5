/** Where a figure was measured. */
import { execFileSync } from 'node:child_process';
import { cpus, loadavg, totalmem } from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly node: string;
  /** Of the measured checkout; `+` when its files differ from it. */
  readonly commit: string;
  /** One-minute load average when the figures were complete: what ran besides. */
  readonly load: number;
}

export function machineOf(root: string): Machine {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    commit: commitOf(root),
    load: Number((loadavg()[0] ?? 0).toFixed(2)),
  };
}

function commitOf(root: string): string {
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', root, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    return (
      git('rev-parse', '--short', 'HEAD') +
      (git('status', '--porcelain', '--', 'src', 'package.json') === '' ? '' : '+')
    );
  } catch {
    return 'no git'; // an unpacked release
  }
}
