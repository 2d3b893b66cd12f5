/**
 * Which await points of the leader's code a crash has hit. A crash happens inside a port; the stack of that moment names every function
 * of the leader that was waiting, with the line of its await.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const FRAME = /\/src\/(server\/[\w-]+\.ts):(\d+):/g;

/** Only answers questions: nothing changes in them, so dying in them is dying anywhere. */
const READERS = new Set([
  'server/job-list.ts',
  'server/run-views.ts',
  'server/metrics.ts',
  'server/node-status.ts',
  'server/services.ts',
  'server/shutdown.ts',
]);
/** Methods that only answer questions, in files that also change things. */
const READING_METHODS = new Set([
  'list',
  'get',
  'executions',
  'execution',
  'busy',
  'stats',
  'runs',
  'run',
  'log',
  '#tailSlice',
  'deleteExecutions',
  '#byOutcome',
  '#byJob',
  '#withExecutions',
  '#withFullOutput',
  '#job',
  '#occurrence',
]);

export interface AwaitPoint {
  readonly file: string;
  /** First and last line of the statement. */
  readonly from: number;
  readonly to: number;
  readonly text: string;
  readonly method: string;
}

/** Every await of the leader's code, read from the source. */
export function awaitPoints(): AwaitPoint[] {
  const found: AwaitPoint[] = [];
  for (const name of readdirSync(join(ROOT, 'src/server')).sort()) {
    const file = `server/${name}`;
    if (!name.endsWith('.ts') || name.endsWith('.test.ts') || READERS.has(file)) continue;
    const lines = readFileSync(join(ROOT, 'src', file), 'utf8').split('\n');
    let method = '';
    for (const [index, line] of lines.entries()) {
      method = /^(?: {2}|export |async |function )*(#?\w+)(?:<\w+>)?\(/.exec(line)?.[1] ?? method;
      if (!/\bawait\b/.test(line) || /^\s*(?:\/\/|\*)/.test(line)) continue;
      if (file === 'server/runs.ts' && READING_METHODS.has(method)) continue;
      if (file === 'server/jobs.ts' && (method === 'list' || method === 'get')) continue;
      const end = endOfStatement(lines, index);
      found.push({
        file,
        from: index + 1,
        to: end + 1,
        text: lines
          .slice(index, end + 1)
          .map((one) => one.trim())
          .join(' '),
        method,
      });
    }
  }
  return found;
}

function endOfStatement(lines: readonly string[], from: number): number {
  let depth = 0;
  for (let index = from; index < lines.length; index++) {
    for (const character of lines[index] ?? '') {
      if ('([{'.includes(character)) depth++;
      if (')]}'.includes(character)) depth--;
    }
    if (depth <= 0) return index;
  }
  return from;
}

export class Points {
  /** "port side" → crashes there. */
  readonly ports = new Map<string, number>();
  readonly #lines = new Map<string, number>();
  #closing = 0;
  /** Read at once: the lines must be those of the program that runs. */
  readonly #points = awaitPoints();

  /** Notes a crash here and now; `closing`: while a clean end was under way. */
  hit(point: string, closing: boolean): void {
    this.ports.set(point, (this.ports.get(point) ?? 0) + 1);
    if (closing) this.#closing++;
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 60;
    const { stack = '' } = new Error('here');
    Error.stackTraceLimit = limit;
    for (const [, file, line] of stack.matchAll(FRAME)) {
      const at = `${file}:${line}`;
      this.#lines.set(at, (this.#lines.get(at) ?? 0) + 1);
    }
  }

  /** Whether a crash here and now would hit a point that none has hit yet. Costly: for the hunt only. */
  isNew(): boolean {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 60;
    const { stack = '' } = new Error('here');
    Error.stackTraceLimit = limit;
    return [...stack.matchAll(FRAME)].some(([, file, line]) => {
      const at = Number(line);
      const point = this.#points.find((one) => one.file === file && one.from <= at && at <= one.to);
      return point !== undefined && this.#hitsOf(point, this.#points) === 0;
    });
  }

  /** Await points with the number of crashes while the leader waited there. */
  coverage(): { point: AwaitPoint; hits: number }[] {
    return this.#points.map((point) => ({ point, hits: this.#hitsOf(point, this.#points) }));
  }

  #hitsOf(point: AwaitPoint, all: readonly AwaitPoint[]): number {
    let hits = 0;
    for (let line = point.from; line <= point.to; line++) hits += this.#lines.get(`${point.file}:${line}`) ?? 0;
    if (hits > 0) return hits;
    // The engine's stacks end at a lock and at a batch: who waits for one waits while what it runs waits.
    const via = LOCKED.exec(point.text)?.[1] ?? BATCHED.find(([text]) => point.text.includes(text))?.[1];
    if (via !== undefined) {
      return Math.max(
        0,
        ...all.filter((other) => other !== point && other.method === via).map((other) => this.#hitsOf(other, all)),
      );
    }
    return CLOSING.test(point.text) ? this.#closing : 0;
  }
}

const LOCKED = /lock\.run\(\(\) => (?:this\.)?(#?\w+)\(/;
const BATCHED: readonly (readonly [string, string])[] = [
  ['#puts.add(', '#putRound'],
  ['#put({', '#putRound'],
  ['#deletes.add(', 'deleteAll'],
  ['this.run(input.name', '#launchManual'],
  ['stopRun(live', '#stopForRequest'],
  ['this.#write(', '#write'],
  ['this.#dropLogs(', '#dropLogs'],
  // Their only port is a definition that is not in memory, where the job they are about always is.
  ['this.#ephemeral(', 'cancelDue'],
  ['hooks.cancelDue(', 'cancelDue'],
];
/** They wait for the lock alone, to let what runs come to its end. */
const CLOSING = /lock\.run\(\(\) => Promise\.resolve\(\)\)|this\.scheduler\.close\(\)|#results\.close\(\)/;
