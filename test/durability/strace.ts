/** Reads what strace wrote (-f -v -yy -s large): system calls in the order the tracer saw them begin and return. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

/** What the suites ask strace for. */
export const STRACE_ARGS = [
  '-f',
  '-qq',
  '--seccomp-bpf',
  '-v',
  '-yy',
  '-s',
  '262144',
  '-e',
  'signal=none',
  '-e',
  'trace=execve,execveat,fsync,fdatasync,pwrite64,pwritev,write,writev,sendto,sendmsg,rename',
];

/** One call, told twice: when it begins and when it has returned. A tracee does not go on before its line is written. */
export interface Call {
  readonly moment: 'begins' | 'returned';
  readonly pid: number;
  readonly name: string;
  /** The file or socket behind the first argument, '' when it has none. */
  readonly target: string;
  /** Raw text of the arguments, strings still as C literals. */
  readonly args: string;
  /** The result; null at `begins` and when the call never returned. */
  readonly result: number | null;
}

const LINE = /^(\d+) +(.*)$/s;
const CALL = /^(\w+)\((.*)$/s;
const RESUMED = /^<\.\.\. (\w+) resumed>(.*)$/s;
const RESULT = /^(.*)\) += (-?\d+|\?)[^)]*$/s;
const TARGET = /^(?:AT_FDCWD|\d+)<(.*?)>(?:, |$|\))/s;
const UNFINISHED = ' <unfinished ...>';

/** The calls of a trace file. */
export async function* readTrace(path: string): AsyncGenerator<Call> {
  const open = new Map<number, { name: string; args: string }>();
  for await (const line of createInterface({ input: createReadStream(path, 'latin1'), crlfDelay: Infinity })) {
    const [, pidText = '', rest = ''] = LINE.exec(line) ?? [];
    const pid = Number(pidText);
    const resumed = RESUMED.exec(rest);
    if (resumed !== null) {
      const begun = open.get(pid);
      open.delete(pid);
      if (begun !== undefined) yield returned(pid, begun.name, begun.args + (resumed[2] ?? ''));
      continue;
    }
    const [, name = '', text = ''] = CALL.exec(rest) ?? [];
    if (name === '') continue;
    if (text.endsWith(UNFINISHED)) {
      const args = text.slice(0, -UNFINISHED.length);
      open.set(pid, { name, args });
      yield { moment: 'begins', pid, name, target: targetOf(args), args, result: null };
      continue;
    }
    const whole = returned(pid, name, text);
    yield { ...whole, moment: 'begins', result: null };
    yield whole;
  }
}

function returned(pid: number, name: string, text: string): Call {
  const [, args = text, result = '?'] = RESULT.exec(text) ?? [];
  return {
    moment: 'returned',
    pid,
    name,
    target: targetOf(args),
    args,
    result: result === '?' ? null : Number(result),
  };
}

function targetOf(args: string): string {
  return TARGET.exec(args)?.[1] ?? '';
}

/** The bytes written by a call, all buffers joined, as latin1. Throws when strace cut one: what is not seen cannot be proved. */
export function bytesOf(call: Call): string {
  const parts: string[] = [];
  for (const [, literal = '', cut] of call.args.matchAll(/"((?:[^"\\]|\\.)*)"(\.\.\.)?/g)) {
    if (cut !== undefined) throw new Error(`strace cut a string of ${call.name}`);
    parts.push(unescape(literal));
  }
  return parts.join('');
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', v: '\v', f: '\f', '"': '"', '\\': '\\' };

function unescape(literal: string): string {
  return literal.replace(/\\([0-7]{1,3}|.)/g, (_all, code: string) =>
    /^[0-7]/.test(code) ? String.fromCharCode(Number.parseInt(code, 8)) : (ESCAPES[code] ?? code),
  );
}
