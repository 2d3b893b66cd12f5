/**
 * The composition root: configuration → a running node. The only file that names every adapter. Order matters: the address
 * is tried before anything is made, then come the data directory's lock, the store, the epoch, the agent, the leader, and the API last, so
 * that nothing answers before it is true.
 */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { Agent } from './agent/agent.ts';
import { logSizes, openLog, removeLog } from './agent/logs.ts';
import { becomeSubreaper } from './agent/subreaper.ts';
import type { RunningNode } from './cli/agent.ts';
import { preview, resolveZone } from './core/schedule/index.ts';
import { checkExecutor } from './executors/check.ts';
import { createHttpApp, type HttpOptions } from './http/app.ts';
import { type EdgeFiles, readEdgeFiles } from './http/edge-files.ts';
import { assertCanListen, listen } from './http/listen.ts';
import type { Services } from './http/services.ts';
import { hostZone, systemClock as clock } from './lib/clock.ts';
import type { Log } from './lib/log.ts';
import { systemRandom } from './lib/random.ts';
import { enlargeShare } from './lib/processor-share.ts';
import { Scope } from './lib/scope.ts';
import { formatAddress, isLoopback } from './model/address.ts';
import type { ExecutionEnded } from './model/agent.ts';
import { type Config, OPTIONS } from './model/config.ts';
import { AppError } from './model/errors.ts';
import type { Emit } from './model/events.ts';
import type { JobInput } from './model/job.ts';
import { checkProcessors } from './processors/check.ts';
import { createFilesProcessor } from './processors/files.ts';
import { createLogProcessor } from './processors/log.ts';
import { applyProcessors } from './processors/processing.ts';
import { logEvent } from './server/event-log.ts';
import { executionId } from './server/identity.ts';
import { leaderOptions } from './server/leader-options.ts';
import { type Leader, startLeader } from './server/leader.ts';
import type { LiveRun } from './server/live.ts';
import { Metrics, type MetricsSources } from './server/metrics.ts';
import type { LogSlice } from './server/runs.ts';
import { NodeStatus } from './server/node-status.ts';
import { nodeTags } from './server/node-tags.ts';
import { leaderServices } from './server/services.ts';
import { endNode, Stopping } from './server/shutdown.ts';
import { assertAvailable, type DataDirectory, openDataDirectory } from './store/data-directory.ts';
import type { Database } from './store/database.ts';
import { claimLeadership } from './store/leadership.ts';
import { GET_META, putMeta } from './store/meta.ts';
import { migrate } from './store/migrations.ts';
import { DiskReserve, type DiskState } from './store/reserve.ts';
import { openRqlite } from './store/rqlite/database.ts';
import { openSqlite } from './store/sqlite.ts';

/** Version of the program, from package.json. */
const VERSION = (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string })
  .version;
const DISK_LOOK_MS = 1_000;

/** Starts a node. Throws AppError for what a person must be told before anything runs. */
export async function startNode(config: Config, log: Log): Promise<RunningNode> {
  enlargeShare();
  const files = edgeFiles(config, log);
  if (!isLoopback(config.httpAddr) && config.tlsCert === null) {
    log.warn('the API listens beyond this machine without TLS: credentials and jobs can be read on the way');
  }
  const scope = new Scope(clock);
  try {
    return await start(config, log, scope, files);
  } catch (error) {
    await scope.close();
    throw error;
  }
}

