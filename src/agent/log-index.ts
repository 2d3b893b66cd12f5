/**
 * The index of an execution's log: which bytes of which stream were seen when. A text file of lines beside the two output files, written by
 * the runner that follows them, read by whoever shows the log. The full log is the chunks one after the other.
 *
 * `o 0 120 1763831000000000 0`: 120 bytes of stdout from its offset 0, seen at that instant (epoch µs), not late; `e` is stderr.
 * `k 4096 4096 0`: the full log's first 4096 bytes are released; so are 4096 of stdout and 0 of stderr.
 * A log that one look saw whole, on one stream, needs no index: the file's own time says when.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';

export type LogStream = 'stdout' | 'stderr';

export interface LogChunk {
  readonly stream: LogStream;
  /** Offset in the stream's file. */
  readonly offset: number;
  readonly length: number;
  readonly observedAtUs: number;
  /** Seen after a time without anyone looking: the instant is an upper bound. */
  readonly late: boolean;
}

export interface LogIndex {
  readonly chunks: LogChunk[];
  /** Released bytes: of the full log, and of each stream's file. */
  released: number;
  releasedOut: number;
  releasedErr: number;
}

export function chunkLine(chunk: LogChunk): string {
  return `${chunk.stream === 'stdout' ? 'o' : 'e'} ${chunk.offset} ${chunk.length} ${chunk.observedAtUs} ${chunk.late ? 1 : 0}\n`;
}

export function releasedLine(index: Pick<LogIndex, 'released' | 'releasedOut' | 'releasedErr'>): string {
  return `k ${index.released} ${index.releasedOut} ${index.releasedErr}\n`;
}

/** Reads the index and completes it with what the files hold beyond it (a live run, or a crash before the last look). */
export function readIndex(base: string): LogIndex {
  const index: LogIndex = { chunks: [], released: 0, releasedOut: 0, releasedErr: 0 };
  const seen = { stdout: 0, stderr: 0 };
  const path = `${base}.idx`;
  const text = existsSync(path) ? readFileSync(path, 'latin1') : '';
  // Without its newline the last line may be half written.
  for (const line of text.slice(0, text.lastIndexOf('\n') + 1).split('\n')) readLine(index, line, seen);
  appendUnseen(index, base, seen);
  // Of a damaged index whose chunks are gone: no more can have been released than there was.
  index.released = Math.min(
    index.released,
    index.chunks.reduce((sum, chunk) => sum + chunk.length, 0),
  );
  return index;
}

function readLine(index: LogIndex, line: string, seen: Record<LogStream, number>): void {
  const [kind, ...words] = line.split(' ');
  const [a = 0, b = 0, c = 0, d = 0] = words.map(Number);
  // A line torn by a full disk; the gap it leaves is closed by the next one.
  if (![a, b, c, d, a + b].every((value) => Number.isSafeInteger(value) && value >= 0)) return;
  if (kind === 'k') {
    index.released = a;
    index.releasedOut = b;
    index.releasedErr = c;
  } else if (kind === 'o' || kind === 'e') {
    const stream = kind === 'o' ? 'stdout' : 'stderr';
    if (a > seen[stream])
      index.chunks.push({ stream, offset: seen[stream], length: a - seen[stream], observedAtUs: c, late: true });
    if (a >= seen[stream]) index.chunks.push({ stream, offset: a, length: b, observedAtUs: c, late: d === 1 });
    seen[stream] = Math.max(seen[stream], a + b);
  }
}

function appendUnseen(index: LogIndex, base: string, seen: Readonly<Record<LogStream, number>>): void {
  const rest: LogChunk[] = [];
  for (const stream of ['stdout', 'stderr'] as const) {
    const stat = statSync(logFile(base, stream), { throwIfNoEntry: false });
    if (stat === undefined || stat.size <= seen[stream]) continue;
    const offset = seen[stream];
    rest.push({
      stream,
      offset,
      length: stat.size - offset,
      observedAtUs: Math.floor(stat.mtimeMs * 1000),
      late: index.chunks.length > 0,
    });
  }
  rest.sort((a, b) => a.observedAtUs - b.observedAtUs);
  index.chunks.push(...rest);
}

export function logFile(base: string, stream: LogStream): string {
  return stream === 'stdout' ? `${base}.out` : `${base}.err`;
}
