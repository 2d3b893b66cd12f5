/** How a node is asked to end, and how it does: stop launching, commit, leave the jobs running, or drain them first. */
import type { Clock } from '../lib/clock.ts';
import type { Scope } from '../lib/scope.ts';
import type { Config } from '../model/config.ts';
import { AppError } from '../model/errors.ts';
import type { EventLog } from './event-log.ts';
import type { Leader } from './leader.ts';

/** From the signal to the end, when jobs may go on. */
const STOP_MS = 5_000;

export interface DrainableAgent {
  /** Executions the agent has that have not ended. */
  running(): number;
  /** Waits for them until `deadlineMs` or the signal, then TERM, grace, KILL; they end `cancelled: shutdown`. */
  drain(deadlineMs: number, signal: AbortSignal): Promise<void>;
}

/** How the node was asked to end: by a person, a second time, or by a failure. */
export class Stopping {
  readonly #asked = Promise.withResolvers<void>();
  readonly #hurried = new AbortController();
  error: unknown = null;
  /** While a drain waits: when it stops what still runs, epoch ms. */
  drainEndsAt: number | null = null;
  #count = 0;

  get asked(): Promise<void> {
    return this.#asked.promise;
  }

  get isAsked(): boolean {
    return this.#count > 0;
  }

  /** Fires at the second request. */
  get hurried(): AbortSignal {
    return this.#hurried.signal;
  }

  ask(): void {
    this.#count++;
    if (this.#count > 1) this.#hurried.abort();
    this.#asked.resolve();
  }

  fail(error: unknown): void {
    this.error ??= error;
    this.#hurried.abort();
    this.ask();
  }
}

/** Ends a node in order; answers its exit code and what to tell a person. */
export async function endNode(
  config: Config,
  log: EventLog & { fatal(fields: object, message: string): void },
  scope: Scope,
  parts: { agent: DrainableAgent; leader: Leader; stopping: Stopping; clock: Clock },
): Promise<{ exitCode: number; lastWords: string | null }> {
  const { agent, leader, stopping, clock } = parts;
  if (stopping.error !== null) log.fatal({ err: stopping.error }, 'the node must stop');
  leader.scheduler.stop();
  if (config.drain && stopping.error === null) {
    log.info({ running: agent.running() }, 'draining: waiting for running jobs');
    stopping.drainEndsAt = clock.now() + config.drainTimeoutMs;
    await leader.scheduler.close();
    await agent.drain(config.drainTimeoutMs, stopping.hurried);
    await settled(leader, clock);
  }
  const running = agent.running();
  log.info({ running }, running === 0 ? 'the node stops' : 'the node stops, its jobs go on');
  await scope.close(STOP_MS);
  if (stopping.error !== null) return { exitCode: 1, lastWords: messageOf(stopping.error) };
  return { exitCode: 0, lastWords: running === 0 ? null : lastWords(running, config) };
}

/** Every result the drain brought is committed. */
async function settled(leader: Leader, clock: Clock): Promise<void> {
  const deadline = clock.monotonic() + STOP_MS;
  while ((leader.counts().results > 0 || leader.counts().running > 0) && clock.monotonic() < deadline)
    await clock.sleep(10);
}

function lastWords(running: number, config: Config): string {
  const one = running === 1;
  return (
    `${running} ${one ? 'job goes' : 'jobs go'} on without the node; the next start takes ${one ? 'it' : 'them'} over. ` +
    `To stop ${one ? 'it' : 'them'}: start the node again (--data-dir ${config.dataDir}) and POST /v1/runs/GROUP/stop, or stop it with --drain.`
  );
}

function messageOf(error: unknown): string {
  if (error instanceof AppError)
    return error.remedy === undefined ? error.message : `${error.message}\n${error.remedy}`;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
