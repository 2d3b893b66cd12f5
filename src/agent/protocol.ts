/**
 * What the node process and a runner say to each other over the runner's Unix socket: one JSON object a line, each carrying a batch.
 *
 * A runner outlives the node that started it, so a newer node meets older runners. Rule: `hello`, `ack`, `stop`, `retire`, `known`, `started`,
 * `ended` only ever gain optional fields; everything else may change with PROTOCOL, and a node sends it only to runners of its own number.
 */
import type {
  ExecutionEnded,
  ExecutionRefused,
  ExecutionStarted,
  KnownExecution,
  StartRequest,
  StopRequest,
} from '../model/agent.ts';

export const PROTOCOL = 1;

/** Longest line either side accepts: a batch of starts with 1 MiB payloads fits, a runaway peer does not. */
export const LINE_BYTES_MAX = 64 * 1024 * 1024;

/** A child the runner did not start itself and whose exit only the node can learn (it is the subreaper). */
export interface ReapedExit {
  readonly pid: number;
  /** The wait status; null: the pid is no child of the node, so nobody will ever know. */
  readonly status: number | null;
}

export type NodeMessage =
  | {
      readonly t: 'hello';
      readonly protocol: number;
      readonly epoch: number;
      readonly pid: number;
      /** The node is a subreaper and answers `watch`. */ readonly reaps: boolean;
    }
  | { readonly t: 'start'; readonly epoch: number; readonly runs: readonly StartRequest[] }
  | { readonly t: 'stop'; readonly runs: readonly StopRequest[] }
  | { readonly t: 'ack'; readonly keys: readonly number[] }
  | { readonly t: 'takeover'; readonly runners: readonly string[] }
  | { readonly t: 'reaped'; readonly exits: readonly ReapedExit[] }
  | { readonly t: 'warm'; readonly executors: readonly string[] }
  | { readonly t: 'retire' }
  | { readonly t: 'ping' };

export type RunnerMessage =
  | {
      readonly t: 'hello';
      readonly protocol: number;
      readonly runner: string;
      readonly pid: number;
      readonly bootId: string;
      readonly spawn: SpawnKind;
      readonly epoch: number;
    }
  /** After hello: everything the runner knows, in batches, then `ready`. After takeover: what it took, then `takenOver`. */
  | { readonly t: 'known'; readonly runs: readonly KnownExecution[] }
  | { readonly t: 'ready' }
  | { readonly t: 'accepted'; readonly keys: readonly number[] }
  | { readonly t: 'refused'; readonly runs: readonly ExecutionRefused[] }
  | { readonly t: 'started'; readonly runs: readonly ExecutionStarted[] }
  | { readonly t: 'ended'; readonly runs: readonly ExecutionEnded[] }
  | { readonly t: 'takenOver'; readonly runners: readonly string[] }
  | { readonly t: 'watch'; readonly pids: readonly number[] }
  /** The exits of these, told by `reaped`, are on disk: until then the node keeps them. */
  | { readonly t: 'taken'; readonly pids: readonly number[] }
  | { readonly t: 'disk'; readonly full: boolean }
  | { readonly t: 'problem'; readonly message: string }
  | { readonly t: 'pong' };

export type SpawnKind = 'ffi' | 'child_process';

/** What a runner needs to know from its birth on; written by the node to `options.json` (0600: the environment may hold secrets). */
export interface RunnerOptions {
  readonly node: string;
  readonly baseEnvironment: Readonly<Record<string, string>>;
  readonly outputBytesMax: number;
  readonly tailBytes: number;
  readonly journalReserveBytes: number;
  readonly idleMs: number;
  readonly spawn: 'auto' | SpawnKind;
  readonly cgroups: 'auto' | 'on' | 'off';
  /** Which protocol number to speak; another than PROTOCOL only in tests of adoption. */
  readonly protocol: number;
}

/** Executions in one message: with the largest tails still a few megabytes. */
export const BATCH_MAX = 200;

/** Cuts a byte stream into messages. A line that is not JSON or too long is an error: the peer is broken, and the connection must go. */
export class LineDecoder<Message> {
  #parts: Buffer[] = [];
  #length = 0;

  push(chunk: Buffer): Message[] {
    const messages: Message[] = [];
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(10, from);
      if (end < 0) break;
      this.#parts.push(chunk.subarray(from, end));
      const line = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts);
      messages.push(JSON.parse(line.toString('utf8')) as Message);
      this.#parts = [];
      this.#length = 0;
      from = end + 1;
    }
    if (from < chunk.length) {
      this.#parts.push(chunk.subarray(from));
      this.#length += chunk.length - from;
      if (this.#length > LINE_BYTES_MAX) throw new Error(`a message of more than ${LINE_BYTES_MAX} bytes`);
    }
    return messages;
  }
}

export function encodeMessage(message: NodeMessage | RunnerMessage): string {
  return `${JSON.stringify(message)}\n`;
}