async function start(config: Config, log: Log, scope: Scope, edge: EdgeFiles): Promise<RunningNode> {
  const name = config.nodeName === '' ? hostname() : config.nodeName;
  const directory = await openDirectory(config);
  scope.defer(() => directory.close());
  const store = openStore(config, directory.databasePath);
  scope.defer(() => store.database.close());
  await migrate(store.database);
  const epoch = await claimLeadership(store.database, name);
  const zone = await zoneOf(store.database, config);
  const stopping = new Stopping();
  const metrics = new Metrics();
  const emit = emitTo(metrics, log);
  const disk = await watchDisk(store.reserve, scope, emit);
  const agent = openAgent(config, directory.path, name, log);
  scope.defer(() => agent.close());
  const tags = nodeTags(config, VERSION);
  const leader = await startLeader(leaderOptions(config, { name, tags }, { epoch, zone: zone.used }), {
    database: store.database,
    agent,
    clock,
    random: systemRandom,
    emit,
    scope,
    ...outputFiles(directory.path, name, emit),
    mayLaunch: () => disk() === 'ok',
    fail: (error) => stopping.fail(error),
  });
  scope.defer(() => leader.close());
  metrics.observe(sourcesOf(leader, disk));
  const node = new NodeStatus(
    { config, name, version: VERSION, tags },
    { leader, metrics, disk, agent, zone, stopping },
  );
  const app = createHttpApp(httpOptions(config, name, edge, log), {
    ...leaderServices(leader, { clock }),
    node,
    check: checkJob,
    preview: previewBy(leader, zone.used),
  } satisfies Services);
  const address = await listen(app, config.httpAddr);
  node.listensAt(address);
  scope.defer(() => app.close());
  scope.onFailure((error) => stopping.fail(error));
  log.info({ version: VERSION, listening: formatAddress(address), data_dir: directory.path, epoch }, 'the node is up');
  return {
    address,
    stop: () => stopping.ask(),
    ended: stopping.asked.then(() => endNode(config, log, scope, { agent, leader, stopping, clock })),
  };
}

/** Made for a node that can listen, not otherwise. */
async function openDirectory(config: Config): Promise<DataDirectory> {
  await assertCanListen(config.httpAddr).catch((taken: unknown) => {
    // A node started twice has both against it, and its directory says which process it is.
    assertAvailable(config.dataDir, 'node');
    throw taken;
  });
  return openDataDirectory(config.dataDir, clock);
}

/** Who hears of events: one logs, one counts. */
function emitTo(metrics: Metrics, log: Log): Emit {
  return (event) => {
    metrics.count(event);
    logEvent(log, event);
  };
}

function openStore(config: Config, path: string): { database: Database; reserve: DiskReserve | null } {
  if (config.storeUrl !== null) return { database: openRqlite({ url: config.storeUrl }), reserve: null };
  const database = openSqlite(path, { clock });
  return {
    database,
    reserve: new DiskReserve(database, {
      bytes: config.diskReserveBytes - journalReserveBytes(config),
      freeBytesMin: config.diskReserveBytes,
    }),
  };
}

function sourcesOf(leader: Leader, disk: () => DiskState): MetricsSources {
  return {
    counts: () => leader.counts(),
    jobs: () => leader.jobs.count,
    scheduled: () => leader.scheduler.size,
    diskOk: () => disk() === 'ok',
  };
}

/** The runner's part of the reserve: marks are small, the database needs the rest. */
function journalReserveBytes(config: Config): number {
  return Math.floor(config.diskReserveBytes / 4);
}

/** The zone of schedules without one: the option, else the one stored at first start, else the host's. */
async function zoneOf(database: Database, config: Config): Promise<{ used: string; host: string }> {
  const host = hostZone();
  const [row] = await database.read('linearizable', GET_META, ['timezone']);
  const stored = row?.['value'] as string | undefined;
  const used = resolveZone(config.timezone ?? stored ?? host) ?? 'UTC';
  if (stored === undefined) await database.write([putMeta('timezone', used)]);
  return { used, host };
}

/** Looks at the disk each second; answers what it last saw. */
async function watchDisk(reserve: DiskReserve | null, scope: Scope, emit: Emit): Promise<() => DiskState> {
  if (reserve === null) return () => 'ok';
  let seen = await reserve.check();
  if (seen !== 'ok') emit({ kind: 'disk', state: seen });
  scope.spawn(async (signal) => {
    while (!signal.aborted) {
      await scope.sleep(DISK_LOOK_MS);
      const state = await reserve.check();
      if (state !== seen) emit({ kind: 'disk', state });
      seen = state;
    }
  });
  return () => seen;
}

function openAgent(config: Config, dataDir: string, node: string, log: Log): Agent {
  return new Agent(
    {
      dataDir,
      node,
      outputBytesMax: config.logBytesPerRun,
      tailBytes: config.outputTailBytes,
      journalReserveBytes: journalReserveBytes(config),
      spawn: config.spawn,
      cgroups: config.cgroups,
      jobEnvironmentNames: config.jobEnv,
    },
    { clock, random: systemRandom, log, reaper: becomeSubreaper() },
  );
}

