/**
 * Starts processes with posix_spawn: twice to five times as fast as child_process and without its handles. While this spawner lives,
 * nothing else in the process may start children, because exits are asked for with waitid(P_ALL).
 */
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import type { Clock, Timer } from '../../lib/clock.ts';
import { TICKS_PER_SECOND } from '../process-table.ts';
import { ARENA_BYTES, type Libc } from './libc.ts';
import type { ExitListener, Spawner, SpawnRequest, SpawnResult } from './spawner.ts';

// Offsets in the arena. The two glibc structures take 80 and 336 bytes on 64-bit Linux; each has more than that.
const FILE_ACTIONS = 0;
const ATTRIBUTES = 512;
const PID = 1024;
const STATUS = 1032;
const SIGINFO = 1040;
const SIGNAL_SET = 1280;
const TIME = 1408;
/** Strings that hardly ever change (the node's part of the environment) keep their place from start to start. */
const KEPT = 4096;
const STRINGS = 128 * 1024;

const SETSIGDEF = 0x04;
const SETSIGMASK = 0x08;
const SETSID = 0x80;
const P_ALL = 0;
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x0100_0000;
const CLD_EXITED = 1;
const MFD_CLOEXEC = 1;
const CLOCK_BOOTTIME = 7;
const NS_PER_TICK = 1e9 / TICKS_PER_SECOND;
/** A string of up to so many characters is copied faster by a loop than by a call. */
const SHORT_STRING = 160;
const OUTPUT_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND;
const OUTPUT_MODE = 0o640;

/** SIGCHLD may be merged or lost while the loop is blocked; asking again this often bounds the delay. */
const REAP_INTERVAL_MS = 250;

export class FfiSpawner implements Spawner {
  readonly kind = 'ffi';
  readonly #libc: Libc;
  readonly #clock: Clock;
  readonly #onExit: ExitListener;
  readonly #nullFd: number;
  readonly #onSignal = () => this.reap();
  #timer: Timer | null = null;
  #live = 0;
  #used = STRINGS;
  readonly #kept = new Map<string, { value: string; at: number }>();
  #keptEnd = KEPT;

