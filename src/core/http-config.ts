/** The http executor's configuration (dkron.md §11.2): text in, a checked request out. Nothing here quotes a secret. */
import { parseDuration } from '../model/duration.ts';
import { quoted } from './executor-keys.ts';
import { parseExpectCode, type CodeRanges } from './http-expect.ts';
import { maskedHeader, parseHeaders, type HttpHeader } from './http-headers.ts';

/** As Dkron, when neither the key nor the job gives a limit. */
export const HTTP_TIMEOUT_MS_DEFAULT = 30_000;

export interface HttpTlsFiles {
  readonly verifyPeer: boolean;
  /** Paths; empty: none. */
  readonly certificateFile: string;
  readonly certificateKeyFile: string;
  readonly rootCAsFile: string;
}

export interface HttpConfig {
  /** Without user name, password and fragment. */
  readonly url: URL;
  readonly method: string;
  readonly headers: readonly HttpHeader[];
  readonly body: string;
  /** For the whole request; null: the key is absent. */
  readonly timeoutMs: number | null;
  readonly expectCode: CodeRanges | null;
  /** RE2 syntax; null: no expectation. */
  readonly expectBody: string | null;
  readonly debug: boolean;
  readonly tls: HttpTlsFiles;
  /** Lines for the output. */
  readonly warnings: readonly string[];
}

export type ParsedHttpConfig =
  | { readonly ok: true; readonly config: HttpConfig }
  | { readonly ok: false; readonly problem: string };

export function parseHttpConfig(raw: Readonly<Record<string, string>>): ParsedHttpConfig {
  const target = parseTarget(raw['url'] ?? '', raw['method'] ?? '');
  if (typeof target === 'string') return { ok: false, problem: target };
  const settings = settingsOf(raw);
  if ('problem' in settings) return { ok: false, problem: settings.problem };
  const { url, userInfo } = target;
  const headers = userInfo === '' ? settings.headers : withUserInfo(settings.headers, userInfo);
  return { ok: true, config: { ...settings, headers, url, body: raw['body'] ?? '' } };
}

/** All of a configuration but where and what is sent. */
type Settings = Omit<HttpConfig, 'url' | 'body'>;

const SETTING_KEYS = [
  'method', 'headers', 'timeout', 'expectCode', 'expectBody', 'debug', 'tlsNoVerifyPeer', 'tlsCertificateFile', 'tlsCertificateKeyFile', 'tlsRootCAsFile',
] as const; // prettier-ignore

let last: { readonly texts: readonly (string | undefined)[]; readonly settings: Settings } | null = null;

/** Many jobs differ in nothing but the URL, and reading the rest again costs each run more than its URL: the last one is kept. */
function settingsOf(raw: Readonly<Record<string, string>>): Settings | { readonly problem: string } {
  const known = last;
  if (known !== null && SETTING_KEYS.every((key, at) => known.texts[at] === raw[key])) return known.settings;
  const settings = parseSettings(raw);
  if (!('problem' in settings)) last = { texts: SETTING_KEYS.map((key) => raw[key]), settings };
  return settings;
}

function parseSettings(raw: Readonly<Record<string, string>>): Settings | { readonly problem: string } {
  const method = raw['method'] ?? '';
  const headers = parseHeaders(raw['headers'] ?? '');
  if (!headers.ok) return headers;
  const codes = parseExpectCode(raw['expectCode'] ?? '');
  if (!codes.ok) return codes;
  const pair = pairProblem(raw['tlsCertificateFile'] ?? '', raw['tlsCertificateKeyFile'] ?? '');
  if (pair !== undefined) return { problem: pair };
  const warnings = [...methodWarnings(method), ...headers.warnings];
  const timeoutMs = parseTimeout(raw['timeout'], warnings);
  const noVerify = parseBool('tlsNoVerifyPeer', raw['tlsNoVerifyPeer'], warnings);
  return {
    method,
    headers: headers.headers,
    timeoutMs,
    expectCode: codes.ranges,
    expectBody: raw['expectBody'] ?? null,
    debug: (raw['debug'] ?? '') !== '',
    tls: {
      verifyPeer: !noVerify,
      certificateFile: raw['tlsCertificateFile'] ?? '',
      certificateKeyFile: raw['tlsCertificateKeyFile'] ?? '',
      rootCAsFile: raw['tlsRootCAsFile'] ?? '',
    },
    warnings,
  };
}

