/** The http executor (dkron.md §11.2): one request, redirects followed, the response's body as output, success by code and body. */
import { acceptsCode, codeMismatchText, codeWarning } from '../../core/http-expect.ts';
import { debugLines, HTTP_TIMEOUT_MS_DEFAULT, parseHttpConfig, type HttpConfig } from '../../core/http-config.ts';
import { requestHeaders } from '../../core/http-headers.ts';
import { redirectStep, type RedirectableRequest } from '../../core/http-redirect.ts';
import { parseRetryAfter } from '../../core/http-retry-after.ts';
import type { Clock } from '../../lib/clock.ts';
import type { StartRequest } from '../../model/agent.ts';
import type { Executor, ExecutorContext, ExecutorResult, OutputSink } from '../executor.ts';
import { Agents } from './agents.ts';
import { exchange, type ExchangeEnd, type ExchangeRequest, type ExchangeSink, type ResponseHead } from './exchange.ts';
import { compileExpectation, KeptBody, matchBody, type CompiledExpectation } from './expect-body.ts';
import { describeBroken, describeStopped, describeTimeout, type Failure } from './failure.ts';
import { TlsFiles, type LoadedTls } from './tls-files.ts';
import { warmUp } from './warm.ts';
import { Watch } from './watch.ts';

export interface HttpExecutorOptions {
  readonly clock: Clock;
}

export interface HttpExecutor extends Executor {
  warm(): Promise<void>;
  /** Breaks off every connection, idle or not. Idle connections alone keep no process alive, so ending needs no call. */
  close(): void;
}

/** So much of a body is handed over before the connection waits until it is on its way to disk. */
const UNDRAINED_BYTES_MAX = 262_144;

export function createHttpExecutor({ clock }: HttpExecutorOptions): HttpExecutor {
  const modules: Modules = { clock, agents: new Agents(clock), tlsFiles: new TlsFiles() };
  return {
    name: 'http',
    execute: (run, context) => execute(run, context, modules),
    warm: () => warmUp(clock),
    close: () => modules.agents.destroy(),
  };
}

interface Modules {
  readonly clock: Clock;
  readonly agents: Agents;
  readonly tlsFiles: TlsFiles;
}

async function execute(run: StartRequest, context: ExecutorContext, modules: Modules): Promise<ExecutorResult> {
  const parsed = parseHttpConfig(run.config);
  if (!parsed.ok) return failed({ reason: 'start', message: parsed.problem });
  const { config } = parsed;
  // Without a limit of its own the request has the job's; the runner ends the run at the same moment, and here is said where it stood.
  const timeoutMs = config.timeoutMs ?? run.timeoutMs ?? HTTP_TIMEOUT_MS_DEFAULT;
  const watch = new Watch(modules.clock, timeoutMs, context.stop);
  try {
    return await perform({ run, config, timeoutMs, watch, output: context.output, modules });
  } finally {
    watch.close();
  }
}

interface Job {
  readonly run: StartRequest;
  readonly config: HttpConfig;
  readonly timeoutMs: number;
  readonly watch: Watch;
  readonly output: OutputSink;
  readonly modules: Modules;
}

async function perform(job: Job): Promise<ExecutorResult> {
  const { config, watch, output, modules } = job;
  writeLines(output, config.warnings.map((line) => `warning: ${line}`)); // prettier-ignore
  if (config.debug) writeLines(output, debugLines(job.run.config, config));
  const expectation = config.expectBody === null ? null : await compileExpectation(config.expectBody);
  if (expectation?.ok === false) return failed({ reason: 'start', message: expectation.problem });
  const tls = modules.tlsFiles.immediate(config.tls) ?? (await watch.race(modules.tlsFiles.load(config.tls)));
  if (tls === null) return failed(endedFailure(job, 'waiting', config.url.host));
  if (!tls.ok) return failed({ reason: 'start', message: tls.problem });

  const kept = expectation === null ? null : new KeptBody();
  const last = await followRedirects(job, tls, kept);
  if ('message' in last) return failed(last);
  if (config.debug) writeLines(output, [`debug: response ${last.status} from ${placeOf(last.url)}`]);
  return judge(job, last, expectation, kept);
}

interface LastResponse extends ResponseHead {
  readonly url: URL;
}