  constructor(libc: Libc, clock: Clock, onExit: ExitListener) {
    this.#libc = libc;
    this.#clock = clock;
    this.#onExit = onExit;
    this.#nullFd = openSync('/dev/null', 'r');
    this.#prepareAttributes();
    process.on('SIGCHLD', this.#onSignal);
  }

  spawn(request: SpawnRequest, done: (result: SpawnResult) => void): void {
    done(this.#spawn(request));
  }

  reap(): void {
    const { call, arena } = this.#libc;
    for (;;) {
      arena.view.setInt32(SIGINFO + 16, 0, true);
      if (call.waitid(P_ALL, 0, this.#at(SIGINFO), WEXITED | WNOHANG | WNOWAIT) !== 0) break;
      const pid = arena.view.getInt32(SIGINFO + 16, true);
      if (pid === 0) break;
      const code = arena.view.getInt32(SIGINFO + 8, true);
      const value = arena.view.getInt32(SIGINFO + 24, true);
      this.#onExit(pid, code === CLD_EXITED ? value << 8 : value);
      call.waitpid(pid, this.#at(STATUS), WNOHANG);
      this.#live = Math.max(0, this.#live - 1);
    }
  }

  close(): void {
    process.off('SIGCHLD', this.#onSignal);
    this.#timer?.cancel();
    this.#timer = null;
    closeSync(this.#nullFd);
  }

  #spawn(request: SpawnRequest): SpawnResult {
    const { call, arena } = this.#libc;
    const prepared = this.#writeArguments(request);
    if (typeof prepared === 'string') return { kind: 'failed', code: prepared };
    const stdin = request.stdin === null ? this.#nullFd : this.#memoryFile(request.stdin);
    if (typeof stdin === 'string') return { kind: 'failed', code: stdin };
    const actions = this.#at(FILE_ACTIONS);
    call.posix_spawn_file_actions_init(actions);
    call.posix_spawn_file_actions_adddup2(actions, stdin, 0);
    call.posix_spawn_file_actions_addopen(actions, 1, this.#at(prepared.out), OUTPUT_FLAGS, OUTPUT_MODE);
    call.posix_spawn_file_actions_addopen(actions, 2, this.#at(prepared.err), OUTPUT_FLAGS, OUTPUT_MODE);
    if (prepared.cwd !== 0) call.posix_spawn_file_actions_addchdir_np(actions, this.#at(prepared.cwd));
    call.posix_spawn_file_actions_addclosefrom_np(actions, 3);
    const earliest = this.#bootTicks();
    const errno = call.posix_spawn(
      this.#at(PID),
      this.#at(prepared.program),
      actions,
      this.#at(ATTRIBUTES),
      this.#at(prepared.argv),
      this.#at(prepared.envp),
    );
    const latest = this.#bootTicks();
    call.posix_spawn_file_actions_destroy(actions);
    if (stdin !== this.#nullFd) closeSync(stdin);
    if (errno !== 0) return { kind: 'failed', code: getSystemErrorName(-errno) };
    this.#live += 1;
    this.#timer ??= this.#clock.setTimer(REAP_INTERVAL_MS, () => this.#onTimer());
    // Between two equal ticks there is only one start time it can have; else /proc must be asked.
    return { kind: 'spawned', pid: arena.view.getInt32(PID, true), startTicks: earliest === latest ? earliest : null };
  }

  /** The clock of start times in /proc, in its ticks. */
  #bootTicks(): number {
    const { call, arena } = this.#libc;
    call.clock_gettime(CLOCK_BOOTTIME, this.#at(TIME));
    const ns = Number(arena.view.getBigInt64(TIME, true)) * 1e9 + Number(arena.view.getBigInt64(TIME + 8, true));
    return Math.floor(ns / NS_PER_TICK);
  }

  #onTimer(): void {
    this.reap();
    this.#timer = this.#live === 0 ? null : this.#clock.setTimer(REAP_INTERVAL_MS, () => this.#onTimer());
  }

  #at(offset: number): bigint {
    return this.#libc.arena.base + BigInt(offset);
  }

  /** Own session (which is also the process group), every signal at its default and none blocked. */
  #prepareAttributes(): void {
    const { call, arena } = this.#libc;
    const attributes = this.#at(ATTRIBUTES);
    const set = this.#at(SIGNAL_SET);
    call.posix_spawnattr_init(attributes);
    call.posix_spawnattr_setflags(attributes, SETSID | SETSIGDEF | SETSIGMASK);
    arena.bytes.fill(0, SIGNAL_SET, SIGNAL_SET + 128);
    call.posix_spawnattr_setsigmask(attributes, set);
    arena.bytes.fill(0xff, SIGNAL_SET, SIGNAL_SET + 128);
    call.posix_spawnattr_setsigdefault(attributes, set);
  }

  /** Lays out argv, envp and all strings; the name of the errno when they do not fit or contain NUL. */
  #writeArguments(request: SpawnRequest): Prepared | string {
    const names = Object.keys(request.environment);
    const argv = STRINGS;
    const envp = argv + (request.words.length + 1) * 8;
    this.#used = envp + (names.length + 1) * 8;
    if (this.#used > ARENA_BYTES / 2) return 'E2BIG';
    for (let i = 0; i < request.words.length; i += 1) {
      const at = this.#writeString(request.words[i] as string);
      if (at < 0) return at === CONTAINS_NUL ? 'EINVAL' : 'E2BIG';
      this.#writePointer(argv + i * 8, at);
    }
    this.#writePointer(argv + request.words.length * 8, 0);
    for (let i = 0; i < names.length; i += 1) {
      const name = names[i] as string;
      const at = this.#writeVariable(name, request.environment[name] as string);
      if (at < 0) return at === CONTAINS_NUL ? 'EINVAL' : 'E2BIG';
      this.#writePointer(envp + i * 8, at);
    }
    this.#writePointer(envp + names.length * 8, 0);
    const program = this.#writeString(request.program);
    const out = this.#writeString(request.outPath);
    const err = this.#writeString(request.errPath);
    const cwd = request.cwd === null ? 0 : this.#writeString(request.cwd);
    if (Math.min(program, out, err, cwd) < 0)
      return Math.min(program, out, err, cwd) === CONTAINS_NUL ? 'EINVAL' : 'E2BIG';
    return { argv, envp, program, out, err, cwd };
  }

  #writePointer(at: number, target: number): void {
    this.#libc.arena.view.setBigUint64(at, target === 0 ? 0n : this.#at(target), true);
  }

  /** The first value seen of a name keeps its place for good; another value is written for this start only. */
  #writeVariable(name: string, value: string): number {
    const kept = this.#kept.get(name);
    if (kept !== undefined && kept.value === value) return kept.at;
    const room = STRINGS - this.#keptEnd;
    if (kept !== undefined || (name.length + value.length) * 3 + 2 > room) return this.#writeString(`${name}=${value}`);
    const used = this.#used;
    this.#used = this.#keptEnd;
    const at = this.#writeString(`${name}=${value}`);
    if (at >= 0) {
      this.#kept.set(name, { value, at });
      this.#keptEnd = this.#used;
    }
    this.#used = used;
    return at;
  }

  /** Offset of the NUL-terminated copy, or a negative reason. */
  #writeString(text: string): number {
    const at = this.#used;
    // A UTF-16 unit takes at most three bytes.
    if (at + text.length * 3 + 1 > ARENA_BYTES) return NO_ROOM;
    const { bytes } = this.#libc.arena;
    let end = text.length <= SHORT_STRING ? writeAscii(bytes, at, text) : -1;
    if (end < 0) {
      if (text.includes('\0')) return CONTAINS_NUL;
      end = at + bytes.write(text, at);
    }
    bytes[end] = 0;
    this.#used = end + 1;
    return at;
  }

  /** The payload as an anonymous file: any size, no pipe to deadlock on, and it works on a full disk. */
  #memoryFile(content: Uint8Array): number | string {
    const { call, arena } = this.#libc;
    arena.bytes.write('stdin\0', ARENA_BYTES - 16, 'latin1');
    const fd = call.memfd_create(this.#at(ARENA_BYTES - 16), MFD_CLOEXEC);
    if (fd < 0) return 'EMFILE';
    for (let done = 0; done < content.length;) done += writeSync(fd, content, done, content.length - done, done);
    return fd;
  }
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

interface Prepared {
  readonly argv: number;
  readonly envp: number;
  readonly program: number;
  readonly out: number;
  readonly err: number;
  readonly cwd: number;
}

const NO_ROOM = -1;
const CONTAINS_NUL = -2;

/** Starts a trivial program and waits for its end: proves that structures and calls fit this libc before a job depends on them. */
export function selfTest(libc: Libc, clock: Clock): boolean {
  const spawner = new FfiSpawner(libc, clock, () => undefined);
  const outcome: { pid: number } = { pid: 0 };
  const request = {
    program: '/bin/true',
    words: ['true'],
    environment: {},
    cwd: '/',
    stdin: null,
    stdinPath: '',
    outPath: '/dev/null',
    errPath: '/dev/null',
  };
  spawner.spawn(request, (result) => {
    if (result.kind === 'spawned') outcome.pid = result.pid;
  });
  spawner.close();
  if (outcome.pid === 0) return false;
  const ended = libc.call.waitpid(outcome.pid, libc.arena.base + BigInt(STATUS), 0);
  return ended === outcome.pid && libc.arena.view.getInt32(STATUS, true) === 0;
}
