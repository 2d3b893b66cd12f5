/**
 * Process entry of the runner: `node main.ts --data-dir DIR --runner ID`. Its directory below DIR was made by the node that starts it and
 * holds `options.json`. It writes `runner.json` (who it is) before it listens, so that the next node can tell whether it lives.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { join } from 'node:path';
import { DATA_VARIABLE } from '../../core/process-environment.ts';
import { systemClock } from '../../lib/clock.ts';
import { enlargeShare } from '../../lib/processor-share.ts';
import { identityOf } from '../identity.ts';
import { runnerDirectory } from '../paths.ts';
import { dataMark } from '../process-table.ts';
import type { RunnerOptions } from '../protocol.ts';
import { Runner } from './runner.ts';

function argument(name: string): string {
  const value = process.argv[process.argv.indexOf(name) + 1];
  if (!process.argv.includes(name) || value === undefined) throw new Error(`the runner needs ${name}`);
  return value;
}

async function fillCache(): Promise<void> {
  await Promise.all([import('./runner.ts'), import('../../executors/http/http.ts'), import('./spawn-thread.ts')]);
}

async function run(): Promise<void> {
  const dataDir = argument('--data-dir');
  const id = argument('--runner');
  const directory = runnerDirectory(dataDir, id);
  // Stopping the node (Ctrl-C, a stop of the whole service) must not stop the jobs' keeper; who wants it gone ends the jobs.
  // SIGIO: somebody opened a spare file in the microseconds of its lease.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGIO'] as const) process.on(signal, () => undefined);
  enlargeShare();
  const told = JSON.parse(readFileSync(join(directory, 'options.json'), 'utf8')) as RunnerOptions;
  const options = { ...told, baseEnvironment: { ...told.baseEnvironment, [DATA_VARIABLE]: dataMark(dataDir) } };
  const runner = new Runner({ dataDir, runner: id, directory, options }, systemClock);
  writeFileSync(
    join(directory, 'runner.json.new'),
    JSON.stringify({ ...identityOf(process.pid), protocol: options.protocol }),
    { mode: 0o600 },
  );
  renameSync(join(directory, 'runner.json.new'), join(directory, 'runner.json'));
  await runner.listen();
}

await (process.argv.includes('--fill-cache') ? fillCache() : run());
// A runner may end by kill -9; what it compiled is kept for the next one now.
flushCompileCache();
