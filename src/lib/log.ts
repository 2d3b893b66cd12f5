/**
 * The log: JSON lines, or one readable line per entry on a terminal. Written without blocking the loop; when nobody reads, lines beyond
 * the buffer are dropped rather than kept in memory.
 */
import { destination, type Logger, pino, stdTimeFunctions } from 'pino';

export type Log = Logger;

export interface LogOptions {
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';
  /** auto: pretty on a terminal, JSON elsewhere. */
  readonly logFormat: 'auto' | 'json' | 'pretty';
  readonly nodeName: string;
}

/** Lines waiting for a slow reader, in bytes of text; more are dropped. */
const BUFFER_BYTES_MAX = 8 * 1024 * 1024;

/** After a write that failed. */
const RETRY_MS = 1_000;

/** What must never be written, wherever it stands in an entry's first two levels: what jobs run, carry and prove themselves with. */
const SECRETS = [
  'command',
  'env',
  'environment',
  'headers',
  'body',
  'payload',
  'password',
  'token',
  'authorization',
  'executor_config',
];

/** `write` is for tests; by default lines go to stdout. */
export function createLog(
  { logLevel, logFormat, nodeName }: LogOptions,
  write: (line: string) => void = stdout(),
): Log {
  const pretty = logFormat === 'pretty' || (logFormat === 'auto' && process.stdout.isTTY);
  return pino(
    {
      level: logLevel,
      base: { node: nodeName },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`]), censor: '(redacted)' },
    },
    { write: pretty ? (line) => write(prettyLine(line)) : write },
  );
}

/**
 * A file on a full disk, or a reader that has gone, is no reason to end, nor to wait at the end: what is buffered is dropped, and after a
 * while writing is tried again.
 */
function stdout(): (line: string) => void {
  let retryAt = 0;
  let stream: ReturnType<typeof destination> | null = null;
  const open = () => {
    const opened = destination({ fd: 1, sync: false, maxLength: BUFFER_BYTES_MAX });
    opened.on('error', () => {
      opened.destroy();
      stream = null;
      retryAt = performance.now() + RETRY_MS;
    });
    return opened;
  };
  return (line) => {
    if (stream === null && performance.now() < retryAt) return;
    stream ??= open();
    stream.write(line);
  };
}

/** "18:12:03.125 INFO  message key=value …" for one JSON line of pino. */
function prettyLine(line: string): string {
  const { time, level, msg, node: _node, err, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const fields = Object.entries(rest).map(([key, value]) => `${key}=${plain(value)}`);
  const stack = errorText(err);
  const head = `${textOf(time).slice(11, 23)} ${textOf(level).toUpperCase().padEnd(5)} ${printable(textOf(msg))}`;
  return `${[head, ...fields].join(' ')}\n${stack === '' ? '' : `${stack}\n`}`;
}

function plain(value: unknown): string {
  return typeof value === 'string' && /^[\w.:/@+-]+$/.test(value) ? value : JSON.stringify(value);
}

function errorText(err: unknown): string {
  if (typeof err !== 'object' || err === null) return '';
  const { stack, message } = err as { stack?: unknown; message?: unknown };
  return textOf(stack ?? message)
    .split('\n')
    .map((text) => `    ${printable(text)}`)
    .join('\n');
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A job's name may hold anything; on a terminal it must not move the cursor. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '?');
}
