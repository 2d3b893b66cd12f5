/** The server that http jobs call: part of the harness, so that its word about what arrived is nobody else's. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { seededRandom } from '../../src/lib/random.ts';
import { evidenceOf, fnv1a64 } from './evidence.ts';
import type { Evidence } from './types.ts';

/** A connection cut by a kill is seen a little later than the next request that follows from it. */
const CLOSE_SEEN_MS = 200;
const PIECES = 4;

interface Serving {
  readonly job: string;
  over: boolean;
}

export class Target {
  readonly evidence = new Map<string, Evidence>();
  readonly #server: Server;
  readonly #serving = new Map<string, Set<Serving>>();

  constructor() {
    this.#server = createServer((request, response) => this.#serve(request, response));
    this.#server.keepAliveTimeout = 30_000;
  }

  async listen(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done));
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the target has no port');
    return `http://127.0.0.1:${address.port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((done) => this.#server.close(() => done()));
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const id = header(request, 'belfry-execution-id');
    const one = evidenceOf(this.evidence, id);
    const query = new URL(request.url ?? '/', 'http://target').searchParams;
    const job = query.get('job') ?? '';
    one.starts.push({
      at: preciseNow(),
      attempt: Number(header(request, 'belfry-attempt')),
      group: Number(header(request, 'idempotency-key')),
      scheduledAt: header(request, 'belfry-scheduled-at'),
      job,
      pid: 0,
      parentPid: 0,
    });
    const serving = this.#begin(job, one);
    request.resume();
    const number = (name: string) => Number(query.get(name) ?? 0);
    const random = seededRandom(Number(id.replace(/\D/g, '').slice(-12)) % 2 ** 32);
    const durationMs = number('min') + random.float() ** 2 * (number('max') - number('min'));
    const code = random.float() * 1000 < number('fail') ? 500 : 200;
    // Never empty: an empty answer is whole with its head, long before we say that it is.
    const body = Buffer.from(
      Array.from(
        { length: 1 + Math.floor(random.float() * number('bytes')) },
        (_, i) => 97 + ((i * 7 + id.length) % 26),
      ),
    );
    let sent = false;
    response.writeHead(code, { 'content-type': 'text/plain', 'content-length': String(body.length) });
    response.flushHeaders();
    let timer: NodeJS.Timeout;
    let piece = 0;
    const go = () => {
      piece += 1;
      const part = body.subarray(
        Math.floor((body.length * (piece - 1)) / PIECES),
        Math.floor((body.length * piece) / PIECES),
      );
      if (piece < PIECES) {
        response.write(part);
        timer = setTimeout(go, durationMs / PIECES);
        return;
      }
      // Its last byte is about to be theirs: from here on another request of the job is no overlap.
      this.#end(serving);
      const at = preciseNow();
      response.end(part, () => {
        sent = true;
        one.end = { at, code, bytes: body.length, hash: fnv1a64(body) };
      });
    };
    timer = setTimeout(go, durationMs / PIECES);
    response.on('close', () => {
      clearTimeout(timer);
      this.#end(serving);
      if (!sent) one.cutAt = preciseNow();
    });
  }

  #begin(job: string, one: Evidence): Serving {
    const serving: Serving = { job, over: false };
    const others = this.#serving.get(job) ?? new Set();
    this.#serving.set(job, others);
    const before = [...others];
    others.add(serving);
    const at = preciseNow();
    if (before.length > 0)
      setTimeout(() => before.some((other) => !other.over) && one.overlaps.push(at), CLOSE_SEEN_MS);
    return serving;
  }

  #end(serving: Serving): void {
    serving.over = true;
    this.#serving.get(serving.job)?.delete(serving);
  }
}

function header(request: IncomingMessage, name: string): string {
  const value = request.headers[name];
  return typeof value === 'string' ? value : '';
}

/** Epoch ms with microseconds. */
export function preciseNow(): number {
  return performance.timeOrigin + performance.now();
}
