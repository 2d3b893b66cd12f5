/** Lays out argv, envp and all strings of a start in native memory. */
import type { Arena } from './libc.ts';
import { KEPT, STRINGS } from './spawn-memory.ts';
import type { SpawnRequest } from './spawner.ts';

/** A string of up to so many characters is copied faster by a loop than by a call. */
const SHORT_STRING = 160;
const NO_ROOM = -1;
const CONTAINS_NUL = -2;

/** Offsets in the arena; cwd is 0 when there is none. */
export interface Prepared {
  readonly argv: number;
  readonly envp: number;
  readonly program: number;
  readonly out: number;
  readonly err: number;
  readonly cwd: number;
}

export class ArgumentWriter {
  readonly #arena: Arena;
  readonly #kept = new Map<string, { value: string; at: number }>();
  #keptEnd = KEPT;
  #used = 0;
  #end = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** Writes into [from, end); the name of the errno when it does not fit or contains NUL. */
  write(request: SpawnRequest, from: number, end: number): Prepared | string {
    const names = Object.keys(request.environment);
    const argv = from;
    const envp = argv + (request.words.length + 1) * 8;
    this.#used = envp + (names.length + 1) * 8;
    this.#end = end;
    if (this.#used > end) return 'E2BIG';
    for (let i = 0; i < request.words.length; i += 1) {
      const at = this.#writeString(request.words[i] as string);
      if (at < 0) return nameOf(at);
      this.#writePointer(argv + i * 8, at);
    }
    this.#writePointer(argv + request.words.length * 8, 0);
    for (let i = 0; i < names.length; i += 1) {
      const name = names[i] as string;
      const at = this.#writeVariable(name, request.environment[name] as string);
      if (at < 0) return nameOf(at);
      this.#writePointer(envp + i * 8, at);
    }
    this.#writePointer(envp + names.length * 8, 0);
    const program = this.#writeString(request.program);
    const out = this.#writeString(request.outPath);
    const err = this.#writeString(request.errPath);
    const cwd = request.cwd === null ? 0 : this.#writeString(request.cwd);
    const worst = Math.min(program, out, err, cwd);
    return worst < 0 ? nameOf(worst) : { argv, envp, program, out, err, cwd };
  }

  #writePointer(at: number, target: number): void {
    this.#arena.view.setBigUint64(at, target === 0 ? 0n : this.#arena.base + BigInt(target), true);
  }

  /** The first value seen of a name keeps its place for good; another value is written for this start only. */
  #writeVariable(name: string, value: string): number {
    const kept = this.#kept.get(name);
    if (kept !== undefined && kept.value === value) return kept.at;
    const room = STRINGS - this.#keptEnd;
    if (kept !== undefined || (name.length + value.length) * 3 + 2 > room) return this.#writeString(`${name}=${value}`);
    const [used, end] = [this.#used, this.#end];
    this.#used = this.#keptEnd;
    this.#end = STRINGS;
    const at = this.#writeString(`${name}=${value}`);
    if (at >= 0) {
      this.#kept.set(name, { value, at });
      this.#keptEnd = this.#used;
    }
    this.#used = used;
    this.#end = end;
    return at;
  }

  /** Offset of the NUL-terminated copy, or a negative reason. */
  #writeString(text: string): number {
    const at = this.#used;
    // A UTF-16 unit takes at most three bytes.
    if (at + text.length * 3 + 1 > this.#end) return NO_ROOM;
    const { bytes } = this.#arena;
    let end = text.length <= SHORT_STRING ? writeAscii(bytes, at, text) : -1;
    if (end < 0) {
      if (text.includes('\0')) return CONTAINS_NUL;
      end = at + bytes.write(text, at);
    }
    bytes[end] = 0;
    this.#used = end + 1;
    return at;
  }
}

function nameOf(reason: number): string {
  return reason === CONTAINS_NUL ? 'EINVAL' : 'E2BIG';
}

/** The end of the copy; -1 when it is not plain ASCII without NUL. */
function writeAscii(bytes: Buffer, at: number, text: string): number {
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === 0 || code > 127) return -1;
    bytes[at + i] = code;
  }
  return at + text.length;
}
