// A plain HTTP client for tests: every header is as the test says (fetch would set Host, Origin and Sec-Fetch-* itself).
import http from 'node:http';
import https from 'node:https';

export interface Answer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly text: string;
  readonly bytes: Buffer;
  /** The body as JSON; fails the test when it is none. */
  json<T = any>(): T;
}

export interface Ask {
  readonly headers?: Readonly<Record<string, string>>;
  /** Objects go out as JSON. */
  readonly body?: unknown;
  /** The certificate to trust. */
  readonly ca?: string;
}

/** One request; never follows redirects. Rejects when no answer comes within 30 s. */
export function ask(base: string, method: string, path: string, { headers = {}, body, ca }: Ask = {}): Promise<Answer> {
  const { protocol, hostname, port } = new URL(base);
  const bytes =
    body === undefined
      ? undefined
      : Buffer.isBuffer(body)
        ? body
        : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  // The path goes out as written, so that a test can send what URL would tidy up.
  const options = {
    host: hostname.replace(/^\[|\]$/g, ''),
    port,
    method,
    path,
    agent: false as const,
    ...(ca === undefined ? {} : { ca }),
    headers: { ...(bytes === undefined ? {} : { 'content-length': String(bytes.length) }), ...headers },
    timeout: 30_000,
  };
  return new Promise((resolve, reject) => {
    const request = (protocol === 'https:' ? https : http).request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve(answerOf(response, Buffer.concat(chunks))));
    });
    request.on('timeout', () => request.destroy(new Error(`no answer to ${method} ${path}`)));
    request.on('error', reject);
    request.end(bytes);
  });
}

function answerOf(response: http.IncomingMessage, bytes: Buffer): Answer {
  const headers: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(response.headers))
    headers[name] = Array.isArray(value) ? value.join(', ') : value;
  const text = bytes.toString('utf8');
  return { status: response.statusCode ?? 0, headers, text, bytes, json: () => JSON.parse(text) };
}
