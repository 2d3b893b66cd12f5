// `belfry agent`: configuration → a running node → exit code. Signals end here; how a node stops is its own business.
import { formatAddress } from '../model/address.ts';
import type { Config } from '../model/config.ts';
import { curlCredentials } from '../model/curl.ts';
import { createLog, type Log } from '../lib/log.ts';
import { loadConfig } from './load-config.ts';
import type { CliServices } from './program.ts';
import { EXIT, sayError, sayProblems, type Terminal } from './terminal.ts';

/** What app.ts hands back. */
export interface RunningNode {
  /** Where the API really listens (the port may have been 0). */
  readonly address: { readonly host: string; readonly port: number };
  /** Begins the graceful stop; a second call ends the wait of a drain. Returns at once. */
  stop(): void;
  /** Resolves when nothing is left open. Never rejects. `lastWords`: how many jobs go on and how to stop them, or what failed; null: none runs. */
  readonly ended: Promise<{ readonly exitCode: number; readonly lastWords: string | null }>;
}

/** Throws AppError for what a person must be told (the directory is taken, the database is damaged, the port is in use). */
export type StartNode = (config: Config, log: Log) => Promise<RunningNode>;

type Env = Readonly<Record<string, string | undefined>>;

export async function runAgent(
  argv: readonly string[],
  env: Env,
  services: Pick<CliServices, 'startNode' | 'fileProblems'>,
  terminal: Terminal,
): Promise<number> {
  const loaded = await loadConfig(argv, env, await services.fileProblems());
  if (!loaded.ok) {
    sayProblems(terminal, loaded.problems);
    return EXIT.usage;
  }
  const log = createLog(loaded.config);
  for (const notice of loaded.notices) log.warn(notice);
  let node: RunningNode;
  try {
    const start = await services.startNode();
    node = await start(loaded.config, log);
  } catch (error) {
    sayError(terminal, error);
    return EXIT.failure;
  }
  const ended = untilEnded(node, log, terminal);
  if (loaded.config.logFormat !== 'json') terminal.talk(greeting(loaded.config, node.address));
  return await ended;
}

/** Hears signals from the call on: whoever has read that the node is up may send one at once. */
async function untilEnded(node: RunningNode, log: Log, terminal: Terminal): Promise<number> {
  const stop = () => node.stop();
  // A closed terminal ends the node as Ctrl-C does; elsewhere HUP is a wish to re-read the options, which are read only at start.
  const hangUp = () =>
    process.stderr.isTTY ? stop() : log.warn('SIGHUP: options are read at start; restart the node to change them');
  process.on('SIGTERM', stop).on('SIGINT', stop).on('SIGHUP', hangUp);
  const { exitCode, lastWords } = await node.ended;
  process.off('SIGTERM', stop).off('SIGINT', stop).off('SIGHUP', hangUp);
  // Without last words and without an error nothing was left to go on.
  if (lastWords !== null || exitCode === EXIT.ok)
    terminal.talk(lastWords ?? 'The node has stopped; no job is running.');
  return exitCode;
}

/** The address to open, a first job to paste, and how to stop. */
export function greeting(config: Config, listening: { host: string; port: number }): string {
  const everywhere = ['', '0.0.0.0', '::'].includes(listening.host);
  const address = formatAddress({ host: everywhere ? '127.0.0.1' : listening.host, port: listening.port });
  const url = `${config.tlsCert === null ? 'http' : 'https'}://${address}`;
  const job = JSON.stringify({
    name: 'hello',
    schedule: '@every 10s',
    executor: 'shell',
    executor_config: { shell: 'true', command: 'echo "Hello from $BELFRY_JOB at $BELFRY_SCHEDULED_AT"' },
  });
  const asked = { basic: config.authBasicFile !== null, token: config.authTokenFile !== null };
  const curl = `curl${curlCredentials(asked)}`;
  return [
    '',
    `Belfry is up: ${url}`,
    '',
    'A first job, every ten seconds (paste into another terminal):',
    `  ${curl} ${url}/v1/jobs -H 'content-type: application/json' -d '${job}'`,
    'What it did:',
    `  ${curl} '${url}/v1/jobs/hello/executions?pretty'`,
    '',
    config.drain
      ? 'Ctrl-C waits for running jobs, a second one stops them.'
      : 'Ctrl-C stops the node; jobs that run then go on.',
    '',
  ].join('\n');
}
