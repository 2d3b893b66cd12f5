/**
 * Headers of an http job: reading the job's `headers` key, and merging them with those every request of ours carries (SEMANTICS §5).
 * A problem names the entry's position and never its value, because values are secrets more often than not.
 */
import { instantText } from '../model/time.ts';

export interface HttpHeader {
  readonly name: string;
  readonly value: string;
}

export type ParsedHeaders =
  | { readonly ok: true; readonly headers: readonly HttpHeader[]; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly problem: string };

/**
 * Reads a JSON array of "Name: value" strings (Dkron's form; the value may hold colons) or a JSON object {"Name": "value"}.
 * Blank text and blank entries are no headers; of two entries with one name the later counts, as in Dkron.
 */
export function parseHeaders(text: string): ParsedHeaders {
  if (text.trim() === '') return { ok: true, headers: [], warnings: [] };
  const entries = readEntries(text);
  if (typeof entries === 'string') return { ok: false, problem: entries };
  const byName = new Map<string, HttpHeader>();
  const warnings: string[] = [];
  for (const { name, value, at } of entries) {
    const problem = checkEntry(name, value);
    if (problem !== undefined) return { ok: false, problem: `headers: ${at} ${problem}` };
    const key = name.toLowerCase();
    if (key === 'content-length') continue; // always computed from the body, as Go does
    const owner = ownerOf(key, value);
    if (owner !== undefined) warnings.push(`headers: ${at} is ignored: ${name} is ${owner}`);
    else byName.set(key, { name, value });
  }
  return { ok: true, headers: [...byName.values()], warnings };
}

/** What of a run goes into its request's headers. */
export interface HeaderRun {
  readonly job: string;
  readonly id: string;
  readonly group: number;
  readonly attempt: number;
  /** Epoch ms. */
  readonly scheduledAt: number;
}

/** All headers of a request but Host and Content-Length, flat (name, value, name, …), values as bytes in latin1. The job's win. */
export function requestHeaders(own: readonly HttpHeader[], run: HeaderRun): string[] {
  const flat = [
    'Belfry-Job', latin1Bytes(run.job),
    'Belfry-Scheduled-At', scheduledAtText(run.scheduledAt),
    'Belfry-Execution-Id', latin1Bytes(run.id),
    'Belfry-Attempt', String(run.attempt),
  ]; // prettier-ignore
  let key = true;
  let agent = true;
  for (const { name, value } of own) {
    const lower = name.toLowerCase();
    if (lower === 'idempotency-key') key = false;
    if (lower === 'user-agent') agent = false;
    flat.push(name, latin1Bytes(value));
  }
  if (key) flat.push('Idempotency-Key', String(run.group));
  if (agent) flat.push('User-Agent', 'Belfry');
  return flat;
}

/** Header names whose values a debug dump may show. */
const HARMLESS = /^(accept|accept-.*|cache-control|connection|content-type|content-language|host|user-agent)$/i;

/** A header as a debug dump shows it: names always, values only of headers that never hold secrets. */
export function maskedHeader({ name, value }: HttpHeader): string {
  return `${name}: ${HARMLESS.test(name) ? value : '***'}`;
}

interface Entry extends HttpHeader {
  /** How a problem names it: by position, or by name where the name was a JSON key. */
  readonly at: string;
}

function readEntries(text: string): Entry[] | string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return 'headers is not JSON: write it as ["Name: value", "Other: value"]'; // the parser's own text would quote the values
  }
  if (Array.isArray(parsed)) return splitEntries(parsed);
  if (typeof parsed !== 'object' || parsed === null)
    return 'headers is not a JSON array: write it as ["Name: value", "Other: value"]';
  const entries: Entry[] = [];
  for (const [i, [name, value]] of Object.entries(parsed as Record<string, unknown>).entries()) {
    if (typeof value !== 'string') return `headers: entry ${i + 1} has a value that is not a string: put it in quotes`;
    entries.push({ name: name.trim(), value: value.trim(), at: `entry ${i + 1}` });
  }
  return entries;
}

function splitEntries(lines: readonly unknown[]): Entry[] | string {
  const entries: Entry[] = [];
  for (const [i, line] of lines.entries()) {
    if (typeof line !== 'string') return `headers: entry ${i + 1} is not a string: write it as "Name: value"`;
    if (line.trim() === '') continue;
    const colon = line.indexOf(':');
    if (colon < 0) return `headers: entry ${i + 1} has no colon: write it as "Name: value"`;
    entries.push({ name: line.slice(0, colon).trim(), value: line.slice(colon + 1).trim(), at: `entry ${i + 1}` });
  }
  return entries;
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// A line break would let a value add headers of its own; the other control characters are refused by servers.
const FORBIDDEN_IN_VALUE = /[\u0000-\u0008\u000a-\u001f\u007f]/;

function checkEntry(name: string, value: string): string | undefined {
  if (!TOKEN.test(name)) return 'has a name that is no header name: use letters, digits and "-"';
  if (FORBIDDEN_IN_VALUE.test(value)) return 'has a control character in its value, perhaps a line break: remove it';
  return undefined;
}

/** Who sets this header if the job may not. */
function ownerOf(lower: string, value: string): string | undefined {
  if (lower.startsWith('belfry-')) return 'set by Belfry';
  if (lower === 'connection' && !/^(close|keep-alive)$/i.test(value))
    return 'for the connection to set (only close and keep-alive are taken)';
  if (/^(transfer-encoding|keep-alive|upgrade|trailer|te|expect|proxy-connection)$/.test(lower))
    return 'for the connection to set';
  return undefined;
}

/** Header text goes out as UTF-8 bytes (as Go sends it); the socket writes latin1, so each byte becomes one character. */
function latin1Bytes(text: string): string {
  if (/^[\u0000-\u007f]*$/.test(text)) return text;
  return String.fromCharCode(...new TextEncoder().encode(text));
}

let lastScheduledAt = Number.NaN;
let lastText = '';

/** One tick starts many runs of the same instant: the last text is kept. */
function scheduledAtText(epochMs: number): string {
  if (epochMs !== lastScheduledAt) {
    lastText = instantText(epochMs).replace(/\.(\d+)Z$/, (_, digits: string) => `.${digits.padEnd(3, '0')}Z`);
    lastScheduledAt = epochMs;
  }
  return lastText;
}
