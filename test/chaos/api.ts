/** The node's API as the chaos suite uses it: one client that survives its node, and the history in the checker's terms. */
import http from 'node:http';
import { fnv1a64 } from './evidence.ts';
import type { HistoryExecution, HistoryRun, LogCheck, ShownJob } from './types.ts';

export interface Reply {
  readonly status: number;
  readonly body: Buffer;
}

const PAGE = 500;
const LOG_PIECE = 1_048_576;

export class Api {
  readonly #port: number;
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 8 });

  constructor(port: number) {
    this.#port = port;
  }

  close(): void {
    this.#agent.destroy();
  }

  /** null: no answer came, so it is unknown whether it happened. */
  async try(method: string, path: string, body?: unknown, timeoutMs = 5_000): Promise<Reply | null> {
    try {
      return await this.#ask(method, path, body, timeoutMs);
    } catch {
      return null; // any way a connection can break
    }
  }

  /** Asks until an answer below 500 comes; throws after `patienceMs`. */
  async insist(method: string, path: string, body?: unknown, patienceMs = 60_000): Promise<Reply> {
    const deadline = performance.now() + patienceMs;
    for (;;) {
      const reply = await this.try(method, path, body, 30_000);
      if (reply !== null && reply.status < 500) return reply;
      if (performance.now() > deadline)
        throw new Error(
          `${method} ${path}: ${reply === null ? 'no answer' : `${reply.status} ${reply.body.toString('utf8').slice(0, 200)}`}`,
        );
      await new Promise((done) => setTimeout(done, 200));
    }
  }

  async json<T>(path: string): Promise<T> {
    const { status, body } = await this.insist('GET', path);
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${body.toString('utf8').slice(0, 200)}`);
    return JSON.parse(body.toString('utf8')) as T;
  }

  /** Every occurrence of a job. */
  runsOf(job: string): Promise<HistoryRun[]> {
    return this.#runs({ job });
  }

  /** Every occurrence that has no outcome yet. */
  unfinished(): Promise<HistoryRun[]> {
    return this.#runs({ outcome: 'unfinished' });
  }

  async #runs(filter: Record<string, string>): Promise<HistoryRun[]> {
    const found: HistoryRun[] = [];
    let cursor: string | null = null;
    do {
      const query = new URLSearchParams({ ...filter, limit: String(PAGE), ...(cursor === null ? {} : { cursor }) });
      const page: { runs: RawRun[]; cursor: string | null } = await this.json(`/v1/runs?${query.toString()}`);
      for (const run of page.runs) found.push(readRun(run));
      cursor = page.cursor;
    } while (cursor !== null);
    return found;
  }

  async shown(job: string): Promise<ShownJob> {
    const view = await this.json<{ success_count: number; error_count: number }>(`/v1/jobs/${job}`);
    const list = await this.json<{ id: string; group: number; attempt: number; success: boolean }[]>(
      `/v1/jobs/${job}/executions`,
    );
    const executions = list.map(({ id, group, attempt, success }) => ({ id, group, attempt, success }));
    return { successCount: view.success_count, errorCount: view.error_count, executions };
  }

  async logOf(group: number, id: string): Promise<LogCheck> {
    const pieces: Buffer[] = [];
    for (let from = 0; ;) {
      const { status, body } = await this.insist(
        'GET',
        `/v1/runs/${group}/log?execution=${encodeURIComponent(id)}&from=${from}&limit=${LOG_PIECE}`,
      );
      if (status !== 200) throw new Error(`log of ${id}: ${status} ${body.toString('utf8').slice(0, 200)}`);
      pieces.push(body);
      from += body.length;
      if (body.length < LOG_PIECE) break;
    }
    const bytes = Buffer.concat(pieces);
    return { id, bytes: bytes.length, hash: fnv1a64(bytes) };
  }

  #ask(method: string, path: string, body: unknown, timeoutMs: number): Promise<Reply> {
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers =
      bytes === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(bytes.length) };
    return new Promise((resolve, reject) => {
      const request = http.request(
        { host: '127.0.0.1', port: this.#port, method, path, headers, agent: this.#agent, timeout: timeoutMs },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
        },
      );
      request.on('timeout', () => request.destroy(new Error('no answer in time')));
      request.on('error', reject);
      request.end(bytes);
    });
  }
}

interface RawRun {
  group: number;
  job: string;
  trigger: string;
  scheduled_at: string;
  due_at: string;
  parent_group: number | null;
  phase: string;
  outcome: string | null;
  reason: string;
  finished_at: string | null;
  last_scheduled_at: string | null;
  count: number;
  executions: RawExecution[];
}

interface RawExecution {
  id: string;
  attempt: number;
  state: HistoryExecution['state'];
  started_at: string | null;
  finished_at: string | null;
  outcome: string | null;
  reason: string;
  exit_code: number | null;
  signal: string | null;
  output_bytes: number;
  log_bytes: number;
}

function readRun(run: RawRun): HistoryRun {
  return {
    group: run.group,
    job: run.job,
    trigger: run.trigger,
    scheduledAt: instant(run.scheduled_at),
    dueAt: instant(run.due_at),
    parentGroup: run.parent_group,
    phase: run.phase,
    outcome: run.outcome,
    reason: run.reason,
    finishedAt: run.finished_at === null ? null : instant(run.finished_at),
    lastScheduledAt: run.last_scheduled_at === null ? null : instant(run.last_scheduled_at),
    count: run.count,
    executions: run.executions.map(readExecution),
  };
}

function readExecution(one: RawExecution): HistoryExecution {
  return {
    id: one.id,
    attempt: one.attempt,
    state: one.state,
    startedAt: one.started_at === null ? null : instant(one.started_at),
    finishedAt: one.finished_at === null ? null : instant(one.finished_at),
    outcome: one.outcome,
    reason: one.reason,
    exitCode: one.exit_code,
    signal: one.signal,
    outputBytes: one.output_bytes,
    logBytes: one.log_bytes,
  };
}

/** RFC 3339 in UTC → epoch ms, digits below the millisecond kept. */
function instant(text: string): number {
  const match = /^(.*?)(?:\.(\d+))?Z$/.exec(text);
  if (match === null) throw new Error(`not a UTC instant: ${text}`);
  return Date.parse(`${match[1]}Z`) + Number(`0.${match[2] ?? '0'}`) * 1000;
}
