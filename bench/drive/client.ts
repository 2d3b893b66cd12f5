/** A small HTTP client with its own connections, as a client of the API would be: keep-alive, so many requests in flight. */
import http from 'node:http';
import { rounded } from '../lib/samples.ts';

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly ms: number;
}

const TIMEOUT_MS = 120_000;

export class Client {
  readonly #base: string;
  readonly #agent: http.Agent;
  readonly inFlight: number;

  constructor(base: string, inFlight = 16) {
    this.#base = base;
    this.inFlight = inFlight;
    this.#agent = new http.Agent({ keepAlive: true, maxSockets: inFlight });
  }

  /** Rejects when the connection fails or no answer comes. */
  call(method: string, path: string, body?: unknown): Promise<Answer> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers =
      text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const from = performance.now();
    return new Promise((resolve, reject) => {
      const request = http.request(
        new URL(this.#base + path),
        { method, agent: this.#agent, headers, timeout: TIMEOUT_MS },
        (response) => {
          const pieces: Buffer[] = [];
          response.on('data', (piece: Buffer) => pieces.push(piece));
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              body: Buffer.concat(pieces).toString('utf8'),
              ms: performance.now() - from,
            }),
          );
        },
      );
      request.on('error', reject);
      request.on('timeout', () => request.destroy(new Error(`${method} ${path} was not answered`)));
      request.end(text);
    });
  }

  /** Milliseconds; throws unless the answer is 200. */
  async timed(path: string): Promise<number> {
    const { status, ms, body } = await this.call('GET', path);
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${body.slice(0, 200)}`);
    return ms;
  }

  /** Calls for all of 0…count−1, so many in flight as this client has. Answers how many a second. */
  async forAll(count: number, call: (i: number) => Promise<void>): Promise<number> {
    let next = 0;
    const from = performance.now();
    const worker = async () => {
      while (next < count) await call(next++);
    };
    await Promise.all(Array.from({ length: this.inFlight }, worker));
    return rounded(count / ((performance.now() - from) / 1000));
  }

  close(): void {
    this.#agent.destroy();
  }
}