const PROCESSORS = new Map(
  [createLogProcessor({ stdout: process.stdout, stderr: process.stderr }), createFilesProcessor()].map((one) => [
    one.name,
    one,
  ]),
);

/** What the leader needs of the logs on this disk. */
function outputFiles(dataDir: string, node: string, emit: Emit) {
  return {
    process: processOutput(dataDir, node, emit),
    readLog: (key: number, from: number, limit: number) => Promise.resolve(readSlice(dataDir, key, from, limit)),
    logSizes: (key: number) => logSizes(dataDir, key),
    removeLog: (key: number) => Promise.resolve(removeLog(dataDir, key)),
  };
}

function previewBy(leader: Leader, defaultZone: string): Services['preview'] {
  return async (request) =>
    preview(request, { nowMs: clock.now(), defaultZone, calendarsByName: await calendarsOf(leader) });
}

async function checkJob({ executor, executor_config: config, processors }: JobInput): Promise<string[]> {
  return [...(await checkExecutor(executor, config)), ...checkProcessors(processors)];
}

/** A job's processors over an ended execution; what they say went wrong is an event, never a failure of the run. */
function processOutput(
  dataDir: string,
  node: string,
  emit: Emit,
): (run: LiveRun, ended: ExecutionEnded) => Promise<string> {
  return async (run, ended) => {
    const execution = {
      id: executionId(run.key, node),
      key: run.key,
      job: run.job.name,
      node,
      success: ended.outcome === 'succeeded',
      group: run.group,
      attempt: run.attempt,
      startedAtUs: ended.startedAtUs,
      finishedAtUs: ended.finishedAtUs,
      output: ended.tail,
    };
    const context = { clock, signal: NEVER_ABORTED, openLog: () => logBytes(dataDir, run.key) };
    const { output, problems } = await applyProcessors(execution, run.job.definition.processors, PROCESSORS, context);
    for (const problem of problems) emit({ kind: 'processor_problem', job: run.job.name, problem });
    return output;
  };
}

const NEVER_ABORTED = new AbortController().signal;
const LOG_PIECE_BYTES = 256 * 1024;

/** The whole kept log, piece by piece. */
async function* logBytes(dataDir: string, key: number): AsyncGenerator<Uint8Array> {
  const log = openLog(dataDir, key);
  if (log === null) return;
  for (let at = log.firstKeptByte; at < log.totalBytes;) {
    const { bytes, from } = log.read(at, LOG_PIECE_BYTES);
    if (bytes.length === 0) return;
    yield bytes;
    at = from + bytes.length;
    await clock.yield();
  }
}

/** A slice of a log on this disk; a negative `from` counts from the end. */
function readSlice(dataDir: string, key: number, from: number, limit: number): LogSlice | null {
  const log = openLog(dataDir, key);
  if (log === null) return null;
  const first = from < 0 ? Math.max(0, log.totalBytes + from) : from;
  const read = log.read(first, limit);
  return { ...read, totalBytes: log.totalBytes, firstKeptByte: log.firstKeptByte };
}

async function calendarsOf(leader: Leader) {
  return new Map((await leader.calendars.list()).map((calendar) => [calendar.name, calendar]));
}

function httpOptions(config: Config, name: string, edge: EdgeFiles, log: Log): HttpOptions {
  return {
    bodyBytesMax: config.maxBodyBytes,
    restoreBytesMax: config.maxRestoreBodyBytes,
    hosts: [name, hostname(), ...config.allowedHosts],
    credentials: edge.credentials,
    tls: edge.tls,
    ui: config.ui,
    prometheus: config.enablePrometheus,
    clock,
    onError: (error, route) => log.error({ err: error, route }, 'a request failed unexpectedly'),
  };
}

/** Throws AppError when a file is not what its option asks for; the CLI has looked already, but a file can change meanwhile. */
function edgeFiles(config: Config, log: Log): EdgeFiles {
  const read = readEdgeFiles(config);
  if (read.ok) {
    for (const warning of read.files.warnings) log.warn(warning);
    return read.files;
  }
  const message = read.problems.map((problem) => `--${OPTIONS[problem.field].name}: ${problem.message}`).join('; ');
  throw new AppError('invalid', message, { remedy: 'see "belfry config check"' });
}
