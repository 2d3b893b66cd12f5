/**
 * The order a trace must show: nothing of a run is executed before its intent (in the -wal) and its accept mark (in a runner's journal) are
 * on disk, and no 2xx leaves for a write that is not. "On disk" is a sync that began after the write had returned and has itself returned.
 */
import { bytesOf, type Call } from './strace.ts';

export interface Verdict {
  /** Runs whose first program (or http request) was seen, by kind. */
  readonly executed: { program: number; request: number };
  /** 2xx answers that were checked. */
  readonly answered: number;
  readonly violations: readonly string[];
}

export interface Expected {
  /** The names that jobs of the suite have: `<prefix>-<number>`. */
  readonly prefix: string;
  /** "127.0.0.1:40123": where the node answers. */
  readonly address: string;
  /** So many answers at the beginning came one at a time: each must have a commit of its own behind it. */
  readonly answeredAlone: number;
}

/** Things written to one file and whether they have reached the disk. */
class SyncedFile {
  readonly #written = new Set<string>();
  readonly #durable = new Set<string>();
  readonly #syncing = new Map<number, string[]>();
  commits = 0;
  commitsSynced = 0;
  readonly #commitsAt = new Map<number, number>();

  add(facts: Iterable<string>): void {
    for (const fact of facts) if (!this.#durable.has(fact)) this.#written.add(fact);
  }

  syncBegins(pid: number): void {
    this.#syncing.set(pid, [...this.#written]);
    this.#commitsAt.set(pid, this.commits);
  }

  syncReturned(pid: number, result: number | null): void {
    const served = this.#syncing.get(pid) ?? [];
    this.#syncing.delete(pid);
    if (result !== 0) return;
    for (const fact of served) {
      this.#written.delete(fact);
      this.#durable.add(fact);
    }
    this.commitsSynced = Math.max(this.commitsSynced, this.#commitsAt.get(pid) ?? 0);
  }

  has(fact: string): boolean {
    return this.#durable.has(fact);
  }
}

const WRITES = new Set(['pwrite64', 'pwritev', 'write', 'writev', 'sendto', 'sendmsg']);
const EXECS = new Set(['execve', 'execveat']);
const SYNCS = new Set(['fsync', 'fdatasync']);
const FRAME_HEADER_BYTES = 24;
/** An id of our time as SQLite writes it: a varint of eight bytes. */
const KEY_VARINT = /[\x82-\x85][\x80-\xff]{6}[\x00-\x7f]/g;

/** Goes through a trace once. */
export async function judge(calls: AsyncIterable<Call>, expected: Expected): Promise<Verdict> {
  const judgement = new Judgement(expected);
  for await (const call of calls) judgement.see(call);
  return judgement.verdict();
}

class Judgement {
  readonly #expected: Expected;
  readonly #token: RegExp;
  readonly #wal = new SyncedFile();
  /** Facts in pages of a transaction whose last frame has not come. */
  #uncommitted = new Set<string>();
  #frameCommits = false;
  readonly #journals = new Map<string, SyncedFile>();
  readonly #seen = new Set<string>();
  readonly #executed = { program: 0, request: 0 };
  #answered = 0;
  #commitsAtLastAnswer = 0;
  readonly #violations: string[] = [];

  constructor(expected: Expected) {
    this.#expected = expected;
    this.#token = new RegExp(`${expected.prefix}-\\d+`, 'g');
  }

  verdict(): Verdict {
    return { executed: this.#executed, answered: this.#answered, violations: this.#violations };
  }

  see(call: Call): void {
    if (EXECS.has(call.name)) {
      if (call.moment === 'begins') this.#executes(/"BELFRY_EXECUTION_ID=(\d+)000-/.exec(call.args)?.[1], 'program');
      return;
    }
    const file = this.#fileOf(call.target);
    if (SYNCS.has(call.name)) {
      if (call.moment === 'begins') file?.syncBegins(call.pid);
      else file?.syncReturned(call.pid, call.result);
      return;
    }
    if (!WRITES.has(call.name)) return;
    if (file === this.#wal) {
      if (call.moment === 'returned') this.#frame(bytesOf(call));
    } else if (file !== undefined) {
      if (call.moment === 'returned') file.add(acceptMarks(bytesOf(call)));
    } else if (call.moment === 'begins' && call.target.startsWith('TCP')) this.#sends(call);
  }

  #fileOf(target: string): SyncedFile | undefined {
    if (target.endsWith('/belfry.db-wal')) return this.#wal;
    if (!/\/runners\/[^/]+\/journal$/.test(target)) return undefined;
    const known = this.#journals.get(target) ?? new SyncedFile();
    this.#journals.set(target, known);
    return known;
  }

  /** Frame headers and pages come as writes of their own; a header with a database size ends the transaction with its page. */
  #frame(bytes: string): void {
    if (bytes.length === FRAME_HEADER_BYTES) {
      this.#frameCommits = bytes.slice(4, 8) !== '\0\0\0\0';
      return;
    }
    for (const [varint] of bytes.matchAll(KEY_VARINT)) this.#uncommitted.add(`key ${fromVarint(varint)}`);
    for (const [token] of bytes.matchAll(this.#token)) this.#uncommitted.add(token);
    if (!this.#frameCommits) return;
    this.#wal.add(this.#uncommitted);
    this.#wal.commits += 1;
    this.#uncommitted = new Set();
  }

  #sends(call: Call): void {
    const text = bytesOf(call);
    if (call.target.includes(`[${this.#expected.address}->`)) {
      // The only thing the suite reads meanwhile is the metrics page, and only that is text.
      if (/^HTTP\/1\.1 2\d\d /.test(text) && !/^content-type: text\/plain/im.test(text)) this.#answers(text);
      return;
    }
    this.#executes(/^belfry-execution-id: (\d+)000-/im.exec(text)?.[1], 'request');
  }

  #executes(key: string | undefined, kind: 'program' | 'request'): void {
    // A shell's own children carry the id too: the first one counts.
    if (key === undefined || this.#seen.has(key)) return;
    this.#seen.add(key);
    this.#executed[kind] += 1;
    if (!this.#wal.has(`key ${key}`)) this.#violations.push(`${kind} of run ${key} before its intent was synced`);
    if (![...this.#journals.values()].some((journal) => journal.has(`accept ${key}`))) {
      this.#violations.push(`${kind} of run ${key} before its accept mark was synced`);
    }
  }

  #answers(text: string): void {
    this.#answered += 1;
    const said = `answer ${this.#answered} (${text.slice(0, text.indexOf('\r'))})`;
    if (this.#answered <= this.#expected.answeredAlone) {
      const committed = this.#wal.commitsSynced > this.#commitsAtLastAnswer;
      if (!committed) this.#violations.push(`${said} without a synced commit since the one before`);
    }
    this.#commitsAtLastAnswer = this.#wal.commitsSynced;
    const body = text.slice(text.indexOf('\r\n\r\n'));
    const group = /"group":(\d+)/.exec(body)?.[1];
    const name = new RegExp(this.#token.source).exec(body)?.[0];
    const fact = group === undefined ? name : `key ${group}`;
    if (fact !== undefined && !this.#wal.has(fact)) this.#violations.push(`${said}: ${fact} was not synced`);
  }
}

/** Journal records are lines of `crc json`. */
function* acceptMarks(bytes: string): Generator<string> {
  for (const line of bytes.split('\n')) {
    if (!/^[0-9a-f]{8} \{"r":"accept","runs":\[/.test(line)) continue;
    for (const [, key] of line.matchAll(/\{"key":(\d+),"id":/g)) yield `accept ${key}`;
  }
}

function fromVarint(varint: string): bigint {
  let value = 0n;
  for (const byte of varint) value = (value << 7n) | BigInt(byte.charCodeAt(0) & 0x7f);
  return value;
}
