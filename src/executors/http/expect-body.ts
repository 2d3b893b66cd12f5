/**
 * The job's `expectBody`: an RE2 pattern (re2js, no backtracking) on the first bytes of the response.
 *
 * The time is linear in the body, but the factor is the pattern's size: some hundred states on a megabyte take seconds. So only small
 * work is done on the runner's loop; the rest goes to a worker thread that can be ended at the request's time limit.
 */
import { Worker } from 'node:worker_threads';
import type { RE2JS } from 're2js';
import type { Watch } from './watch.ts';

/** Bytes of the body that are kept for matching. */
export const EXPECT_BODY_BYTES_MAX = 1_048_576;
/** Longer or larger patterns are refused: compiling them would itself take seconds. */
export const EXPECT_PATTERN_CHARS_MAX = 10_000;
export const EXPECT_PROGRAM_MAX = 10_000;
/** Pattern size × body bytes done without a worker: about 40 ms at worst, usually below 1 ms. */
const INLINE_STEPS_MAX = 262_144;
/** Compiled patterns kept. */
const CACHE_MAX = 100;

export type CompiledExpectation =
  | { readonly ok: true; readonly pattern: string; readonly regex: RE2JS }
  | { readonly ok: false; readonly problem: string };

let library: Promise<typeof import('re2js')> | undefined;
const compiled = new Map<string, CompiledExpectation>();

/** re2js is loaded at the first need: most jobs expect nothing of the body. */
export async function compileExpectation(pattern: string): Promise<CompiledExpectation> {
  const known = compiled.get(pattern);
  if (known !== undefined) return known;
  if (pattern.length > EXPECT_PATTERN_CHARS_MAX) {
    return {
      ok: false,
      problem: `expectBody is longer than ${EXPECT_PATTERN_CHARS_MAX} characters: look for less of the body`,
    };
  }
  library ??= import('re2js');
  const expectation = compile(pattern, (await library).RE2JS);
  compiled.set(pattern, expectation);
  const oldest = compiled.keys().next();
  if (compiled.size > CACHE_MAX && !oldest.done) compiled.delete(oldest.value);
  return expectation;
}

function compile(pattern: string, engine: typeof RE2JS): CompiledExpectation {
  try {
    const regex = engine.compile(pattern);
    if (regex.programSize() > EXPECT_PROGRAM_MAX)
      return { ok: false, problem: 'expectBody is too large a pattern: look for less of the body, or repeat less' };
    return { ok: true, pattern, regex };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return {
      ok: false,
      problem: `expectBody is no valid pattern (RE2 syntax): ${text.replaceAll(/\s+/g, ' ').slice(0, 200)}`,
    };
  }
}

/** Keeps the first bytes of a body, counts the rest. */
export class KeptBody {
  readonly #chunks: Uint8Array[] = [];
  #kept = 0;
  total = 0;

  add(chunk: Uint8Array): void {
    this.total += chunk.length;
    const part = chunk.subarray(0, EXPECT_BODY_BYTES_MAX - this.#kept);
    if (part.length === 0) return;
    this.#kept += part.length;
    // A copy where the chunk is a small part of a larger buffer, which would stay in memory with it.
    this.#chunks.push(part.byteLength < part.buffer.byteLength / 2 ? part.slice() : part);
  }

  get cut(): boolean {
    return this.total > this.#kept;
  }

  get keptBytes(): number {
    return this.#kept;
  }

  /** As UTF-8 with U+FFFD for what is not, as Go's regexp sees it. */
  text(): string {
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.concat(this.#chunks));
  }
}

export type BodyMatch = 'matches' | 'differs' | 'ended' | 'failed';

/** Whether the pattern occurs in the body; `ended` when the watch ended it first, `failed` when the worker broke. */
export async function matchBody(
  expectation: CompiledExpectation & { ok: true },
  body: KeptBody,
  watch: Watch,
): Promise<BodyMatch> {
  const { regex, pattern } = expectation;
  if (regex.programSize() * body.keptBytes <= INLINE_STEPS_MAX) return regex.test(body.text()) ? 'matches' : 'differs';
  await turn();
  try {
    if (watch.cause !== null) return 'ended';
    return await matchInWorker(pattern, body.text(), watch);
  } finally {
    pass();
  }
}

function matchInWorker(pattern: string, text: string, watch: Watch): Promise<BodyMatch> {
  return new Promise((resolve) => {
    const worker = new Worker(new URL('./expect-body-worker.ts', import.meta.url), { workerData: { pattern, text } });
    const end = (result: BodyMatch) => {
      watch.listen(null);
      worker.terminate().then(
        () => resolve(result),
        () => resolve(result),
      );
    };
    worker.once('message', (matched: boolean) => end(matched ? 'matches' : 'differs'));
    worker.once('error', () => end('failed'));
    watch.listen(() => end('ended'));
  });
}

/** At most so many workers at a time; a third waits. */
const WORKERS_MAX = 2;
let working = 0;
const queue: (() => void)[] = [];

function turn(): Promise<void> {
  if (working < WORKERS_MAX) {
    working++;
    return Promise.resolve();
  }
  return new Promise((resolve) => queue.push(resolve));
}

function pass(): void {
  const next = queue.shift();
  if (next === undefined) working--;
  else next();
}
