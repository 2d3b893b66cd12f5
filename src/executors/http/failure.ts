/** What broke a request, in one line for a person, and the reason that goes on record. */
import type { ExecutorResult } from '../executor.ts';
import type { ExchangePhase } from './exchange.ts';

export interface Failure {
  readonly reason: ExecutorResult['reason'];
  readonly message: string;
}

/** `place` is host:port: never more of the URL, whose path and query may be secrets. */
export function describeBroken(error: Error, phase: ExchangePhase, place: string): Failure {
  const code = codeOf(error);
  if (RESOURCES.has(code))
    return { reason: 'resources', message: `cannot connect to ${place}: this node is out of resources (${code})` };
  if (phase === 'waiting' || phase === 'connecting')
    return { reason: 'start', message: connectText(error, code, place) };
  return { reason: 'exit', message: brokenText(error, code, phase, place) };
}

const DOING: Record<ExchangePhase, string> = {
  waiting: 'waiting for a free connection to',
  connecting: 'connecting to',
  headers: 'waiting for the response of',
  body: 'reading the response body from',
};

export function describeTimeout(phase: ExchangePhase, place: string, timeoutMs: number): Failure {
  return { reason: 'timeout', message: `timed out after ${timeoutMs / 1000}s while ${DOING[phase]} ${place}` };
}

export function describeStopped(phase: ExchangePhase, place: string): Failure {
  return { reason: 'exit', message: `stopped while ${DOING[phase]} ${place}` };
}

const RESOURCES = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EAGAIN', 'EADDRNOTAVAIL']);

const CONNECT: Record<string, string> = {
  ECONNREFUSED: 'connection refused by',
  ECONNRESET: 'connection reset while connecting to',
  ETIMEDOUT: 'no answer from',
  EHOSTUNREACH: 'no route to',
  ENETUNREACH: 'network unreachable for',
  EACCES: 'not permitted to connect to',
  EPERM: 'not permitted to connect to',
};

function connectText(error: Error, code: string, place: string): string {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code.startsWith('EAI_'))
    return `cannot resolve the name in ${place} (${code})`;
  const known = CONNECT[code];
  if (known !== undefined) return `${known} ${place}`;
  if (isTls(error, code)) return tlsText(error, code, place);
  return `cannot connect to ${place}: ${firstLine(error.message)}`;
}

function brokenText(error: Error, code: string, phase: ExchangePhase, place: string): string {
  const when = phase === 'headers' ? 'before its response began' : 'before its response was complete';
  if (code === 'UND_ERR_SOCKET') return `${place} closed the connection ${when}`;
  if (code === 'ECONNRESET' || code === 'EPIPE') return `${place} reset the connection ${when}`;
  if (code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH')
    return `${place} sent another number of body bytes than its Content-Length says`;
  if (code === 'UND_ERR_HEADERS_OVERFLOW') return `${place} sent response headers longer than the limit`;
  if (code.startsWith('HPE_') || error.name === 'HTTPParserError')
    return `${place} sent something that is no HTTP response`;
  if (code === 'ETIMEDOUT') return `${place} stopped answering ${when}`;
  if (isTls(error, code)) return tlsText(error, code, place);
  return `the request to ${place} failed: ${firstLine(error.message)}`;
}

/** OpenSSL's and Node's codes for handshakes and certificates. */
function isTls(error: Error, code: string): boolean {
  return (
    /^(ERR_TLS_|ERR_SSL_|EPROTO$|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_(CA|PURPOSE)|HOSTNAME_MISMATCH|CRL_)/.test(
      code,
    ) || 'reason' in error
  );
}

/** OpenSSL wraps its reason into source file and line; the reason is what helps. What Node advises is about flags that no job has. */
function tlsText(error: Error, code: string, place: string): string {
  const reason = (error as { reason?: unknown }).reason;
  const [text = ''] = firstLine(typeof reason === 'string' ? reason : error.message).split('; if the root CA', 1);
  const begun = `TLS with ${place} failed: ${text} (${code})`;
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') return `${begun}: it may speak plain http, then write http:// in url`;
  if (/^(UNABLE_TO_(GET_ISSUER|VERIFY_LEAF)|DEPTH_ZERO_SELF|SELF_SIGNED)/.test(code))
    return `${begun}: name the root that signed it in tlsRootCAsFile`;
  return begun;
}

/** A failed attempt at several addresses of one name is an AggregateError whose code is that of the last. */
function codeOf(error: Error): string {
  const own = (error as NodeJS.ErrnoException).code;
  if (own !== undefined) return own;
  const inner = error instanceof AggregateError ? (error.errors as Error[]).at(-1) : error.cause;
  return inner instanceof Error ? codeOf(inner) : '';
}

function firstLine(text: string): string {
  return (text.split('\n', 1)[0] ?? '').slice(0, 300);
}