async function followRedirects(
  job: Job,
  tls: LoadedTls & { ok: true },
  kept: KeptBody | null,
): Promise<LastResponse | Failure> {
  const { config, watch, output, modules } = job;
  let request: RedirectableRequest = config;
  for (let followed = 0; ; followed++) {
    const current = request;
    let step: ReturnType<typeof redirectStep> = { kind: 'final' };
    const body = bodySink(output, kept);
    const sink: ExchangeSink = {
      head(head) {
        step = redirectStep(current, head.status, first(head.headers['location']), followed);
        if (step.kind !== 'final') return false;
        const odd = codeWarning(config, head.status);
        if (odd !== undefined) writeLines(output, [odd]);
        return true;
      },
      body,
    };
    const pool = () => modules.agents.pool(tls.key, current.url.origin, tls.options);
    const end = await exchange(pool, wireRequest(current, job.run), sink, watch);
    if (end.kind !== 'response') return endFailure(job, end, placeOf(current.url));
    const next = step as ReturnType<typeof redirectStep>; // assigned in head(), which the compiler cannot see
    if (next.kind === 'final') return { ...end.head, url: current.url };
    if (next.kind === 'refused') return { reason: 'expectation', message: next.problem };
    request = next.request;
  }
}

function wireRequest({ url, method, headers, body }: RedirectableRequest, run: StartRequest): ExchangeRequest {
  return {
    method,
    path: url.pathname + url.search,
    headers: requestHeaders(headers, run),
    body: body === '' ? null : body,
    // The certificate is checked against the URL's host, whatever the Host header says; for an address undici takes the header's name.
    servername: url.protocol === 'https:' && !isAddress(url.hostname) ? url.hostname : null,
  };
}

function isAddress(hostname: string): boolean {
  return hostname.startsWith('[') || /^[\d.]+$/.test(hostname);
}

function bodySink(output: OutputSink, kept: KeptBody | null): ExchangeSink['body'] {
  let undrained = 0;
  return (chunk) => {
    output.write(chunk);
    kept?.add(chunk);
    undrained += chunk.length;
    if (undrained < UNDRAINED_BYTES_MAX) return undefined;
    undrained = 0;
    return output.drained();
  };
}

/** At once unless a body is to be looked at. */
function judge(
  job: Job,
  last: LastResponse,
  expectation: CompiledExpectation | null,
  kept: KeptBody | null,
): ExecutorResult | Promise<ExecutorResult> {
  const { config, run, modules } = job;
  const retryAfter = retryAfterOf(last, modules.clock);
  if (!acceptsCode(config.expectCode, last.status)) {
    return failed(
      { reason: 'expectation', message: codeMismatchText(run.config['expectCode'], last.status) },
      retryAfter,
    );
  }
  if (expectation?.ok === true && kept !== null) return judgeBody(job, expectation, kept, retryAfter);
  return succeeded(retryAfter);
}

async function judgeBody(
  job: Job,
  expectation: CompiledExpectation & { ok: true },
  kept: KeptBody,
  retryAfter: number | undefined,
): Promise<ExecutorResult> {
  const match = await matchBody(expectation, kept, job.watch);
  if (match === 'ended') return failed(matchEnded(job));
  if (match === 'failed')
    return failed({ reason: 'resources', message: 'expectBody could not be checked: no worker thread' });
  if (match === 'differs') return failed({ reason: 'expectation', message: bodyMismatchText(kept) }, retryAfter);
  return succeeded(retryAfter);
}

function succeeded(retryAfter: number | undefined): ExecutorResult {
  return {
    success: true,
    reason: '',
    message: null,
    exitCode: null,
    ...(retryAfter === undefined ? {} : { retryAfterMs: retryAfter }),
  };
}

function bodyMismatchText(kept: KeptBody): string {
  const text = 'received response body did not match the expected body';
  return kept.cut ? `${text} (only its first ${kept.keptBytes} of ${kept.total} bytes were looked at)` : text;
}

function matchEnded(job: Job): Failure {
  if (job.watch.cause === 'stopped') return { reason: 'exit', message: 'stopped while checking expectBody' };
  return { reason: 'timeout', message: `timed out after ${job.timeoutMs / 1000}s while checking expectBody` };
}

function retryAfterOf({ status, headers }: ResponseHead, clock: Clock): number | undefined {
  if (status !== 429 && status !== 503) return undefined;
  const text = first(headers['retry-after']);
  return text === undefined ? undefined : parseRetryAfter(text, clock.now());
}

function endFailure(job: Job, end: Exclude<ExchangeEnd, { kind: 'response' }>, place: string): Failure {
  if (end.kind === 'broken') return describeBroken(end.error, end.phase, place);
  return endedFailure(job, end.phase, place);
}

function endedFailure(job: Job, phase: Parameters<typeof describeStopped>[0], place: string): Failure {
  return job.watch.cause === 'timeout' ? describeTimeout(phase, place, job.timeoutMs) : describeStopped(phase, place);
}

function failed({ reason, message }: Failure, retryAfterMs?: number): ExecutorResult {
  return { success: false, reason, message, exitCode: null, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

/** host:port with the port always there. */
function placeOf(url: URL): string {
  return url.port === '' ? `${url.hostname}:${url.protocol === 'https:' ? 443 : 80}` : url.host;
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

function writeLines(output: OutputSink, lines: readonly string[]): void {
  if (lines.length > 0) output.write(Buffer.from(lines.map((line) => `${line}\n`).join('')));
}