/** The configuration as debug output shows it, one line a key; values that may be secrets are masked. */
export function debugLines(raw: Readonly<Record<string, string>>, config: HttpConfig): string[] {
  const { url } = config;
  const query = [...url.searchParams.keys()].map((name) => `${name}=***`).join('&');
  const shown: Record<string, string> = {
    url: `${url.origin}${url.pathname}${query === '' ? '' : `?${query}`}`,
    headers: JSON.stringify(config.headers.map(maskedHeader)),
    body: `${config.body.length} characters`,
  };
  return Object.keys(raw)
    .sort()
    .map((key) => `debug: ${key} = ${shown[key] ?? (PLAIN.has(key) ? (raw[key] ?? '') : '***')}`);
}

/** Keys whose values a debug dump shows as they are. */
const PLAIN = new Set([
  'method', 'timeout', 'expectCode', 'expectBody', 'debug', 'tlsNoVerifyPeer', 'tlsCertificateFile', 'tlsCertificateKeyFile', 'tlsRootCAsFile',
]); // prettier-ignore

interface Target {
  readonly url: URL;
  readonly method: string;
  readonly userInfo: string;
}

const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

function parseTarget(text: string, method: string): Target | string {
  if (text.trim() === '') return 'url is empty: give the address to call, for example https://host/path';
  if (method === '') return 'method is empty: give one, for example GET or POST';
  if (!METHOD.test(method)) return `method ${quoted(method)} is no HTTP method: give for example GET or POST`;
  if (method.toUpperCase() === 'CONNECT') return 'method CONNECT is not supported: give for example GET or POST';
  const url = URL.parse(text.trim());
  if (url === null) return `url is not an absolute URL: ${urlRemedy(text)}`;
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return `url has an unsupported scheme: ${urlRemedy(text)}`;
  const { username, password } = url;
  const userInfo = username === '' && password === '' ? '' : `${decoded(username)}:${decoded(password)}`;
  // Each of these parses the URL again.
  if (username !== '') url.username = '';
  if (password !== '') url.password = '';
  if (url.href.includes('#')) url.hash = '';
  return { url, method, userInfo };
}

/** Methods are sent as written, as in Dkron, and servers know letter case. */
function methodWarnings(method: string): string[] {
  const upper = method.toUpperCase();
  if (method === upper || !/^(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$/.test(upper)) return [];
  return [`method ${quoted(method)} is sent as it is written, and servers expect ${quoted(upper)}`];
}

/** The text itself may hold a secret: only its scheme is shown. */
function urlRemedy(text: string): string {
  const [scheme] = /^\s*[a-z][a-z0-9+.-]{0,20}:\/\//i.exec(text) ?? [''];
  if (scheme === '') return 'begin it with http:// or https://';
  return /^\s*https?:/i.test(text)
    ? `what follows ${scheme.trim()} is no host, port and path`
    : `it begins with ${scheme.trim()}, and http:// or https:// are possible`;
}

function pairProblem(certificate: string, key: string): string | undefined {
  if (certificate !== '' && key === '') return 'tlsCertificateFile needs tlsCertificateKeyFile';
  if (key !== '' && certificate === '') return 'tlsCertificateKeyFile needs tlsCertificateFile';
  return undefined;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a stray percent sign stands for itself
  }
}

/** User name and password of the URL become basic credentials, as in Go; an Authorization of the job's own wins. */
function withUserInfo(headers: readonly HttpHeader[], userInfo: string): readonly HttpHeader[] {
  if (userInfo === '' || headers.some(({ name }) => name.toLowerCase() === 'authorization')) return headers;
  const bytes = String.fromCharCode(...new TextEncoder().encode(userInfo));
  return [...headers, { name: 'Authorization', value: `Basic ${btoa(bytes)}` }];
}

/** Whole seconds as in Dkron, or a duration with a unit as the shell executor takes it. */
function parseTimeout(text: string | undefined, warnings: string[]): number | null {
  const trimmed = text?.trim() ?? '';
  if (trimmed === '') return null;
  const ms = /^\d{1,9}$/.test(trimmed) ? Number(trimmed) * 1000 : parseDuration(trimmed);
  if (ms !== undefined && ms > 0) return Math.ceil(ms);
  const used = HTTP_TIMEOUT_MS_DEFAULT / 1000;
  warnings.push(
    `timeout ${quoted(trimmed)} cannot be used, so it is ${used} seconds: write whole seconds ("30") or a duration ("1m30s")`,
  );
  return HTTP_TIMEOUT_MS_DEFAULT;
}

/** The words of Go's strconv.ParseBool; anything else is false with a warning. */
function parseBool(key: string, text: string | undefined, warnings: string[]): boolean {
  if (text === undefined || text === '') return false;
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true;
  if (!['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text))
    warnings.push(`${key} ${quoted(text)} is no boolean: false is used; write "true" or "false"`);
  return false;
}
